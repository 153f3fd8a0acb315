"""A machine of the simulation: its processes, its clocks, its hooks, its disk."""

from __future__ import annotations

import random
from typing import Any

from hamcrest import assert_that, close_to, equal_to, greater_than, less_than, none
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import HookFailed
from flip.holdings.hooks import Hook
from flip.holdings.runner import HookCall, HookResult
from flip.membership.roster import State
from flip.simulation.distributions import LogNormal, Uniform
from flip.simulation.hooks import Hooks
from flip.simulation.world import World
from tests.cluster.case import ALL_ACTIVE, ONE, STORY, TWO, ClusterTestCase, larger

TIMEOUT = 2.0


class HookTests(SynchronousTestCase):
    """Hooks on virtual time."""

    def setUp(self) -> None:
        self.world = World(STORY, 1, checked=False)
        self.addCleanup(self.world.close)
        self.machine = self.world["flip1"]
        self.hooks = Hooks(self.machine, self.machine.spawn("daemon"))

    def call(self, event: str) -> HookCall:
        """One run of a hook for `TWO`."""
        return HookCall(Hook(event, (event,)), event, "ip", TWO, "{}", "flip1", TIMEOUT, (TWO,))

    def run_hook(self, event: str) -> tuple[float, object]:
        """Run one hook to its end: the seconds it took, and how it ended."""
        began = self.world.now
        results: list[object] = []
        done = self.hooks.run(self.call(event))
        done.addCallbacks(results.append, lambda failure: results.append(failure.value))
        self.world.run_until(lambda: bool(results), 100)
        return self.world.now - began, results[0]

    def test_served(self) -> None:
        """`alive` makes it live from its start, `down` until its end."""
        self.run_hook("alive")
        assert_that(self.machine.held(), equal_to({TWO}))
        self.machine.failing.add(("down", TWO))
        self.run_hook("down")
        assert_that(self.machine.held(), equal_to({TWO}))
        self.machine.failing.clear()
        self.run_hook("down")
        assert_that(self.machine.held(), equal_to(set()))

    def test_durations(self) -> None:
        """Hooks take as long as their machine's distribution says, within its tail."""
        self.machine.hook_time = LogNormal(0.1, 0.5, 1.0)
        taken = sorted(self.run_hook("alive")[0] for _ in range(101))
        assert_that(taken[50], close_to(0.1, 0.03))
        assert_that(taken[-1], greater_than(0.2))

    def test_how_it_ends(self) -> None:
        """One that fails, hangs or takes too long ends badly; the last two at their timeout."""
        cases = {
            "failing": (0.5, False),
            "hanging": (TIMEOUT, False),
            "slow": (TIMEOUT * 0.99, True),
        }
        self.machine.hook_time = Uniform(0.5, 0.5)
        for name, (seconds, good) in cases.items():
            getattr(self.machine, name).add(("alive", TWO))
            took, result = self.run_hook("alive")
            assert_that(took, close_to(seconds, 0.001), name)
            assert_that(isinstance(result, HookResult if good else HookFailed), equal_to(True))
            getattr(self.machine, name).clear()
        self.machine.hook_time = Uniform(5.0, 5.0)
        took, result = self.run_hook("alive")
        assert_that(took, close_to(TIMEOUT, 0.001))
        assert_that(isinstance(result, HookFailed), equal_to(True))

    def test_timeout_by_its_clock(self) -> None:
        """A timeout is measured by the machine's clock, which may be fast."""
        self.machine.drift = 0.05
        self.machine.hanging.add(("alive", TWO))
        took, _ = self.run_hook("alive")
        assert_that(took, close_to(TIMEOUT / 1.05, 0.001))

    def test_orphan(self) -> None:
        """A hook goes on when the process that ran it is killed, and nobody hears of its end."""
        self.run_hook("alive")
        done = self.hooks.run(self.call("down"))
        self.machine.end("daemon")
        self.world.run(1)
        assert_that(self.machine.held(), equal_to(set()))
        self.assertNoResult(done)


