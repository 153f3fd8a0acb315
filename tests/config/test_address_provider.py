"""The settings of `"provider": "address"`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hamcrest import assert_that, contains_inanyorder, empty, equal_to, none

import flip
from flip.config import load
from flip.config.values import Addressing
from tests.config.case import ENVIRON, ConfigurationCase

EXAMPLE = Path(flip.__file__).parent.parent / "etc" / "addresses.json"
PLACE = "cluster.system.ip"


class ProviderCase(ConfigurationCase):
    """The system "ip" has the provider."""

    def setUp(self) -> None:
        super().setUp()
        self.system: dict[str, Any] = self.systems["ip"]
        del self.system["alive"], self.system["down"]
        self.system |= {"provider": "address", "config": {"interface": "lo"}}
        self.config: dict[str, Any] = self.system["config"]

    def expect(self, *problems: str) -> None:
        """The file has these problems."""
        assert_that(self.problems(), contains_inanyorder(*problems))

    def addressing(self) -> Addressing:
        """What the system's settings come to."""
        addressing = self.load().systems["ip"].addressing
        assert addressing is not None
        return addressing


class ValueTests(ProviderCase):
    """Good settings."""

    def test_defaults(self) -> None:
        """For ever, taken at once and whoever answers, announced at 0, 1 and 5 s."""
        expected = Addressing(0, False, "take", (0.0, 1.0, 5.0), 0.0)
        assert_that(self.addressing(), equal_to(expected))

    def test_everything(self) -> None:
        """Each setting is heard."""
        self.config |= {
            "prefix": 24,
            "label": "vip",
            "kernel_lease": 3000,
            "wait_for_lease": True,
            "on_conflict": "wait",
            "announce": {"count": 4, "interval": 500, "repeat": 60000},
        }
        expected = Addressing(3, True, "wait", (0.0, 0.5, 2.5, 10.5), 60.0)
        assert_that(self.addressing(), equal_to(expected))

    def test_common_config(self) -> None:
        """`cluster.config` may have other settings, for other systems' hooks."""
        del self.config["interface"]
        self.description["cluster"]["config"] = {"interface": "lo", "path": "/srv"}
        assert_that(self.problems(), empty())

    def test_hooks(self) -> None:
        """A system with hooks has none of it, and may have any config."""
        self.system |= {"alive": "ip_up", "down": "ip_down", "config": {"kernel_lease": "x"}}
        del self.system["provider"]
        assert_that(self.load().systems["ip"].addressing, none())

    def test_example(self) -> None:
        """etc/addresses.json is good."""
        config = load(EXAMPLE, environ=ENVIRON)
        assert_that([*config.systems], equal_to(["gateway", "ip"]))

    def test_exclusive(self) -> None:
        """The lease's default is that of other exclusive systems."""
        self.system["exclusive"] = True
        assert_that(self.load().systems["ip"].lease, equal_to(5.0))


