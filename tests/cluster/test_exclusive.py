"""Exclusive systems: at most one machine serves a data point, whatever happens.

That itself every world checks all the time (`flip.simulation.invariants`, number 6);
here are the faults, and how long nobody serves because of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from hamcrest import (
    assert_that,
    empty,
    equal_to,
    greater_than,
    less_than,
    less_than_or_equal_to,
    none,
)
from msgspec import structs

from flip.holdings.grants.lease import DRIFT
from flip.simulation.faults.beliefs import Mistrust
from flip.simulation.world import World
from flip.wire.claims import claims_hash
from flip.wire.messages import Update
from tests.cluster.case import (
    ALL_ACTIVE,
    DETECTION,
    FLIP1_DOWN,
    ONE,
    SETTLING,
    TWO,
    ClusterTestCase,
    holdings,
    larger,
    system,
)
from tests.cluster.test_lives import kinds
from tests.matchers import has_item, is_not

LEASE = 5.0  # 2 x ping_timeout + 2 x hook_timeout
WAIT = LEASE * (1 + DRIFT) / (1 - DRIFT)  # for which a voter keeps a grant
HOOK = 0.04  # seconds that a hook takes, at most
TWO_ROUND_TRIPS = 4 * 0.04  # seconds at the network's longest latency


class ExclusiveTestCase(ClusterTestCase):
    """The story, with an exclusive system."""

    def exclusive(self, seed: int = 1, **settings: object) -> World:
        """All active and at rest for a moment."""
        world = self.story(seed, exclusive=True, **settings)
        world.run(world.rng.uniform(1, 3))
        return world

    def owner(self, world: World, datum: str) -> str | None:
        """The machine that serves a data point."""
        owners = [id for id, data in holdings(world).items() if datum in data]
        assert_that(len(owners), less_than(2))
        return owners[0] if owners else None

    def number(self, world: World, id: str, datum: str) -> tuple[int, int] | None:
        """Of a node's present claim."""
        return world[id].running_node.parts.grants.rights["ip"].claimant.number(datum)

    def granted(self, world: World, voter: str, datum: str) -> str | None:
        """To whom a voter has granted a data point."""
        granted = world[voter].running_node.parts.granting.voter.granted()
        return granted["ip", datum][0].node if ("ip", datum) in granted else None


class StartTests(ExclusiveTestCase):
    """A first start, and restarts."""

    def test_first_start(self) -> None:
        """New voters are silent for as long as an earlier life's grants could count."""
        world = self.cluster(system(exclusive=True))
        world.start()
        world.run(WAIT - 0.1)
        assert_that([world["flip"].held(), world["flip1"].held()], equal_to([set(), set()]))
        world.run(1)
        self.expect(world, ALL_ACTIVE)

    def test_restart_during_the_silence(self) -> None:
        """Who is restarted before its silence is over begins another one."""
        world = self.cluster(system(exclusive=True))
        world.start()
        world.run(WAIT - 1)
        for id in world.machines:
            world[id].kill()
            world[id].start()
        world.run(WAIT - 0.1)
        assert_that([world["flip"].held(), world["flip1"].held()], equal_to([set(), set()]))

    def test_restart(self) -> None:
        """A node that is back at once runs `down` for everything, gives back, and asks anew."""
        world = self.exclusive()
        before = self.number(world, "flip1", TWO)
        world["flip1"].kill()
        world.run(0.2)
        began = world.now
        world["flip1"].start()
        world.run_until(lambda: world["flip1"].held() == {TWO}, DETECTION)
        runs = [(event, datum) for at, event, datum in world["flip1"].runs if at >= began]
        assert_that(sorted(runs[:2]), equal_to([("down", ONE), ("down", TWO)]))
        assert_that(runs[2:], equal_to([("alive", TWO)]))
        assert before is not None
        assert_that(self.number(world, "flip1", TWO) or (0, 0), greater_than(before))

    def test_reboot(self) -> None:
        """So it is after a power cut."""
        world = self.exclusive()
        world["flip1"].reboot()
        world.run(0.2)
        world["flip1"].start()
        world.run(SETTLING)
        self.expect(world, ALL_ACTIVE)

    def test_mass_restart(self) -> None:
        """All at once: what was granted before stands in nobody's way."""
        for seed in range(5):
            world = self.exclusive(seed)
            for id in world.machines:
                world[id].kill()
            world.run(world.rng.uniform(0, 2))
            world.start()
            self.await_holdings(world, ALL_ACTIVE, DETECTION)


