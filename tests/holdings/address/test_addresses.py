"""The provider with a whole keeper: who holds what, in the kernel and in the claims."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.config import System
from flip.holdings.address.addresses import RETRY, Addresses
from flip.holdings.address.dispatch import Dispatch
from flip.holdings.call import Hook
from flip.holdings.journal import Held
from flip.holdings.keeper import Keeper
from flip.wire.claims import Phase
from tests.holdings.address.case import ADDRESS, addresses
from tests.holdings.address.kernel import ETH0, FakeKernel, on
from tests.holdings.bed import (
    HOOKS,
    Hooks,
    Others,
    StandIn,
    Wire,
    asking,
    config,
    open_journal,
    phases,
    system,
)
from tests.matchers import has_item

ONE, TWO, THREE = "10.0.0.1", "10.0.0.2", "10.0.0.3"
CONFIG = json.dumps({"interface": "eth0"}, sort_keys=True)


class Processes(Hooks):
    """Hooks of which none outlives anything."""

    def end_former(self) -> None: ...

    def end_all(self) -> Deferred[None]:
        return succeed(None)


class AddressesCase(SynchronousTestCase):
    """The node me with flip1 and flip2; each has one of three addresses when all is well."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.kernel = FakeKernel(self.clock)

    def build(self, *systems: System, left: tuple[Held, ...] = (), **settings: Any) -> None:
        """A node that has just started, and heard of the others.

        :param left: what its journal names.
        :param settings: of the system "ip".
        """
        data = (ONE, TWO, THREE)
        self.systems = systems or (addresses(data, **{"remove_on_start": False} | settings),)
        self.config = config(*self.systems)
        self.membership = StandIn(self.config)
        self.others = Others(self.config, self.membership.roster)
        self.hooks = Processes()
        directory = Path(self.mktemp())
        before = open_journal(directory, self.clock)
        with before.batch():
            before.forget("ip", "nothing")  # from now on it is complete
            for held in left:
                before.hold(held)
        before.close()
        self.journal = open_journal(directory, self.clock)
        self.addCleanup(self.journal.close)
        self.notes: list[str] = []
        self.troubles: list[str | None] = []
        provided = {one.name: one for one in self.systems if one.provider is not None}
        self.addresses = Addresses(
            self.clock,
            self.kernel,
            provided,
            {(held.system, held.datum) for held in left},
            together=self.journal.batch,
            note=lambda kind, text: self.notes.append(kind),
            trouble=self.troubles.append,
        )
        hooks = {
            one.name: dict.fromkeys(("alive", "down", "verify"), ADDRESS)
            if one.provider is not None
            else HOOKS
            for one in self.systems
        }
        self.keeper = Keeper(
            self.config,
            self.clock,
            self.membership.as_membership(),
            self.journal,
            Dispatch(self.hooks, self.addresses.provider),
            hooks,
            asking(self.config, self.clock, Wire()),
        )
        self.keeper.start()
        self.addresses.start(self.config, self.keeper, self.membership.roster)
        self.addCleanup(self.stop)
        for other in ("flip1", "flip2"):
            self.others.say(other)
        self.membership.become(in_touch=True, settled=True)
        self.settle()

    def stop(self) -> None:
        self.addresses.stop()
        self.keeper.stop()
        assert_that(self.clock.getDelayedCalls(), empty())

    def settle(self, seconds: float = 0.2) -> None:
        """Let the node do what it has to."""
        self.clock.pump([0.01] * round(seconds / 0.01))

    def claims(self, name: str = "ip") -> dict[str, str]:
        """What this node claims, by data point."""
        return {d: phase.name for d, phase in self.keeper.claims().get(name, {}).items()}


class LifeTests(AddressesCase):
    """Taking, letting go, and what the kernel does meanwhile."""

    def test_takes_its_own(self) -> None:
        """What the plan gives this node is put and held."""
        self.build()
        (mine,) = self.claims()
        assert_that([self.claims(), self.kernel.ips()], equal_to([{mine: "HELD"}, [mine]]))

    def test_takes_over(self) -> None:
        """What a server had that is down is put as well, in one batch with one write."""
        self.build()
        self.others.say("flip1", {"ip": dict.fromkeys((ONE, TWO, THREE), Phase.HELD)})
        self.kernel.batches.clear()
        self.others.accuse("flip1", "me", "flip2")
        self.others.accuse("flip2", "me", "flip1")
        self.settle()
        assert_that(self.kernel.ips(), equal_to([ONE, TWO, THREE]))
        assert_that(len(self.kernel.batches), equal_to(1))

    def test_link_down(self) -> None:
        """With its link down the node is ineligible and hands over; up, it takes back."""
        self.build()
        (mine,) = self.claims()
        self.kernel.link("eth0", ETH0._replace(up=False))
        self.settle()
        assert_that(self.membership.own.record.ineligible, equal_to(("ip",)))
        assert_that([self.claims(), self.kernel.ips()], equal_to([{}, []]))
        self.kernel.link("eth0", ETH0)
        self.settle()
        assert_that(self.claims(), equal_to({mine: "HELD"}))

    def test_interface_returns(self) -> None:
        """What failed while there was no interface keeps nobody out when it is back."""
        self.kernel.link("eth0", None)
        self.build()
        for other in ("flip1", "flip2"):  # nobody is fit, so all of them try
            self.others.say(other, ineligible=("ip",))
        self.settle(10)
        self.kernel.link("eth0", ETH0)
        self.settle()
        assert_that(self.membership.own.record.ineligible, empty())
        assert_that(self.kernel.ips(), equal_to([ONE, TWO, THREE]))

    def test_no_capability(self) -> None:
        """Without a capability the node says so and takes nothing, until it has it."""
        self.kernel.lacks = "CAP_NET_RAW missing"
        self.build()
        assert_that(self.troubles, has_item(contains_string("CAP_NET_RAW")))
        assert_that(self.membership.own.record.ineligible, equal_to(("ip",)))
        assert_that(self.claims(), empty())
        self.kernel.lacks = None
        self.settle(RETRY + 0.3)
        assert_that(self.troubles[-1], equal_to(None))
        assert_that(list(self.claims().values()), equal_to(["HELD"]))

    def test_clean_stop(self) -> None:
        """When the node leaves nothing stays behind."""
        self.build()
        self.keeper.release_all()
        self.settle()
        assert_that([self.claims(), self.kernel.ips()], equal_to([{}, []]))


