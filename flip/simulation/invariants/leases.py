"""What the holder of an exclusive system's data point owes to its users: it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flip.simulation.invariants.invariant import Invariant
from flip.simulation.reactor import WORK

if TYPE_CHECKING:
    from flip.holdings.runner import HookCall
    from flip.simulation.machine import Machine


class Undisturbed(Invariant):
    """Nobody lets go because a lease ends while nothing disturbs its renewal (E8).

    Undisturbed is a holder when for a whole lease nothing has been broken or made whole
    anywhere, no packet may be lost or late, and its machine is not slow. What happened
    before that has had its effect: who reaches no quorum of voters, or only voters that are
    silent (E4), lets go within a lease. A safe system that takes and lets go in turn would be
    of no use.
    """

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        """Ask why it lets go."""
        if call.event != "down" or machine.node is None:
            return
        right = machine.node.parts.grants.rights.get(call.system)
        if right is None or not right.lapsed(call.datum):
            return
        calm = self.truth.calm
        lease = self.world.base.systems[call.system].lease
        if calm > lease and not self.truth.lossy and machine.slowness <= WORK:
            raise self.violated(
                f"{machine.id} lets go of {call.datum} because it was not granted in time,"
                f" and nothing has happened for {calm:.3f} s"
            )
