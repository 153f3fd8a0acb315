"""Schedules of faults: drawn at random, played, shrunk, and kept as files."""

from flip.simulation.schedules.play import Outcome, play
from flip.simulation.schedules.schedule import Schedule

__all__ = ["Outcome", "Schedule", "play"]