class StoodStillTests(AddressesCase):
    """This process stood still until its kernel had ended its addresses."""

    def setUp(self) -> None:
        super().setUp()
        self.build(kernel_lease=3)
        (self.mine,) = self.claims()
        for address in list(self.kernel.addresses()):
            self.kernel.take(address)
        self.kernel.news()

    def test_held_by_another(self) -> None:
        """What another node holds by now is not put back, but let go of (R2)."""
        holder = {"ip": {self.mine: Phase.HELD}}
        self.others.say("flip1", holder)
        self.clock.advance(8)
        self.settle()
        assert_that(self.kernel.ips(), empty())
        assert_that(self.claims(), equal_to({}))

    def test_held_by_nobody(self) -> None:
        """What nobody has is taken again, by a new claim."""
        self.clock.advance(8)
        self.settle()
        assert_that(self.kernel.ips(), equal_to([self.mine]))
        assert_that(self.claims(), equal_to({self.mine: "HELD"}))

    def test_not_before_the_others_were_heard(self) -> None:
        """While it has not heard the others out it puts nothing back, and says it is unsure."""
        self.membership.become(in_touch=False, settled=False)
        self.clock.advance(8)
        self.settle()
        assert_that(self.kernel.ips(), empty())
        assert_that(self.claims(), equal_to({self.mine: "UNSURE"}))
        assert_that(phases(self.journal), equal_to({self.mine: "UNSURE"}))


class WaitTests(AddressesCase):
    """`wait_for_lease`."""

    def test_waits(self) -> None:
        """A dead owner's address is taken when its lifetime must be over, not before."""
        self.build(kernel_lease=3, wait_for_lease=True)
        (mine,) = self.claims()
        rest = [ip for ip in (ONE, TWO, THREE) if ip != mine]
        self.others.say("flip1", {"ip": dict.fromkeys(rest, Phase.HELD)})
        self.settle()
        self.others.accuse("flip1", "me", "flip2")
        self.others.accuse("flip2", "me", "flip1")
        self.settle(4.0)
        assert_that(self.kernel.ips(), equal_to([mine]))
        reason = self.keeper.outlook.obstacle("ip", rest[0])
        assert_that(str(reason), contains_string("flip1 is down"))
        self.settle(0.3)
        assert_that(self.kernel.ips(), equal_to([ONE, TWO, THREE]))


class ChangeTests(AddressesCase):
    """The configuration changed while the node was away."""

    def test_from_hooks(self) -> None:
        """What a hook put is let go of by that hook, then put by flip."""
        old = Held("ip", ONE, Phase.HELD, ("/hooks/old",), '{"path": "/srv"}', (ONE,))
        self.build(left=(old,))
        assert_that(self.hooks.news(), equal_to([f"down {ONE}"]))
        self.assertNotIn(ONE, self.kernel.ips())
        self.hooks.succeed(ONE)
        self.settle()
        assert_that(self.kernel.ips() in ([ONE], [TWO], [THREE]), equal_to(True))

    def test_to_hooks(self) -> None:
        """What flip put is removed by flip, though the system has hooks by now."""
        self.kernel.add(on(ONE))
        old = Held("ip", ONE, Phase.HELD, ("address",), CONFIG, (ONE,))
        self.build(system(data=(ONE, TWO, THREE), config={}, remove_on_start=False), left=(old,))
        assert_that(self.kernel.ips(), empty())
        self.assertNotIn(f"down {ONE}", self.hooks.news())

    def test_another_interface(self) -> None:
        """What was on another interface is removed there."""
        self.kernel.link("eth1", ETH0._replace(name="eth1", number=3))
        self.kernel.add(on(ONE, interface="eth1"))
        old = Held("ip", ONE, Phase.HELD, ("address",), '{"interface": "eth1"}', (ONE,))
        self.build(left=(old,))
        self.assertNotIn(on(ONE, interface="eth1"), self.kernel.addresses())

    def test_system_is_gone(self) -> None:
        """What is left of a system that is not configured any more is removed."""
        self.kernel.add(on("10.0.9.9"))
        old = Held("old", "10.0.9.9", Phase.HELD, ("address",), CONFIG, ("10.0.9.9",))
        self.build(left=(old,))
        self.assertNotIn("10.0.9.9", self.kernel.ips())
        self.assertNotIn("old", self.keeper.claims())


class RecordTests(SynchronousTestCase):
    """How the journal names what lets go of a data point."""

    def test_round_trip(self) -> None:
        """A provider and a program are told apart, and an unknown one is neither."""
        for hook in (Hook("address", ()), Hook("/hooks/down", ("/usr/bin/python3", "/hooks/down"))):
            again = Hook.of_record(hook.recorded)
            assert_that([again.argv, again.provided], equal_to([hook.argv, hook.provided]))
        assert_that(Hook.of_record(()).provided, equal_to(False))
        # A program that is called like the provider has a path.
        assert_that(Hook("address", ("/hooks/address",)).provided, equal_to(False))
