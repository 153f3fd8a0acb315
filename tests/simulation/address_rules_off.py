"""The rules of addresses, health checks and groups, and how to take them out of flip."""

from __future__ import annotations

from collections.abc import Mapping

from flip.addresses.kernel import Put
from flip.holdings import outlook
from flip.holdings.address.announcer import Announcer
from flip.holdings.address.kept import Kept
from flip.holdings.address.lifetimes import Lifetimes
from flip.holdings.address.links import Links
from flip.holdings.address.orphans import Orphans
from flip.holdings.address.repair import Repair
from flip.holdings.address.upkeep import Upkeep
from flip.holdings.checks.health import HealthCheck
from flip.holdings.course import Course
from flip.holdings.eligibility import Candidates, candidates
from flip.holdings.failback import Failback
from flip.holdings.grants import lease
from flip.holdings.guard.interface import Point
from flip.wire.standing import Standing
from tests.simulation.rule import Rule, Settings, false, nothing

LONGER = 3  # seconds


def _address(settings: Settings) -> bool:
    return "provider" in settings


def _ordinary(settings: Settings) -> bool:
    return _address(settings) and not settings.get("exclusive")


def _exclusive(settings: Settings) -> bool:
    return _address(settings) and bool(settings.get("exclusive"))


def _leased(settings: Settings) -> bool:
    return _ordinary(settings) and "kernel_lease" in settings["config"]


def _waits(settings: Settings) -> bool:
    return _leased(settings) and bool(settings["config"]["wait_for_lease"])


def _checked(settings: Settings) -> bool:
    return "check" in settings


def _kept_out(settings: Settings) -> bool:
    return bool(settings.get("failback", "auto") != "auto")


def _grouped(settings: Settings) -> bool:
    return any(isinstance(point, list) for point in settings["data"])


_valid = Lifetimes.valid


def _outlives_the_lease(self: Lifetimes, point: Point, now: float) -> int | None:
    valid = _valid(self, point, now)
    return None if valid is None else valid + LONGER


_puts = Kept.puts


def _puts_in_its_own_time(self: Kept, valid: int | None, by: float | None) -> list[Put]:
    return _puts(self, valid, None)


def _for_ever(self: Lifetimes, point: Point, now: float) -> None:
    return None


_judge = HealthCheck._judge


def _always_fit(self: HealthCheck, reason: str | None) -> None:
    _judge(self, None)


def _all_are_fit(standings: Mapping[str, Standing], all_unfit: str) -> Candidates:
    return Candidates(frozenset(standings))


def _all_unfit_divide(standings: Mapping[str, Standing], all_unfit: str) -> Candidates:
    return candidates(standings, "divide")


_ended = Course.ended


def _nothing_is_undone(self: Course, failure: str | None) -> None:
    self._undo = None
    _ended(self, failure)


def _go_on(self: Course, failure: str | None) -> None:
    _ended(self, failure if self._event == "down" else None)


ADDRESS_RULES: Mapping[str, Rule] = {
    "A-valid": Rule(
        "With a kernel lease no address is there for ever.",
        [(Lifetimes, "valid", _for_ever)],
        _leased,
    ),
    "A-renew": Rule(
        "A lifetime is renewed well before it ends.", [(Upkeep, "renew", nothing)], _leased
    ),
    "A-wait": Rule(
        "Where it is asked for, the lease of a dead owner is waited for.",
        [(Orphans, "obstacle", nothing)],
        _waits,
    ),
    "A-run-out": Rule(
        "What ran out while this process stood still is not put back by itself.",
        [(Upkeep, "has_run_out", false)],
        _leased,
    ),
    "A-repair": Rule(
        "What somebody else removes is put back.", [(Repair, "vanished", nothing)], _ordinary
    ),
    "A-link": Rule(
        "Whose link is down hands over.",
        [(Links, "link_changed", nothing)],
        _ordinary,
    ),
    "A-back": Rule(
        "When a link is up again, what went with its interface is put back, and all is announced.",
        [(Repair, "link_changed", nothing)],
        _ordinary,
    ),
    "A-announce": Rule("What is put is announced.", [(Announcer, "begin", nothing)], _address),
    "AE-valid": Rule(
        "An exclusive address does not outlive its grants.",
        [
            (Lifetimes, "valid", _outlives_the_lease),
            (Kept, "puts", _puts_in_its_own_time),
        ],
        _exclusive,
    ),
    "AE-late": Rule("Nor when the kernel is late.", [(lease, "KERNEL_DELAY", 0)], _exclusive),
    "AE-renew": Rule(
        "An exclusive address is renewed with its grants.", [(Upkeep, "renew", nothing)], _exclusive
    ),
    "AE-by": Rule(
        "An order that was late on its way to the kernel ends no later for that.",
        [(Kept, "puts", _puts_in_its_own_time)],
        _exclusive,
    ),
    "H-check": Rule(
        "A check that fails makes a node unfit.", [(HealthCheck, "_judge", _always_fit)], _checked
    ),
    "H-unfit": Rule(
        "Who is unfit gets nothing, and hands over.",
        [(outlook, "candidates", _all_are_fit)],
        _checked,
    ),
    "H-stay": Rule(
        "While nobody is fit, everything stays where it is.",
        [(outlook, "candidates", _all_unfit_divide)],
        _checked,
    ),
    "H-failback": Rule(
        "Who was away waits, if asked to.",
        [(Failback, "_keep_out", nothing)],
        _kept_out,
    ),
    "G-undo": Rule(
        "When a member of a group fails, the others are taken away again.",
        [(Course, "ended", _nothing_is_undone)],
        _grouped,
    ),
    "G-all": Rule(
        "A group is live when all its members are.", [(Course, "ended", _go_on)], _grouped
    ),
}
