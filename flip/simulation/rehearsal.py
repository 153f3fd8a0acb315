"""One schedule of faults, played on a cluster and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from twisted.python.failure import Failure

from flip.simulation.distributions import Distribution
from flip.simulation.faults import Fault
from flip.simulation.faults import schedule as befall
from flip.simulation.invariants import Violation
from flip.simulation.report.answering import answer
from flip.simulation.report.answers import Answers
from flip.simulation.report.recording import Recording
from flip.simulation.schedules import Schedule, play
from flip.simulation.schedules.play import overheard
from flip.simulation.world import World

LARGE = 50  # nodes; the start of more, and the checks, would take very long


class Rehearsal(NamedTuple):
    """What was recorded of a run, and the answers that follow from it."""

    recording: Recording
    answers: Answers


def rehearse(schedule: Schedule, hook_time: Distribution | None = None) -> Rehearsal:
    """Start all nodes, let the faults befall them, and watch until `schedule.duration`.

    Nodes start within the first gossip interval, each at a time of its own, as their
    rounds would otherwise go on in step; those of a cluster of more than `LARGE` nodes
    all begin at once and know one another. A broken safety rule ends the run, and is
    among the answers, as is an error that a node did not expect; the rules of a large
    cluster are not checked.

    :param hook_time: how long hooks take, if not as long as flip's own.
    :raises ConfigError: the schedule's configuration cannot be used.
    """
    checked = len(schedule.config["servers"]) <= LARGE
    world = World(schedule.config, schedule.seed, checked=checked)
    recording, violation = Recording(world), None
    failures: list[Failure] = []
    try:
        if hook_time is not None:
            for machine in world.machines.values():
                machine.hook_time = hook_time
        _start(world, schedule.parsed)
        befall(world, schedule.parsed)
        world.script = schedule.faults
        with overheard(failures):
            world.run(schedule.duration)
        if failures:
            violation = f"a node failed: {failures[0].getTraceback()}"
    except Violation as error:
        violation = str(error)
    finally:
        world.close()
    return _told(recording, schedule, violation)


def replay(schedule: Schedule) -> Rehearsal:
    """Play a schedule as the search for broken rules does, step by step the same, and record it.

    After `schedule.duration` everything is mended, and has to be well again in time.
    """
    recordings: list[Recording] = []
    violation = None
    try:
        play(schedule, lambda world: recordings.append(Recording(world)))
    except Violation as error:
        violation = str(error)
    return _told(recordings[0], schedule, violation)


def _told(recording: Recording, schedule: Schedule, violation: str | None) -> Rehearsal:
    recording.finish()
    return Rehearsal(recording, answer(recording, schedule.seed, violation))


def _start(world: World, faults: Sequence[Fault]) -> None:
    """Let every node start in time for the first fault that names it."""
    if len(world.machines) > LARGE:
        world.start_acquainted()
        return
    rng, interval = Random(f"{world.seed} starts"), world.base.gossip_interval
    early = {id for fault in faults if fault.span.begin <= interval for id in fault.named}
    for id, machine in world.machines.items():
        after = rng.uniform(0, interval)  # drawn for every node, so that faults change no other
        world.schedule(0.0 if id in early else after, machine.start)
