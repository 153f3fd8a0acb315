"""Tests for `flip.allocation.topology`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain, combinations

from hamcrest import assert_that, contains_inanyorder, empty, equal_to, is_in
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.allocation.topology import TOPOLOGIES, Division, failover, replicate, shard
from flip.config.vocabulary import ONE_OWNER, TYPES

laws = settings(deadline=None, derandomize=True, max_examples=200)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[str], list[str], frozenset[str]]:
    """Data, servers in order, and which of the servers are eligible."""
    data = [f"d{item}" for item in range(draw(st.integers(0, 120)))]
    servers = draw(st.permutations([f"s{place}" for place in range(draw(st.integers(1, 12)))]))
    eligible = draw(st.frozensets(st.sampled_from(servers)))
    return data, servers, eligible


def stepping(data: Sequence[str], servers: Sequence[str], eligible: Collection[str]) -> Division:
    """Deal and pile in its slow form: everybody steps right, the nearest first.

    Every orphan asks place after place. A place keeps those who came the
    shortest way, as many as it has room for, and sends the others on.
    """
    ring = len(servers)
    live = [server for server in servers if server in eligible]
    held: Division = {server: [] for server in servers}
    if not live:
        return held
    orphans = []
    rank = dict.fromkeys(servers, 0)
    for item, datum in enumerate(data):
        home = servers[item % ring]
        if home in eligible:
            held[home].append(datum)
        else:
            orphans.append((item, (item % ring + 1 + rank[home] % (ring - 1)) % ring))
            rank[home] += 1
    room = dict.fromkeys(servers, 0)
    for _ in orphans:
        room[min(live, key=lambda server: len(held[server]) + room[server])] += 1
    kept: dict[int, list[tuple[int, int, int]]] = {place: [] for place in range(ring)}
    walking = [(0, item, start) for item, start in orphans]
    while walking:
        distance, item, start = walking.pop()
        place = (start + distance) % ring
        guests = sorted([*kept[place], (distance, item, start)])
        kept[place] = guests[: room[servers[place]]]
        walking += [(d + 1, i, s) for d, i, s in guests[room[servers[place]] :]]
    for place, guests in kept.items():
        held[servers[place]] += [data[item] for item in sorted(item for _, item, _ in guests)]
    return held


class ShardTests(SynchronousTestCase):
    """`shard` is the algorithm "deal and pile"."""

    def test_story(self) -> None:
        """The README's tables: data in the order of the configuration, own points first."""
        data, servers = ["192.168.0.2", "192.168.0.1"], ["flip1", "flip"]
        at_first = {"flip1": ["192.168.0.2"], "flip": ["192.168.0.1"]}
        assert_that(shard(data, servers, {"flip", "flip1"}), equal_to(at_first))
        assert_that(
            shard(data, servers, {"flip"}),
            equal_to({"flip1": [], "flip": ["192.168.0.1", "192.168.0.2"]}),
        )

    def test_worked_example(self) -> None:
        """Six items on four servers, worked out by hand, with one and with two servers down."""
        expected = {
            "ABCD": ["15", "26", "3", "4"],
            "ACD": ["15", "", "32", "46"],
            "AD": ["152", "", "", "436"],
        }
        for eligible, held in expected.items():
            assert_that(
                shard("123456", "ABCD", set(eligible)),
                equal_to({s: list(h) for s, h in zip("ABCD", held, strict=True)}),
            )

    def test_first_of_a_server_goes_to_its_neighbour(self) -> None:
        """A dead server's items start at different neighbours, the first at the next one."""
        held = shard("123456789", "ABC", {"B", "C"})
        assert_that(held, equal_to({"A": [], "B": list("25817"), "C": list("3694")}))

    def test_nobody_eligible(self) -> None:
        """With no eligible server nobody owns anything."""
        assert_that(shard("123", "AB", ()), equal_to({"A": [], "B": []}))
        assert_that(shard("123", "A", ()), equal_to({"A": []}))

    def test_only_one_eligible(self) -> None:
        """The last one standing owns everything, its own points first."""
        assert_that(shard("123456", "ABC", "B")["B"], equal_to(list("251346")))

    def test_foreign_servers_are_ignored(self) -> None:
        """An eligible server that is not one of the system's gets nothing."""
        assert_that(shard("12", "AB", "ABX"), equal_to({"A": ["1"], "B": ["2"]}))

    def test_small_clusters_exhaustively(self) -> None:
        """Every small case is what the slow form answers."""
        for ring in range(1, 6):
            servers = "ABCDE"[:ring]
            for count in range(7):
                data = "123456"[:count]
                subsets = (combinations(servers, size) for size in range(ring + 1))
                for eligible in chain.from_iterable(subsets):
                    assert_that(
                        shard(data, servers, eligible), equal_to(stepping(data, servers, eligible))
                    )

    @laws
    @given(clusters())
    def test_slow_form(self, cluster: tuple[list[str], list[str], frozenset[str]]) -> None:
        """Larger cases, too, are what the slow form answers."""
        assert_that(shard(*cluster), equal_to(stepping(*cluster)))

    @laws
    @given(clusters())
    def test_complete_and_exclusive(
        self, cluster: tuple[list[str], list[str], frozenset[str]]
    ) -> None:
        """Every data point has exactly one owner, and that one is eligible."""
        data, servers, eligible = cluster
        held = shard(data, servers, eligible)
        assert_that(list(held), equal_to(servers))
        owned = [datum for points in held.values() for datum in points]
        assert_that(sorted(owned), equal_to(sorted(data) if eligible else []))
        owners = {server for server, points in held.items() if points}
        assert_that(owners - eligible, empty())

    @laws
    @given(clusters())
    def test_even(self, cluster: tuple[list[str], list[str], frozenset[str]]) -> None:
        """Loads differ by at most one, and the larger ones are the first servers'."""
        data, servers, eligible = cluster
        held = shard(data, servers, eligible)
        loads = [len(held[server]) for server in servers if server in eligible]
        assert_that(loads, equal_to(sorted(loads, reverse=True)))
        if loads:
            assert_that(loads[0] - loads[-1], is_in([0, 1]))

    @laws
    @given(clusters())
    def test_survivors_keep_their_own(
        self, cluster: tuple[list[str], list[str], frozenset[str]]
    ) -> None:
        """Whoever is down, an eligible server has its home points, first and in order."""
        data, servers, eligible = cluster
        homes, held = shard(data, servers, servers), shard(data, servers, eligible)
        for server in eligible:
            assert_that(held[server][: len(homes[server])], equal_to(homes[server]))
            taken = held[server][len(homes[server]) :]
            assert_that(taken, equal_to(sorted(taken, key=data.index)))

    @laws
    @given(clusters(), st.data())
    def test_first_failure(
        self, cluster: tuple[list[str], list[str], frozenset[str]], choice: st.DataObject
    ) -> None:
        """The first failure moves nothing but what the dead server had."""
        data, servers, _ = cluster
        dead = choice.draw(st.sampled_from(servers))
        before = shard(data, servers, servers)
        after = shard(data, servers, set(servers) - {dead})
        for server in set(servers) - {dead}:
            assert_that(set(before[server]) - set(after[server]), empty())

    @laws
    @given(clusters())
    def test_pure(self, cluster: tuple[list[str], list[str], frozenset[str]]) -> None:
        """The answer depends on nothing but the arguments, which stay as they are."""
        data, servers, eligible = cluster
        first = shard(tuple(data), tuple(servers), sorted(eligible, reverse=True))
        shard(data, servers, servers)
        assert_that(shard(data, servers, eligible), equal_to(first))
        assert_that(cluster, equal_to((data, servers, eligible)))


