"""Tests for `flip.holdings.grants.voter`: rules E1, E3, E4, E7 and E9."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hamcrest import assert_that, close_to, empty, equal_to, none, not_none
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.grants.lease import Point, kept, voters_hash
from flip.holdings.grants.voter import Belated, Reply, Voter
from flip.holdings.store import Grant
from flip.wire.messages import ClaimNumber, GrantRequest
from tests.holdings.bed import config, system

VOTERS = ("flip1", "flip2", "me")
LEASE = 5.0
KEPT = kept(LEASE)
PATIENCE = 1.5
ONE, TWO, THREE = (ClaimNumber(7, count) for count in (1, 2, 3))


class Disk:
    """Where the voter keeps its grants; `full` lets no write through."""

    def __init__(self, grants: Mapping[Point, Grant] = {}) -> None:
        self.kept = dict(grants)
        self.full = False
        self.doubtful: set[Point] = set()
        self.writes: list[dict[Point, Grant]] = []

    def grants(self) -> Mapping[Point, Grant]:
        return self.kept

    def grant(self, grants: Mapping[Point, Grant]) -> bool:
        if self.full:
            return False
        self.writes.append(dict(grants))
        self.kept.update(grants)
        return True

    def revoke(self, points: Iterable[Point]) -> None:
        for point in points:
            del self.kept[point]


class VoterTestCase(SynchronousTestCase):
    """The voter "me" of three."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.nonce = 0
        self.start(Disk())

    def start(self, disk: Disk, silence: float = 0.0) -> None:
        """A voter's process, with what is on its disk."""
        self.disk = disk
        exclusive = system(data="abc", exclusive=True, lease=LEASE, voters=VOTERS)
        other = system("job", data="xyz", exclusive=True, lease=LEASE, voters=("flip1", "flip2"))
        ordinary = system("www", data="123")
        servers = {"me": ["www"], "flip1": ["ip", "job"], "flip2": ["ip", "www"], "flip3": ["job"]}
        self.voter = Voter(
            config(exclusive, other, ordinary, servers=servers),
            disk,
            patience=PATIENCE,
            now=self.now,
            silent_until=self.now + silence,
        )

    def request(
        self,
        sender: str,
        number: ClaimNumber,
        data: str = "a",
        *,
        system: str = "ip",
        voters: Iterable[str] = VOTERS,
        lease: float = LEASE,
    ) -> Reply | None:
        """A question, each with a nonce of its own."""
        self.nonce += 1
        points = tuple((datum, number) for datum in data)
        return self.voter.request(
            sender,
            GrantRequest(0, 0, self.nonce, system, voters_hash(voters), int(lease * 1000), points),
            self.now,
        )

    def granted(self, sender: str, number: ClaimNumber, data: str = "a") -> bool:
        """Whether the answer is yes, to all of it."""
        reply = self.request(sender, number, data)
        assert reply is not None
        return reply.granted == [(datum, number) for datum in data]

    def release(self, sender: str, number: ClaimNumber, data: str = "a") -> list[Belated]:
        points = tuple((datum, number) for datum in data)
        return self.voter.release(sender, "ip", points, self.now)

    def holder(self, datum: str = "a") -> tuple[str, ClaimNumber] | None:
        """To whom it is granted, on disk."""
        grant = self.disk.kept.get(("ip", datum))
        return (grant.node, grant.number) if grant is not None else None


