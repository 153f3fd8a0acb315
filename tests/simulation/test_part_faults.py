"""Faults of links, addresses, checks and operators: what they do, and to whom they can happen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hamcrest import assert_that, calling, contains_string, empty, equal_to, has_string
from twisted.trial.unittest import SynchronousTestCase

from flip.addresses.kernel import Address
from flip.config import Config, load
from flip.errors import BadFault
from flip.simulation.faults import check, read, schedule
from flip.simulation.faults.links import STRANGER
from flip.simulation.world import World
from flip.wire.standing import Standing
from tests.cluster.case import ALL_ACTIVE, FLIP1_DOWN, ONE, STORY, TWO, holdings, system
from tests.matchers import raises

CHECK = {"tcp": "127.0.0.1:80", "interval": 300, "timeout": 200, "rise": 1, "fall": 2}
REST = 4.0  # seconds until the story's cluster is at rest
WITNESS = "10.0.0.254"


def addresses(**settings: Any) -> dict[str, Any]:
    """The story with addresses that flip sets itself."""
    described = system(provider="address", config={"interface": "eth0"}, **settings)
    for event in ("alive", "down"):
        del described["cluster"]["system"]["ip"][event]
    return described


class FaultTestCase(SynchronousTestCase):
    """A world, and faults in it."""

    def faulty(self, description: dict[str, Any], *texts: str) -> World:
        """A started cluster that faults will befall."""
        world = World(description, 1)
        self.addCleanup(world.close)
        schedule(world, map(read, texts))
        world.start()
        world.run(REST)
        assert_that(holdings(world), equal_to(ALL_ACTIVE))
        return world


class LinkTests(FaultTestCase):
    """What befalls addresses."""

    def test_link(self) -> None:
        """Whose link is down hands over, and has it back when it is up again."""
        world = self.faulty(addresses(), "link flip1@5-10")
        world.run(2)
        assert_that(world["flip1"].stack.links["eth0"].up, equal_to(False))
        assert_that(holdings(world), equal_to(FLIP1_DOWN))
        world.run(6)
        assert_that(world["flip1"].stack.links["eth0"].up, equal_to(True))
        assert_that(holdings(world), equal_to(ALL_ACTIVE))

    def test_overlapping(self) -> None:
        """A link is up again when the last of its faults is over."""
        world = self.faulty(addresses(), "link flip1@5-10", "link flip,flip1/eth0@6-12")
        world.run(7)
        assert_that(world["flip1"].stack.links["eth0"].up, equal_to(False))
        world.run(2)
        assert_that(world["flip1"].stack.links["eth0"].up, equal_to(True))

    def test_unplug(self) -> None:
        """An interface vanishes with its addresses; afterwards all is as before."""
        world = self.faulty(addresses(), "unplug flip1/eth0@5-10")
        world.run(2)
        assert_that(dict(world["flip1"].stack.links), equal_to({}))
        assert_that(holdings(world), equal_to(FLIP1_DOWN))
        world.run(7)
        assert_that(holdings(world), equal_to(ALL_ACTIVE))

    def test_vanish(self) -> None:
        """Somebody removes an address, which is put back."""
        world = self.faulty(addresses(), f"vanish flip1/{TWO}@5")
        world.run_until(lambda: not world["flip1"].served, 2)
        world.run(1)
        assert_that(holdings(world), equal_to(ALL_ACTIVE))

    def test_vanish_with_hooks(self) -> None:
        """What is looked after by a `verify` hook is made live again."""
        world = self.faulty(system(verify="look", check_interval=1000), "vanish flip1@5")
        world.run_until(lambda: not world["flip1"].served, 2)
        world.run(3)
        assert_that(holdings(world), equal_to(ALL_ACTIVE))

    def test_refused(self) -> None:
        """What fails hooks lets the kernel refuse."""
        world = self.faulty(addresses(), "fail-hook flip/alive@5", "kill flip1@6")
        world.run(6)
        assert_that(holdings(world)["flip"], equal_to({ONE}))

    def test_conflict(self) -> None:
        """A stranger answers for an address."""
        world = self.faulty(addresses(), f"conflict {TWO}@5-8", f"conflict {TWO}@6-9")
        ip = Address("eth0", TWO, 32).ip
        world.run(4.5)
        answers = [mac for _, mac in world.segment.answers(world["flip1"], ip)]
        assert_that(answers, equal_to([STRANGER]))
        world.run(1)
        assert_that(list(world.segment.answers(world["flip1"], ip)), empty())

    def test_overrun(self) -> None:
        """What the kernel tells gets lost, and is found out all the same."""
        world = self.faulty(addresses(), "overrun flip1@4.5-9", "link flip1@5-8")
        assert_that(world["flip1"].overruns, equal_to(0.0))
        world.run(3)
        assert_that(world["flip1"].overruns, equal_to(0.5))
        assert_that(holdings(world), equal_to(FLIP1_DOWN))
        world.run(6)
        assert_that(holdings(world), equal_to(ALL_ACTIVE))


class CheckFaultTests(FaultTestCase):
    """What befalls health checks."""

    def test_fails(self) -> None:
        """A node whose check fails, at once or at its timeout, hands over for as long."""
        for kind in ("fail-check", "hang-check"):
            world = self.faulty(system(check=CHECK), f"{kind} flip1/ip@5-10")
            world.run(5)
            assert_that(world["flip1"].standing("ip"), equal_to(Standing.UNFIT))
            assert_that(holdings(world), equal_to(FLIP1_DOWN))
            world.run(6)
            assert_that(holdings(world), equal_to(ALL_ACTIVE))

    def test_flaps(self) -> None:
        """A check that flaps fails now and then."""
        world = self.faulty(system(check=CHECK | {"fall": 1}), "flap-check flip1@5-20")
        said: set[Standing] = set()
        for _ in range(100):
            world.run(0.1)
            said.add(world["flip1"].standing("ip"))
        assert_that(said, equal_to({Standing.FIT, Standing.UNFIT}))


class OperatorTests(FaultTestCase):
    """What operators say."""

    def test_drain(self) -> None:
        """A drained node hands over, until that is taken back."""
        world = self.faulty(STORY, "drain flip1@5-10")
        world.run(3)
        assert_that(holdings(world), equal_to(FLIP1_DOWN))
        world.run(5)
        assert_that(holdings(world), equal_to(ALL_ACTIVE))

    def test_drain_of_the_dead(self) -> None:
        """The command is repeated until a process takes it, unless another follows."""
        world = self.faulty(STORY, "kill flip1@4.5-9", "drain flip1@5-7")
        world.run(10)
        assert_that(world["flip1"].standing("ip"), equal_to(Standing.FIT))
        world = self.faulty(STORY, "kill flip1@4.5-9", "drain flip1@5-20")
        world.run(10)
        assert_that(world["flip1"].standing("ip"), equal_to(Standing.DRAINED))

    def test_confirm_down(self) -> None:
        """Two of three are gone for good: the last one takes all over when it is told so."""
        world = self.faulty(STORY, "reboot flip1,flip2@5", "confirm-down flip1,flip2@12")
        world.run(7)
        assert_that(holdings(world)["flip"], equal_to({ONE}))
        world.run(8)
        assert_that(holdings(world), equal_to(FLIP1_DOWN))

    def test_not_believed(self) -> None:
        """Nobody believes that of a server that answers."""
        world = self.faulty(STORY, "confirm-down flip1@5")
        world.run(8)
        assert_that(holdings(world), equal_to(ALL_ACTIVE))

    def test_no_witness(self) -> None:
        """Of two, one that reaches no witness takes nothing."""
        pair: dict[str, Any] = {**STORY, "servers": dict(STORY["servers"])}
        del pair["servers"]["flip2"], pair["quorum"]
        pair["witness"] = {"ping": [WITNESS]}
        for fault, held in (("link", {ONE, TWO}), ("no-witness", {ONE})):
            faults = ["reboot flip1@6"]
            if fault == "no-witness":
                faults.append("no-witness flip@5")
            world = World(pair, 1)
            self.addCleanup(world.close)
            schedule(world, map(read, faults))
            world.start()
            world.run(20)
            assert_that((fault, world["flip"].held()), equal_to((fault, held)))


class ProblemTests(SynchronousTestCase):
    """To whom it cannot happen."""

    def config(self, description: dict[str, Any]) -> Config:
        """A configuration as it is loaded."""
        path = Path(self.mktemp())
        path.write_text(json.dumps({"id": "flip", **description}))
        return load(path, environ={})

    def assert_refused(self, description: dict[str, Any], text: str, reason: str) -> None:
        """A fault does not fit a cluster, for a reason."""
        config = self.config(description)
        matcher = has_string(contains_string(reason))
        assert_that(
            calling(check).with_args([read(text)], config, 60.0),
            raises(BadFault, matching=matcher),
        )

    def test_nothing_to_break(self) -> None:
        """Nodes without addresses, checks, systems or witnesses are told so."""
        for text, reason in {
            "link flip@5": '"flip" has no addresses that flip itself sets',
            "overrun flip@5": '"flip" has no addresses that flip itself sets',
            "vanish flip@5": '"flip" has nothing that would be missed',
            "conflict 192.168.0.1@5": 'flip sets no address "192.168.0.1"',
            "fail-check flip@5": '"flip" lists no system with a check',
            "drain flip2@5": '"flip2" lists no system',
            "no-witness flip@5": '"flip" has no witness to lose',
            "confirm-down flip,flip1,flip2@5": "nobody is left to be told",
        }.items():
            self.assert_refused(STORY, text, reason)

    def test_no_hooks(self) -> None:
        """Hooks that flip does not need do not hang; the kernel may refuse."""
        self.assert_refused(addresses(), "hang-hook flip/alive@5", "runs no hooks")
        check([read("fail-hook flip/alive@5")], self.config(addresses()), 60.0)

    def test_other_names(self) -> None:
        """A part that a node has not is named, with what is meant."""
        self.assert_refused(addresses(), "link flip/eth1@5", 'no interface "eth1"; did you mean')
        self.assert_refused(system(check=CHECK), "fail-check flip/pi@5", 'check "pi"; there are ip')
        self.assert_refused(addresses(), f"conflict {ONE}1@5", "did you mean")

    def test_moments(self) -> None:
        """What happens once has no end."""
        for text in ("vanish flip@5-6", "confirm-down flip@5-6"):
            matcher = has_string(contains_string("it happens once"))
            assert_that(calling(read).with_args(text), raises(BadFault, matching=matcher))