class FaultTests(ProviderCase):
    """Each mistake is named, with its place."""

    def test_hooks_too(self) -> None:
        """There are no hooks to be named, nor to be limited."""
        self.system |= {"alive": "ip_up", "down": "ip_down", "hook_concurrency": 3}
        reason = 'a system with "provider" runs no hooks: remove it'
        self.expect(
            f"{PLACE}.alive: {reason}",
            f"{PLACE}.down: {reason}",
            f"{PLACE}.hook_concurrency: {reason}",
        )

    def test_unknown_provider(self) -> None:
        """Others do not exist, and that is all there is to say."""
        self.system["provider"] = "adress"
        self.expect(f'{PLACE}.provider: expected one of address, not "adress"')

    def test_unknown_setting(self) -> None:
        """A setting that does not exist, with what was perhaps meant."""
        self.config["kernel-lease"] = 3000
        self.expect(
            f'{PLACE}.config.kernel-lease: there is no such setting; did you mean "kernel_lease"?'
        )

    def test_wrong_values(self) -> None:
        """Each with what is expected, at the place where it was written."""
        self.description["cluster"]["config"] = {"on_conflict": "fight"}
        self.config |= {"prefix": 0, "kernel_lease": True, "announce": {"count": 11}}
        self.expect(
            'cluster.config.on_conflict: expected one of take, wait, not "fight"',
            f"{PLACE}.config.prefix: expected a whole number from 1 to 128, not 0",
            f"{PLACE}.config.kernel_lease: expected false, or a number of milliseconds from 2000 to"
            " 86400000, not true",
            f"{PLACE}.config.announce: expected an object with count, interval and repeat, not an"
            " object",
        )

    def test_no_interface(self) -> None:
        """It is told once, not for each data point."""
        del self.config["interface"]
        self.expect(
            f"{PLACE}.config.interface: missing; expected the name of an interface: 1 to 15"
            " characters, no blanks or slashes"
        )

    def test_broken_seconds(self) -> None:
        """The kernel has no half seconds."""
        self.config["kernel_lease"] = 2500
        self.expect(
            f"{PLACE}.config.kernel_lease: the kernel counts whole seconds: expected a multiple of"
            " 1000, not 2500"
        )

    def test_nothing_to_wait_for(self) -> None:
        """To wait for a lease takes one."""
        self.config["wait_for_lease"] = True
        self.expect(
            f"{PLACE}.config.wait_for_lease: nothing ends by itself that could be waited for: set"
            " kernel_lease too"
        )

    def test_exclusive(self) -> None:
        """Its own leases take the place of the kernel's."""
        self.system["exclusive"] = True
        self.config |= {"kernel_lease": 3000, "wait_for_lease": True}
        self.expect(
            f"{PLACE}.config.kernel_lease: the addresses of an exclusive system end with its"
            " `lease`: remove it",
            f"{PLACE}.config.wait_for_lease: an exclusive system waits for the voters' grants:"
            " remove it",
        )

    def test_short_lease(self) -> None:
        """The kernel's delay and its whole seconds have to fit."""
        self.system |= {"exclusive": True, "lease": 3999}
        self.expect(
            f"{PLACE}.lease: expected at least 4000 (4000, or ping_timeout 1500 + 1000 of the"
            " kernel's seconds + 1100 of its delay), not 3999"
        )

    def test_label(self) -> None:
        """It stands behind the interface's name in 15 bytes; the default gives way by itself."""
        self.config |= {"interface": "enp129s0f1np1"}
        assert_that(self.problems(), empty())
        self.config["label"] = "flip"
        self.expect(
            f'{PLACE}.config.label: "enp129s0f1np1:flip" takes 18 bytes; Linux has 15',
        )

    def test_data(self) -> None:
        """What no interface can have, and what is there twice."""
        self.system["data"] = [
            "billing",
            "224.0.0.1",
            "::ffff:192.0.2.1",
            "fe80::1%eth0",
            "2001:db8::1",
            ["192.0.2.1", "2001:DB8:0::1"],
        ]
        place = f"{PLACE}.data"
        self.expect(
            f'{place}[0]: expected an IPv4 or IPv6 address, with this provider, not "billing"',
            f'{place}[1]: "224.0.0.1" is no address of one host',
            f'{place}[2]: "::ffff:192.0.2.1" is IPv4 inside IPv6; write "192.0.2.1"',
            f'{place}[3]: "fe80::1%eth0" names an interface: leave out "%" and what follows, and'
            " set config.interface",
            f'{place}[5][1]: "2001:DB8:0::1" is in {place}[4] already',
        )

    def test_prefix_of_the_other_kind(self) -> None:
        """A prefix of IPv6 does not fit an IPv4 address."""
        self.config["prefix"] = 64
        self.system["data"] = ["2001:db8::1", "192.0.2.1"]
        self.expect(
            f"{PLACE}.data[1]: the prefix 64 is longer than an address of IPv4: write"
            ' "192.0.2.1/32"'
        )

    def test_own_config(self) -> None:
        """A data point may have three settings of its own."""
        self.system["data"] = [
            {"id": "192.0.2.1", "config": {"interface": "", "kernel_lease": 3000, "vlan": 3}}
        ]
        place = f"{PLACE}.data[0].config"
        self.expect(
            f"{place}.interface: expected the name of an interface: 1 to 15 characters, no blanks"
            ' or slashes, not ""',
            f"{place}.kernel_lease: a data point has interface, prefix and label of its own,"
            " nothing else: set it in the system's config",
            f"{place}.vlan: there is no such setting; there are interface, prefix, label,"
            " kernel_lease, wait_for_lease, announce, on_conflict",
        )