class GrantTests(VoterTestCase):
    """E1, E3: one claim at a time."""

    def test_free(self) -> None:
        """What nobody has is granted, on disk before it is said."""
        self.now += 1
        reply = self.request("flip1", ONE)
        assert_that(reply, equal_to(Reply([("a", ONE)], [], {})))
        assert_that(self.disk.writes, equal_to([{("ip", "a"): Grant("flip1", ONE, 5000)}]))

    def test_refusal(self) -> None:
        """What another has is refused, with the greatest number seen of who asks, and inquired."""
        self.granted("flip1", TWO)
        reply = self.request("flip2", ONE)
        assert_that(reply, equal_to(Reply([], [("a", ONE)], {"flip1": [("a", TWO)]})))

    def test_renewal(self) -> None:
        """The claim that has it is granted again; that writes nothing, and keeps it longer."""
        self.granted("flip1", ONE)
        self.now += KEPT - 0.1
        assert_that(self.granted("flip1", ONE), equal_to(True))
        self.now += KEPT - 0.1
        assert_that(self.granted("flip2", ONE), equal_to(False))
        assert_that(len(self.disk.writes), equal_to(1))

    def test_run_out(self) -> None:
        """After a lease, with both clocks' drift, since the last answer another is granted it."""
        self.granted("flip1", ONE)
        self.now += KEPT - 0.001
        assert_that(self.granted("flip2", ONE), equal_to(False))
        self.now += 0.002
        assert_that(self.granted("flip2", ONE), equal_to(True))
        assert_that(self.granted("flip1", ONE), equal_to(False))

    def test_run_out_and_nobody_came(self) -> None:
        """It stays the old claim's until another asks."""
        self.granted("flip1", ONE)
        self.now += 10 * KEPT
        assert_that(self.granted("flip1", ONE), equal_to(True))
        assert_that(len(self.disk.writes), equal_to(1))

    def test_own_next_claim(self) -> None:
        """A later claim of the same member is another claim."""
        self.granted("flip1", ONE)
        reply = self.request("flip1", TWO)
        assert_that(reply, equal_to(Reply([], [("a", TWO)], {"flip1": [("a", ONE)]})))

    def test_own_earlier_claim(self) -> None:
        """An earlier one than the last that was seen is over, and refused with that one."""
        self.granted("flip1", TWO)
        reply = self.request("flip1", ONE)
        assert_that(reply, equal_to(Reply([], [("a", TWO)], {})))

    def test_longer_lease(self) -> None:
        """A lease that grew is on disk before it is said; one that shrank changes nothing."""
        self.request("flip1", ONE, lease=3.0)
        self.request("flip1", ONE, lease=4.5)
        self.request("flip1", ONE, lease=2.0)
        assert_that(self.disk.kept["ip", "a"], equal_to(Grant("flip1", ONE, 4500)))
        self.now += kept(4.5) - 0.01
        assert_that(self.granted("flip2", ONE), equal_to(False))

    def test_many(self) -> None:
        """Each data point for itself, and one write for all of them."""
        self.granted("flip1", ONE, "b")
        reply = self.request("flip2", ONE, "abc")
        assert reply is not None
        assert_that(sorted(reply.granted), equal_to([("a", ONE), ("c", ONE)]))
        assert_that(reply.refused, equal_to([("b", ONE)]))
        assert_that(len(self.disk.writes), equal_to(2))

    def test_granted(self) -> None:
        """What is granted, and when that was last said."""
        self.granted("flip1", ONE)
        assert_that(
            self.voter.granted(),
            equal_to({("ip", "a"): (Grant("flip1", ONE, 5000), self.now)}),
        )


