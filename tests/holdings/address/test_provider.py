"""Calls of the keeper's become batches for the kernel."""

from __future__ import annotations

from errno import EPERM

from hamcrest import assert_that, contains_string, empty, equal_to, has_length

from flip.addresses.kernel import Assigned, Put, Remove
from tests.holdings.address.case import WELL, ProviderCase, addresses, outcome_of
from tests.holdings.address.kernel import on


class AliveTests(ProviderCase):
    """Addresses are put and announced."""

    def test_put(self) -> None:
        """A data point's address is put for ever, with flip's label."""
        assert_that(self.run_call("alive", "10.0.0.1"), equal_to(WELL))
        assert_that(self.kernel.news(), equal_to([Put(on("10.0.0.1"), None, "flip")]))

    def test_no_label_for_ipv6(self) -> None:
        """IPv6 has no labels, and its own default prefix."""
        self.run_call("alive", "fd00::1")
        assert_that(self.kernel.news(), equal_to([Put(on("fd00::1", 128), None, None)]))

    def test_announced(self) -> None:
        """It is announced at once, and again after 1 and 5 seconds."""
        self.run_call("alive", "10.0.0.1")
        self.pass_time(10)
        times = [time - 1000 for time, _ in self.kernel.announced]
        assert_that(times, equal_to([0.0, 1.0, 5.0]))
        assert_that({some for _, some in self.kernel.announced}, equal_to({(on("10.0.0.1"),)}))

    def test_one_batch(self) -> None:
        """All that is asked for in one turn is one batch, one announcement, one write."""
        done = [self.start("alive", f"10.0.{n // 250}.{n % 250 + 1}") for n in range(1000)]
        self.clock.advance(0)
        assert_that([outcome_of(one) for one in done], equal_to([WELL] * 1000))
        assert_that(self.kernel.batches, has_length(1))
        assert_that(self.kernel.announced, has_length(1))
        assert_that(self.together, equal_to(1))

    def test_refused(self) -> None:
        """What the kernel refuses fails with its reason, and is neither kept nor announced."""
        self.kernel.refused[on("10.0.0.1")] = EPERM
        outcomes = [self.start("alive", "10.0.0.1"), self.start("alive", "10.0.0.2")]
        self.clock.advance(0)
        reason, well = map(outcome_of, outcomes)
        assert_that(reason, contains_string("10.0.0.1/32 on eth0"))
        assert_that(well, equal_to(WELL))
        assert_that(self.kernel.announced, equal_to([(1000, (on("10.0.0.2"),))]))
        assert_that(("ip", "10.0.0.1") in self.keeping, equal_to(False))

    def test_a_hundred_of_a_thousand_refused(self) -> None:
        """A hundred failures are theirs alone."""
        bad = [on(f"10.0.9.{n}") for n in range(100)]
        self.kernel.refused.update(dict.fromkeys(bad, EPERM))
        good = [f"10.0.{n // 250}.{n % 250 + 1}" for n in range(900)]
        done = [self.start("alive", ip) for ip in [*good, *(one.ip for one in bad)]]
        self.clock.advance(0)
        failed = [outcome_of(one) != WELL for one in done]
        assert_that(failed, equal_to([False] * 900 + [True] * 100))
        assert_that(self.kernel.ips(), equal_to(sorted(good)))

    def test_interface_is_gone(self) -> None:
        """To run it again for what is kept is no failure: it is put back with the interface."""
        self.run_call("alive", "10.0.0.1")
        self.kernel.link("eth0", None)
        self.kernel.news()
        assert_that(self.run_call("alive", "10.0.0.1"), equal_to(WELL))
        assert_that(self.run_call("alive", "10.0.0.2"), contains_string("no such interface"))
        assert_that(self.kernel.news(), has_length(1))

    def test_not_an_address(self) -> None:
        """A datum that is no address fails by itself, without the kernel."""
        assert_that(self.run_call("alive", "billing"), contains_string("billing"))
        assert_that(self.kernel.batches, empty())

    def test_own_prefix(self) -> None:
        """A prefix in the datum comes before the configured one, that before the default."""
        self.run_call("alive", "10.0.0.1/24", prefix=16)
        self.run_call("alive", "10.0.0.2", prefix=16)
        puts = [on("10.0.0.1", 24), on("10.0.0.2", 16)]
        assert_that([change.address for change in self.kernel.news()], equal_to(puts))

    def test_waits_for_the_kernel(self) -> None:
        """Before the kernel has answered for the first time calls wait, and are then one batch."""
        self.provider.ready = False
        done = self.start("alive", "10.0.0.1")
        self.clock.advance(5)
        assert_that(self.kernel.batches, empty())
        self.provider.open()
        self.clock.advance(0)
        assert_that(outcome_of(done), equal_to(WELL))

    def test_no_kernel(self) -> None:
        """When the kernel cannot be asked calls fail with the reason."""
        self.provider.open("address: CAP_NET_ADMIN missing")
        assert_that(self.run_call("alive", "10.0.0.1"), contains_string("CAP_NET_ADMIN"))

    def test_stopped(self) -> None:
        """What still waits at the end fails, and nothing is put any more."""
        done = self.start("alive", "10.0.0.1")
        self.provider.stop()
        self.clock.advance(0)
        assert_that(outcome_of(done), contains_string("flip ends"))
        assert_that(self.kernel.batches, empty())


