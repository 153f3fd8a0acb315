"""A hook's process at the edges that a shell script does not reach."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from hamcrest import assert_that, equal_to
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.child import BREATH, CHUNK, FREE_BYTES, _Pipe

ROOT = Path(__file__).resolve().parents[2]


class ReadersClock(Clock):
    """A clock that also notes who wants to read."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)


class PipeTests(SynchronousTestCase):
    """The reading end of a hook's output."""

    def setUp(self) -> None:
        self.reactor = ReadersClock()
        fd, self.end = os.pipe()
        self.pipe = _Pipe(self.reactor, 1, fd)
        self.received: list[tuple[int, bytes]] = []
        self.pipe.start(lambda stream, data: self.received.append((stream, data)))
        self.addCleanup(self.pipe.close)

    def write(self, data: bytes) -> None:
        os.write(self.end, data)

    def test_read(self) -> None:
        """What arrives is passed on; nothing there is no end."""
        self.write(b"some")
        assert_that(self.pipe.doRead(), equal_to(None))
        assert_that(self.pipe.doRead(), equal_to(None))
        assert_that(self.received, equal_to([(1, b"some")]))
        os.close(self.end)
        assert_that(self.pipe.doRead(), equal_to(CONNECTION_DONE))

    def test_flood(self) -> None:
        """A flood is read one chunk at a time with a breath between, so the node can work."""
        self.addCleanup(os.close, self.end)
        for _ in range(FREE_BYTES // CHUNK):
            self.write(bytes(CHUNK))
            self.pipe.doRead()
            assert_that(self.reactor.readers, equal_to({self.pipe}))
        for _ in range(3):
            self.write(bytes(CHUNK))
            self.pipe.doRead()
            assert_that(self.reactor.readers, equal_to(set()))
            self.reactor.advance(BREATH)
            assert_that(self.reactor.readers, equal_to({self.pipe}))

    def test_close(self) -> None:
        """Closing during a breath leaves neither timer nor reader, and twice is once."""
        self.addCleanup(os.close, self.end)
        for _ in range(FREE_BYTES // CHUNK + 1):
            self.write(bytes(CHUNK))
            self.pipe.doRead()
        for _ in range(2):
            self.pipe.close()
            assert_that(self.reactor.getDelayedCalls(), equal_to([]))
            assert_that(self.reactor.readers, equal_to(set()))
        self.pipe.drain()


DAEMON = """
import os, sys
for fd in (0, 1, 2):
    os.close(fd)
from twisted.internet import reactor
from twisted.internet.protocol import ProcessProtocol
from flip.holdings.child import Child

received = []
script = b"cat; echo out; echo err >&2; exit 7"

class Hook(ProcessProtocol):
    def childDataReceived(self, stream, data):
        received.append((stream, data))

    def processEnded(self, reason):
        with open(sys.argv[1], "w") as file:
            file.write(repr((sorted(received), reason.value.exitCode)))
        reactor.stop()

def start():
    child = Child(reactor, [b"/bin/sh", b"-c", script], {b"PATH": b"/usr/bin:/bin"})
    child.watch(Hook())

reactor.callWhenRunning(start)
reactor.run()
"""


class StandardStreamsTests(SynchronousTestCase):
    """Pipes that get the numbers of standard streams."""

    def test_closed_in_the_daemon(self) -> None:
        """A daemon that was started without standard streams does not mix up a hook's."""
        with NamedTemporaryFile() as file:
            subprocess.run(
                [sys.executable, "-c", DAEMON, file.name],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                check=True,
                timeout=20,
            )
            expected = ([(1, b"out\n"), (2, b"err\n")], 7)
            assert_that(file.read().decode(), equal_to(repr(expected)))
