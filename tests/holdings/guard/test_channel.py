"""The guard's end of its connection, with a daemon that does not read."""

from __future__ import annotations

import selectors
import socket

from hamcrest import assert_that, equal_to, greater_than, less_than
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.guard.channel import KEPT, Channel
from flip.holdings.guard.messages import Ended, Said, decode_report, encode

MANY = 20_000  # short lines that the buffer of a socket holds
LINE = Said("ip", "down", "a", False, "x" * 1000)


class ChannelTests(SynchronousTestCase):
    """Nothing ever waits."""

    def setUp(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.addCleanup(self.selector.close)
        ours, self.daemon = socket.socketpair()
        self.daemon.settimeout(10)
        self.addCleanup(ours.close)
        self.addCleanup(self.daemon.close)
        self.lines: list[bytes] = []
        self.losses = 0
        self.channel = Channel(ours, self.selector, self.lines.append, self.lost)

    def lost(self) -> None:
        self.losses += 1

    def turn(self) -> None:
        """What the loop does once, without waiting."""
        for key, _ in self.selector.select(0):
            key.data()

    def test_lines(self) -> None:
        """Orders come out one by one, however they were cut."""
        for piece in (b"one\ntw", b"", b"o", b"\nthr", b"ee\n"):
            self.daemon.sendall(piece)
            self.turn()
        assert_that(self.lines, equal_to([b"one", b"two", b"three"]))

    def test_end(self) -> None:
        """Is told once, after all that was said before it."""
        self.daemon.sendall(b"one\n")
        self.daemon.close()
        for _ in range(3):
            self.turn()
        assert_that((self.lines, self.losses), equal_to(([b"one"], 1)))
        self.channel.send(LINE)
        self.channel.close()
        assert_that(self.losses, equal_to(1))

    def test_orders_of_a_dead_daemon(self) -> None:
        """They are not followed before its end is known: all is read at once."""
        self.daemon.sendall(b"one\n" * MANY)
        self.daemon.close()
        self.turn()
        assert_that((len(self.lines), self.losses), equal_to((MANY, 1)))

    def test_end_with_unread_reports(self) -> None:
        """A daemon that died without reading has still given its orders."""
        self.channel.send(LINE)
        self.daemon.sendall(b"one\n")
        self.daemon.close()
        for _ in range(3):
            self.channel.send(LINE)
            self.turn()
        assert_that((self.lines, self.losses), equal_to(([b"one"], 1)))

    def test_daemon_does_not_read(self) -> None:
        """Hooks' output is dropped beyond a megabyte, results never."""
        for _ in range(3 * KEPT // 1000):
            self.channel.send(LINE)
        self.channel.send(Ended(7, None, 0.5))
        received = b""
        last = encode(Ended(7, None, 0.5)) + b"\n"
        while not received.endswith(last):
            received += self.daemon.recv(1 << 20)
            self.turn()
        assert_that(len(received), greater_than(KEPT))
        assert_that(len(received), less_than(2 * KEPT))
        reports = [decode_report(line) for line in received.splitlines()]
        assert_that(set(reports[:-1]), equal_to({LINE}))