class GroupTests(ProviderCase):
    """All or nothing."""

    def test_all(self) -> None:
        """All members are put, in order."""
        self.run_call("alive", "web", "10.0.0.1", "fd00::1", undo=True)
        puts = [on("10.0.0.1"), on("fd00::1")]
        assert_that([change.address for change in self.kernel.news()], equal_to(puts))

    def test_undone(self) -> None:
        """When one member fails the others are taken away again."""
        self.kernel.refused[on("10.0.0.2")] = EPERM
        reason = self.run_call("alive", "web", "10.0.0.1", "10.0.0.2", undo=True)
        assert_that(reason, contains_string("10.0.0.2"))
        assert_that(self.kernel.ips(), empty())

    def test_not_undone(self) -> None:
        """What was there before the call stays, and so does all that is held already."""
        self.kernel.add(on("10.0.0.1"))
        self.kernel.refused[on("10.0.0.2")] = EPERM
        self.run_call("alive", "web", "10.0.0.1", "10.0.0.2", undo=True)
        assert_that(self.kernel.ips(), equal_to(["10.0.0.1"]))
        self.run_call("alive", "web", "10.0.0.3", "10.0.0.2", undo=False)
        assert_that(self.kernel.ips(), equal_to(["10.0.0.1", "10.0.0.3"]))


