"""``flip demo`` as a user runs it: three real nodes, real sockets and real hooks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hamcrest import (
    assert_that,
    contains_string,
    empty,
    equal_to,
    greater_than,
    has_length,
    less_than,
)
from twisted.trial.unittest import SynchronousTestCase

CHECKOUT = Path(__file__).resolve().parent.parent.parent
COMMAND = (sys.executable, "-c", "import sys; from flip.cli import main; sys.exit(main())", "demo")
LIMIT = 150.0  # seconds; alone on a machine it takes 20


class DemoTests(SynchronousTestCase):
    """The whole demo, in a directory of its own and from one that cannot be written."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="a demo "))
        self.addCleanup(shutil.rmtree, self.directory)

    def start(self, *options: str) -> subprocess.Popen[str]:
        environ = {name: value for name, value in os.environ.items() if name != "HOME"}
        process = subprocess.Popen(
            [*COMMAND, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**environ, "PYTHONPATH": str(CHECKOUT), "TMPDIR": str(self.directory)},
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def nodes(self) -> list[str]:
        """The process ids and command lines of the nodes that run in this test's directory."""
        command = ["ps", "-eo", "pid=,args="]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
        lines = listed.stdout.splitlines()
        return [line for line in lines if str(self.directory) in line and "-m flip.demo" in line]

    def wait_for_nodes(self, count: int) -> None:
        """Wait until so many run."""
        deadline = time.monotonic() + LIMIT
        while len(self.nodes()) != count and time.monotonic() < deadline:
            time.sleep(0.05)
        assert_that(self.nodes(), has_length(count))

    def test_story(self) -> None:
        """It ends well, shows the README's rows, and leaves neither process nor file behind."""
        process = self.start()
        told, complaints = process.communicate(timeout=LIMIT)
        assert_that(complaints, equal_to(""))
        rows = [" ".join(line.split()) for line in told.splitlines()]
        for row in (
            "flip flip1 flip2",
            "all active 192.168.0.1 192.168.0.2 (arbiter)",
            "flip1 killed 192.168.0.1, 192.168.0.2 x (arbiter)",
            "flip1 back 192.168.0.1 192.168.0.2 (arbiter)",
            "nobody can talk 192.168.0.1 192.168.0.2 (arbiter)",
            "after the cut 192.168.0.1 192.168.0.2 (arbiter)",
        ):
            assert_that(rows.count(row), greater_than(0), row)
        assert_that(told, contains_string("All as told"))
        assert_that(max(len(line) for line in told.splitlines()), less_than(81))
        assert_that(process.returncode, equal_to(0))
        assert_that(self.nodes(), empty())
        assert_that(list(self.directory.iterdir()), empty())

    def test_interrupted(self) -> None:
        """Ctrl-C ends it at once, with all its processes and files."""
        process = self.start("--json")
        self.wait_for_nodes(3)
        process.send_signal(signal.SIGINT)
        told, complaints = process.communicate(timeout=LIMIT)
        assert_that((process.returncode, complaints), equal_to((130, "")))
        assert_that(json.loads(told)["ok"], equal_to(False))
        assert_that(self.nodes(), empty())
        assert_that(list(self.directory.iterdir()), empty())

    def test_failed(self) -> None:
        """A node that dies without having been told to is an error, and its log is kept."""
        process = self.start("--json")
        self.wait_for_nodes(3)
        (victim,) = [line for line in self.nodes() if line.endswith("--id flip2")]
        os.kill(int(victim.split()[0]), signal.SIGKILL)
        told, complaints = process.communicate(timeout=LIMIT)
        assert_that(process.returncode, equal_to(1))
        result = json.loads(told)
        assert_that(result["error"], contains_string("flip2"))
        assert_that(result["error"], contains_string("killed by SIGKILL"))
        assert_that(complaints, contains_string(result["directory"]))
        assert_that(complaints, contains_string("The last lines of flip2's log:"))
        assert_that((Path(result["directory"]) / "flip2" / "log").is_file())
        assert_that(self.nodes(), empty())

    def test_killed(self) -> None:
        """Even killed it leaves no process behind."""
        process = self.start()
        self.wait_for_nodes(3)
        process.kill()
        process.wait()
        self.wait_for_nodes(0)
