"""Uneven divisions: weights of servers, preferences of data points."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from hamcrest import assert_that, empty, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.allocation.topology import Division, shard
from flip.allocation.wishes import Wishes, divide

laws = settings(deadline=None, derandomize=True, max_examples=200)
Cluster = tuple[list[str], list[str], frozenset[str], Wishes]


@st.composite
def clusters(draw: st.DrawFn, *, most: int = 60, prefer: bool = True) -> Cluster:
    """Data, servers in order, which of them are eligible, and wishes."""
    data = [f"d{item}" for item in range(draw(st.integers(0, most)))]
    servers = draw(st.permutations([f"s{place}" for place in range(draw(st.integers(1, 9)))]))
    eligible = draw(st.frozensets(st.sampled_from(servers)))
    weights = {server: draw(st.integers(1, 7)) for server in servers}
    wished = (
        st.dictionaries(st.sampled_from(data), st.sampled_from(servers)) if data else st.just({})
    )
    return data, servers, eligible, Wishes(weights, draw(wished) if prefer else {})


def deal(count: int, load: dict[str, int], weights: Mapping[str, int]) -> list[str]:
    """Who gets the next items, in fractions."""
    load, given = dict(load), []
    for _ in range(count):
        least = min(load, key=lambda server: (load[server] + Fraction(1, 2)) / weights[server])
        load[least] += 1
        given.append(least)
    return given


def stepping(
    data: Sequence[str], servers: Sequence[str], eligible: Collection[str], wishes: Wishes
) -> Division:
    """The same in its slow form: everybody steps right, the nearest first."""
    ring = len(servers)
    live = [server for server in servers if server in eligible]
    held: Division = {server: [] for server in servers}
    if not live:
        return held
    homes = dict(wishes.prefer)
    load = {server: [*homes.values()].count(server) for server in servers}
    others = [datum for datum in data if datum not in homes]
    homes.update(zip(others, deal(len(others), load, wishes.weights), strict=True))
    rank = dict.fromkeys(servers, 0)
    walking = []
    for item, datum in enumerate(data):
        home = homes[datum]
        if home in live:
            held[home].append(datum)
            continue
        start = (servers.index(home) + 1 + rank[home] % (ring - 1)) % ring
        rank[home] += 1
        walking.append((0, item, start))
    own = {server: len(held[server]) for server in live}
    found = deal(len(walking), own, wishes.weights)
    kept: dict[int, list[tuple[int, int, int]]] = {place: [] for place in range(ring)}
    while walking:
        distance, item, start = walking.pop()
        place = (start + distance) % ring
        guests = sorted([*kept[place], (distance, item, start)])
        room = found.count(servers[place])
        kept[place] = guests[:room]
        walking += [(d + 1, i, s) for d, i, s in guests[room:]]
    for place, guests in kept.items():
        held[servers[place]] += [data[item] for item in sorted(item for _, item, _ in guests)]
    return held


class WeightTests(SynchronousTestCase):
    """Shares go by weight."""

    def test_double(self) -> None:
        """Twice the weight, twice the data points."""
        held = shard("123456", "ABC", "ABC", Wishes({"A": 2, "B": 1, "C": 3}))
        assert_that(held, equal_to({"A": list("25"), "B": list("3"), "C": list("146")}))

    def test_rest(self) -> None:
        """Whoever remains shares by weight, too."""
        held = shard("123456789", "ABC", "AB", Wishes({"A": 2, "B": 1, "C": 3}))
        assert_that([len(held[server]) for server in "ABC"], equal_to([6, 3, 0]))

    @laws
    @given(clusters(prefer=False))
    def test_shares(self, cluster: Cluster) -> None:
        """Whoever is down, shares are those of a deal to the others alone (Sainte-Lague)."""
        data, servers, eligible, wishes = cluster
        held = divide(data, servers, eligible, wishes)
        live = [server for server in servers if server in eligible]
        fair = deal(len(data), dict.fromkeys(live, 0), wishes.weights) if live else []
        for server in servers:
            assert_that(len(held[server]), equal_to(fair.count(server)))

    @laws
    @given(clusters(), st.integers(1, 10_000))
    def test_equal_weights(self, cluster: Cluster, weight: int) -> None:
        """Equal weights and no preferences are the even division."""
        data, servers, eligible, _ = cluster
        even = shard(data, servers, eligible)
        for weights in ({}, dict.fromkeys(servers, weight)):
            assert_that(divide(data, servers, eligible, Wishes(weights)), equal_to(even))


class PreferenceTests(SynchronousTestCase):
    """A preferred server is the home."""

    def test_others_make_up(self) -> None:
        """Who has preferred points gets fewer of the others."""
        held = shard("123456", "ABC", "ABC", Wishes({}, {"5": "A", "6": "A"}))
        assert_that(held, equal_to({"A": list("56"), "B": list("13"), "C": list("24")}))

    def test_more_than_a_share(self) -> None:
        """More of them than a fair share unbalance the division, by request."""
        held = shard("1234", "AB", "AB", Wishes({}, dict.fromkeys("123", "B")))
        assert_that(held, equal_to({"A": ["4"], "B": list("123")}))

    def test_dead(self) -> None:
        """The points of a preferred server that is down are divided like any others."""
        held = shard("1234", "ABC", "AC", Wishes({}, dict.fromkeys("123", "B")))
        assert_that([len(held[server]) for server in "ABC"], equal_to([2, 0, 2]))

    def test_unknown(self) -> None:
        """A preferred server that is none of the system's counts as no preference."""
        assert_that(
            shard("12", "AB", "AB", Wishes({}, {"1": "X"})), equal_to(shard("12", "AB", "AB"))
        )