class DownTests(ProviderCase):
    """Addresses are removed, but only flip's own (R4)."""

    systems = (addresses(), addresses(name="new"))
    recorded = (("ip", "10.0.0.9"),)

    def test_removed(self) -> None:
        """What was put is removed, and not announced any more."""
        self.run_call("alive", "10.0.0.1")
        assert_that(self.run_call("down", "10.0.0.1"), equal_to(WELL))
        self.pass_time(10)
        assert_that(self.kernel.ips(), empty())
        assert_that(self.kernel.announced, has_length(1))

    def test_recorded(self) -> None:
        """What the journal names is removed, whatever it looks like."""
        self.kernel.add(on("10.0.0.9"))
        self.run_call("down", "10.0.0.9")
        assert_that(self.kernel.ips(), empty())

    def test_foreign(self) -> None:
        """What flip did not put is left alone, though the call ends well."""
        self.kernel.add(on("10.0.0.1"))
        assert_that(self.run_call("down", "10.0.0.1"), equal_to(WELL))
        assert_that(self.kernel.ips(), equal_to(["10.0.0.1"]))

    def test_marked_or_labelled(self) -> None:
        """Without the journal flip knows its own by the mark and by the label."""
        self.kernel.add(on("10.0.0.1"), Assigned(marked=True))
        self.kernel.add(on("10.0.0.2"), Assigned(label="flip"))
        self.kernel.add(on("10.0.0.3"), Assigned(label="other"))
        for datum in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
            self.run_call("down", datum)
        assert_that(self.kernel.ips(), equal_to(["10.0.0.3"]))

    def test_owned_by_another(self) -> None:
        """What another data point has taken meanwhile stays (a system was renamed)."""
        self.run_call("alive", "10.0.0.9", system="new")
        self.kernel.news()
        assert_that(self.run_call("down", "10.0.0.9"), equal_to(WELL))
        assert_that(self.kernel.news(), empty())

    def test_taken_by_another(self) -> None:
        """Of two data points that took the same address the later one goes on keeping it."""
        self.run_call("alive", "10.0.0.9")
        self.run_call("alive", "10.0.0.9", system="new")
        self.run_call("down", "10.0.0.9")
        self.kernel.take(on("10.0.0.9"))
        self.pass_time(0.5)
        assert_that(self.kernel.ips(), equal_to(["10.0.0.9"]))

    def test_no_interface(self) -> None:
        """On an interface that is gone nothing is left."""
        self.run_call("alive", "10.0.0.1")
        self.kernel.link("eth0", None)
        assert_that(self.run_call("down", "10.0.0.1"), equal_to(WELL))

    def test_refused(self) -> None:
        """What cannot be removed is a failure, and is tried again with the next call."""
        self.run_call("alive", "10.0.0.1")
        self.kernel.refused[on("10.0.0.1")] = EPERM
        assert_that(self.run_call("down", "10.0.0.1"), contains_string("10.0.0.1"))
        self.kernel.refused.clear()
        self.kernel.news()
        assert_that(self.run_call("down", "10.0.0.1"), equal_to(WELL))
        assert_that(self.kernel.news(), equal_to([Remove(on("10.0.0.1"))]))

    def test_old_interface(self) -> None:
        """What was taken on another interface is removed there."""
        self.kernel.link("eth1", self.kernel.links()["eth0"]._replace(name="eth1"))
        self.kernel.add(on("10.0.0.9", interface="eth1"))
        self.run_call("down", "10.0.0.9", interface="eth1")
        assert_that(self.kernel.ips(), empty())


class CheckTests(ProviderCase):
    """Whether everything is really here."""

    def test_here(self) -> None:
        """All is there."""
        self.run_call("alive", "web", "10.0.0.1", "10.0.0.2")
        assert_that(self.run_call("check", "web", "10.0.0.1", "10.0.0.2"), equal_to(WELL))

    def test_missing(self) -> None:
        """One member is not."""
        self.run_call("alive", "web", "10.0.0.1")
        reason = self.run_call("check", "web", "10.0.0.1", "10.0.0.2")
        assert_that(reason, contains_string("10.0.0.2/32 on eth0 is not there"))

    def test_duplicate(self) -> None:
        """An address that the kernel does not answer for is as good as missing."""
        self.kernel.add(on("fd00::1"), Assigned(serving=False))
        assert_that(self.run_call("check", "fd00::1"), contains_string("duplicate"))


class LeaseTests(ProviderCase):
    """With a kernel lease."""

    systems = (addresses(kernel_lease=3),)

    def test_valid(self) -> None:
        """The kernel is told when to remove it by itself."""
        self.run_call("alive", "10.0.0.1")
        assert_that(self.kernel.news(), equal_to([Put(on("10.0.0.1"), 3, "flip")]))

    def test_no_device(self) -> None:
        """An interface that is missing is a failure of `alive`."""
        self.kernel.link("eth0", None)
        assert_that(self.run_call("alive", "10.0.0.1"), contains_string("no such interface"))
