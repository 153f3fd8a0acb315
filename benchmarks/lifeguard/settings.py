"""What the compared detectors are set to, and the times and counts that follow from it.

Sources: Das, Gupta, Motivala, "SWIM" (2002); Dadgar, Phillips, Currey, "Lifeguard"
(arXiv 1707.00788); the defaults of HashiCorp's memberlist for a LAN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SMALL = 32  # members up to which states are exchanged at `push_pull_interval`


@dataclass(frozen=True)
class Settings:
    """One detector of memberlist's kind; times in seconds.

    :ivar suspicion_mult: the least suspicion timeout, in units of log10(members)
        probe intervals.
    :ivar suspicion_max_mult: the greatest one, in units of the least.
    :ivar confirmations: accusers beside the first that bring the suspicion
        timeout down to its least.
    :ivar awareness_max: how many times as long a probe of an ill member takes, at most.
    :ivar nacks: whether helpers say that they got no answer either.
    :ivar nack_after: when they do, in units of the probe timeout.
    :ivar scaled_timeout: whether an ill member also waits longer for the first answer.
    :ivar buddy: whether a probed suspect is told first that it is one.
    """

    probe_interval: float = 1.0
    probe_timeout: float = 0.5
    indirect_checks: int = 3
    suspicion_mult: int = 4
    suspicion_max_mult: int = 6
    confirmations: int = 2
    retransmit_mult: int = 4
    gossip_interval: float = 0.2
    gossip_nodes: int = 3
    gossip_to_the_dead: float = 30.0
    push_pull_interval: float = 30.0
    stream_timeout: float = 10.0
    awareness_max: int = 8
    nacks: bool = True
    nack_after: float = 1.0
    scaled_timeout: bool = False
    buddy: bool = True
    packet: int = 1400

    def least_suspicion(self, members: int) -> float:
        """Seconds that a suspect has when enough others suspect it too."""
        return self.suspicion_mult * max(1.0, math.log10(max(1, members))) * self.probe_interval

    def most_suspicion(self, members: int) -> float:
        """Seconds that a suspect has when nobody else suspects it."""
        return self.suspicion_max_mult * self.least_suspicion(members)

    def confirmations_of(self, members: int) -> int:
        """`confirmations`, or 0 where there are too few members to give them."""
        return self.confirmations if members - 2 >= self.confirmations else 0

    def transmissions(self, members: int) -> int:
        """How many times one member sends one piece of news."""
        return self.retransmit_mult * math.ceil(math.log10(members + 1))

    def push_pull_pause(self, members: int) -> float:
        """Seconds between two exchanges of whole states that one member begins."""
        if members <= SMALL:
            return self.push_pull_interval
        doublings = math.ceil(math.log2(members) - math.log2(SMALL))
        return self.push_pull_interval * (1 + doublings)


# memberlist's DefaultLANConfig.
LIFEGUARD = Settings()
# The same with all that Lifeguard added taken away.
SWIM = Settings(suspicion_max_mult=1, confirmations=0, awareness_max=1, nacks=False, buddy=False)
# As the paper describes and tunes Lifeguard: alpha 5, beta 6, K 3, nacks at 80 %.
PAPER = Settings(suspicion_mult=5, confirmations=3, nack_after=0.8, scaled_timeout=True)
