"""`flip.membership.roster`: the merge is a join, and what follows from it."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, contains_exactly, empty, equal_to, has_properties, is_, none
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.membership.member import OPERATOR, WITNESS, spoken
from flip.membership.roster import Change, Roster, State, supersedes
from flip.wire.claims import Phase, claims_hash, data_digest, encode_claims
from flip.wire.messages import Record, Status, Update
from tests.membership.samples import FIVE, record, roster, votes, with_claims, witnessed

STRANGERS = ("x", "y")
CLAIMS: tuple[Any, ...] = ({}, {"ip": {"one": Phase.HELD}}, {"ip": {"two": Phase.TAKING}})
OLD_DATA = {"ip": ("zero", "one")}


@st.composite
def records(draw: st.DrawFn, member: str) -> tuple[Record, bytes]:
    """Few different stamps and contents, so that ties are common."""
    body = encode_claims(
        draw(st.sampled_from(CLAIMS)), draw(st.sampled_from((None, OLD_DATA))) or {}
    )
    return (
        record(
            member,
            draw(st.integers(0, 4)),
            draw(st.integers(0, 2)),
            status=draw(st.sampled_from((Status.ACTIVE, Status.LEFT))),
            boot=draw(st.integers(0, 1)),
            claims_hash=claims_hash(body),
        ),
        body,
    )


@st.composite
def updates(draw: st.DrawFn) -> Update:
    member = draw(st.sampled_from(("a", "b", "x")))
    written, body = draw(st.one_of(st.just((None, None)), records(member)))
    return Update(
        member,
        written,
        draw(st.sampled_from((body, None, b"nonsense"))),
        draw(st.integers(0, 5)),
        tuple(draw(st.lists(st.sampled_from((*FIVE, *STRANGERS, WITNESS, OPERATOR)), max_size=3))),
    )


def known(view: Roster) -> dict[str, object]:
    """All that a roster knows, except claims that are still on their way."""
    return {
        member.id: (
            member.record,
            member.accused,
            member.voters,
            member.incarnation,
            member.votes,
            view.state(member.id),
        )
        for member in view
    }


class TieTests(SynchronousTestCase):
    """Two records with one stamp: two processes with one id, or a restored disk (M2)."""

    def test_order(self) -> None:
        """Whichever comes first, the same one stays."""
        one, two = Update("b", record("b", boot=1)), Update("b", record("b", boot=2))
        forth, back = roster(), roster()
        forth.merge((one, two), "c")
        back.merge((two, one), "c")
        assert_that(known(forth), equal_to(known(back)))


class MergeLawTests(SynchronousTestCase):
    """Any order, grouping and repetition of any updates ends in the same state."""

    @settings(deadline=None, max_examples=300)
    @given(st.lists(updates(), max_size=8), st.randoms(use_true_random=False))
    def test_join(self, told: list[Update], rng: Any) -> None:
        """Lost order, doubles and detours through another node change nothing."""
        plain, shuffled, relayed, relay = roster(), roster(), roster(), roster("c")
        for update in told:
            plain.merge((update,), "b")
        others = told + rng.choices(told, k=3) if told else []
        rng.shuffle(others)
        shuffled.merge(others, "d")
        half = rng.randrange(len(others) + 1)
        relay.merge(others[half:], "b")
        relayed.merge(others[:half], "b")
        relayed.merge([member.update for member in relay], "c")
        for view in (shuffled, relayed):
            assert_that(known(view), equal_to(known(plain)))
            assert_that(view.digest, equal_to(plain.digest))

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(st.one_of(updates(), st.tuples(st.sampled_from("bc"), st.integers(0, 6)))),
        st.randoms(use_true_random=False),
    )
    def test_witnessed(self, told: list[Any], rng: Any) -> None:
        """The incarnations that packets carry join as well as what is told."""
        plain, shuffled = roster(), roster()
        for view in (plain, shuffled):
            for item in told:
                if isinstance(item, Update):
                    view.merge((item,), "d")
                else:
                    view.witness(*item)
            rng.shuffle(told)
        assert_that(known(shuffled), equal_to(known(plain)))

    @settings(deadline=None, max_examples=200)
    @given(st.lists(updates(), max_size=4), st.lists(updates(), max_size=4))
    def test_digest(self, mine: list[Update], yours: list[Update]) -> None:
        """Digests are equal if and only if what has been told is."""
        one, other = roster(), roster("b")
        one.merge(mine, "c")
        other.merge(yours, "c")
        same = all(
            (here.record, here.accused, here.voters) == (there.record, there.accused, there.voters)
            for here, there in zip(one, other, strict=True)
        )
        assert_that(one.digest == other.digest, is_(same))

    @settings(deadline=None, max_examples=100)
    @given(st.lists(updates(), max_size=8))
    def test_idempotent(self, told: list[Update]) -> None:
        """What is known already changes nothing, and nobody hears of it."""
        view = roster()
        view.merge(told, "b")
        before, changes = known(view), witnessed(view)
        view.merge(tuple(member.update for member in view), "b")
        assert_that(known(view), equal_to(before))
        assert_that(changes, empty())


class SupersedesTests(SynchronousTestCase):
    """The order of all records of one member."""

    def test_table(self) -> None:
        """Incarnation goes before version, version before bytes, and nothing replaces itself."""
        old = record("b", 5, 5)
        for new, expected in (
            (record("b", 5, 5), False),
            (record("b", 5, 6), True),
            (record("b", 5, 4), False),
            (record("b", 6, 0), True),
            (record("b", 4, 9), False),
            (record("b", 5, 5, status=Status.LEFT), True),
            (record("b", 5, 5, status=Status.JOINING), False),
            (record("b", 5, 5, boot=2), True),
            (record("b", 5, 5, boot=0), False),
            (record("b", 4, 9, status=Status.LEFT), False),
        ):
            assert_that(supersedes(new, old), is_(expected), str(new))
            assert_that(supersedes(old, new), is_(not expected and new != old), str(new))

    def test_first(self) -> None:
        """Any record is better than none."""
        assert_that(supersedes(record("b", 0, 0), None), is_(True))


class VoteTests(SynchronousTestCase):
    """Votes accuse one incarnation, and a quorum of them makes a member down."""

    def test_states(self) -> None:
        """None, some, a quorum."""
        view = roster()
        view.merge((Update("b", record("b", 5)),), "b")
        assert_that(view.state("b"), is_(State.ALIVE))
        view.accuse("b", 5, ("a", "c"))
        assert_that(view.state("b"), is_(State.PROBABLY_DOWN))
        view.accuse("b", 5, ("d",))
        assert_that((view.state("b"), view.present("b")), equal_to((State.DOWN, False)))

    def test_absent(self) -> None:
        """Who is down or left is absent, until it is back."""
        view = roster()
        view.merge((Update("b", record("b", 5), None, 5, ("a", "c", "d")),), "c")
        view.merge((Update("c", record("c", 5, status=Status.LEFT)),), "c")
        assert_that((view.absent, view.left), equal_to(({"b", "c"}, {"c"})))
        view.witness("b", 6)
        view.merge((Update("c", record("c", 6)),), "c")
        assert_that((view.absent, view.present("b")), equal_to((set(), True)))

    def test_many(self) -> None:
        """However many votes are known already, what is told stays in order."""
        ids = tuple(f"n{number:02}" for number in range(40))
        view = roster("n00", ids)
        for voters in (ids[20:], ids[5:25], ids[1:30], ids[1:2]):
            view.accuse("n03", 5, voters)
            assert_that(view["n03"].update.voters, equal_to(tuple(sorted(view["n03"].voters))))
        assert_that(view["n03"].voters, equal_to(set(ids[1:]) - {"n03"}))

    def test_never_heard_of(self) -> None:
        """A member without a record can be voted down, and its first record revives it."""
        view = roster()
        view.accuse("b", 0, ("a", "c", "d"))
        assert_that(view.state("b"), is_(State.DOWN))
        view.merge((Update("b", record("b", 5)),), "b")
        assert_that(view.state("b"), is_(State.ALIVE))

    def test_lower_incarnation(self) -> None:
        """Votes against an earlier incarnation are void, whenever they come."""
        view = roster()
        view.merge((Update("b", record("b", 6)),), "b")
        view.accuse("b", 5, ("a", "c", "d"))
        assert_that(view["b"].voters, empty())

    def test_ahead_of_the_record(self) -> None:
        """Votes against an incarnation not yet heard of wait for its record (M1)."""
        view = roster()
        view.merge((Update("b", record("b", 5)),), "b")
        view.accuse("b", 6, ("a", "c", "d"))
        assert_that(view.state("b"), is_(State.ALIVE))
        view.merge((Update("b", record("b", 6)),), "c")
        assert_that(view.state("b"), is_(State.DOWN))

    def test_strangers_and_the_suspect(self) -> None:
        """Only other members of this node's own list have a vote."""
        view = roster(quorum=1)
        view.merge((votes("b", 0, "b", "x", "y"), votes("x", 0, "a")), "c")
        assert_that(view.state("b"), is_(State.ALIVE))
        assert_that("x" in view, is_(False))

    def test_strangers_make_no_watermark(self) -> None:
        """Votes that do not count do not void those that do."""
        view = roster()
        view.accuse("b", 5, ("a",))
        view.merge((votes("b", 9, "x"), votes("b", 9)), "c")
        assert_that((view["b"].accused, view["b"].voters), equal_to((5, frozenset("a"))))

    def test_new_votes(self) -> None:
        """A voter's word against another incarnation is a new one."""
        view = roster()
        changes = witnessed(view)
        view.merge((Update("b", record("b", 5), None, 5, ("c",)),), "c")
        view.merge((Update("b", record("b", 6), None, 6, ("c",)),), "c")
        assert_that([change.new_votes for change in changes], equal_to([frozenset("c")] * 2))

    def test_witness(self) -> None:
        """A witness is one more vote, however many voters reached it."""
        view = roster()
        view.merge((Update("b", record("b", 5), None, 5, ("a", WITNESS)),), "a")
        view.merge((votes("b", 5, "c", WITNESS),), "c")
        assert_that(view.state("b"), equal_to(State.DOWN))
        assert_that(view["b"].votes, equal_to({"a", "c", WITNESS}))
        view.accuse("d", 0, ("a", WITNESS))
        assert_that(view.state("d"), equal_to(State.PROBABLY_DOWN))

    def test_operator(self) -> None:
        """An operator's is a quorum by itself, until the member's next incarnation."""
        view = roster()
        view.accuse("b", 0, (OPERATOR,))
        assert_that((view.state("b"), view.confirmed), equal_to((State.DOWN, {"b"})))
        view.witness("b", 7)
        assert_that((view.state("b"), view.confirmed), equal_to((State.ALIVE, set())))

    def test_operator_against_this_node(self) -> None:
        """A node hears that it was given up, though there is one vote only."""
        view = roster()
        view.merge((Update("a", record("a", 5)), votes("a", 5, OPERATOR)), "b")
        assert_that(view.buried, equal_to(5))

    def test_spoken(self) -> None:
        """In sentences they are no ids."""
        named = spoken(("flip1", OPERATOR, WITNESS))
        assert_that(named, equal_to(["an operator", "the witness", "flip1"]))

    def test_buried(self) -> None:
        """A node learns that a quorum gave it up, even where it refuted the first vote before."""
        view = roster()
        view.merge((Update("a", record("a", 5)),), "a")
        view.accuse("a", 5, ("b",))
        view.merge((Update("a", record("a", 6)),), "a")
        told: list[int] = []
        view.on_buried(lambda: told.append(view.buried))
        assert_that(view.buried, equal_to(0))
        view.accuse("a", 5, ("b", "c", "d"))
        assert_that((view.buried, view.state("a")), equal_to((5, State.ALIVE)))
        view.accuse("a", 5, ("b", "c", "d"))
        assert_that(told, equal_to([5]))