class TakeoverTests(ExclusiveTestCase):
    """The holder is gone; another takes over when its lease must be over."""

    def takeover(self, fault: Callable[[World], None], seed: int, **settings: object) -> float:
        """Seconds from a fault of flip1 to flip's service."""
        world = self.story(seed, **settings)
        world.run(world.rng.uniform(1, 3))
        fault(world)
        began = world.now
        world.await_served("flip", {ONE, TWO}, DETECTION + WAIT + 1)
        return world.now - began

    def test_kill(self) -> None:
        """After SIGKILL the guard lets go; it takes at most a lease longer than otherwise."""
        ordinary = [self.takeover(lambda w: w["flip1"].kill(), seed) for seed in range(20)]
        later = [
            self.takeover(lambda w: w["flip1"].kill(), seed, exclusive=True) for seed in range(20)
        ]
        assert_that(max(later), less_than(WAIT + TWO_ROUND_TRIPS + HOOK))
        more = statistics.median(later) - statistics.median(ordinary)
        assert_that(more, less_than_or_equal_to(LEASE))

    def test_guard(self) -> None:
        """The killed daemon's data points are let go of at once."""
        world = self.exclusive()
        world["flip1"].kill()
        world.await_served("flip1", set(), 0.5)

    def test_reboot(self) -> None:
        """A machine without power takes as long."""
        for seed in range(10):
            taken = self.takeover(lambda w: w["flip1"].reboot(), seed, exclusive=True)
            assert_that(taken, less_than(WAIT + TWO_ROUND_TRIPS + HOOK))

    def test_freeze(self) -> None:
        """A daemon that stands still: the guard lets go before anybody takes over."""
        for seed in range(10):
            world = self.exclusive(seed)
            world["flip1"].freeze()
            world.await_served("flip1", set(), LEASE)
            world.await_served("flip", {ONE, TWO}, DETECTION + WAIT)
            world.run(world.rng.uniform(0, 5))
            world["flip1"].thaw()
            world.run(SETTLING)
            self.expect(world, ALL_ACTIVE)

    def test_short_freeze(self) -> None:
        """A stall that is shorter than the lease moves nothing."""
        world = self.exclusive()
        world["flip1"].freeze()
        world.run(1)
        world["flip1"].thaw()
        world.run(SETTLING)
        self.expect(world, ALL_ACTIVE)
        assert_that([event for _, event, _ in world["flip1"].runs[3:]], is_not(has_item("down")))

    def test_cut(self) -> None:
        """A holder that nobody can reach lets go; the others take over; it gets it back."""
        for seed in range(10):
            world = self.exclusive(seed)
            world.cut(("flip1",), ("flip", "flip2"))
            world.await_served("flip1", set(), LEASE)
            world.await_served("flip", {ONE, TWO}, DETECTION + WAIT)
            world.run(world.rng.uniform(0, 10))
            world.heal()
            world.run(SETTLING)
            self.expect(world, ALL_ACTIVE)

    def test_total_cut(self) -> None:
        """When nobody can talk to anybody nobody serves; nobody is left out afterwards."""
        world = self.exclusive()
        world.cut_all()
        world.run(LEASE)
        assert_that(set.union(*holdings(world).values()), empty())
        world.run(20)
        world.heal()
        world.run(SETTLING)
        self.expect(world, ALL_ACTIVE)

    def test_one_way(self) -> None:
        """A holder that hears and is not heard, and one that is heard and does not hear."""
        for seed in range(5):
            for one, other in ((("flip1",), ("flip", "flip2")), (("flip", "flip2"), ("flip1",))):
                world = self.exclusive(seed)
                world.cut(one, other, one_way=True)
                world.run(15)
                world.heal()
                world.run(SETTLING)
                self.expect(world, ALL_ACTIVE)

    def test_slow_hooks(self) -> None:
        """Hooks that take all the time that they may are over before the lease is."""
        for seed in range(10):
            world = self.exclusive(seed)
            for event in ("alive", "down"):
                world["flip1"].slow.add((event, TWO))
            world["flip1"].running_node.parts.keeper.systems["ip"].announce((TWO,))
            world.run(world.rng.uniform(0, 1))
            world.cut(("flip1",), ("flip", "flip2"))
            world.await_served("flip", {ONE, TWO}, DETECTION + WAIT)

    def test_hanging_alive(self) -> None:
        """An `alive` that hangs is killed in time for `down`."""
        for seed in range(10):
            world = self.exclusive(seed)
            world["flip1"].hanging.add(("alive", TWO))
            world["flip1"].slow.add(("down", TWO))
            world.run(world.rng.uniform(0, 1))
            world["flip1"].running_node.parts.keeper.systems["ip"].announce((TWO,))
            world.cut(("flip1",), ("flip", "flip2"))
            world.await_served("flip", {ONE, TWO}, DETECTION + WAIT)

    def test_all_at_once(self) -> None:
        """Fifty data points with slow hooks, four at a time: at the deadline all of them go."""
        description = larger(3, 50)
        description["cluster"]["system"]["ip"] |= {"exclusive": True}
        world = self.cluster(description)
        world.start()
        everything = {f"d{n}" for n in range(50)}
        world.run_until(lambda: set.union(*holdings(world).values()) == everything, 20)
        world.run(2)
        for datum in everything:
            world["n0"].slow.add(("down", datum))
        world.cut(("n0",), ("n1", "n2"))
        world.run_until(lambda: holdings(world)["n1"] | holdings(world)["n2"] == everything, 15)

    def test_drift(self) -> None:
        """The holder's clock as slow as may be, the voters' as fast: still never two."""
        for seed in range(20):
            world = self.cluster(system(exclusive=True), seed)
            for id in world.machines:
                world[id].drift = -DRIFT if id == "flip1" else DRIFT
            world.start()
            self.await_holdings(world, ALL_ACTIVE)
            world["flip1"].slow.add(("down", TWO))
            world.run(world.rng.uniform(1, 3))
            world.cut(("flip1",), ("flip", "flip2"))
            world.await_served("flip", {ONE, TWO}, DETECTION + WAIT)


