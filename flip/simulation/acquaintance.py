"""A large cluster that has run for a while, without the start that it has behind it.

A thousand nodes that start at once probe a million pairs and exchange states with
half of the cluster each: minutes of work that have nothing to do with what a
simulation of a large cluster is asked. Here every node starts as always and then
learns at once, by the calls that packets would lead to, what a start would have
taught it. What a start would have left to do and to say is dropped.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import TYPE_CHECKING

from flip.membership.service import Membership
from flip.wire.messages import Update

if TYPE_CHECKING:
    from flip.simulation.machine import Machine


def acquaint(machines: Collection[Machine], rng: random.Random) -> None:
    """Make nodes that have just started, and sent nothing yet, know one another.

    Every node is in touch, settled and active, has no news, and holds nothing yet.
    Their rotations begin at random moments of the first interval.
    """
    members = [machine.running_node.parts.membership for machine in machines]
    for membership in members:
        membership.detector.stop()
        membership.sync.give_up()
        _be_answered(membership)
    updates = [membership.roster[membership.roster.me].update for membership in members]
    for machine in machines:
        node = machine.running_node
        with node.journal.batch():
            _learn(node.parts.membership, updates)
        node.parts.membership.detector.rest(rng.uniform(0.0, node.config.gossip_interval))


def _be_answered(membership: Membership) -> None:
    touch = membership.touch
    for id in membership.roster.others:
        touch.acked(id, touch.epoch)
        touch.synced(id)
    membership.judge()


def _learn(membership: Membership, updates: list[Update]) -> None:
    membership.roster.merge(updates, membership.roster.me)
    membership.protocol.all_agree()
    membership.push.stop()
