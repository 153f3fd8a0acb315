"""From a recording to the answers."""

from __future__ import annotations

from flip.simulation.report.answers import Answers, Traffic
from flip.simulation.report.failures import detect
from flip.simulation.report.ownerships import Ownerships
from flip.simulation.report.recording import Recording


def answer(recording: Recording, seed: int, violation: str | None = None) -> Answers:
    """Work out everything.

    :param violation: the safety rule that ended the run.
    """
    detection = detect(recording)
    seconds = recording.end
    return Answers(
        seed=seed,
        duration=seconds,
        failures=detection.failures,
        data=list(Ownerships(recording)),
        traffic={
            id: Traffic(recording.sent[id] / seconds, recording.sent_bytes[id] / seconds)
            for id in recording.config.servers
        },
        false_downs=detection.false_downs,
        false_suspicions=detection.false_suspicions,
        violation=violation,
    )
