"""A whole keeper for tests: the node "me" of three, without network or processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hamcrest import assert_that, equal_to
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.config import Config
from flip.holdings.hooks import Hook
from flip.holdings.journal import Held, Journal
from flip.holdings.keeper import Keeper
from flip.wire.messages import Status
from tests.holdings.bed import (
    HOOKS,
    Hooks,
    Others,
    StandIn,
    Wire,
    asking,
    config,
    open_journal,
    system,
)

DELAY = 0.05  # seconds, of the systems


class KeeperTestCase(SynchronousTestCase):
    """By default the system "ip" has the data a, b and c: one each for me, flip1 and flip2."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.build()

    def build(
        self,
        one: Config | None = None,
        *,
        left: tuple[Held, ...] = (),
        clean: bool = True,
        hear: Status | None = Status.ACTIVE,
        **settings: Any,
    ) -> None:
        """A node that has just started.

        :param left: what its journal names.
        :param clean: whether the journal names everything.
        :param hear: the status of the others when this node first hears of them; None: not yet.
        :param settings: of the system.
        """
        described: dict[str, Any] = {"data": "abc", "remove_on_start": False} | settings
        self.config = one or config(system(**described))
        self.hooks = Hooks()
        self.membership = StandIn(self.config)
        self.others = Others(self.config, self.membership.roster)
        self.journal = self.open_journal(left, clean=clean)
        self.addCleanup(self.journal.close)
        self.wire = Wire()
        names = self.config.me.systems
        self.keeper = Keeper(
            self.config,
            self.clock,
            self.membership.as_membership(),
            self.journal,
            self.hooks,
            {name: self.hooks_of(name) for name in names},
            asking(self.config, self.clock, self.wire),
        )
        self.keeper.start()
        for other in self.config.servers:
            if other != "me" and hear is not None:
                self.others.say(other, digest=self.config.digest, status=hear)

    def hooks_of(self, name: str) -> dict[str, Hook]:
        """What was found of a system's hooks."""
        looks = {"verify": Hook("verify", ("/hooks/verify",))}
        return HOOKS | (looks if self.config.systems[name].verify else {})

    def open_journal(self, left: tuple[Held, ...], *, clean: bool) -> Journal:
        directory = Path(self.mktemp())
        earlier = open_journal(directory, self.clock)
        with earlier.batch():
            for held in left:
                earlier.hold(held)
            if clean:
                earlier.forget("ip", "nothing")
        earlier.close()
        return open_journal(directory, self.clock)

    def act(self) -> None:
        """This node settles, and may act."""
        self.membership.become(in_touch=True, settled=True)
        self.clock.advance(0)
        self.clock.advance(DELAY)
        self.clock.advance(0)

    def hold_own(self) -> None:
        """This node acts and holds what is its own."""
        self.act()
        self.succeed_all()
        self.hooks.news()
        assert_that(self.claims(), equal_to({"a": "HELD"}))

    def succeed_all(self) -> None:
        """Every hook ends well, and what follows too."""
        while self.hooks.running:
            for name, datum in list(self.hooks.running):
                self.hooks.succeed(datum, name)
            self.clock.advance(0)

    def wait(self, seconds: float = 0) -> list[str]:
        """The hooks that were started since the last time, after some time."""
        for step in (0, seconds, 0):
            self.clock.advance(step)
        return self.hooks.news()

    def claims(self, name: str = "ip") -> dict[str, str]:
        """What everybody may know that this node claims."""
        claims = self.membership.own.claims.get(name, {})
        return {datum: phase.name for datum, phase in claims.items()}