class ReleaseTests(VoterTestCase):
    """E3, E7: claims that are over."""

    def test_release(self) -> None:
        """What is released is free, at once."""
        self.granted("flip1", ONE)
        self.release("flip1", ONE)
        assert_that(self.granted("flip2", ONE), equal_to(True))

    def test_higher(self) -> None:
        """A release takes all lower numbers with it."""
        self.granted("flip1", ONE)
        self.release("flip1", THREE)
        assert_that(self.holder(), none())

    def test_overtaken(self) -> None:
        """A late release of an earlier claim frees nothing of a later one (E-f)."""
        self.granted("flip1", TWO)
        self.release("flip1", ONE)
        assert_that(self.holder(), equal_to(("flip1", TWO)))

    def test_of_another(self) -> None:
        """Nobody releases what another has."""
        self.granted("flip1", ONE)
        self.release("flip2", THREE)
        assert_that(self.holder(), equal_to(("flip1", ONE)))

    def test_late_request(self) -> None:
        """A request that comes after its own release is refused, and so are lower ones."""
        self.release("flip1", TWO)
        for number in (ONE, TWO):
            reply = self.request("flip1", number)
            assert_that(reply, equal_to(Reply([], [("a", TWO)], {})))
        assert_that(self.granted("flip1", THREE), equal_to(True))

    def test_who_waits(self) -> None:
        """Who was refused a moment ago is granted by a second answer to the same question."""
        self.granted("flip1", ONE)
        self.request("flip2", TWO)
        self.now += PATIENCE
        belated = self.release("flip1", ONE)
        assert_that(belated, equal_to([Belated("flip2", self.nonce, ("ip", "a"), TWO)]))
        assert_that(self.holder(), equal_to(("flip2", TWO)))
        assert_that(self.release("flip1", ONE), empty())

    def test_who_waited_too_long(self) -> None:
        """Of an older question nobody knows any more."""
        self.granted("flip1", ONE)
        self.request("flip2", TWO)
        self.now += PATIENCE + 0.01
        assert_that(self.release("flip1", ONE), empty())
        assert_that(self.holder(), none())

    def test_who_gave_up(self) -> None:
        """Who has released its own question meanwhile is granted nothing."""
        self.granted("flip1", ONE)
        self.request("flip2", TWO)
        self.release("flip2", TWO)
        assert_that(self.release("flip1", ONE), empty())
        assert_that(self.holder(), none())

    def test_first_come(self) -> None:
        """Of several one is granted, who came first; the others go on waiting."""
        self.granted("flip1", ONE)
        self.request("flip2", ONE)
        self.request("flip1", TWO)
        assert_that([one.node for one in self.release("flip1", ONE)], equal_to(["flip2"]))
        assert_that([one.node for one in self.release("flip2", ONE)], equal_to(["flip1"]))

    def test_expiry(self) -> None:
        """Who waits is granted when the lease that is in the way has run out."""
        self.granted("flip1", ONE)
        answered = self.now
        assert_that(self.voter.next_expiry(), none())
        self.now += KEPT - 1
        self.request("flip2", ONE)
        assert_that(self.voter.next_expiry(), equal_to(answered + KEPT))
        assert_that(self.voter.expire(self.now), empty())
        self.now = answered + KEPT
        assert_that([one.node for one in self.voter.expire(self.now)], equal_to(["flip2"]))
        assert_that(self.voter.next_expiry(), none())

    def test_expiry_without_anybody(self) -> None:
        """When who waited has given up, there is no time to wait for."""
        self.granted("flip1", ONE)
        self.request("flip2", ONE)
        self.now += KEPT
        assert_that(self.voter.expire(self.now), empty())
        assert_that(self.voter.next_expiry(), none())


class ScopeTests(VoterTestCase):
    """E9, and what this node has no say in."""

    def test_other_voters(self) -> None:
        """Who goes by another list of voters is not answered."""
        assert_that(self.request("flip1", ONE, voters=("flip1", "me")), none())
        assert_that(self.disk.kept, empty())

    def test_longer_lease(self) -> None:
        """Nor is who asks for more than this node would be silent for without its disk."""
        assert_that(self.request("flip1", ONE, lease=LEASE + 0.001), none())
        assert_that(self.disk.kept, empty())
        assert_that(self.granted("flip1", ONE), equal_to(True))

    def test_silence(self) -> None:
        """Nor is who asks about a system without this voter, or who is no server of the system."""
        for sender, name, voters in (
            ("flip1", "job", ("flip1", "flip2")),
            ("flip2", "www", ()),
            ("flip2", "none", ()),
            ("flip3", "ip", VOTERS),
            ("me", "ip", VOTERS),
        ):
            assert_that(self.request(sender, ONE, system=name, voters=voters), none())
        assert_that(self.disk.kept, empty())

    def test_unknown_data(self) -> None:
        """Of data points that are not in its file it says neither yes nor no."""
        assert_that(self.request("flip1", ONE, "ax"), equal_to(Reply([("a", ONE)], [], {})))

    def test_release_of_unknown(self) -> None:
        """Nor do releases of anything else do anything."""
        assert_that(self.release("flip1", ONE, "x"), empty())
        assert_that(self.release("flip3", ONE), empty())
        assert_that(self.voter.release("flip1", "none", (("a", ONE),), self.now), empty())

    def test_other_grants(self) -> None:
        """What is on disk of other systems is not told, and left there."""
        left = {("gone", "a"): Grant("flip1", ONE, 5000)}
        self.start(Disk(left))
        assert_that([self.voter.granted(), self.disk.kept], equal_to([{}, left]))


