"""A bed for the provider: a fake kernel, a clock, calls by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.config import System
from flip.config.values import Addressing
from flip.errors import HookFailed
from flip.holdings.address.announcer import Announcer
from flip.holdings.address.kept import Keeping, Kept
from flip.holdings.address.lifetimes import Lifetimes
from flip.holdings.address.provider import AddressProvider
from flip.holdings.address.repair import Repair
from flip.holdings.address.upkeep import Upkeep
from flip.holdings.call import Hook, HookCall, HookResult
from flip.holdings.guard.interface import Point
from tests.holdings.address.kernel import FakeKernel
from tests.holdings.bed import system

ADDRESS = Hook("address", ())
WELL = ""


def addressing(**settings: Any) -> Addressing:
    """Everyday settings, but for those given."""
    everyday: dict[str, Any] = {
        "kernel_lease": 0,
        "wait_for_lease": False,
        "on_conflict": "take",
        "announcements": (0.0, 1.0, 5.0),
        "repeat": 0.0,
    }
    return Addressing(**everyday | settings)


def addresses(data: Sequence[str] = ("10.0.0.1", "10.0.0.2"), **settings: Any) -> System:
    """A system with the provider; settings of `Addressing`, and those of a system."""
    own = {key: settings.pop(key) for key in list(settings) if key in Addressing.__slots__}
    everyday: dict[str, Any] = {"config": {"interface": "eth0"}, "alive": "", "down": ""}
    return system(
        data=data, provider="address", addressing=addressing(**own), **everyday | settings
    )


def call(
    event: str,
    datum: str,
    members: Sequence[str] = (),
    *,
    system: str = "ip",
    undo: bool = False,
    **config: Any,
) -> HookCall:
    """A call of the keeper's."""
    text = json.dumps({"interface": "eth0"} | config)
    undone = ADDRESS if undo else None
    return HookCall(
        ADDRESS, event, system, datum, text, "me", 10.0, tuple(members) or (datum,), undone
    )


class ProviderCase(SynchronousTestCase):
    """One provider and its parts, over a fake kernel.

    :ivar notes: what operators were told, and `troubles` what is wrong.
    :ivar lost: the data points that ran out.
    """

    systems: Sequence[System] = (addresses(),)
    recorded: Sequence[Point] = ()

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.kernel = FakeKernel(self.clock)
        self.keeping = Keeping()
        by_name = {one.name: one for one in self.systems}
        self.lifetimes = Lifetimes(by_name)
        self.notes: list[tuple[str, str]] = []
        self.troubles: list[str | None] = []
        self.lost: list[Point] = []
        self.restored: list[Kept] = []
        self.together = 0  # batches of results
        self.announcer = Announcer(
            self.clock,
            self.kernel,
            by_name,
            lambda address: self.keeping.lasts(address, self.clock.seconds()),
        )
        self.provider = AddressProvider(
            self.clock,
            self.kernel,
            self.keeping,
            self.lifetimes,
            self.announcer,
            self.recorded,
            together=self._together,
        )
        self.upkeep = Upkeep(
            self.clock,
            self.kernel,
            by_name,
            self.keeping,
            self.lifetimes,
            restored=self.restored.extend,
            lost=self.lost.extend,
            trouble=self.troubles.append,
        )
        self.repair = Repair(
            self.clock,
            self.kernel,
            self.keeping,
            self.upkeep,
            restored=self.restored.extend,
            note=lambda kind, text: self.notes.append((kind, text)),
        )
        self.kernel.observe(self.repair)
        self.provider.open()

    @contextmanager
    def _together(self) -> Iterator[None]:
        self.together += 1
        yield

    def run_call(self, event: str, datum: str, *members: str, **config: Any) -> str:
        """Run a call to its end; why it failed, `WELL` when it did not."""
        outcome = self.start(event, datum, *members, **config)
        self.clock.advance(0)
        return outcome_of(outcome)

    def start(self, event: str, datum: str, *members: str, **config: Any) -> Deferred[HookResult]:
        """Begin a call."""
        return self.provider.run(call(event, datum, members, **config))

    def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass in steps, as a reactor does."""
        self.clock.pump([step] * round(seconds / step))


def outcome_of(done: Deferred[HookResult]) -> str:
    """Why a call that has ended failed; `WELL` when it did not."""
    failures: list[str] = []
    results: list[HookResult] = []
    done.addCallbacks(results.append, lambda failure: failures.append(_why(failure)))
    assert results or failures, "it has not ended"
    return failures[0] if failures else WELL


def _why(failure: Any) -> str:
    failure.trap(HookFailed)
    return str(failure.value.details)
