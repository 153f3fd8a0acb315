"""Tests for the lab of benchmarks/failover: what its instruments see is what happens."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from hamcrest import assert_that, close_to, empty, equal_to, greater_than, has_length, less_than
from twisted.trial.unittest import TestCase

from benchmarks.failover.datagrams import ANSWER, NUMBER, Echo, udp
from benchmarks.failover.lab import InstrumentFailed, Lab
from benchmarks.failover.network import INTERFACE
from benchmarks.failover.programs import Program
from tests.network.namespaces import unavailable

ANNOUNCE = """
import socket, sys, time
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((sys.argv[1], 0x806))
mac, ip = link.getsockname()[4], socket.inet_aton(sys.argv[2])
link.send(b"\\xff" * 6 + mac + b"\\x08\\x06\\0\\1\\x08\\0\\6\\4\\0\\1" + mac + ip + bytes(6) + ip)
"""


class Static(Program):
    """Each address on one node, from the first moment, for ever."""

    def configure(self) -> None:
        """It has no files."""

    def command(self, node: int) -> Sequence[str]:
        mine = [one for n, one in enumerate(self.addresses) if n % len(self.network.nodes) == node]
        adds = [f"ip addr add {one}/32 dev {INTERFACE}" for one in mine]
        return ["sh", "-c", "; ".join([*adds, "exec sleep 1000"])]


class LabTests(TestCase):
    """A real lab, and addresses that are moved by hand."""

    skip = unavailable()

    def test_handoff(self) -> None:
        """A gap is as long for the client as for the kernels, and its neighbours have none."""
        with Lab(Static, Path(self.mktemp()), 3, 2) as lab:
            lab.start()
            old, new = lab.network.nodes
            one, other, third = lab.addresses
            begin = time.monotonic()
            old.run("ip", "addr", "del", f"{one}/32", "dev", INTERFACE)
            time.sleep(0.3)
            new.run("ip", "addr", "add", f"{one}/32", "dev", INTERFACE)
            new.run("python3", "-c", ANNOUNCE, INTERFACE, one)
            assert_that(lab.calm(0, 20), equal_to(True))
            silences = lab.finish()
            gone, come = [event for event in lab.events if event.at > begin]
        assert_that((gone.node, gone.present), equal_to((0, False)))
        assert_that((come.node, come.present), equal_to((1, True)))
        ((fell, heard),) = [silence for silence in silences[one] if silence[0] > begin]
        assert heard is not None
        assert_that(fell, close_to(gone.at, 0.1))
        assert_that(heard - fell, greater_than(come.at - gone.at - 0.02))
        assert_that(heard - fell, less_than(come.at - gone.at + 1.0))
        assert_that(
            [fell for fell, _ in silences[other] + silences[third] if fell > begin], empty()
        )

    def test_crash(self) -> None:
        """A node that is off serves nothing; its agent is gone, and its client hears nobody."""
        with Lab(Static, Path(self.mktemp()), 2, 2) as lab:
            lab.start()
            lab.crash(0)
            assert_that(lab.owners(), equal_to({lab.addresses[0]: set(), lab.addresses[1]: {1}}))
            assert_that(lab.usage()[0].rss, equal_to(0))
            assert_that(lab.calm(0, 0.5), equal_to(False))
            lab.boot(0)
            assert_that(lab.calm(0, 20), equal_to(True))
            silences = lab.finish()
        # Once before the program had started, and once while the node was off.
        assert_that([one for one in silences[lab.addresses[0]] if one[1] is None], empty())
        assert_that(silences[lab.addresses[0]], has_length(greater_than(0)))

    def test_prober_dies(self) -> None:
        """A lab that cannot measure any more says so, instead of waiting for what will not come."""
        with Lab(Static, Path(self.mktemp()), 1, 1) as lab:
            lab.start()
            lab._prober.kill()
            lab._prober.wait(10)
            with self.assertRaises(InstrumentFailed):
                lab.calm(1, 5)
            with self.assertRaises(InstrumentFailed):
                lab.finish()

    def test_nothing_left(self) -> None:
        """Whatever happens in a lab, its namespaces go with it."""
        with self.assertRaises(ZeroDivisionError), Lab(Static, Path(self.mktemp()), 1, 1) as lab:
            namespace = lab.network.nodes[0].namespace
            raise ZeroDivisionError
        left = subprocess.run(["ip", "netns", "list"], check=True, text=True, capture_output=True)
        assert_that([line for line in left.stdout.split() if line == namespace], empty())


class EchoTests(TestCase):
    """Answers on loopback, all of which is this host's."""

    def test_first(self) -> None:
        """What came before anybody looked is answered from where it was asked, too."""
        with udp(0, asked=True) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(NUMBER.pack(7), ("127.0.0.2", server.getsockname()[1]))
            Echo(server, 3).answer()
            data, (address, _) = client.recvfrom(16)
        assert_that((address, *ANSWER.unpack(data)), equal_to(("127.0.0.2", 7, 3)))