class VoterTests(ExclusiveTestCase):
    """What becomes of voters."""

    def test_one_is_missed_by_nobody(self) -> None:
        """Without one of three voters everything stays where it is."""
        world = self.exclusive()
        world["flip2"].kill()
        world.run(3 * LEASE)
        self.expect(world, ALL_ACTIVE)
        assert_that([event for _, event, _ in world["flip1"].runs[3:]], is_not(has_item("down")))

    def test_restart(self) -> None:
        """A voter's restart is noticed by nobody."""
        world = self.exclusive()
        for _ in range(5):
            world["flip2"].kill()
            world["flip2"].start()
            world.run(2)
        self.expect(world, ALL_ACTIVE)
        assert_that([event for _, event, _ in world["flip1"].runs[3:]], is_not(has_item("down")))

    def test_without_disk(self) -> None:
        """One that lost its disk grants nothing until what it may have granted is over (E-d)."""
        for seed in range(10):
            world = self.exclusive(seed)
            # flip1 holds by itself and by flip2, which forgets; flip would be granted by flip2.
            world.cut(("flip1",), ("flip",))
            world.run(2 * LEASE)
            world["flip2"].kill()
            world["flip2"].lose_disk()
            world["flip2"].start()
            world.cut(("flip1",), ("flip2",))
            world.await_served("flip", {ONE, TWO}, DETECTION + 2 * WAIT)

    def test_full_disk(self) -> None:
        """Disks that take no writes move nothing; what moves needs a quorum that can write."""
        world = self.exclusive()
        for id in ("flip", "flip2"):
            world[id].disk.writable = False
        world.run(2 * LEASE)
        self.expect(world, ALL_ACTIVE)
        world["flip1"].kill()
        world.run(2 * WAIT)
        assert_that(self.owner(world, TWO), none())
        for id in ("flip", "flip2"):
            world[id].disk.writable = True
        world.await_served("flip", {ONE, TWO}, SETTLING)

    def test_record_of_nothing(self) -> None:
        """What a holder's record claims frees no grant: it may be older than the grant (E-c)."""
        world = self.exclusive()
        for voter in ("flip", "flip2"):
            roster = world[voter].running_node.parts.membership.roster
            record = roster["flip1"].record
            assert record is not None
            bare = structs.replace(record, version=record.version + 1, claims_hash=claims_hash(b""))
            roster.merge((Update("flip1", bare, b""),), "flip1")
            assert_that(roster["flip1"].claims, equal_to({}))
        world.cut(["flip1"], world.others("flip1"))  # which could put that right
        Mistrust.parse("flip@0").befall(world["flip"])
        world.run(LEASE / 2)
        assert_that(self.owner(world, TWO), equal_to("flip1"))
        assert_that(self.granted(world, "flip2", TWO), equal_to("flip1"))

    def test_loss(self) -> None:
        """At 20 % loss renewals keep every lease for ten minutes."""
        world = self.exclusive()
        world.network.loss = 0.2
        world.run(600)
        assert_that([event for _, event, _ in world["flip1"].runs[3:]], is_not(has_item("down")))
        assert_that([event for _, event, _ in world["flip"].runs[3:]], is_not(has_item("down")))

    def test_other_voters(self) -> None:
        """Who goes by another list of voters is granted nothing by those with this one."""
        world = self.exclusive()
        other = world.configure(system(exclusive=True, voters=["flip", "flip2"]))
        world["flip1"].kill()
        world["flip1"].start(world.configuration_of("flip1", other))
        world.run(2 * WAIT)
        right = world["flip1"].running_node.parts.grants.rights["ip"]
        assert_that(right.claimant.grants(TWO), equal_to({}))

    def test_five(self) -> None:
        """Five voters bear the loss of two, and no more."""
        description = larger(5, 5)
        description["cluster"]["system"]["ip"] |= {"exclusive": True}
        world = self.cluster(description)
        world.start()
        everything = {f"d{n}" for n in range(5)}
        world.run_until(lambda: set.union(*holdings(world).values()) == everything, 20)
        for id in ("n3", "n4"):
            world[id].kill()
        world.run_until(
            lambda: set.union(*(holdings(world)[id] for id in ("n0", "n1", "n2"))) == everything, 20
        )
        world["n2"].kill()
        world.run(2 * WAIT)
        assert_that(set.union(*holdings(world).values()), empty())