class RestartTests(VoterTestCase):
    """E4: a voter forgets nothing."""

    def restart(self, silence: float = 0.0) -> None:
        self.start(Disk(self.disk.kept), silence)

    def test_grants_are_kept(self) -> None:
        """What is on disk counts as answered when the voter starts."""
        self.granted("flip1", ONE)
        self.now += KEPT - 0.1
        self.restart()
        started = self.now
        self.now += KEPT - 0.1
        assert_that(self.granted("flip2", ONE), equal_to(False))
        self.now = started + KEPT
        assert_that(self.granted("flip2", ONE), equal_to(True))

    def test_renewed(self) -> None:
        """The claim that has it goes on after a restart."""
        self.granted("flip1", ONE)
        self.restart()
        assert_that(self.granted("flip1", ONE), equal_to(True))

    def test_lost_disk(self) -> None:
        """Who cannot know what it granted says nothing, to anybody, until all that is over."""
        self.start(Disk(), silence=KEPT)
        assert_that(self.request("flip1", ONE), none())
        self.now += KEPT
        assert_that(self.granted("flip1", ONE), equal_to(True))

    def test_silence_also_for_releases(self) -> None:
        """A release that comes meanwhile is heeded, and makes nobody granted."""
        self.start(Disk({("ip", "a"): Grant("flip1", ONE, 5000)}), silence=KEPT)
        assert_that(self.request("flip2", TWO), none())
        assert_that(self.release("flip1", ONE), empty())
        assert_that(self.holder(), none())

    def test_full_disk(self) -> None:
        """What cannot be written is not granted; what is on disk goes on."""
        self.granted("flip1", ONE, "a")
        self.disk.full = True
        reply = self.request("flip1", ONE, "ab")
        assert_that(reply, equal_to(Reply([("a", ONE)], [], {})))
        self.disk.full = False
        assert_that(self.granted("flip1", ONE, "ab"), equal_to(True))

    def test_full_disk_and_longer_lease(self) -> None:
        """A lease that cannot be written is not granted either."""
        self.request("flip1", ONE, lease=3.0)
        self.disk.full = True
        assert_that(self.request("flip1", ONE), equal_to(Reply()))

    def test_full_disk_and_who_waits(self) -> None:
        """Who waits is told nothing that is not on disk."""
        self.granted("flip1", ONE)
        self.request("flip2", TWO)
        self.disk.full = True
        assert_that(self.release("flip1", ONE), empty())

    def test_doubtful(self) -> None:
        """While nobody knows what is on disk of a data point, nothing is said about it."""
        self.granted("flip1", ONE, "ab")
        self.disk.doubtful = {("ip", "a")}
        reply = self.request("flip1", ONE, "ab")
        assert_that(reply, equal_to(Reply([("b", ONE)], [], {})))
        self.request("flip2", TWO, "a")
        assert_that(self.release("flip1", ONE), empty())


class ClockTests(VoterTestCase):
    """What an answer to a claim does to the clock of another."""

    def test_refusals_keep_nothing(self) -> None:
        """That somebody else was refused keeps a grant no longer."""
        self.granted("flip1", ONE)
        begin = self.now
        for _ in range(20):
            self.now += KEPT / 25
            self.request("flip2", ONE)
        self.now = begin + KEPT
        assert_that(self.granted("flip2", ONE), equal_to(True))

    def test_wait_is_longer_than_the_lease(self) -> None:
        """By what two clocks may differ."""
        self.granted("flip1", ONE)
        self.request("flip2", ONE)
        expiry = self.voter.next_expiry()
        assert_that(expiry, not_none())
        assert_that(expiry or 0.0, close_to(self.now + LEASE * 1.05 / 0.95, 1e-9))