class FailoverTests(SynchronousTestCase):
    """`failover` gives everything to one."""

    def test_first(self) -> None:
        """The first of the eligible ones in order has all data in order, the others nothing."""
        held = failover("21", "ABC", "ABC")
        assert_that(held, equal_to({"A": ["2", "1"], "B": [], "C": []}))
        held = failover("21", "ABC", {"C", "B"})
        assert_that(held, equal_to({"A": [], "B": ["2", "1"], "C": []}))

    def test_nobody(self) -> None:
        """With no eligible server nobody owns anything."""
        assert_that(failover("21", "AB", "X"), equal_to({"A": [], "B": []}))


class ReplicateTests(SynchronousTestCase):
    """`replicate` gives everything to everybody."""

    def test_everywhere(self) -> None:
        """Every eligible server gets all data in order, the others get nothing."""
        assert_that(
            replicate("21", "ABC", "AC"), equal_to({"A": ["2", "1"], "B": [], "C": ["2", "1"]})
        )

    def test_lists_are_separate(self) -> None:
        """No two servers share one list."""
        held = replicate("21", "AB", "AB")
        held["A"].clear()
        assert_that(held["B"], contains_inanyorder("1", "2"))


class TopologiesTests(SynchronousTestCase):
    """The names that a configuration may use."""

    def test_types(self) -> None:
        """Every type that a file may name is a topology, and the other way round."""
        assert_that(set(TYPES.values()), equal_to(set(TOPOLOGIES)))

    def test_single_owner(self) -> None:
        """The configuration knows which topologies have one owner per data point."""
        single = {name for name, topology in TOPOLOGIES.items() if topology.single_owner}
        assert_that(single, equal_to({"shard", "failover"}))
        assert_that(single, equal_to(set(ONE_OWNER)))
