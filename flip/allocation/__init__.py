"""Who should hold what: pure functions, the same answer on every node."""

from flip.allocation.plan import Move, Plan, moves, plan
from flip.allocation.topology import TOPOLOGIES, Topology

__all__ = ["TOPOLOGIES", "Move", "Plan", "Topology", "moves", "plan"]
