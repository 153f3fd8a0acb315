"""Schedules aimed at the grants of exclusive systems, where faults at random seldom meet.

An owner, a rival that takes all others for dead and asks the voters without a pause,
and a moment from which on the owner does not renew its lease, or its grants and
releases are late. Around that moment voters restart, with and without their disks; clocks
run as far apart, and `down` takes as long, as is allowed. Two owners are then a matter
of a rule of docs/exclusive.md, not of luck.
"""

from __future__ import annotations

import random
from typing import Any

from flip.holdings.grants.lease import kept

STARTING = (0.5, 1.5)  # seconds from the end of the first silence until the rival appears
CONTEST = 8.0  # seconds in which two want the same
WAYS = ("cut", "freeze", "late", "stall", "heard")  # not to renew a lease
WAYS_LONG = ("freeze", "freeze", "stall")  # those in which a long lease is used to its end
STOPPED = 13.0  # seconds in which a clean stop has given up
SOLITUDE = (14.0, 18.0)  # seconds: it has to know, and its probes may be stretched
LATENCIES = (300, 800, 1500)  # ms at most
LATE = ("1000-1900", "1600-1900")  # ms that an answer may be on its way
LAST_ANSWERS = 2.0  # seconds after its last request until the owner has all answers
PATIENCE = 4000  # ms of ping_timeout: with less the owner takes itself for cut off, and lets go
AGEING = 0.2  # of the sieges where hooks are run: the part in which answers age
LONG_LEASE = 6.0  # seconds; of shorter ones 5 % are less than the guard's resolution


def siege(rng: random.Random, config: dict[str, Any]) -> tuple[float, list[str]]:
    """How long it takes, in seconds, and the faults in any order."""
    settings = config["cluster"]["system"]["s"]
    ageing = "hook_timeout" in settings and rng.random() < AGEING
    if ageing:
        config["ping_timeout"] = PATIENCE
        settings["lease"] = PATIENCE + 2 * settings["hook_timeout"]
    lease: float = settings["lease"] / 1000
    # Fresh voters are silent first: nobody owns anything before.
    begin = kept(lease) + rng.uniform(*STARTING)
    ids = list(config["servers"])
    there, here = rng.sample([id for id in ids if "systems" in config["servers"][id]], 2)
    if ageing:
        return _ageing(rng, there, here, begin, lease)
    if rng.random() < 0.25:
        return _contest(rng, there, here, begin)
    return _last_word(rng, there, here, ids, begin, settings)


def orphaned(rng: random.Random, config: dict[str, Any], lease: float) -> tuple[float, str]:
    """An owner of addresses dies or freezes for longer than its kernel lease lasts."""
    owner = rng.choice([id for id, server in config["servers"].items() if "systems" in server])
    begin = round(rng.uniform(0.5, 4.0), 2)
    end = round(begin + lease + rng.uniform(2.0, 5.0), 2)
    kind = rng.choice(("kill", "freeze"))
    return end, f"{kind} {owner}@{begin}-{end}"


def stuck(rng: random.Random, config: dict[str, Any]) -> tuple[float, list[str]]:
    """A clean stop during which `down` does not end well."""
    one = rng.choice([id for id, server in config["servers"].items() if "systems" in server])
    at = rng.uniform(2.0, 5.0)
    end = round(at + STOPPED, 2)
    kind = rng.choice(("fail-hook", "hang-hook"))
    return end, [f"{kind} {one}/down@{at - 0.5:.2f}-{end}", f"leave {one}@{at:.2f}-{end}"]


def alone(rng: random.Random, config: dict[str, Any]) -> tuple[float, str]:
    """One is cut off for so long that it has to let go, where its systems say so."""
    begin = rng.uniform(2.0, 5.0)
    end = round(begin + rng.uniform(*SOLITUDE), 2)
    return end, f"cut {rng.choice(list(config['servers']))}@{begin:.2f}-{end}"


