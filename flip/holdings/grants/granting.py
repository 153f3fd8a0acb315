"""This node as a voter: requests come in, answers and questions go out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.internet.interfaces import IReactorTime

from flip.holdings.grants.post import Numbered, Post
from flip.holdings.grants.timers import Timers
from flip.holdings.grants.voter import Belated, Voter
from flip.log import Logger
from flip.wire.messages import GrantAnswer, GrantRelease, GrantRequest

COMPLAINT_PAUSE = 60.0  # seconds between two log lines about one member's configuration

_log = Logger()


class Granting:
    """Answers what claimants ask, among them this node itself."""

    def __init__(self, clock: IReactorTime, post: Post, voter: Voter) -> None:
        self.voter = voter
        self._clock = clock
        self._post = post
        self._timers = Timers(clock)
        self._complained: dict[tuple[str, str], float] = {}
        post.answer(GrantRequest, self._requested)
        post.answer(GrantRelease, self._released)

    def stop(self) -> None:
        """Grant nothing by itself any more."""
        self._timers.stop()

    def _requested(self, sender: str, request: GrantRequest) -> None:
        objection = self.voter.objection(request)
        if objection is not None:
            self._complain(sender, request.system, objection)
            return
        reply = self.voter.request(sender, request, self._clock.seconds())
        if reply is None:
            return
        self._answer(sender, request.nonce, request.system, reply.granted, reply.refused)
        for owner, points in reply.queries.items():
            self._post.query(owner, request.system, points)
        self._wait()

    def _released(self, sender: str, release: GrantRelease) -> None:
        now = self._clock.seconds()
        self._tell(self.voter.release(sender, release.system, release.points, now))

    def _expire(self) -> None:
        self._tell(self.voter.expire(self._clock.seconds()))
        self._wait()

    def _wait(self) -> None:
        """Somebody may wait for a grant to run out."""
        expiry = self.voter.next_expiry()
        if expiry is not None:
            self._timers.at("expiry", expiry, self._expire)

    def _tell(self, belated: Iterable[Belated]) -> None:
        answers: dict[tuple[str, int, str], list[Numbered]] = {}
        for node, nonce, (system, datum), number in belated:
            answers.setdefault((node, nonce, system), []).append((datum, number))
        for (node, nonce, system), granted in answers.items():
            self._answer(node, nonce, system, granted)

    def _answer(
        self,
        to: str,
        nonce: int,
        system: str,
        granted: Sequence[Numbered],
        refused: Sequence[Numbered] = (),
    ) -> None:
        bare = GrantAnswer(0, 0, nonce, system)
        for some in self._post.split(granted, bare):
            self._post.send(to, GrantAnswer(0, 0, nonce, system, some))
        for some in self._post.split(refused, bare):
            self._post.send(to, GrantAnswer(0, 0, nonce, system, (), some))

    def _complain(self, sender: str, system: str, objection: str) -> None:
        now = self._clock.seconds()
        last = self._complained.get((sender, system))
        if last is None or now - last >= COMPLAINT_PAUSE:
            self._complained[sender, system] = now
            _log.error(
                "{system}: {sender} {objection} than this node, so it is granted nothing here"
                " until both run the same configuration",
                system=system,
                sender=sender,
                objection=objection,
            )
