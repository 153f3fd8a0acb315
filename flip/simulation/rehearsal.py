"""One schedule of faults, played on a cluster and recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from flip.simulation.distributions import Distribution
from flip.simulation.faults import Fault
from flip.simulation.faults import schedule as put_on
from flip.simulation.invariants import Violation
from flip.simulation.report.answering import answer
from flip.simulation.report.answers import Answers
from flip.simulation.report.recording import Recording
from flip.simulation.schedules import Schedule
from flip.simulation.world import World


class Rehearsal(NamedTuple):
    """What was recorded of a run, and the answers that follow from it."""

    recording: Recording
    answers: Answers


def rehearse(
    schedule: Schedule,
    *,
    hook_time: Distribution | None = None,
    progress: Callable[[float], None] = lambda now: None,
) -> Rehearsal:
    """Start all nodes, let the faults befall them, and watch until `schedule.duration`.

    Nodes start within the first gossip interval, each at a time of its own, as their
    rounds would otherwise go on in step. A broken safety rule ends the run, and is
    among the answers.

    :param hook_time: how long hooks take, if not as long as flip's own.
    :param progress: called with the world's time every simulated second.
    """
    world = World(schedule.config, schedule.seed)
    violation = None
    try:
        recording = Recording(world)
        if hook_time is not None:
            for machine in world.machines.values():
                machine.hook_time = hook_time
        _start(world, schedule.parsed)
        put_on(world, schedule.parsed)
        world.script = schedule.faults
        try:
            for second in range(1, int(schedule.duration) + 1):
                world.run(second - world.now)
                progress(world.now)
            world.run(schedule.duration - world.now)
        except Violation as error:
            violation = str(error)
        recording.finish()
    finally:
        world.close()
    return Rehearsal(recording, answer(recording, schedule.seed, violation))


def _start(world: World, faults: Sequence[Fault]) -> None:
    """Let every node start in time for the first fault that names it."""
    rng, interval = Random(f"{world.seed} starts"), world.base.gossip_interval
    early = {id for fault in faults if fault.span.begin <= interval for id in fault.named}
    for id, machine in world.machines.items():
        after = rng.uniform(0, interval)  # drawn for every node, so that faults change no other
        world.schedule(0.0 if id in early else after, machine.start)