class HandoffTests(ExclusiveTestCase):
    """Moves that are planned."""

    def handoff(self, seed: int, **settings: object) -> float:
        """Seconds from the end of the old owner's `down` to the start of the new one's `alive`."""
        world = self.story(seed, **settings)
        world.run(world.rng.uniform(1, 3))
        world["flip1"].leave()
        world.await_served("flip1", set(), 1)
        released = world.now
        world.run_until(lambda: TWO in world["flip"].held(), 8)
        return world.now - released

    def test_leave(self) -> None:
        """At a clean stop it takes at most two round trips longer."""
        ordinary = [self.handoff(seed) for seed in range(30)]
        exclusive = [self.handoff(seed, exclusive=True) for seed in range(30)]
        assert_that(max(exclusive), less_than(max(ordinary) + TWO_ROUND_TRIPS))
        more = statistics.median(exclusive) - statistics.median(ordinary)
        assert_that(more, less_than(TWO_ROUND_TRIPS))

    def test_return(self) -> None:
        """What a server gets back when it returns moves as fast."""
        world = self.exclusive()
        world["flip1"].kill()
        world.await_served("flip", {ONE, TWO}, DETECTION + WAIT)
        world.run(2)
        world["flip1"].start()
        world.run_until(lambda: TWO not in world["flip"].held(), DETECTION)
        released = world.now
        world.await_served("flip1", {TWO}, 1)
        assert_that(world.now - released, less_than(2 * TWO_ROUND_TRIPS))

    def test_lost_release(self) -> None:
        """A release that got lost is asked for: nobody waits until the lease is over."""
        for seed in range(20):
            world = self.exclusive(seed)
            world["flip1"].leave()
            world.network.loss = 0.6
            world.run(0.1)
            world.network.loss = 0.0
            began = world.now
            world.await_served("flip", {ONE, TWO}, DETECTION + WAIT)
            assert_that(world.now - began, less_than(1.0), f"seed {seed}")


