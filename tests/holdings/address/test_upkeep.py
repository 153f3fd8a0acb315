"""Lifetimes are renewed in time, and what has run out is not put back by itself."""

from __future__ import annotations

from errno import EPERM

from hamcrest import assert_that, contains_string, empty, equal_to, has_length
from hypothesis import given
from hypothesis import strategies as st

from flip.addresses.kernel import Put, Remove
from flip.errors import HookFailed
from flip.holdings.address.guard import KernelGuard
from flip.holdings.address.lifetimes import LATENESS, Lifetimes
from flip.holdings.guard.interface import Deadline
from tests.holdings.address.case import WELL, ProviderCase, addresses, call, outcome_of
from tests.holdings.address.kernel import on

A = ("ip", "10.0.0.1")
B = ("ip", "10.0.0.2")


class OrdinaryTests(ProviderCase):
    """A system with a kernel lease of 3 seconds."""

    systems = (addresses(kernel_lease=3),)

    def setUp(self) -> None:
        super().setUp()
        self.upkeep.start()
        self.addCleanup(self.upkeep.stop)

    def test_renewed(self) -> None:
        """All are renewed each third of it, in one batch."""
        self.run_call("alive", "10.0.0.1")
        self.run_call("alive", "10.0.0.2")
        self.kernel.batches.clear()
        self.pass_time(3)
        renewal = [Put(on(ip), 3, "flip") for ip in ("10.0.0.1", "10.0.0.2")]
        assert_that(self.kernel.batches, equal_to([renewal] * 3))

    def test_let_go(self) -> None:
        """What was let go of is not renewed."""
        self.run_call("alive", "10.0.0.1")
        self.run_call("down", "10.0.0.1")
        self.kernel.news()
        self.pass_time(3)
        assert_that(self.kernel.news(), empty())

    def test_stood_still(self) -> None:
        """After standing still for longer than the lease nothing is put: it is told as lost."""
        self.run_call("alive", "10.0.0.1")
        self.kernel.news()
        self.clock.advance(8)
        assert_that(self.kernel.news(), empty())
        assert_that(self.lost, equal_to([A]))
        self.pass_time(5)
        assert_that(self.kernel.news(), empty())

    def test_silent_after_standing_still(self) -> None:
        """What may serve elsewhere by now is not announced, or neighbours would come here."""
        self.clock.advance(0.7)
        self.run_call("alive", "10.0.0.1")
        self.pass_time(4.8)  # the third announcement is due before the next renewal
        self.kernel.announced.clear()
        self.clock.advance(8)
        assert_that(self.kernel.announced, empty())

    def test_stood_still_for_less(self) -> None:
        """After standing still for less it is renewed at once."""
        self.run_call("alive", "10.0.0.1")
        self.kernel.news()
        self.clock.advance(2.5)
        assert_that(self.kernel.news(), has_length(1))
        assert_that(self.lost, empty())

    def test_vanished_after_standing_still(self) -> None:
        """The kernel's word that it removed an address may come before the timer."""
        self.run_call("alive", "10.0.0.1")
        self.upkeep.stop()
        self.clock.advance(3.2)
        self.kernel.news()
        self.kernel.take(on("10.0.0.1"))
        self.clock.advance(0)
        assert_that(self.kernel.news(), empty())
        assert_that(self.lost, equal_to([A]))
        assert_that(self.notes, empty())

    def test_back(self) -> None:
        """What was lost and is taken again is renewed as before."""
        self.run_call("alive", "10.0.0.1")
        self.clock.advance(8)
        self.run_call("alive", "10.0.0.1")
        self.kernel.news()
        self.pass_time(2)
        assert_that(len(self.kernel.news()) >= 2)

    def test_refused(self) -> None:
        """What the kernel refuses to renew is trouble, tried again soon, until it is well."""
        self.run_call("alive", "10.0.0.1")
        self.kernel.refused[on("10.0.0.1")] = EPERM
        self.pass_time(2)
        assert_that(str(self.troubles[-1]), contains_string("10.0.0.1/32 on eth0"))
        self.kernel.news()
        self.kernel.refused.clear()
        self.pass_time(0.5)
        assert_that(self.kernel.news(), has_length(1))
        assert_that(self.troubles[-1], equal_to(None))

    def test_let_go_while_it_is_refused(self) -> None:
        """What the kernel refused is no trouble any more when this node has let go of it."""
        self.run_call("alive", "10.0.0.1")
        self.kernel.refused[on("10.0.0.1")] = EPERM
        self.pass_time(2)
        self.kernel.refused.clear()
        self.run_call("down", "10.0.0.1")
        self.pass_time(1)
        assert_that(self.troubles[-1], equal_to(None))

    def test_let_go_while_it_is_renewed(self) -> None:
        """The end of a renewal that a `down` overtook changes nothing."""
        self.run_call("alive", "10.0.0.1")
        self.kernel.slow = 0.3
        self.pass_time(1)
        done = self.start("down", "10.0.0.1")
        self.pass_time(1)
        assert_that(outcome_of(done), equal_to(WELL))
        assert_that([len(self.keeping), self.kernel.ips()], equal_to([0, []]))


