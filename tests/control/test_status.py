"""Tests for `flip.control.status`, on real nodes in virtual time."""

from __future__ import annotations

import json
import time
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to, has_key, less_than

from flip.control.status import status
from flip.holdings.journal import RETRY
from flip.simulation.world import World
from tests.cluster.case import ONE, TWO, ClusterTestCase, larger, system
from tests.matchers import all_of, has_entries, has_item


def ask(world: World, id: str) -> dict[str, Any]:
    """What a node answers, as a script reads it."""
    node = world[id].node
    assert node is not None
    answer: dict[str, Any] = json.loads(json.dumps(status(node.parts), allow_nan=False))
    return answer


class ContractTests(ClusterTestCase):
    """What scripts rely on."""

    def test_all_active(self) -> None:
        """Every promised field, on every node."""
        world = self.story()
        world.run(1)
        for id, held in (("flip", [ONE]), ("flip1", [TWO])):
            answer = ask(world, id)
            assert_that(answer, has_entries(id=id, in_touch=True, quorum=2, alarms=[]))
            node = world[id].node
            assert node is not None
            incarnation = node.parts.membership.own.record.incarnation
            assert_that(answer["incarnation"], equal_to(incarnation))
            assert_that(
                answer["systems"]["ip"], has_entries(wanted=held, held=held, failed={}, waiting={})
            )
        assert_that(ask(world, "flip2")["systems"], empty())
        for asked in ("flip1", "flip2"):
            answer = ask(world, asked)
            for id, held in (("flip", [ONE]), ("flip1", [TWO])):
                member = answer["members"][id]
                assert_that(member, has_entries(state="alive", votes=[], status="active"))
                assert_that(member["systems"]["ip"], has_entries(held=held, eligible=True))
            assert_that(answer["members"]["flip2"], has_entries(state="alive", systems={}))

    def test_groups(self) -> None:
        """A group is there by its id, and its members beside it."""
        group = {"id": "web", "members": [TWO, "192.168.0.3"], "prefer": "flip1"}
        world = self.cluster(system(data=[group, ONE]))
        world.start()
        world.run_until(lambda: ask(world, "flip1")["systems"]["ip"]["held"] == ["web"], 12)
        answer = ask(world, "flip1")["systems"]["ip"]
        assert_that(answer, has_entries(groups={"web": [TWO, "192.168.0.3"]}, wanted=["web"]))

    def test_before_anybody_was_heard(self) -> None:
        """A node that is alone says so, and fails at nothing that it does not know."""
        world = self.cluster()
        world.start("flip")
        world.run(0.1)
        answer = ask(world, "flip")
        assert_that(answer, has_entries(in_touch=False, settled=False, status="joining"))
        assert_that(
            answer["members"]["flip1"],
            has_entries(state="alive", status=None, last_ack=None, config="unknown"),
        )
        waiting = "not in touch and settled: nothing is taken or released"
        assert_that(answer["systems"]["ip"]["waiting"], has_entries({ONE: waiting}))

    def test_down(self) -> None:
        """A dead member, with those who say so; its last claims are what it claimed."""
        world = self.story()
        world["flip1"].kill()
        world.run(10)
        for id in ("flip", "flip2"):
            answer = ask(world, id)
            assert_that(answer["members"]["flip1"], has_entries(state="down"))
            assert_that(answer["members"]["flip1"]["votes"], equal_to(["flip", "flip2"]))
        assert_that(sorted(ask(world, "flip")["systems"]["ip"]["held"]), equal_to([ONE, TWO]))
        kinds = [event["kind"] for event in ask(world, "flip")["events"]]
        assert_that(kinds, all_of(has_item("probably-down"), has_item("down")))

    def test_last_ack(self) -> None:
        """Ages are seconds, of the others' last answers."""
        world = self.story()
        world.run(20)
        members = ask(world, "flip")["members"]
        assert_that(members["flip"]["last_ack"], equal_to(0))
        assert_that(members["flip1"]["last_ack"], less_than(3.0))


