"""The language of faults: what can be broken in a simulated cluster, and when.

A fault is a line such as ``kill flip1@5`` or ``cut flip,flip2/flip1@30-45``: a kind,
what it befalls, and from when to when. It is the same in the options of ``flip
simulate``, in files of schedules, and in what a search prints; `str` of a fault is
read back as an equal one.
"""

from flip.simulation.faults.fault import Fault
from flip.simulation.faults.language import KINDS, check, parse, read
from flip.simulation.faults.notation import Span
from flip.simulation.faults.schedule import schedule

__all__ = ["KINDS", "Fault", "Span", "check", "parse", "read", "schedule"]