class LawTests(SynchronousTestCase):
    """Whatever is wished."""

    @laws
    @given(clusters(most=30))
    def test_slow_form(self, cluster: Cluster) -> None:
        """The answer is that of the slow form."""
        assert_that(divide(*cluster), equal_to(stepping(*cluster)))

    @laws
    @given(clusters())
    def test_complete_and_exclusive(self, cluster: Cluster) -> None:
        """Every data point has exactly one owner, and that one is eligible."""
        data, servers, eligible, _ = cluster
        held = divide(*cluster)
        assert_that(list(held), equal_to(servers))
        owned = [datum for points in held.values() for datum in points]
        assert_that(sorted(owned), equal_to(sorted(data) if eligible else []))
        assert_that({server for server, points in held.items() if points} - eligible, empty())

    @laws
    @given(clusters())
    def test_kept(self, cluster: Cluster) -> None:
        """Whoever is down, nobody gives up what is at home, and preferences are homes."""
        data, servers, eligible, wishes = cluster
        homes = divide(data, servers, servers, wishes)
        for datum, server in wishes.prefer.items():
            assert_that(datum in homes[server], equal_to(True))
        held = divide(*cluster)
        for server in eligible:
            assert_that(held[server][: len(homes[server])], equal_to(homes[server]))

    @laws
    @given(clusters(), st.data())
    def test_first_failure(self, cluster: Cluster, choice: st.DataObject) -> None:
        """The first failure moves nothing but what the dead server had."""
        data, servers, _, wishes = cluster
        dead = choice.draw(st.sampled_from(servers))
        before = divide(data, servers, servers, wishes)
        after = divide(data, servers, set(servers) - {dead}, wishes)
        for server in set(servers) - {dead}:
            assert_that(set(before[server]) - set(after[server]), empty())

    @laws
    @given(clusters())
    def test_pure(self, cluster: Cluster) -> None:
        """The answer depends on nothing but the arguments, in whatever order sets come."""
        data, servers, eligible, wishes = cluster
        turned = Wishes(dict([*wishes.weights.items()][::-1]), dict([*wishes.prefer.items()][::-1]))
        again = divide(tuple(data), tuple(servers), sorted(eligible, reverse=True), turned)
        assert_that(again, equal_to(divide(*cluster)))