class WitnessTests(SynchronousTestCase):
    """The incarnation in a packet counts before the record that belongs to it (M3)."""

    def test_revives(self) -> None:
        """Who talks under a higher incarnation is not down."""
        view = roster()
        view.merge((Update("b", record("b", 5), None, 5, ("a", "c", "d")),), "c")
        changes = witnessed(view)
        view.witness("b", 6)
        assert_that(view.state("b"), is_(State.ALIVE))
        assert_that(
            changes,
            contains_exactly(
                has_properties(member="b", state_before=State.DOWN, state=State.ALIVE, source="b")
            ),
        )

    def test_back_from_leaving(self) -> None:
        """A good-bye is over as soon as the member speaks again."""
        view = roster()
        view.merge((Update("b", record("b", 5, status=Status.LEFT)),), "b")
        assert_that(view.state("b"), is_(State.LEFT))
        view.witness("b", 5)
        assert_that(view.state("b"), is_(State.LEFT))
        view.witness("b", 6)
        assert_that(view.state("b"), is_(State.ALIVE))

    def test_claims_of_an_earlier_life(self) -> None:
        """Until its record comes, a new incarnation may hold anything."""
        view = roster()
        held = {"ip": {"one": Phase.HELD}}
        view.merge((with_claims("b", held),), "b")
        view.witness("b", 6)
        view.merge((with_claims("b", held),), "c")
        assert_that(view["b"].claims, none())
        earlier = view["b"].record
        assert earlier is not None
        view.merge((Update("b", record("b", 6, claims_hash=earlier.claims_hash)),), "b")
        assert_that(view["b"].claims, equal_to(held))

    def test_lower(self) -> None:
        """An old packet changes nothing."""
        view = roster()
        view.merge((Update("b", record("b", 5)),), "b")
        changes = witnessed(view)
        view.witness("b", 5)
        view.witness("b", 4)
        assert_that(changes, empty())


