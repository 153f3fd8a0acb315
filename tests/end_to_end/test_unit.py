"""The systemd unit etc/flip@.service."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

from hamcrest import assert_that, contains_string, equal_to, has_entries
from twisted.trial.unittest import SynchronousTestCase

from flip.config.urgency import USUAL
from flip.tap import BAD_CONFIGURATION, Options
from tests.end_to_end.processes import BIN

UNIT = Path(__file__).parents[2] / "etc" / "flip@.service"
STOP_LIMIT = 10  # seconds: what flip promises


class UnitTests(SynchronousTestCase):
    """What the unit says is what flip does."""

    def setUp(self) -> None:
        parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",))
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read(UNIT)
        self.service = dict(parser["Service"])

    def test_command(self) -> None:
        """twistd in the foreground, and options that ``twistd flip`` has."""
        words = shlex.split(self.service["ExecStart"])
        assert_that(words[1:4], equal_to(["--nodaemon", "--pidfile=", "flip"]))
        options = Options()
        options.parseOptions(words[4:])
        assert_that(options, has_entries(config="/etc/flip/flip.json", id="%i"))

    def test_end(self) -> None:
        """Only the daemon gets SIGTERM, and time enough; a wrong configuration is final.

        Any other KillMode would kill the guard together with the daemon.
        """
        assert_that(self.service, has_entries(KillMode="process", Restart="on-failure"))
        assert_that(self.service["RestartPreventExitStatus"], equal_to(str(BAD_CONFIGURATION)))
        self.assertGreater(int(self.service["TimeoutStopSec"]), STOP_LIMIT)

    def test_realtime(self) -> None:
        """`"realtime": true` is permitted by it, and children are not real-time by it."""
        assert_that(int(self.service["LimitRTPRIO"]), equal_to(USUAL))
        self.assertNotIn("CPUSchedulingPolicy", self.service)

    def test_verified(self) -> None:
        """systemd has nothing to say against it."""
        if shutil.which("systemd-analyze") is None:
            self.skipTest("needs systemd-analyze")
        directory = Path(self.mktemp())
        directory.mkdir()
        copy = directory / "flip@node.service"
        text = UNIT.read_text()
        # This host has twistd somewhere else, and maybe no such user.
        for ours, here in (
            ("/opt/flip/bin/twistd", str(BIN / "twistd")),
            ("User=flip", "User=root"),
        ):
            assert_that(text, contains_string(ours))
            text = text.replace(ours, here)
        copy.write_text(text)
        verified = subprocess.run(
            ["systemd-analyze", "verify", str(copy.resolve())],
            capture_output=True,
            text=True,
            check=False,
        )
        assert_that((verified.returncode, verified.stdout + verified.stderr), equal_to((0, "")))
