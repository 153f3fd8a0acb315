"""The commands that remove an address and leave its neighbours; tests/network runs them."""

from __future__ import annotations

import ipaddress

from hamcrest import assert_that, contains_exactly, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.hooks.secondaries import removal
from flip.hooks.tool import Tool

FOREVER = r"\       valid_lft forever preferred_lft forever"
SHORT = r"\       valid_lft 9sec preferred_lft 8sec"
LISTING = f"""
2: eth0    inet 192.0.2.1/24 scope global eth0{FOREVER}
2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global secondary eth0:two{FOREVER}
2: eth0    inet 192.0.2.3/24 scope global secondary dynamic noprefixroute eth0{SHORT}
2: eth0    inet 192.0.2.2/32 scope global eth0{FOREVER}
2: eth0    inet 192.0.2.9/28 scope global eth0{FOREVER}
2: eth0    inet 192.0.2.10/28 scope global secondary eth0{FOREVER}
""".lstrip()


class FakeIp(Tool):
    """Knows the addresses of an interface."""

    def __init__(self) -> None:
        """Nothing has to be installed."""

    def run(self, *words: str, stdin: str = "", accepted: str | None = None) -> str:
        self.asked = " ".join(words)
        return LISTING


class RemovalTests(SynchronousTestCase):
    """`removal` where promote_secondaries cannot be set."""

    def commands(self, address: str, promoted: bool = False) -> list[str]:
        self.ip = FakeIp()
        return removal(self.ip, ipaddress.ip_interface(address), "eth0", promoted)

    def test_promoted(self) -> None:
        """With the kernel's help one command is enough."""
        assert_that(
            self.commands("192.0.2.1/24", promoted=True),
            contains_exactly("addr del 192.0.2.1/24 dev eth0"),
        )

    def test_secondary(self) -> None:
        """Nothing hangs on a secondary."""
        assert_that(
            self.commands("192.0.2.2/24"), contains_exactly("addr del 192.0.2.2/24 dev eth0")
        )

    def test_primary(self) -> None:
        """Twins first, then the removal, then the neighbours as they were, then no twins.

        One that has a /32 of its own keeps it; other prefix lengths are another matter.
        """
        assert_that(
            self.commands("192.0.2.1/24"),
            contains_exactly(
                "addr add 192.0.2.3/32 dev eth0",
                "addr del 192.0.2.1/24 dev eth0",
                "addr add 192.0.2.2/24 dev eth0 brd 192.0.2.255 scope global"
                " valid_lft forever preferred_lft forever label eth0:two",
                "addr add 192.0.2.3/24 dev eth0 scope global"
                " valid_lft 9 preferred_lft 8 noprefixroute",
                "addr del 192.0.2.3/32 dev eth0",
            ),
        )
        assert_that(self.ip.asked, equal_to("-o -4 addr show dev eth0 to 192.0.2.0/24"))
