"""Schedules at random: one seed gives one cluster and what befalls it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from flip.config.points import id_of
from flip.simulation.faults.notation import Span
from flip.simulation.schedules.clusters import INTERFACE, cluster
from flip.simulation.schedules.schedule import Schedule
from flip.simulation.schedules.siege import alone, orphaned, siege, stuck

SHORTEST, LONGEST = 3.0, 7.0  # seconds in which faults happen
FEWEST, MOST = 2, 9  # faults
NEAR = 0.4  # seconds: what happens at about the same time breaks more
ORPHANS = 0.3  # of the schedules with kernel leases: an owner dies, and its lease ends
STOPS = 0.04  # of the schedules of ordinary systems: a clean stop whose `down` does not end
SOLITARY = 0.15  # of those with `on_isolation`: one is cut off for long
SIEGES = 0.4  # of the schedules of exclusive systems: the part aimed at their grants


def generate(seed: int) -> Schedule:
    """The schedule of a seed; every other one is of an exclusive system."""
    rng = random.Random(seed)
    exclusive = bool(seed % 2)
    config = cluster(rng, exclusive=exclusive)
    settings = config["cluster"]["system"]["s"]
    if exclusive and rng.random() < SIEGES:
        duration, faults = siege(rng, config)
        draw = _Draw(rng, config, duration, _kinds(config))
        faults += [draw.fault() for _ in range(rng.choice((0, 0, 1, 2)))]
        return Schedule(config, seed, duration, tuple(sorted(faults, key=_begin)))
    duration = round(rng.uniform(SHORTEST, LONGEST), 1)
    draw = _Draw(rng, config, duration, _kinds(config))
    faults = [draw.fault() for _ in range(rng.randint(FEWEST, MOST))]
    lease = settings.get("config", {}).get("kernel_lease")
    if lease is not None and rng.random() < ORPHANS:
        end, orphaning = orphaned(rng, config, lease / 1000)
        duration, faults = max(duration, end), [*faults[:3], orphaning]
    if not exclusive and rng.random() < STOPS and _Draw.fail_hook in _kinds(config):
        end, stopping = stuck(rng, config)
        duration, faults = max(duration, end), [*faults[:2], *stopping]
    if settings.get("on_isolation") == "release" and rng.random() < SOLITARY:
        end, cut = alone(rng, config)
        duration, faults = max(duration, end), [*faults[:2], cut]
    if exclusive:
        faults += draw.siege()
    return Schedule(config, seed, duration, tuple(sorted(faults, key=_begin)))


def _begin(fault: str) -> float:
    return Span.parse(fault.replace("@", " ").rpartition(" ")[2]).begin


class _Draw:
    """Draws faults that fit a cluster."""

    def __init__(
        self, rng: random.Random, config: dict[str, Any], duration: float, kinds: Kinds
    ) -> None:
        self._rng = rng
        self._kinds = [kind for kind, weight in kinds.items() for _ in range(weight)]
        self._duration = duration
        self._ids: list[str] = list(config["servers"])
        self._data = [id_of(point) for point in config["cluster"]["system"]["s"]["data"]]
        self._holders: list[str] = [
            id for id, server in config["servers"].items() if "systems" in server
        ]
        self._moments = [rng.uniform(0, duration) for _ in range(2)]

    def fault(self) -> str:
        """The text of one."""
        kind = self._rng.choice(self._kinds)
        return kind(self)

    def siege(self) -> list[str]:
        """What makes the end of a lease tell: somebody who always wants everything, voters
        that one of two cannot reach, `down` hooks as slow and clocks as far apart as allowed."""
        rng, whole = self._rng, f"0.5-{self._duration}"
        faults = []
        if rng.random() < 0.6:
            there, here = rng.sample(self._holders, 2)
            faults.append(f"mistrust {here}@{self._at()}-{self._duration}")
            if rng.random() < 0.7:
                kind = rng.choice(("cut", "cut-one-way"))
                faults.append(f"{kind} {there}/{here}@{self._at()}-{self._duration}")
            if rng.random() < 0.7:
                voter = rng.choice([id for id in self._ids if id != here])
                kind = rng.choice(("restart", "restart-empty"))
                faults.append(f"{kind} {voter}@{self._at()}")
        if rng.random() < 0.3 and _Draw.slow_down in self._kinds:
            faults.append(f"slow-hook {','.join(self._holders)}/down@{whole}")
        if rng.random() < 0.3:
            slow = rng.sample(self._ids, len(self._ids) // 2)
            fast = [id for id in self._ids if id not in slow]
            faults += [f"drift {','.join(slow)}:-5%@{whole}", f"drift {','.join(fast)}:+5%@{whole}"]
        return faults

    def _at(self) -> float:
        if self._rng.random() < 0.5:
            at = self._rng.choice(self._moments) + self._rng.uniform(-NEAR, NEAR)
        else:
            at = self._rng.uniform(0, self._duration)
        return round(min(max(at, 0.001), self._duration - 0.001), 3)

    def _span(self) -> str:
        """A begin and an end, some much longer than others."""
        begin = self._at()
        lasting = self._rng.choice((0.1, 0.5, 2.0, 6.0)) * self._rng.uniform(0.5, 1.5)
        end = round(min(begin + lasting, self._duration), 3)
        return f"{begin}-{end}" if end > begin else f"{begin}-{self._duration}"

    def _one(self) -> str:
        return self._rng.choice(self._ids)

    def _several(self) -> str:
        if self._rng.random() < 0.8:
            return self._one()
        return ",".join(self._rng.sample(self._ids, self._rng.randint(1, len(self._ids))))

    def kill(self) -> str:
        return f"kill {self._several()}@{self._span()}"

    def reboot(self) -> str:
        return f"reboot {self._one()}@{self._span()}"

    def restart(self) -> str:
        return f"restart {self._several()}@{self._at()}"

    def restart_empty(self) -> str:
        return f"restart-empty {self._one()}@{self._at()}"

    def leave(self) -> str:
        return f"leave {self._one()}@{self._span()}"

    def freeze(self) -> str:
        return f"freeze {self._several()}@{self._span()}"

    def cut(self) -> str:
        ids = self._rng.sample(self._ids, len(self._ids))
        sides = self._rng.choice((1, 2, 2, len(ids)))
        groups = [ids[number::sides] for number in range(sides)]
        if sides == 1:
            groups = [ids[: self._rng.randint(1, len(ids) - 1)]]
        return f"cut {'/'.join(map(','.join, groups))}@{self._span()}"

    def cut_link(self) -> str:
        kind = self._rng.choice(("cut", "cut-one-way", "cut-one-way"))
        return f"{kind} {'/'.join(self._rng.sample(self._ids, 2))}@{self._span()}"

    def cut_one_way(self) -> str:
        return f"cut-one-way {self._one()}@{self._span()}"

    def loss(self) -> str:
        return f"loss {self._rng.choice((10, 30, 60))}%@{self._span()}"

    def duplicate(self) -> str:
        return f"duplicate 30%@{self._span()}"

    def reorder(self) -> str:
        return f"reorder 30%@{self._span()}"

    def latency(self) -> str:
        return f"latency 1-{self._rng.choice((30, 300, 3000, 8000))}ms@{self._span()}"

    def block_tcp(self) -> str:
        return f"block-tcp {self._span()}"

    def fail_hook(self) -> str:
        return self._hook(self._rng.choice(("fail-hook", "hang-hook")), ("alive", "down"))

    def fail_alive(self) -> str:
        # A `down` that fails breaks what the promise of exclusive systems stands on.
        return self._hook(self._rng.choice(("fail-hook", "hang-hook")), ("alive",))

    def slow_hook(self) -> str:
        return self._hook("slow-hook", ("alive", "down"))

    def _hook(self, kind: str, events: tuple[str, ...]) -> str:
        event = self._rng.choice(events)
        datum = self._rng.choice((f"/{self._rng.choice(self._data)}", ""))
        return f"{kind} {self._rng.choice(self._holders)}/{event}{datum}@{self._span()}"

    def slow(self) -> str:
        return f"slow {self._one()}:{self._rng.choice((2, 10))}ms@{self._span()}"

    def drift(self) -> str:
        return f"drift {self._one()}:{self._rng.choice(('+5', '-5'))}%@{self._span()}"

    def step(self) -> str:
        seconds = self._rng.choice(("-3600", "-2", "+2", "+3600"))
        return f"step {self._one()}:{seconds}s@{self._at()}"

    def mistrust(self) -> str:
        return f"mistrust {self._rng.choice(self._holders)}@{self._span()}"

    def slow_down(self) -> str:
        return self._hook("slow-hook", ("down",))

    def _holder(self) -> str:
        return self._rng.choice(self._holders)

    def _one_or_all(self) -> str:
        return ",".join(self._holders) if self._rng.random() < 0.2 else self._holder()

    def link(self) -> str:
        return f"link {self._one_or_all()}@{self._span()}"

    def unplug(self) -> str:
        return f"unplug {self._one_or_all()}/{INTERFACE}@{self._span()}"

    def vanish(self) -> str:
        datum = self._rng.choice((f"/{self._rng.choice(self._data)}", ""))
        return f"vanish {self._holder()}{datum}@{self._at()}"

    def overrun(self) -> str:
        return f"overrun {self._holder()}@{self._span()}"

    def conflict(self) -> str:
        return f"conflict {self._rng.choice(self._data)}@{self._span()}"

    def refuse(self) -> str:
        return self._hook("fail-hook", ("alive", "down"))

    def check(self) -> str:
        kind = self._rng.choice(("fail-check", "fail-check", "hang-check", "flap-check"))
        span = self._span() if self._rng.random() < 0.5 else f"{self._at()}-{self._duration}"
        return f"{kind} {self._one_or_all()}/s@{span}"

    def drain(self) -> str:
        return f"drain {self._holder()}/s@{self._span()}"

    def no_witness(self) -> str:
        return f"no-witness {self._several()}@{self._span()}"

    def kill_guard(self) -> str:
        return f"kill-guard {self._one()}@{self._at()}"

    def freeze_guard(self) -> str:
        return f"freeze-guard {self._one()}@{self._span()}"


Kinds = dict[Callable[[_Draw], str], int]  # with the weight of each

ANY: Kinds = {
    _Draw.kill: 4,
    _Draw.reboot: 3,
    _Draw.restart: 3,
    _Draw.restart_empty: 2,
    _Draw.leave: 2,
    _Draw.freeze: 4,
    _Draw.cut: 4,
    _Draw.cut_link: 3,
    _Draw.cut_one_way: 2,
    _Draw.loss: 2,
    _Draw.duplicate: 1,
    _Draw.reorder: 1,
    _Draw.latency: 2,
    _Draw.block_tcp: 1,
    _Draw.slow: 1,
    _Draw.drift: 1,
    _Draw.step: 1,
    _Draw.slow_hook: 2,
    _Draw.drain: 2,
}
ADDRESSES: Kinds = {
    _Draw.link: 4,
    _Draw.unplug: 2,
    _Draw.vanish: 4,
    _Draw.overrun: 1,
    _Draw.conflict: 1,
    _Draw.refuse: 3,
}
BY_HOOKS = {_Draw.slow_hook, _Draw.slow_down, _Draw.fail_hook, _Draw.fail_alive}
OF_GUARD = {_Draw.kill_guard, _Draw.freeze_guard}
WITNESS: Kinds = {_Draw.no_witness: 4}
CHECKS: Kinds = {_Draw.check: 12}
ORDINARY: Kinds = ANY | {_Draw.fail_hook: 9}
EXCLUSIVE: Kinds = ANY | {
    _Draw.fail_alive: 2,
    _Draw.drift: 4,
    _Draw.latency: 5,
    _Draw.cut: 6,
    _Draw.slow_down: 2,
    _Draw.mistrust: 6,
    _Draw.restart_empty: 4,
    _Draw.kill_guard: 2,
    _Draw.freeze_guard: 2,
}


def _kinds(config: dict[str, Any]) -> Kinds:
    """What can befall a cluster."""
    system = config["cluster"]["system"]["s"]
    kinds = EXCLUSIVE if system.get("exclusive") else ORDINARY
    if "provider" in system:
        kinds = {kind: weight for kind, weight in kinds.items() if kind not in BY_HOOKS | OF_GUARD}
        kinds |= ADDRESSES
    if "witness" in config:
        kinds = kinds | WITNESS
    return kinds | CHECKS if "check" in system else kinds
