"""`ip_up` and `ip_down` on real interfaces, with real neighbours, in network namespaces."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

from hamcrest import assert_that, contains_string, equal_to, has_item, has_items, less_than
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.hooks import OWN
from tests.matchers import all_of, not_
from tests.network.namespaces import Host, Lan, unavailable

CONFIG = json.dumps({"interface": "eth0"})
ADDRESS, ADDRESS6 = "10.77.0.100", "fd77::100"
# Sends one datagram to each address: then the host knows their hardware addresses.
ASK = """\
import socket, sys, time
for address in sys.argv[1:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    socket.socket(family, socket.SOCK_DGRAM).sendto(b"x", (address, 9))
time.sleep(0.1)
"""
SOURCE = """\
import socket, sys
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
    probe.connect((sys.argv[1], 9))
    print(probe.getsockname()[0])
"""


class IpHooksTests(SynchronousTestCase):
    """Two servers and a neighbour on one bridge."""

    skip = unavailable()

    def setUp(self) -> None:
        lan = Lan(3)
        lan.__enter__()
        self.addCleanup(lan.close)
        self.one, self.two, self.neighbour = lan.hosts

    def hook(
        self, host: Host, event: str, datum: str, *before: str, config: str = CONFIG
    ) -> subprocess.CompletedProcess[str]:
        hook = str(OWN / f"ip_{event}")
        return host.run(*before, sys.executable, "-IS", hook, datum, config, check=False)

    def done(self, host: Host, event: str, datum: str, *before: str) -> None:
        """Run a hook that must end well, without a word."""
        done = self.hook(host, event, datum, *before)
        assert_that((done.returncode, done.stderr, done.stdout), equal_to((0, "", "")))

    def ask(self, *addresses: str) -> None:
        self.neighbour.run(sys.executable, "-ISc", ASK, *addresses)

    def test_up_and_down(self) -> None:
        """An address comes and goes, alone without a prefix length; both ways twice is once."""
        for datum, listed in (
            (ADDRESS, f"{ADDRESS}/32"),
            (f"{ADDRESS}/24", f"{ADDRESS}/24"),
            (ADDRESS6, f"{ADDRESS6}/128"),
            (f"{ADDRESS6}/64", f"{ADDRESS6}/64"),
        ):
            before = self.one.addresses()
            for _ in range(2):
                self.done(self.one, "up", datum)
                assert_that(sorted(self.one.addresses()), equal_to(sorted([*before, listed])))
            for _ in range(2):
                self.done(self.one, "down", datum)
                assert_that(sorted(self.one.addresses()), equal_to(sorted(before)))

    def test_neighbours_learn(self) -> None:
        """A neighbour that remembers the old owner sends to the new one at once."""
        for datum, address in ((ADDRESS, ADDRESS), (ADDRESS6, ADDRESS6)):
            self.done(self.one, "up", datum)
            self.ask(address)
            assert_that(self.neighbour.neighbour(address), equal_to(self.one.mac()))
            self.done(self.one, "down", datum)
            self.done(self.two, "up", datum)
            assert_that(self.neighbour.neighbour(address), equal_to(self.two.mac()))

    def test_last_word(self) -> None:
        """`up` for an address that is there announces it again (a partition healed)."""
        for host in (self.two, self.one):
            self.done(host, "up", ADDRESS)
            self.done(host, "up", ADDRESS6)
        self.ask(ADDRESS, ADDRESS6)
        for host in (self.two, self.one):
            self.done(host, "up", ADDRESS)
            self.done(host, "up", ADDRESS6)
            for address in (ADDRESS, ADDRESS6):
                assert_that(self.neighbour.neighbour(address), equal_to(host.mac()))

    def test_gateway_learns(self) -> None:
        """A gateway that ignores gratuitous packets is asked something, and so remembers."""
        self.one.run("ip", "route", "add", "default", "via", self.neighbour.address)
        self.one.run("ip", "route", "add", "default", "via", self.neighbour.address6)
        for address in (ADDRESS, ADDRESS6):
            assert_that(self.neighbour.neighbour(address), equal_to(None))
            self.done(self.one, "up", address)
            assert_that(self.neighbour.neighbour(address), equal_to(self.one.mac()))

    def three(self) -> list[str]:
        """Three addresses of one subnet; the kernel ties the latter two to the first."""
        data = [f"10.78.0.{n}/24" for n in (1, 2, 3)]
        for datum in data:
            self.done(self.one, "up", datum)
        return data

    def test_neighbours_in_the_subnet_stay(self) -> None:
        """To remove the first of three addresses of a subnet leaves the other two."""
        first, *others = self.three()
        self.done(self.one, "down", first)
        assert_that(self.one.addresses(), all_of(has_items(*others), not_(has_item(first))))

    def test_neighbours_stay_without_sysctl(self) -> None:
        """So it does where /proc/sys cannot be written; labels and routes stay, too."""
        first, *others = self.three()
        self.one.run("ip", "addr", "del", others[1], "dev", "eth0")
        labelled = ["ip", "addr", "add", others[1], "dev", "eth0", "label", "eth0:x"]
        self.one.run(*labelled, "brd", "+", "valid_lft", "500", "preferred_lft", "400")
        self.one.run("ip", "addr", "del", f"{self.one.address}/24", "dev", "eth0")
        self.one.run("ip", "route", "add", "default", "via", "10.78.0.254")
        self.one.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/conf/eth0/promote_secondaries")
        watch = self.one.popen("ip", "monitor", "addr", stdout=subprocess.PIPE, text=True)
        self.done(self.one, "down", first, *READ_ONLY)
        addresses = self.one.addresses()
        assert_that(addresses, all_of(has_items(*others), not_(has_item(first))))
        assert_that([a for a in addresses if a.endswith("/32")], equal_to([]), "twins")
        listing = self.one.run("ip", "-o", "addr", "show", "dev", "eth0").stdout
        assert_that(listing, contains_string("10.78.0.255 scope global secondary dynamic eth0:x"))
        assert_that(self.one.run("ip", "route").stdout, contains_string("default via 10.78.0.254"))
        watch.terminate()
        changes = watch.communicate()[0]
        twin, gone = changes.index("inet 10.78.0.2/32"), changes.index("inet 10.78.0.2/24")
        assert_that(twin, less_than(gone), "it was there under another name before it went")

    def test_up_and_down_without_sysctl(self) -> None:
        """Two at once neither lose nor keep what the other one removes."""
        data = self.three()
        self.one.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/conf/eth0/promote_secondaries")
        words = [*READ_ONLY, sys.executable, "-IS"]
        for _ in range(5):
            running = [
                self.one.popen(*words, str(OWN / "ip_down"), datum, CONFIG) for datum in data[:2]
            ] + [self.one.popen(*words, str(OWN / "ip_up"), "10.78.0.4/24", CONFIG)]
            assert_that([process.wait(10) for process in running], equal_to([0, 0, 0]))
            assert_that(
                [a for a in self.one.addresses() if a.startswith("10.78.")],
                equal_to([data[2], "10.78.0.4/24"]),
            )
            self.done(self.one, "down", data[2], *READ_ONLY)
            self.done(self.one, "down", "10.78.0.4/24", *READ_ONLY)
            for datum in data:
                self.done(self.one, "up", datum, *READ_ONLY)

    def test_never_a_source(self) -> None:
        """A /128 is not what the host's own connections come from."""
        far = "2001:db8::1"
        self.one.run("ip", "route", "add", "default", "via", self.neighbour.address6)
        self.one.run("ip", "addr", "add", "2001:db8:1::1/64", "dev", "eth0", "nodad")
        # Without preferred_lft 0 this would be chosen: it shares a longer prefix with `far`.
        self.done(self.one, "up", "2001:db8::2")
        source = self.one.run(sys.executable, "-ISc", SOURCE, far).stdout
        assert_that(source, equal_to("2001:db8:1::1\n"))
        self.done(self.one, "up", "2001:db8::3/64")
        source = self.one.run(sys.executable, "-ISc", SOURCE, far).stdout
        assert_that(source, equal_to("2001:db8::3\n"), "the test would have noticed")

    def test_interfaces(self) -> None:
        """No interface, one that is down, the loopback."""
        missing = self.hook(self.one, "up", ADDRESS, config='{"interface": "lo0"}')
        assert_that(missing.returncode, equal_to(2))
        assert_that(missing.stderr, contains_string("no interface lo0 here, only: lo, eth0"))
        gone = self.hook(self.one, "down", ADDRESS, config='{"interface": "lo0"}')
        assert_that(gone.returncode, equal_to(0))
        loopback = self.hook(self.one, "up", ADDRESS, config='{"interface": "lo"}')
        assert_that((loopback.returncode, loopback.stderr), equal_to((0, "")))
        self.one.run("ip", "link", "set", "eth0", "down")
        down = self.hook(self.one, "up", ADDRESS)
        assert_that(down.returncode, equal_to(1))
        assert_that(down.stderr, contains_string("ip link set eth0 up"))

    def test_ipv6_disabled(self) -> None:
        """The kernel says "permission denied", which is no capability that lacks."""
        self.one.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        done = self.hook(self.one, "up", ADDRESS6)
        assert_that(done.returncode, equal_to(1))
        assert_that(done.stderr, contains_string("IPv6 is disabled on eth0"))
        self.done(self.one, "down", ADDRESS6)

    def test_routers_stay_routers(self) -> None:
        """Neighbours of a router keep their routes: its announcement says that it is one."""
        self.neighbour.run("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth0/forwarding")
        self.one.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
        self.done(self.one, "up", ADDRESS6)
        self.ask(ADDRESS6)
        self.done(self.one, "up", ADDRESS6)
        known = self.neighbour.run("ip", "neigh", "show", ADDRESS6).stdout
        assert_that(known, contains_string(" router "))

    def test_no_carrier(self) -> None:
        """Nobody would reach an address behind a dead cable."""
        self.one.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        self.one.run("ip", "link", "set", "v0", "up")
        done = self.hook(self.one, "up", ADDRESS, config='{"interface": "v0"}')
        assert_that(done.returncode, equal_to(1))
        assert_that(done.stderr, contains_string("has no carrier"))

    def test_elsewhere(self) -> None:
        """What else answers for the address is named and left alone."""
        self.one.run("ip", "addr", "add", f"{ADDRESS}/24", "dev", "eth0")
        self.one.run("ip", "addr", "add", f"{ADDRESS}/32", "dev", "lo")
        for event in ("up", "down"):
            done = self.hook(self.one, event, ADDRESS)
            assert_that(done.returncode, equal_to(0))
            text = f"also on this host as {ADDRESS}/32 on lo, {ADDRESS}/24 on eth0"
            assert_that(done.stderr, contains_string(text))
        assert_that(self.one.addresses(), has_item(f"{ADDRESS}/24"))
        assert_that(self.one.addresses("lo"), has_item(f"{ADDRESS}/32"))

    def test_other_prefix_length(self) -> None:
        """Linux keeps one prefix length per IPv6 address: the other one is in the way."""
        self.one.run("ip", "addr", "add", f"{ADDRESS6}/64", "dev", "eth0", "nodad")
        done = self.hook(self.one, "up", ADDRESS6)
        assert_that(done.returncode, equal_to(2))
        assert_that(done.stderr, contains_string(f"{ADDRESS6}/64 on eth0 is in the way"))

    def test_capabilities(self) -> None:
        """Without CAP_NET_ADMIN nothing works; without CAP_NET_RAW only the announcement fails."""
        nobody = ["setpriv", "--reuid", "65534", "--clear-groups"]
        python = "/usr/bin/python3"  # an interpreter that nobody may run
        words = [python, "-IS", str(OWN / "ip_up"), ADDRESS, CONFIG]
        if self.one.run(*nobody, *words[:-2], check=False).returncode != 2:
            self.skipTest("nobody cannot run the hooks here: needs setpriv and /usr/bin/python3")
        done = self.one.run(*nobody, *words, check=False)
        assert_that(done.returncode, equal_to(1))
        assert_that(done.stderr, contains_string("needs CAP_NET_ADMIN"))
        some = [*nobody, "--inh-caps", "+net_admin", "--ambient-caps", "+net_admin"]
        done = self.one.run(*some, *words, check=False)
        assert_that(done.returncode, equal_to(0))
        assert_that(
            done.stderr, all_of(contains_string("NOT ANNOUNCED"), contains_string("CAP_NET_RAW"))
        )
        assert_that(self.one.addresses(), has_item(f"{ADDRESS}/32"))
        every = "+net_admin,+net_raw"
        done = self.one.run(
            *nobody, "--inh-caps", every, "--ambient-caps", every, *words, check=False
        )
        assert_that((done.returncode, done.stderr), equal_to((0, "")))

    def test_time(self) -> None:
        """A failover waits for the hook: tens of milliseconds of work, and no waiting."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        times = []
        for _ in range(5):
            started = time.monotonic()
            self.done(self.one, "up", ADDRESS)
            times.append(time.monotonic() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        assert_that(used / len(times), less_than(0.1), "seconds of CPU")
        # Generous, for this machine may be busy; arping alone would take a second.
        assert_that(min(times), less_than(0.5), "seconds in all")


READ_ONLY = (
    "sh",
    "-c",
    'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec "$@"',
    "sh",
)
