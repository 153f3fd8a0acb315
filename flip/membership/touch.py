"""Whether this node may act: in touch with a quorum, and settled after a start or a cut.

In touch (R1): enough members answer for this node to know that it is not the one
that is cut off. Settled: it has caught up with what a quorum knows, and every
member had the time of one full probe to say that it is still there; the first
two nodes that meet again after a total cut must not outvote a healthy third.
"""

from __future__ import annotations

from collections.abc import Callable

from flip.membership.roster import Roster, State

Reached = Callable[[float], bool]


class Touch:
    """This node's own evidence about every other member, and what may follow from it.

    :param roster: the members; states come from here, evidence from the caller.
    :param grace: seconds that a member which missed a probe has to be voted down
        or to answer after all before this node settles without it.
    :param seconds: the monotonic clock.
    :param witness: whether a witness has answered what was asked since a time, and of late;
        None where there is none. It counts as one more member that is reached.
    """

    def __init__(
        self,
        roster: Roster,
        grace: float,
        seconds: Callable[[], float],
        witness: Reached | None = None,
    ) -> None:
        self._roster = roster
        self._grace = grace
        self._seconds = seconds
        self._witness = witness
        # The epoch is the time since which only fresh evidence counts.
        self.epoch = seconds()
        self.in_touch = False
        self.settled = False
        self.in_touch_since = self.epoch
        self.reachable: dict[str, bool] = {}
        # All three hold when the newest question that was answered had been sent.
        self.last_ack: dict[str, float] = {}  # by the member itself, to a ping
        self.last_sign: dict[str, float] = {}  # by the member itself, to anything
        self.last_word: dict[str, float] = {}  # to a ping, maybe through another member
        self._silent: set[str] = set()  # whose last probe failed
        self._reached: list[Callable[[str], None]] = []
        self._missed: dict[str, float] = {}  # when a probe begun in touch failed
        self._synced: dict[str, float] = {}

    def begin_epoch(self) -> None:
        """Forget all evidence: this node just started, or stalled for too long."""
        self.epoch = self._seconds()
        self.in_touch = self.settled = False

    def on_reached(self, observer: Callable[[str], None]) -> None:
        """Call `observer` with each member that answers after it did not, or for the first time."""
        self._reached.append(observer)

    def acked(self, member: str, sent: float) -> None:
        """A ping that was sent at `sent` was answered by `member` itself."""
        self.last_ack[member] = max(sent, self.last_ack.get(member, sent))
        self.signed(member, sent)
        self.vouched(member, sent)

    def vouched(self, member: str, sent: float) -> None:
        """A ping that was sent at `sent` was answered, if only through another member."""
        self.last_word[member] = max(sent, self.last_word.get(member, sent))
        self._missed.pop(member, None)
        if self.reachable.get(member) is not True:
            self.reachable[member] = True
            self._silent.discard(member)
            for observer in self._reached:
                observer(member)

    def signed(self, member: str, sent: float) -> None:
        """`member` itself sent an answer (an ack or a nack) to something sent at `sent`."""
        self.last_sign[member] = max(sent, self.last_sign.get(member, sent))

    def missed(self, member: str, began: float) -> None:
        """A probe of `member` that began at `began` failed."""
        self.reachable[member] = False
        self._silent.add(member)
        if self.in_touch and began >= self.in_touch_since:
            self._missed.setdefault(member, self._seconds())

    def parted(self, member: str) -> None:
        """`member` left: should it come back, nothing is known of it."""
        self.reachable.pop(member, None)
        self._silent.discard(member)
        self._missed.pop(member, None)

    def synced(self, member: str) -> None:
        """This node and `member` knew the same a moment ago."""
        self._synced[member] = self._seconds()

    def in_sync(self, member: str) -> bool:
        """Whether this node has known the same as `member` in this epoch."""
        return self._synced.get(member, -1.0) >= self.epoch

    def signs_since(self, since: float, other_than: str) -> int:
        """How many members proved since then that they can hear and answer this node."""
        return sum(sent >= since for member, sent in self.last_sign.items() if member != other_than)

    def unreachable(self) -> list[str]:
        """Members whose last probe failed, or that left."""
        unreachable = self._out_of_reach
        return [id for id in self._roster.others if id in unreachable] if unreachable else []

    @property
    def _out_of_reach(self) -> set[str]:
        # What is off for certain, as an operator said, cannot act behind this node's back.
        return (self._silent | self._roster.left) - self._roster.confirmed

    def unheard(self) -> list[str]:
        """Members without a fresh answer in this epoch, except those that left."""
        return [
            id
            for id in self._roster.others
            if self.last_word.get(id, -1.0) < self.epoch
            and self._roster.state(id) is not State.LEFT
        ]

    def judge(self) -> bool:
        """Look at the evidence again; returns whether `in_touch` or `settled` changed."""
        before = self.in_touch, self.settled
        needed = self.needed(witnessed=self.witnessed(self.epoch))
        in_touch = self._has_quorum(needed) and len(self._out_of_reach) <= (
            len(self._roster) - needed
        )
        if in_touch and not self.in_touch:
            self.in_touch_since = self._seconds()
            self._missed.clear()
        elif self.in_touch and not in_touch:
            self.epoch = self._seconds()
            self.settled = False
        self.in_touch = in_touch
        self.settled = in_touch and (self.settled or self._has_settled(needed))
        return (self.in_touch, self.settled) != before

    def needed(self, *, witnessed: bool) -> int:
        """How many members, itself included, this node has to reach.

        With a witness that answers one fewer than the quorum. While none does, a majority
        at least, whatever the quorum: it may well be this node that is cut off.
        """
        quorum = self._roster.quorum
        if self._witness is None:
            return quorum
        if witnessed:
            return quorum - 1
        return max(quorum, len(self._roster) // 2 + 1)

    def witnessed(self, since: float) -> bool:
        """Whether a witness has answered what was asked since then."""
        return self._witness is not None and self._witness(since)

    def _has_quorum(self, needed: int) -> bool:
        if self.in_touch:
            return True
        confirmed = self._roster.confirmed
        fresh = {id for id, sent in self.last_ack.items() if sent >= self.epoch} | confirmed
        return len(fresh) >= needed - 1

    def _has_settled(self, needed: int) -> bool:
        synced = self._roster.confirmed | set(filter(self.in_sync, self._synced))
        return len(synced) >= needed - 1 and all(
            self._has_had_its_time(id) for id in self.unheard()
        )

    def _has_had_its_time(self, id: str) -> bool:
        if id in self._roster.confirmed:
            return True
        missed = self._missed.get(id)
        if missed is None:
            return False
        return self._roster.state(id) is State.DOWN or self._seconds() - missed >= self._grace