class TroubleTests(ClusterTestCase):
    """What somebody has to act on."""

    def test_failing_alive(self) -> None:
        """A hook that fails: the reason, also after the claim was dropped."""
        world = self.story()
        world["flip"].failing.add(("alive", TWO))
        world["flip1"].kill()
        world.run(4)
        assert_that(
            ask(world, "flip")["systems"]["ip"]["failed"],
            has_entries({TWO: "alive: (exit status 1)"}),
        )

    def test_witness(self) -> None:
        """Whether a witness answers, since when each has not, and an alarm while none does."""
        gateway = "10.0.0.254"
        world = self.cluster({**system(), "witness": {"ping": [gateway]}})
        world.start()
        world.run(5)
        found = ask(world, "flip")
        assert_that(found["witness"], has_entries(reached=True, trouble=None))
        assert_that(found["witness"]["answered"][gateway], less_than(1.0))
        assert_that(found["alarms"], empty())
        world.network.cut([gateway], world.addresses("flip"))
        world.run(5)
        found = ask(world, "flip")
        assert_that(found["witness"]["reached"], equal_to(False))
        text = "no witness answers: while that lasts, it helps nobody to take over"
        assert_that(found["alarms"], equal_to([text]))
        assert_that(found["in_touch"], equal_to(True))

    def test_no_witness(self) -> None:
        """Where there is none, there is nothing to say."""
        assert_that(ask(self.story(), "flip")["witness"], equal_to(None))

    def test_given_up(self) -> None:
        """A node that gave up says for what, since when it is ineligible and why."""
        world = self.cluster()
        world["flip1"].failing.add(("alive", TWO))
        world.start()
        world.run(15)
        system = ask(world, "flip1")["systems"]["ip"]
        assert_that(system, has_entries(wanted=[], held=[]))
        assert_that(system["failed"], has_key(TWO))
        assert_that(system["ineligible"], equal_to("its alive hook kept failing"))
        assert_that(
            ask(world, "flip")["members"]["flip1"]["systems"]["ip"], has_entries(eligible=False)
        )

    def test_stubborn_down(self) -> None:
        """A `down` that never ends well blocks others: an alarm with the cure."""
        world = self.story()
        world["flip1"].kill()
        world.run(10)
        world["flip"].failing.add(("down", TWO))
        world["flip1"].start()
        world.run(10)
        answer = ask(world, "flip")
        (alarm,) = answer["alarms"]
        assert_that(alarm, contains_string(f"flip release ip {TWO} --force"))
        assert_that(
            ask(world, "flip1")["systems"]["ip"]["waiting"],
            equal_to({TWO: "claimed by flip (releasing)"}),
        )

    def test_another_configuration(self) -> None:
        """Who does not plan says what it waits for (R7)."""
        world = self.story()
        newer = world.configure(system(data=[TWO, ONE, "192.168.0.3"]) | {"config_version": 1})
        world["flip2"].kill()
        world["flip2"].start(world.configuration_of("flip2", newer))
        world.run(5)
        world["flip1"].kill()
        world.run(10)
        waiting = "another configuration plans until all members run the same"
        assert_that(ask(world, "flip")["systems"]["ip"]["waiting"], equal_to({TWO: waiting}))

    def test_journal(self) -> None:
        """A journal that cannot be written is an alarm, until it can: an idle node looks, too."""
        world = self.story()
        node = world["flip"].node
        assert node is not None
        node.journal._fail(OSError("no space"))
        assert_that(ask(world, "flip")["alarms"], has_item(contains_string("no space")))
        world.run(2 * RETRY)
        assert_that(ask(world, "flip")["alarms"], empty())


class SizeTests(ClusterTestCase):
    """A large system."""

    def test_ten_thousand_data_points(self) -> None:
        """The answer takes a fraction of a second: nothing in it is quadratic."""
        world = self.cluster(larger(3, 10_000))
        world.start("n0")
        world.run(0.2)
        began = time.process_time()
        answer = ask(world, "n0")
        assert_that(time.process_time() - began, less_than(1.0))
        assert_that(len(answer["systems"]["ip"]["waiting"]), equal_to(10_000))