class RescueTests(ExclusiveTestCase):
    """What an operator sees and does."""

    def test_failing_down(self) -> None:
        """While `down` fails the grants are renewed: nobody else takes the data point."""
        world = self.exclusive()
        world["flip1"].failing.add(("down", TWO))
        world["flip1"].leave()
        world.run(6)
        assert_that(self.owner(world, TWO), equal_to("flip1"))
        assert_that(self.granted(world, "flip2", TWO), equal_to("flip1"))

    def test_forsaken(self) -> None:
        """`flip release --force` gives the grants back: the operator says that nothing is left."""
        world = self.exclusive()
        world["flip1"].failing.add(("down", TWO))
        world["flip1"].leave()
        world.run(2)
        world["flip1"].cease(("ip", TWO))
        keeper = world["flip1"].running_node.parts.keeper
        world.run_until(lambda: keeper.systems["ip"].holdings[TWO].running is None, 1)
        keeper.forsake("ip", TWO)
        world.await_served("flip", {ONE, TWO}, 1)

    def test_clock_step(self) -> None:
        """After a step between the clocks a holder lets go first, then earns its grants anew."""
        world = self.exclusive()
        before = self.number(world, "flip1", TWO)
        world.fault("step flip1:+60s")
        world["flip1"].wall_offset += 60
        world.await_served("flip1", set(), 1)
        world.await_served("flip1", {TWO}, 2)
        assert before is not None
        assert_that(self.number(world, "flip1", TWO) or (0, 0), greater_than(before))
        assert_that(kinds(world["flip1"]), has_item("clock"))
        world.run(SETTLING)
        self.expect(world, ALL_ACTIVE)

    def test_mixed(self) -> None:
        """An ordinary system beside it is held in a partition, the exclusive one is not."""
        description = system(exclusive=True)
        description["cluster"]["system"]["job"] = {
            "alive": "up", "down": "down", "type": "shard", "data": ["x", "y"],
        }  # fmt: skip
        for id in ("flip", "flip1"):
            description["servers"][id]["systems"] = ["ip", "job"]
        world = self.cluster(description)
        world.start()
        self.await_holdings(world, ALL_ACTIVE)
        world.run(1)
        jobs = world["flip1"].held("job")
        world.cut(("flip1",), ("flip", "flip2"))
        world.await_served("flip1", set(), LEASE)
        assert_that(world["flip1"].held("job"), equal_to(jobs))
        assert_that(len(jobs), equal_to(1))
        world.await_served("flip", FLIP1_DOWN["flip"], DETECTION + WAIT)