def _contest(rng: random.Random, there: str, here: str, begin: float) -> tuple[float, list[str]]:
    """Two want everything for long, and withdraw and claim anew: releases come late."""
    end = round(begin + CONTEST, 2)
    whole = f"{begin:.2f}-{end}"
    faults = [f"mistrust {there},{here}@{whole}", f"latency 1-{rng.choice(LATENCIES)}ms@{whole}"]
    if rng.random() < 0.5:
        faults.append(f"reorder 30%@{whole}")
    if rng.random() < 0.5:
        faults.append(f"cut {there}/{here}@{whole}")
    return end, faults


def _ageing(
    rng: random.Random, there: str, here: str, begin: float, lease: float
) -> tuple[float, list[str]]:
    """Answers are long on their way to a patient owner: how old they are then is the question."""
    last = begin + rng.uniform(1.0, 2.0) * lease
    end = round(last + kept(lease) + 1.5, 2)
    late, rest = f"{begin + 1:.2f}-{last + LAST_ANSWERS:.2f}", f"{last:.2f}-{end}"
    return end, [
        f"mistrust {here}@{begin:.2f}-{end}",
        f"latency {rng.choice(LATE)}ms@{late}",
        f"cut-one-way {there}@{rest}",
        f"slow-hook {there}/down@{rest}",
    ]


def _last_word(
    rng: random.Random,
    there: str,
    here: str,
    ids: list[str],
    begin: float,
    settings: dict[str, Any],
) -> tuple[float, list[str]]:
    """From a moment on the owner renews nothing; its lease is not over yet."""
    lease: float = settings["lease"] / 1000
    others = [id for id in ids if id != there]
    # The rival's own vote binds it to the owner, or does not any more.
    last = begin + rng.choice((0.3, 1.2 * kept(lease))) * rng.uniform(0.8, 1.2)
    end = round(last + kept(lease) + 1.5, 2)
    whole, rest = f"{begin:.2f}-{end}", f"{last:.2f}-{end}"
    faults = [f"mistrust {here}@{whole}", f"cut {there}/{here}@{whole}"]
    provided = "provider" in settings  # only the kernel's lateness is hidden by a drift of 5 %
    long = lease >= LONG_LEASE or (provided and rng.random() < 0.7)
    silent = rng.choice(WAYS_LONG if long else WAYS)
    if silent == "cut":
        faults.append(f"cut {there}/{','.join(others)}@{rest}")
    elif silent == "freeze":
        # Only the guard acts, at the deadline: a daemon that is alone lets go before that.
        faults.append(f"freeze {there}@{rest}")
    elif silent == "late":
        faults.append(f"latency 1-{rng.choice(LATENCIES)}ms@{whole}")
        faults.append(f"cut-one-way {there}/{','.join(others)}@{rest}")
    elif silent == "stall":
        # Grants that came while it stood still wait for it.
        stall = rng.uniform(0.1, 0.9) * lease
        faults.append(f"latency 1-{rng.choice(LATENCIES)}ms@{whole}")
        faults.append(f"freeze {there}@{last:.2f}-{last + stall:.2f}")
        faults.append(f"cut {there}/{','.join(others)}@{last + 0.3:.2f}-{end}")
    if silent == "heard" or (not long and rng.random() < 0.4):
        kind = rng.choice(("restart", "restart-empty"))
        voters = [id for id in others if id != here]
        moment = last + rng.uniform(-0.1, 0.4) * min(lease, 1.0)
        faults.append(f"{kind} {','.join(voters)}@{moment:.2f}")
    if not provided and (long or rng.random() < 0.5):
        faults.append(f"slow-hook {there}/down@{whole}")
    if long or rng.random() < 0.3:
        faults += [f"drift {there}:-5%@0.1-{end}", f"drift {','.join(others)}:+5%@0.1-{end}"]
    return end, faults