class ExclusiveTests(ProviderCase):
    """An exclusive system: the kernel takes the guard's place."""

    systems = (addresses(exclusive=True, lease=5.0, voters=("me", "flip1", "flip2")),)

    def setUp(self) -> None:
        super().setUp()
        self.guard = KernelGuard(self.provider, self.lifetimes, self.upkeep)
        self.addCleanup(self.upkeep.stop)

    def arm(self, seconds: float, *points: tuple[str, str]) -> None:
        """A quorum has answered: the right ends in so many seconds."""
        at = self.clock.seconds() + seconds
        self.guard.arm({point: Deadline(at, call("down", point[1])) for point in points or (A,)})

    def alive(self) -> str:
        """Run `alive` as the keeper does."""
        done = self.guard.run(call("alive", "10.0.0.1"))
        self.clock.advance(0)
        return outcome_of(done)

    def test_not_granted(self) -> None:
        """Without grants nothing is put."""
        assert_that(self.alive(), contains_string("not granted"))
        assert_that(self.kernel.news(), empty())

    def test_whole_seconds(self) -> None:
        """The kernel's lifetime is the right's, in whole seconds, rounded down."""
        self.arm(3.9)
        self.alive()
        assert_that(self.kernel.news(), equal_to([Put(on("10.0.0.1"), 3, "flip", 1003.9)]))

    def test_too_short(self) -> None:
        """With less than a second left there is nothing that the kernel could be told."""
        self.arm(0.9)
        assert_that(self.alive(), contains_string("within a second"))

    def test_renewed(self) -> None:
        """Each answer of the voters renews it, in one batch for all."""
        for datum in ("10.0.0.1", "10.0.0.2"):
            self.arm(3.9, ("ip", datum))
            self.run_call("alive", datum)
        self.clock.advance(0.5)
        self.kernel.batches.clear()
        self.arm(3.9, A, B)
        assert_that(self.kernel.batches, has_length(1))
        valid = [put.valid for put in self.kernel.news() if isinstance(put, Put)]
        assert_that(valid, equal_to([3, 3]))

    def test_answers_in_a_row(self) -> None:
        """Three voters' answers move the right on three times, and the kernel is told once."""
        self.arm(3.9)
        self.alive()
        self.clock.advance(0.5)
        self.kernel.news()
        self.kernel.slow = 0.02
        for _ in range(3):
            self.arm(3.9)
            self.clock.advance(0.01)
        self.clock.advance(0.1)
        self.arm(3.9)
        assert_that([change.address for change in self.kernel.news()], equal_to([on("10.0.0.1")]))

    def test_silent_voters(self) -> None:
        """Without answers nothing of the last second is lost: it ends with the right itself."""
        self.arm(3.9)
        self.alive()
        self.kernel.news()
        self.pass_time(4, 0.05)
        told = self.kernel.addresses()[on("10.0.0.1")].until
        assert told is not None
        assert_that(3.8 <= told - 1000 <= 3.9, equal_to(True))

    def test_stood_still_with_the_order(self) -> None:
        """Had it stood still before the kernel was told, the address is taken back."""
        self.arm(3.9)
        self.kernel.stalls = True
        assert_that(self.alive(), contains_string("it stood still"))
        assert_that(self.kernel.news()[-1], equal_to(Remove(on("10.0.0.1"))))
        assert_that([self.kernel.ips(), len(self.keeping)], equal_to([[], 0]))

    def test_stood_still_with_a_renewal(self) -> None:
        """The same for a renewal; the next answer of the voters puts it again."""
        self.arm(3.9)
        self.alive()
        self.clock.advance(0.5)
        self.kernel.stalls = True
        self.arm(3.9)
        self.clock.advance(0)
        assert_that([self.kernel.ips(), self.notes], equal_to([[], []]))
        self.kernel.stalls = False
        self.arm(3.9)
        assert_that(self.kernel.ips(), equal_to(["10.0.0.1"]))
        assert_that([kept.point for kept in self.restored], equal_to([A]))

    def test_slow_kernel(self) -> None:
        """What the kernel is told late lasts for as much less."""
        self.arm(3.9)
        self.alive()
        told = self.kernel.news()[-1]
        assert_that(isinstance(told, Put) and told.by, equal_to(1003.9))

    def test_lapsed(self) -> None:
        """What was disarmed is not renewed any more."""
        self.arm(3.9)
        self.alive()
        self.run_call("down", "10.0.0.1")
        self.guard.disarm([A])
        self.kernel.news()
        self.pass_time(6)
        assert_that([self.kernel.news(), self.guard.condition.armed], equal_to([[], 0]))

    def test_put_back(self) -> None:
        """What the kernel ended although the right goes on is there again with the next answer."""
        self.arm(3.9)
        self.alive()
        self.clock.advance(3.5)
        self.kernel.take(on("10.0.0.1"))
        self.clock.advance(0)
        assert_that([self.kernel.ips(), self.lost], equal_to([[], []]))
        self.arm(3.9)
        assert_that(self.kernel.ips(), equal_to(["10.0.0.1"]))
        assert_that([kept.point for kept in self.restored], equal_to([A]))

    def test_killed(self) -> None:
        """An `alive` that waits fails when its right is gone."""
        self.arm(3.9)
        done = self.start("alive", "10.0.0.1")
        self.guard.kill(A)
        assert_that(outcome_of(done), contains_string("cancelled"))
        self.clock.advance(0)
        assert_that(self.kernel.news(), empty())

    @given(st.floats(-5, 60), st.floats(0, 1.0), st.floats(0, 0.1))
    def test_never_outlives(self, left: float, late: float, way: float) -> None:
        """Whatever is told, with the kernel's delay and ours it ends before the grants do."""
        lifetimes = Lifetimes({one.name: one for one in self.systems})
        lifetimes.deadlines[A] = 500.0 + left
        try:
            valid = lifetimes.valid(A, 500.0)
        except HookFailed:
            assert_that(left < 1.0, equal_to(True))
            return
        assert valid is not None
        granted = 500.0 + left + LATENESS
        assert_that(500.0 + way + valid + late <= granted + 1e-9, equal_to(True))
        assert_that(lifetimes.by(A), equal_to(500.0 + left))