class LeftTests(SynchronousTestCase):
    """A good-bye."""

    def test_votes(self) -> None:
        """Who left cannot be voted down any more."""
        view = roster()
        view.merge((Update("b", record("b", 5, status=Status.LEFT)),), "b")
        view.accuse("b", 5, ("a", "c", "d"))
        assert_that(view.state("b"), is_(State.LEFT))

    def test_late(self) -> None:
        """A good-bye that arrives after the member came back is ignored."""
        view = roster()
        view.merge((Update("b", record("b", 6)),), "b")
        view.merge((Update("b", record("b", 5, 9, status=Status.LEFT)),), "c")
        assert_that(view.state("b"), is_(State.ALIVE))


class ClaimTests(SynchronousTestCase):
    """What a member holds, as far as it is known."""

    def setUp(self) -> None:
        super().setUp()
        self.view = roster()
        self.held: Any = {"ip": {"one": Phase.HELD}}

    def test_nothing_claimed(self) -> None:
        """A record that names no claims needs no body."""
        self.view.merge((Update("b", record("b")),), "b")
        assert_that(self.view["b"].claims, equal_to({}))

    def test_body_follows(self) -> None:
        """A record whose claims did not fit counts as claiming anything until they come."""
        update = with_claims("b", self.held)
        self.view.merge((Update("b", update.record),), "b")
        assert_that(self.view["b"].claims, none())
        digest = self.view.digest
        self.view.merge((update,), "c")
        assert_that((self.view["b"].claims, self.view.digest), equal_to((self.held, digest)))

    def test_wrong_body(self) -> None:
        """Claims of another version of the record are not taken for this one's."""
        stale = with_claims("b", self.held)
        fresh = with_claims("b", {"ip": {"two": Phase.HELD}}, version=1)
        self.view.merge((Update("b", fresh.record), stale), "c")
        assert_that(self.view["b"].claims, none())

    def test_other_data(self) -> None:
        """Claims over an unknown data list may be anything until the list is learnt."""
        self.view.merge((with_claims("b", self.held, OLD_DATA),), "b")
        digest = data_digest(OLD_DATA["ip"])
        assert_that((self.view["b"].claims, self.view.missing_lists), equal_to((None, {digest})))
        changes = witnessed(self.view)
        self.view.learn_lists({digest: OLD_DATA["ip"], b"unasked": ("z",)})
        assert_that((self.view["b"].claims, self.view.missing_lists), equal_to((self.held, set())))
        assert_that([change.claims for change in changes], equal_to([self.held]))
        assert_that(b"unasked" in self.view.lists, is_(False))

    def test_false_list(self) -> None:
        """A list that is not what its digest says is not taken."""
        self.view.merge((with_claims("b", self.held, OLD_DATA),), "b")
        digest = data_digest(OLD_DATA["ip"])
        self.view.learn_lists({digest: ("two", "one")})
        assert_that((self.view["b"].claims, self.view.missing_lists), equal_to((None, {digest})))

    def test_no_longer_missing(self) -> None:
        """A list is not asked for once the claims made over it are gone."""
        self.view.merge((with_claims("b", self.held, OLD_DATA),), "b")
        self.view.merge((with_claims("b", self.held, version=1),), "b")
        assert_that((self.view["b"].claims, self.view.missing_lists), equal_to((self.held, set())))

    def test_nonsense(self) -> None:
        """Claims that cannot be parsed may be anything, and no list would help."""
        body = b"\xc1nonsense"
        self.view.merge((Update("b", record("b", claims_hash=claims_hash(body)), body),), "b")
        assert_that((self.view["b"].claims, self.view.missing_lists), equal_to((None, set())))


