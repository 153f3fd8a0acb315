"""Tests for `flip.membership.dissemination`."""

from __future__ import annotations

import random
from math import ceil, log2

from hamcrest import (
    assert_that,
    contains_inanyorder,
    empty,
    equal_to,
    greater_than,
    has_item,
    has_length,
    less_than_or_equal_to,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.membership.dissemination import RETRANSMISSIONS, Dissemination
from flip.membership.roster import Roster
from flip.wire.claims import claims_hash
from flip.wire.messages import Update, encode
from tests.matchers import not_
from tests.membership.samples import FIVE, record, roster, votes

ROOM = 1000


def dissemination(roster: Roster, room: int = ROOM) -> Dissemination:
    """What tells of a roster, with chance of its own."""
    return Dissemination(roster, room, random.Random(2))


def size(updates: tuple[Update, ...]) -> int:
    """The bytes that updates take in a packet."""
    return sum(len(encode(update)) for update in updates)


def members(updates: tuple[Update, ...]) -> list[str]:
    """Of whom updates tell, in order."""
    return [update.member for update in updates]


class NewsTests(SynchronousTestCase):
    """The changes that still have to be told."""

    def setUp(self) -> None:
        self.roster = roster()
        self.news = dissemination(self.roster)

    def learn(self, *updates: Update) -> None:
        """Changes, one after the other."""
        self.roster.merge(updates, "b")

    def told(self, peer: str = "e", *, differs: bool = False) -> list[str]:
        """Of whom the next packet to `peer` tells."""
        return members(self.news.updates(peer, differs=differs))

    def test_nothing(self) -> None:
        """No news is no bytes."""
        assert_that(self.told(), empty())

    @settings(deadline=None)
    @given(st.integers(2, 200))
    def test_limit(self, count: int) -> None:
        """Each change is told at most lambda * log2(n + 1) times, whoever asks."""
        ids = tuple(f"m{n}" for n in range(count))
        news = dissemination(known := roster(ids[0], ids))
        known.merge((Update(ids[-1], record(ids[-1]), b""),), ids[-1])
        sent = sum(bool(news.updates(ids[1 - n % 2], differs=False)) for n in range(200))
        assert_that(sent, equal_to(RETRANSMISSIONS * ceil(log2(count + 1))))

    def test_a_change_anew(self) -> None:
        """A member that changes again is told of as often again."""
        limit = RETRANSMISSIONS * ceil(log2(len(FIVE) + 1))
        self.learn(Update("b", record("b"), b""))
        first = [self.told() for _ in range(limit - 1)]
        self.learn(Update("b", record("b", version=1), b""))
        again = [self.told() for _ in range(limit + 5)]
        assert_that(first, equal_to([["b"]] * (limit - 1)))
        assert_that(again, equal_to([["b"]] * limit + [[]] * 5))

    def test_newest_first(self) -> None:
        """What changed last is told first."""
        for id in ("b", "c", "d", "b"):
            self.learn(Update(id, record(id, version=len(self.told())), b""))
        self.learn(Update("b", record("b", version=9), b""))
        assert_that(self.told(), equal_to(["b", "d", "c"]))

    def test_newest_first_where_room_is_short(self) -> None:
        """So it is the older ones that wait."""
        news = dissemination(self.roster, room=len(encode(Update("b", record("b"), b"", 5))))
        for id in ("b", "c", "d"):
            self.learn(Update(id, record(id), b""))
        limit = RETRANSMISSIONS * ceil(log2(len(FIVE) + 1))
        told = [members(news.updates("e", differs=False)) for _ in range(3 * limit + 1)]
        assert_that(told, equal_to([["d"]] * limit + [["c"]] * limit + [["b"]] * limit + [[]]))

    def test_too_large_is_not_waited_for(self) -> None:
        """What no packet can carry leaves the queue: TCP brings it."""
        systems = tuple(f"{n:64}" for n in range(30))
        self.learn(Update("b", record("b", ineligible=systems), b""))
        assert_that(self.told(), empty())
        assert_that(self.news._sent, empty())
        assert_that(self.news.about("b"), equal_to(None))

    def test_suspect_first(self) -> None:
        """Every packet to a suspect begins with the votes against it."""
        self.learn(Update("c", record("c"), b""), Update("d", record("d"), b""))
        self.learn(votes("c", 5, "b", "d"), Update("b", record("b"), b""))
        for _ in range(50):
            packet = self.news.updates("c", differs=False)
            assert_that(packet[0], equal_to(Update("c", None, None, 5, ("b", "d"))))
        assert_that(members(packet), equal_to(["c"]))

    def test_votes_for_another_incarnation(self) -> None:
        """A member that has refuted its votes is no suspect, even when only a packet said so."""
        self.learn(votes("d", 5, "b"))
        self.roster.witness("d", 6)
        self.learn(votes("c", 5, "b"), Update("c", record("c", 6), b""))
        for peer in ("c", "d") * 50:
            packet = self.news.updates(peer, differs=False)
            assert_that(members(packet).count(peer), less_than_or_equal_to(1))
        assert_that(packet, empty())


class DifferenceTests(SynchronousTestCase):
    """A peer whose digest differs gets whatever else fits."""

    def setUp(self) -> None:
        self.ids = tuple(f"m{n}" for n in range(100))
        self.roster = roster("m0", self.ids)
        for id in self.ids[:90]:
            self.roster.merge((Update(id, record(id), b""),), id)
        self.news = dissemination(self.roster)
        while self.news.updates("m5", differs=False):
            pass  # until nothing of it is news any more

    def test_own_record_first(self) -> None:
        """This node's own record is the first of it."""
        assert_that(self.news.updates("m5", differs=True)[0].member, equal_to("m0"))

    def test_everything_in_time(self) -> None:
        """Over many packets everything known is told, and nothing that is not known."""
        told = set()
        for _ in range(200):
            told |= set(members(self.news.updates("m5", differs=True)))
        assert_that(told, equal_to(set(self.ids[:90])))

    def test_small_cluster(self) -> None:
        """Few members are all told in one packet, each once."""
        news = dissemination(known := roster())
        for id in FIVE:
            known.merge((Update(id, record(id), b""),), id)
        assert_that(members(news.updates("b", differs=True)), contains_inanyorder(*FIVE))

    def test_news_alone(self) -> None:
        """In a large cluster a peer is first told what is new, which may be all that it lacks."""
        self.roster.merge((votes("m7", record("m7").incarnation, "m3"),), "m3")
        assert_that(members(self.news.updates("m5", differs=True)), equal_to(["m7"]))

    def test_all_after_the_news(self) -> None:
        """What else it may lack waits only until the news is told."""
        self.roster.merge((votes("m7", record("m7").incarnation, "m3"),), "m3")
        while "m7" in members(self.news.updates("m6", differs=False)):
            pass
        assert_that(members(self.news.updates("m5", differs=True)), has_length(greater_than(5)))

    def test_agreement(self) -> None:
        """Who agrees hears nothing once the news is told."""
        for _ in range(1000):
            packet = self.news.updates("m5", differs=False)
        assert_that(packet, empty())


class SizeTests(SynchronousTestCase):
    """Updates are cut down to what a packet can carry."""

    def test_claims_left_out(self) -> None:
        """A body that is too large stays at home; the head says that there is one."""
        body = bytes(ROOM)
        known = roster()
        known.merge((Update("b", own := record("b", claims_hash=claims_hash(body)), body),), "b")
        told = dissemination(known).about("b")
        assert_that(told, equal_to(Update("b", own, None, 5)))

    def test_body_that_fits(self) -> None:
        """A body that fits goes along."""
        body = bytes(ROOM // 2)
        known = roster()
        known.merge((Update("b", own := record("b", claims_hash=claims_hash(body)), body),), "b")
        assert_that(dissemination(known).about("b"), equal_to(Update("b", own, body, 5)))

    def test_many_votes(self) -> None:
        """Of votes that do not fit all, each packet carries others, and in time all are told."""
        ids = tuple(f"member number {n}" for n in range(300))
        known = roster(ids[0], ids)
        known.merge((Update(ids[1], record(ids[1]), b""), votes(ids[1], 5, *ids[2:200])), ids[2])
        news = dissemination(known)
        told: set[str] = set()
        for peer in ids[1:60]:
            for update in news.updates(peer, differs=True):
                if update.member == ids[1]:
                    assert_that(len(update.voters), greater_than(20))
                    told |= set(update.voters)
        assert_that(told, equal_to(set(ids[2:200])))

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_never_too_much(self, data: st.DataObject) -> None:
        """Whatever there is to tell, it takes no more than the room there is."""
        room = data.draw(st.integers(150, 600))
        known = roster()
        news = dissemination(known, room)
        for id in data.draw(st.lists(st.sampled_from(FIVE), max_size=10)):
            body = bytes(data.draw(st.integers(0, 2 * room)))
            version = data.draw(st.integers(0, 9))
            own = record(id, version=version, claims_hash=claims_hash(body))
            voters = data.draw(st.lists(st.sampled_from(FIVE)))
            known.merge((Update(id, own, body), votes(id, 5, *voters)), id)
        for peer in FIVE[1:]:
            for differs in (False, True):
                packet = news.updates(peer, differs=differs)
                assert_that(size(packet), less_than_or_equal_to(room))
                suspect = bool(known[peer].votes)
                assert_that(len(members(packet)) - len(set(members(packet))) <= suspect)

    def test_large_cluster_is_cheap(self) -> None:
        """A packet is full after a few updates, however many members there are."""
        ids = tuple(f"m{n}" for n in range(2000))
        news = dissemination(known := roster(ids[0], ids))
        known.merge((Update(id, record(id), b"") for id in ids), ids[1])
        looked: list[str] = []
        fit = news._fit

        def observed(id: str) -> tuple[Update, int]:
            looked.append(id)
            return fit(id)

        self.patch(news, "_fit", observed)
        assert_that(news.updates(ids[1], differs=True), not_(empty()))
        assert_that(looked, has_length(less_than_or_equal_to(40)))
        assert_that(looked, has_item(ids[-1]))
