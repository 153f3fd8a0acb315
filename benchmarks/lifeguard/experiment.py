"""One trial: a cluster at rest, some members that stop at once, and what the others make of it.

The two forms of the paper: in the threshold form the members stop once, for a
duration; in the interval form they stop and go on again and again for two minutes.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.lifeguard.clusters import Belief, Cluster, FlipCluster, SwimCluster, Verdict
from benchmarks.lifeguard.settings import LIFEGUARD, PAPER, SWIM

MEMBERS = 128
REST = 15.0  # seconds at rest before anything happens
LENGTH = 120.0  # seconds in which members stop and go on, or in which they stay away
TAIL = 30.0  # seconds after which whatever was wrongly believed has been put right

# Detectors by name: memberlist's by their settings, flip's by what its file says.
SWIMS = {"swim": SWIM, "lifeguard": LIFEGUARD, "paper": PAPER}
FLIPS: dict[str, dict[str, int]] = {
    "flip": {"gossip_interval": 1000, "ping_per_interval": 3, "ping_timeout": 1500},
    "flip-1": {"gossip_interval": 1000, "ping_per_interval": 1, "ping_timeout": 1500},
}
DETECTORS = (*SWIMS, *FLIPS)


@dataclass(frozen=True)
class Trial:
    """What is done; the seed decides who stops, and all else that is chance.

    :ivar stopped: how many members stop at once.
    :ivar duration: seconds for which they do, None for good.
    :ivar interval: seconds between two stops, None if there is one only.
    """

    detector: str
    stopped: int
    duration: float | None
    interval: float | None
    seed: int
    blocked: bool = True
    members: int = MEMBERS


@dataclass
class Outcome:
    """What came of it.

    :ivar false_positives: how often somebody held a healthy member for down.
    :ivar at_healthy: of these, by an observer that was healthy itself.
    :ivar suspicions: the same for suspicion only; `suspicions_at_healthy` too.
    :ivar first: per stopped member that was found down, seconds until the first
        healthy member knew.
    :ivar full: per stopped member, seconds until all healthy members knew.
    :ivar datagrams: per member and second, from the first stop on.
    :ivar octets: the same, in bytes.
    :ivar took: seconds that the simulation took.
    """

    false_positives: int = 0
    at_healthy: int = 0
    suspicions: int = 0
    suspicions_at_healthy: int = 0
    first: list[float] = field(default_factory=list)
    full: list[float] = field(default_factory=list)
    datagrams_at_rest: float = 0.0
    octets_at_rest: float = 0.0
    datagrams: float = 0.0
    octets: float = 0.0
    took: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For the file of results."""
        return asdict(self)


def perform(trial: Trial) -> Outcome:
    """Run one trial from a cold start."""
    began = time.perf_counter()
    rng = random.Random(f"{trial.stopped} {trial.duration} {trial.interval} {trial.seed}")
    cluster = build(trial)
    try:
        cluster.start()
        cluster.run(rng.uniform(0, 1))
        start, sent = cluster.now, cluster.traffic()
        cluster.run(REST)
        outcome = Outcome()
        rest = cluster.traffic()
        share = trial.members * (cluster.now - start)
        outcome.datagrams_at_rest = (rest.datagrams - sent.datagrams) / share
        outcome.octets_at_rest = (rest.octets - sent.octets) / share
        stopped = rng.sample(sorted(cluster.ids), trial.stopped)
        began_at, known = cluster.now, len(cluster.verdicts)
        _disturb(cluster, stopped, trial)
        total = cluster.traffic()
        share = trial.members * (cluster.now - began_at)
        outcome.datagrams = (total.datagrams - rest.datagrams) / share
        outcome.octets = (total.octets - rest.octets) / share
        verdicts = cluster.verdicts[known:]
        _count(outcome, verdicts, set(stopped))
        if trial.interval is None:
            _measure(outcome, verdicts, set(stopped), began_at, trial.members)
    finally:
        cluster.close()
    outcome.took = time.perf_counter() - began
    return outcome


def build(trial: Trial) -> Cluster:
    """The cluster of a trial, nothing of it started."""
    if trial.detector in SWIMS:
        return SwimCluster(trial.members, SWIMS[trial.detector], trial.seed, blocked=trial.blocked)
    return FlipCluster(trial.members, FLIPS[trial.detector], trial.seed)


def _disturb(cluster: Cluster, stopped: Iterable[str], trial: Trial) -> None:
    """Stop members, once or again and again, and let it come to rest."""
    end = cluster.now + LENGTH
    if trial.duration is None:
        for id in stopped:
            cluster.stop(id)
        cluster.run(LENGTH)
        return
    while True:
        for id in stopped:
            cluster.stop(id)
        cluster.run(trial.duration)
        for id in stopped:
            cluster.resume(id)
        if trial.interval is None or cluster.now + trial.interval >= end:
            break
        cluster.run(trial.interval)
    cluster.run(TAIL)


def _count(outcome: Outcome, verdicts: Iterable[Verdict], stopped: set[str]) -> None:
    """False beliefs about healthy members, one per change of one observer's mind."""
    seen: Counter[tuple[Belief, bool]] = Counter()
    for verdict in verdicts:
        if verdict.subject not in stopped:
            seen[verdict.belief, verdict.observer not in stopped] += 1
    outcome.at_healthy = seen[Belief.DOWN, True]
    outcome.false_positives = seen[Belief.DOWN, True] + seen[Belief.DOWN, False]
    outcome.suspicions_at_healthy = seen[Belief.SUSPECT, True]
    outcome.suspicions = seen[Belief.SUSPECT, True] + seen[Belief.SUSPECT, False]


def _measure(
    outcome: Outcome, verdicts: Iterable[Verdict], stopped: set[str], since: float, members: int
) -> None:
    """When the healthy members knew of each that stopped."""
    known: dict[str, dict[str, float]] = {}
    for verdict in verdicts:
        if (
            verdict.subject in stopped
            and verdict.observer not in stopped
            and verdict.belief is Belief.DOWN
        ):
            known.setdefault(verdict.subject, {}).setdefault(verdict.observer, verdict.at - since)
    for times in known.values():
        outcome.first.append(min(times.values()))
        if len(times) == members - len(stopped):
            outcome.full.append(max(times.values()))
