"""What others do to the addresses that this node keeps is undone."""

from __future__ import annotations

from hamcrest import assert_that, contains_string, empty, equal_to, has_length

from tests.holdings.address.case import ProviderCase
from tests.holdings.address.kernel import ETH0, on


class RemovedTests(ProviderCase):
    """Somebody removes an address by hand."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.repair.stop)
        for datum in ("10.0.0.1", "10.0.0.2"):
            self.run_call("alive", datum)
        self.kernel.news()

    def test_put_back(self) -> None:
        """It is put back at once, announced, and an event."""
        self.kernel.take(on("10.0.0.1"))
        self.clock.advance(0)
        self.clock.advance(0)
        assert_that(self.kernel.ips(), equal_to(["10.0.0.1", "10.0.0.2"]))
        assert_that([kept.point[1] for kept in self.restored], equal_to(["10.0.0.1"]))
        ((kind, text),) = self.notes
        assert_that(kind, equal_to("address-removed"))
        assert_that(text, contains_string("10.0.0.1/32 on eth0"))

    def test_all_at_once(self) -> None:
        """All addresses of an interface are one event and one batch."""
        for ip in ("10.0.0.1", "10.0.0.2"):
            self.kernel.take(on(ip))
        self.clock.advance(0)
        self.clock.advance(0)
        assert_that([len(self.kernel.batches), len(self.notes)], equal_to([1, 1]))
        assert_that(self.kernel.ips(), has_length(2))

    def test_keeps_vanishing(self) -> None:
        """When it keeps vanishing it is put back ever more slowly, and told once in a minute."""
        puts = 0
        for _ in range(600):
            if on("10.0.0.1") in self.kernel.addresses():
                puts += 1
                self.kernel.take(on("10.0.0.1"))
            self.clock.advance(0.1)
        assert_that(5 < puts < 16, equal_to(True), f"{puts} times in a minute")
        assert_that(self.notes, has_length(1))

    def test_calms_down(self) -> None:
        """Much later it is put back at once again."""
        for _ in range(4):
            self.kernel.take(on("10.0.0.1"))
            self.pass_time(3, 0.1)
        self.pass_time(60)
        self.kernel.take(on("10.0.0.1"))
        self.clock.advance(0)
        self.clock.advance(0)
        assert_that(self.kernel.ips(), has_length(2))
        assert_that(self.notes, has_length(2))

    def test_own_doing(self) -> None:
        """What was let go of is not put back, even if the kernel's word comes late."""
        self.run_call("down", "10.0.0.1")
        self.repair.vanished(on("10.0.0.1"))
        self.pass_time(1)
        assert_that(self.kernel.ips(), equal_to(["10.0.0.2"]))
        assert_that(self.notes, empty())

    def test_foreign(self) -> None:
        """Of other people's addresses it knows nothing."""
        self.kernel.add(on("10.0.0.77"))
        self.kernel.take(on("10.0.0.77"))
        self.pass_time(1)
        assert_that([self.kernel.news(), self.notes], equal_to([[], []]))


class LinkTests(ProviderCase):
    """The interface goes and comes."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.repair.stop)
        self.run_call("alive", "10.0.0.1")
        self.kernel.news()

    def test_comes_up(self) -> None:
        """What is there when the link comes up is announced again."""
        self.kernel.link("eth0", ETH0._replace(up=False))
        self.clock.advance(1)
        assert_that(self.restored, empty())
        self.kernel.link("eth0", ETH0)
        assert_that([kept.point[1] for kept in self.restored], equal_to(["10.0.0.1"]))

    def test_vanishes_and_returns(self) -> None:
        """What vanished with the interface is put back with it, without any complaint."""
        self.kernel.link("eth0", None)
        self.pass_time(2)
        assert_that([self.kernel.news(), self.notes], equal_to([[], []]))
        self.kernel.link("eth0", ETH0._replace(number=7))
        self.clock.advance(0)
        assert_that(self.kernel.ips(), equal_to(["10.0.0.1"]))
        assert_that([kept.point[1] for kept in self.restored], equal_to(["10.0.0.1"]))

    def test_removed_while_it_is_down(self) -> None:
        """IPv6 addresses go with a link that is set down; they come back with it."""
        self.kernel.link("eth0", ETH0._replace(up=False))
        self.kernel.take(on("10.0.0.1"))
        self.pass_time(2)
        assert_that([self.kernel.news(), self.notes], equal_to([[], []]))
        self.kernel.link("eth0", ETH0)
        assert_that(self.kernel.ips(), equal_to(["10.0.0.1"]))
