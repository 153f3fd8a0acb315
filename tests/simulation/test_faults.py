"""Tests for `flip.simulation.faults`."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

from hamcrest import (
    assert_that,
    calling,
    contains_string,
    empty,
    equal_to,
    has_string,
    none,
    same_instance,
)
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from flip.config import Config, load
from flip.errors import BadFault
from flip.simulation.faults import KINDS, Fault, check, parse, read, schedule
from flip.simulation.observer import Observer
from flip.simulation.world import World
from tests.cluster.case import (
    ALL_ACTIVE,
    FLIP1_DOWN,
    ONE,
    SETTLING,
    STORY,
    TWO,
    ClusterTestCase,
    holdings,
)
from tests.matchers import all_of, is_not, raises
from tests.simulation.strategies import faults


class LanguageTests(SynchronousTestCase):
    """From text to fault and back."""

    @given(faults())
    def test_round_trip(self, fault: Fault) -> None:
        """What `str` writes is read back as an equal fault."""
        assert_that(read(str(fault)), equal_to(fault))

    def test_examples(self) -> None:
        """The example in the help of every kind is one, written as `str` would."""
        for kind, cls in KINDS.items():
            assert_that(str(parse(kind, cls.example)), equal_to(f"{kind} {cls.example}"))

    def test_units(self) -> None:
        """Seconds may have their unit, and blanks may follow the commas."""
        assert_that(str(read("kill flip, flip1@5.50s")), equal_to("kill flip,flip1@5.5"))
        assert_that(str(read("latency 5ms@0s-10s")), equal_to("latency 5-5ms@0-10"))

    def test_odd_names(self) -> None:
        """Ids and data points may contain all that separates in other places."""
        assert_that(read("kill a@b:c d@5").named, equal_to(("a@b:c d",)))
        fault = read("fail-hook a:b/down/x/y@1@2-3")
        assert_that((fault.named, str(fault)), equal_to((("a:b",), "fail-hook a:b/down/x/y@1@2-3")))


class MistakeTests(SynchronousTestCase):
    """What is no fault is refused with its reason and what was expected."""

    def assert_refused(self, text: str, *reasons: str) -> None:
        matchers = [has_string(contains_string(reason)) for reason in reasons]
        assert_that(calling(read).with_args(text), raises(BadFault, matching=all_of(*matchers)))

    def test_whole_message(self) -> None:
        """It quotes the text, says what is wrong, what was expected, and shows an example."""
        self.assert_refused(
            "kill flip1",
            'The fault cannot be simulated: "kill flip1": it says no time: expected @ and seconds'
            " at the end; expected NODE[,NODE]@TIME[-TIME], such as flip1@5",
        )

    def test_kind(self) -> None:
        """An unknown kind is refused with the closest."""
        self.assert_refused("kil flip1@5", 'no kind "kil"; did you mean "kill"?')
        self.assert_refused("", 'no kind ""; there are kill, restart')

    def test_time(self) -> None:
        """A time is a number of seconds from 0 on, and an end comes after the begin."""
        self.assert_refused("kill flip1@soon", '"soon" is no time in seconds')
        self.assert_refused("kill flip1@-5", '"-5" is no time in seconds')
        self.assert_refused("kill flip1@", '"" is no time')
        self.assert_refused("freeze flip@58-50", "its end, 50 s, does not come after its begin, 58")
        self.assert_refused("freeze flip@5-5", "does not come after")
        self.assert_refused("restart flip@5-10", "it happens once, and has no end")

    def test_nodes(self) -> None:
        """Nodes are named, each once."""
        self.assert_refused("kill @5", "it names no node")
        self.assert_refused("kill flip,,flip1@5", "a node's id is missing")
        self.assert_refused("kill flip,flip@5", 'it names "flip" twice')

    def test_cut(self) -> None:
        """Nobody stands on two sides of a cut, and one way has two ends."""
        self.assert_refused("cut flip,flip1/flip@5", '"flip" stands on two sides')
        self.assert_refused("cut /flip@5", "it names no node")
        self.assert_refused("cut-one-way a/b/c@5", "3 groups: expected a source and a target")

    def test_share(self) -> None:
        """A chance is a percentage."""
        for text in ("20", "101%", "-1%", "%", "many%"):
            self.assert_refused(f"loss {text}@5", f'"{text}" is no percentage from 0% to 100%')

    def test_latency(self) -> None:
        """A latency is in milliseconds, the least first."""
        self.assert_refused("latency 5@5", '"5" is no time such as 5ms')
        self.assert_refused("latency 9-5ms@5", "5 ms is less than 9 ms")

    def test_measure(self) -> None:
        """How slow, and how wrong a clock is, is said behind the nodes, within limits."""
        self.assert_refused("slow flip@5", "it does not say how much")
        self.assert_refused("slow flip:1-20ms@5", '"1-20ms" is no single time such as 20ms')
        self.assert_refused("slow flip:fast@5", '"fast" is no time such as 5ms')
        self.assert_refused("drift flip:+51%@5", '"+51%" is no percentage from -50% to +50%')
        self.assert_refused("step flip:soon@5", '"soon" is no number of seconds')

    def test_hook(self) -> None:
        """It says which hook."""
        self.assert_refused("fail-hook flip@5", 'expected "/alive" or "/down"')
        self.assert_refused("hang-hook flip/dwn@5", '"dwn" is no hook; did you mean "down"?')


class CheckTests(SynchronousTestCase):
    """Whether faults can befall a cluster."""

    def setUp(self) -> None:
        path = Path(self.mktemp())
        path.write_text(json.dumps({"id": "flip", **STORY}))
        self.config: Config = load(path, environ={})

    def check(self, *texts: str, duration: float = 60) -> None:
        check([read(text) for text in texts], self.config, duration)

    def assert_refused(self, text: str, *reasons: str) -> None:
        matchers = [has_string(contains_string(reason)) for reason in (text, *reasons)]
        refusal = raises(BadFault, matching=all_of(*matchers))
        assert_that(calling(self.check).with_args(text), refusal)

    def test_good(self) -> None:
        """The last moment of the simulation still belongs to it."""
        self.check("kill flip1@60", "cut flip/flip1@30-60", f"fail-hook flip/alive/{ONE}@1")

    def test_unknown_node(self) -> None:
        """An unknown node is refused with the closest, or with those that there are."""
        self.assert_refused("kill flp1@5", 'no server "flp1"; did you mean "flip1"?')
        self.assert_refused("cut flip/x@5", 'no server "x"; there are flip1, flip, flip2')

    def test_too_late(self) -> None:
        """Nothing can happen after the end."""
        self.assert_refused("kill flip1@61", "61 s comes after the end of the simulation, 60 s")
        self.assert_refused("freeze flip1@5-61", "61 s comes after the end")

    def test_lonely_cut(self) -> None:
        """All servers together cannot be cut off from all others."""
        self.assert_refused("cut flip,flip1,flip2@5", "nobody is left")

    def test_hooks(self) -> None:
        """A hook is one that the node can run."""
        self.assert_refused("fail-hook flip2/down@5", '"flip2" holds nothing')
        self.assert_refused(
            "hang-hook flip/alive/192.168.0.9@5", "can hold no data point", "did you mean"
        )

    def test_all_at_once(self) -> None:
        """Every problem is in the one report."""
        refusal = has_string(all_of(contains_string("flp"), contains_string("flop")))
        assert_that(
            calling(self.check).with_args("kill flp@5", "kill flip@5", "freeze flop@5"),
            raises(BadFault, matching=refusal),
        )


class ScheduleTests(ClusterTestCase):
    """What faults do to a cluster, each for a time of its own."""

    def faulty(self, *texts: str) -> World:
        """A started cluster that these faults will befall."""
        world = self.cluster()
        schedule(world, [read(text) for text in texts])
        world.start()
        return world

    def test_kill(self) -> None:
        """A killed node serves on and is replaced; with a second time it starts again then."""
        world = self.faulty("kill flip1@20-40")
        world.run(39)
        assert_that(holdings(world), equal_to(FLIP1_DOWN | {"flip1": {TWO}}))
        world.run(SETTLING)
        self.expect(world, ALL_ACTIVE)

    def test_reboot(self) -> None:
        """What was live on a machine is gone with its power, even when no process ran there."""
        world = self.faulty("reboot flip1@20", "kill flip@21", "reboot flip@21.5")
        world.run(20.5)
        assert_that(world["flip1"].held(), empty())
        world.run(1.5)
        assert_that(world["flip"].held(), empty())

    def test_leave(self) -> None:
        """A node that leaves hands over before it ends, and may come back."""
        world = self.faulty("leave flip1@20-40")
        world.run(22)
        assert_that((holdings(world), world["flip1"].node), equal_to((FLIP1_DOWN, None)))
        world.run(18 + SETTLING)
        self.expect(world, ALL_ACTIVE)

    def test_leave_frozen(self) -> None:
        """A frozen node leaves when it thaws."""
        world = self.faulty("freeze flip2@20-21", "leave flip2@20.5")
        world.run(20.9)
        assert_that(world["flip2"].leaving, equal_to(False))
        world.run(2)
        assert_that(world["flip2"].node, none())

    def test_impatient(self) -> None:
        """A second SIGTERM ends a node at once."""
        world = self.faulty(f"hang-hook flip1/down/{TWO}@19", "leave flip1@20", "leave flip1@20.2")
        world.run(20.1)
        assert_that(world["flip1"].node, is_not(none()))
        world.run(0.2)
        assert_that((world["flip1"].node, world["flip1"].held()), equal_to((None, {TWO})))

    def test_restart(self) -> None:
        """A node that runs is killed and started; one that does not is started."""
        world = self.faulty("restart flip2@20", "kill flip1@20", "restart flip1@30")
        world.run(19)
        first = world["flip2"].node
        world.run(2)
        assert_that(world["flip2"].running_node, is_not(same_instance(first)))
        assert_that(world["flip1"].node, none())
        world.run(9 + SETTLING)
        self.expect(world, ALL_ACTIVE)

    def test_restart_empty(self) -> None:
        """A node may start without the disk it had."""
        for kind, kept in (("restart", True), ("restart-empty", False)):
            world = self.faulty(f"{kind} flip1@20")
            world.run(19)
            database = world["flip1"].disk.database()
            world.run(2)
            same = world["flip1"].disk.database() is database
            assert_that((kind, same), equal_to((kind, kept)))

    def test_freeze(self) -> None:
        """A process that is frozen twice thaws when the last one ends."""
        world = self.faulty("freeze flip1@5-20", "freeze flip1,flip2@10-30")
        for until, frozen in ((4, []), (9, ["flip1"]), (25, ["flip1", "flip2"]), (31, [])):
            world.run(until - world.now)
            found = [id for id, machine in world.machines.items() if not machine.running]
            assert_that((until, found), equal_to((until, frozen)))

    def test_freeze_of_the_dead(self) -> None:
        """What does not run cannot be frozen, and thawing it does nothing."""
        world = self.faulty("kill flip1@5", "freeze flip1@6-20", "restart flip1@10")
        world.run(11)
        assert_that(world["flip1"].running, equal_to(True))
        world.run(10)
        assert_that(world["flip1"].running, equal_to(True))

    def test_cuts(self) -> None:
        """Overlapping cuts each last for their own time, whatever ends meanwhile."""
        world = self.faulty(
            "cut flip1@5-40", "cut flip1/flip2@10-20", "cut-one-way flip2/flip@15-30"
        )
        for until, open_ways in (
            (
                4,
                {
                    "flip>flip1",
                    "flip1>flip",
                    "flip>flip2",
                    "flip2>flip",
                    "flip1>flip2",
                    "flip2>flip1",
                },
            ),
            (12, {"flip>flip2", "flip2>flip"}),
            (16, {"flip>flip2"}),
            (25, {"flip>flip2"}),
            (35, {"flip>flip2", "flip2>flip"}),
        ):
            world.run(until - world.now)
            assert_that((until, open_now(world)), equal_to((until, open_ways)))
        world.run(6)
        assert_that(len(open_now(world)), equal_to(6))

    def test_cut_into_three(self) -> None:
        """Of several groups each is cut off from each other."""
        world = self.faulty("cut flip/flip1/flip2@5")
        world.run(6)
        assert_that(open_now(world), empty())

    def test_links(self) -> None:
        """Of several settings of all links the last counts; afterwards they are as before."""
        world = self.faulty(
            "loss 20%@1-9",
            "loss 50%@2-4",
            "duplicate 5%@1-9",
            "latency 1-40ms@1-9",
            "block-tcp 1-9",
        )
        network = world.network
        whole = (0.0, 0.0, network.latency, False)
        for until, state in (
            (0.5, whole),
            (1.5, (0.2, 0.05, (0.001, 0.04), True)),
            (3, (0.5, 0.05, (0.001, 0.04), True)),
            (5, (0.2, 0.05, (0.001, 0.04), True)),
            (10, whole),
        ):
            world.run(until - world.now)
            now = network.loss, network.duplication, network.latency, network.udp_only
            assert_that((until, now), equal_to((until, state)))

    def test_machines(self) -> None:
        """A machine is slow, and its clocks are wrong, for a time; the last to begin counts."""
        world = self.faulty(
            "slow flip:20ms@1-9", "drift flip:+5%@1-9", "drift flip:-5%@2-4", "step flip:+60s@1-9"
        )
        machine = world["flip"]
        whole = machine.slowness, 0.0, 0.0
        for until, state in (
            (0.5, whole),
            (1.5, (0.02, 0.05, 60.0)),
            (3, (0.02, -0.05, 60.0)),
            (5, (0.02, 0.05, 60.0)),
            (10, whole),
        ):
            world.run(until - world.now)
            now = machine.slowness, machine.drift, machine.wall_offset
            assert_that((until, now), equal_to((until, state)))

    def test_slow_hook(self) -> None:
        """A hook may take nearly all of its timeout and end well."""
        world = self.faulty("slow-hook flip/alive@0")
        world.run(9)
        assert_that(world["flip"].held(), equal_to({ONE}))
        claims = world["flip"].running_node.parts.keeper.systems["ip"].claims()
        assert_that(claims[ONE].name, equal_to("TAKING"))
        world.run(5)
        claims = world["flip"].running_node.parts.keeper.systems["ip"].claims()
        assert_that(claims[ONE].name, equal_to("HELD"))

    def test_hooks(self) -> None:
        """Hooks fail while any fault says so, for one data point or for all of the node."""
        world = self.faulty(
            "fail-hook flip,flip1/alive@1-9",
            f"fail-hook flip/alive/{ONE}@2-4",
            "hang-hook flip1/down@1-9",
        )
        both = {("alive", ONE), ("alive", TWO)}
        for until, expected in ((0.5, set()), (3, both), (5, both), (10, set())):
            world.run(until - world.now)
            assert_that((until, world["flip"].failing), equal_to((until, expected)))
        world.run_until(lambda: not world["flip1"].hanging, 1)

    def test_failing_hook(self) -> None:
        """A data point whose hook fails on one node goes to another."""
        world = self.faulty(f"fail-hook flip/alive/{ONE}@0")
        world.run(60)
        assert_that(holdings(world)["flip1"], equal_to({ONE, TWO}))

    def test_observed(self) -> None:
        """Observers hear the text when it begins and when it ends."""
        heard: list[tuple[float, str, bool]] = []

        class Ear(Observer):
            def fault(self, text: str, began: bool) -> None:
                heard.append((world.now, text, began))

        world = self.faulty("freeze flip@5-7", "kill flip2@6")
        world.observe(Ear())
        world.run(10)
        assert_that(
            heard,
            equal_to(
                [
                    (5, "freeze flip@5-7", True),
                    (6, "kill flip2@6", True),
                    (7, "freeze flip@5-7", False),
                ]
            ),
        )


def open_now(world: World) -> set[str]:
    """Between whom packets pass, as ``source>target``."""
    return {
        f"{one.id}>{two.id}"
        for one, two in permutations(world.machines.values(), 2)
        if world.network.passes(one.address, two.address)
    }