class ProcessTests(ClusterTestCase):
    """The processes of a machine, and what a fault of one does to the others."""

    def setUp(self) -> None:
        self.world = self.story()
        self.machine = self.world["flip1"]
        self.ticks: list[float] = []
        self.other = self.machine.spawn("other")
        self.tick()

    def tick(self) -> None:
        self.ticks.append(self.world.now)
        self.other.callLater(1.0, self.tick)

    def ticked(self, seconds: float) -> int:
        """How often the other process's timer runs in so many seconds."""
        before = len(self.ticks)
        self.world.run(seconds)
        return len(self.ticks) - before

    def test_killed(self) -> None:
        """Another process of the machine outlives its daemon."""
        self.machine.kill()
        assert_that((self.ticked(5), self.machine.running), equal_to((5, False)))

    def test_frozen(self) -> None:
        """One process may stand still while another goes on, either of them."""
        self.machine.freeze()
        assert_that(self.ticked(5), equal_to(5))
        self.machine.thaw()
        self.machine.freeze("other")
        assert_that((self.ticked(5), self.machine.running), equal_to((0, True)))
        self.machine.thaw("other")
        assert_that(self.ticked(5), close_to(5, 1))

    def test_reboot(self) -> None:
        """Without power no process goes on, and nothing is served."""
        self.machine.reboot()
        assert_that((self.ticked(5), self.machine.served), equal_to((0, set())))
        assert_that(list(self.machine.processes), equal_to([]))

    def test_one_clock(self) -> None:
        """All processes of a machine have its clock, and wall time goes with it."""
        wall = self.machine.wall()
        self.machine.drift = 0.05
        assert_that(self.ticked(20.2), equal_to(21))
        assert_that(self.machine.wall() - wall, close_to(21.21, 0.001))
        self.machine.drift = 0.0
        self.machine.wall_offset = -5.0
        assert_that(self.machine.wall() - wall, close_to(16.21, 0.001))

    def test_drift_moves_timers(self) -> None:
        """A clock that begins to drift moves the timers that its processes have set."""
        over: list[float] = []
        began = self.world.now
        waiting = self.machine.spawn("waiting")  # for nothing but this
        waiting.callLater(10.5, lambda: over.append(self.world.now - began))
        self.machine.drift = 0.05
        self.world.run(20)
        assert_that(over[0], close_to(10.0, 0.001))

    def test_started_slow(self) -> None:
        """A process that starts on a slow machine is slow."""
        over: list[float] = []
        self.machine.slowness = 0.5
        began = self.world.now
        self.machine.spawn("third").callLater(1.0, lambda: over.append(self.world.now - began))
        self.world.run(2)
        assert_that(over[0], close_to(1.5, 0.001))


class TroubleTests(ClusterTestCase):
    """Real nodes on machines that are not in order."""

    def story(self, seed: int = 1, **settings: Any) -> World:
        """The story's cluster, at rest; what its rules are worth in trouble is not asked here."""
        world = World(STORY, seed, checked=False)
        self.addCleanup(world.close)
        world.start()
        self.await_holdings(world, ALL_ACTIVE)
        world.run(3)
        return world

    def test_drift(self) -> None:
        """Clocks that are 5 % apart either way make no member look dead."""
        world = self.story()
        world["flip"].drift, world["flip1"].drift = 0.05, -0.05
        world.run(60)
        self.expect(world, ALL_ACTIVE)
        states = {machine.state(id) for machine in world.machines.values() for id in world.machines}
        assert_that(states, equal_to({State.ALIVE}))

    def test_slow(self) -> None:
        """A slow node keeps what it holds; one too slow to answer at all loses it."""
        world = self.story()
        world["flip1"].slowness = 0.01
        world.run(30)
        self.expect(world, ALL_ACTIVE)
        world["flip1"].slowness = 3.0
        world.await_served("flip", {ONE, TWO}, 30)

    def test_slow_is_slower(self) -> None:
        """What a slow machine does takes longer: a takeover by it, for one."""
        seconds = []
        for slowness in (0.0, 0.05):
            world = self.story()
            world["flip"].slowness = slowness
            world["flip1"].kill()
            seconds.append(world.await_served("flip", {ONE, TWO}, 30))
        assert_that(seconds[0], less_than(seconds[1]))

    def test_lost_disk(self) -> None:
        """A node that starts with an empty disk takes its place again."""
        world = self.story()
        world["flip1"].kill()
        world["flip1"].lose_disk()
        assert_that(world["flip1"].recorded(), none())
        world.await_served("flip", {ONE, TWO}, 10)
        world["flip1"].start()
        self.await_holdings(world, ALL_ACTIVE)
        world.run(1)
        assert_that(world["flip1"].recorded(), equal_to({("ip", TWO)}))


class AcquaintedTests(ClusterTestCase):
    """A large cluster that need not begin at the beginning."""

    def test_start(self) -> None:
        """Everybody knows everybody, agrees, and takes its share within the delay of a plan."""
        world = World(larger(30, 30), 1, checked=False)
        self.addCleanup(world.close)
        world.start_acquainted()
        world.run(2.0)
        nodes = [machine.running_node.parts for machine in world.machines.values()]
        assert_that(all(node.membership.settled for node in nodes), equal_to(True))
        assert_that({len(machine.served) for machine in world.machines.values()}, equal_to({1}))

    def test_no_news(self) -> None:
        """They have nothing to say but that they are there."""
        world = World(larger(30, 0), 1, checked=False)
        self.addCleanup(world.close)
        world.start_acquainted()
        world.run(3)
        sent, sent_bytes = world.network.sent, world.network.sent_bytes
        assert_that(sum(sent_bytes.values()) / sum(sent.values()), less_than(200))

    def test_death(self) -> None:
        """From then on it is a cluster like any other: a death is seen and made good."""
        world = World(larger(30, 30), 1, checked=False)
        self.addCleanup(world.close)
        world.start_acquainted()
        world.run(5)
        victim = random.Random(1).choice(list(world.machines))
        orphan = world[victim].held()
        world[victim].kill()

        def taken() -> bool:
            others = (machine for id, machine in world.machines.items() if id != victim)
            return any(orphan <= machine.held() for machine in others)

        assert_that(world.run_until(taken, 10), less_than(4.0))