class ObserverTests(SynchronousTestCase):
    """Observers hear of every change exactly once, in the order it happened."""

    def test_observer_that_merges(self) -> None:
        """What an observer changes comes after what it is told of, for all observers."""
        view = roster()
        first: list[tuple[str, int]] = []
        second: list[tuple[str, int]] = []

        def refute(change: Change) -> None:
            first.append((change.member, change.record.incarnation if change.record else 0))
            if change.member == "b" and change.record and change.record.incarnation == 5:
                view.merge((Update("b", record("b", 6)), Update("c", record("c", 5))), "a")

        view.subscribe(refute)
        view.subscribe(
            lambda change: (
                second.append((change.member, change.record.incarnation)) if change.record else None
            )
        )
        view.merge((Update("b", record("b", 5)), Update("d", record("d", 5))), "b")
        assert_that(first, equal_to([("b", 5), ("d", 5), ("b", 6), ("c", 5)]))
        assert_that(second, equal_to(first))

    def test_before_and_after(self) -> None:
        """A change says what was and what is."""
        view = roster()
        changes = witnessed(view)
        old, new = with_claims("b", {"ip": {"one": Phase.HELD}}), with_claims("b", {}, version=1)
        view.merge((old,), "b")
        view.merge((new,), "c")
        assert_that(
            changes[1],
            has_properties(
                record_before=old.record,
                record=new.record,
                claims_before={"ip": {"one": Phase.HELD}},
                claims={},
                source="c",
            ),
        )

    def test_broken_observer(self) -> None:
        """An observer's error reaches whoever merged, and later changes are still told."""
        view = roster()
        changes: list[Change] = []

        def observe(change: Change) -> None:
            changes.append(change)
            if len(changes) == 1:
                raise ZeroDivisionError

        view.subscribe(observe)
        with self.assertRaises(ZeroDivisionError):
            view.merge((Update("b", record("b")),), "b")
        view.merge((Update("c", record("c")),), "b")
        assert_that([change.member for change in changes], equal_to(["b", "c"]))
