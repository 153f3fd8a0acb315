"""The example hooks of etc/hooks do what docs/hooks.md says of them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from hamcrest import assert_that, contains_string, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.hooks import find_hook

ETC = Path(__file__).resolve().parents[2] / "etc"


class ExampleTests(SynchronousTestCase):
    """Run as flip runs them."""

    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def run_hook(
        self, name: str, event: str, datum: str, config: object
    ) -> subprocess.CompletedProcess[str]:
        hook = find_hook(f"hooks/{name}", base=ETC, hook_dir=None, path="")
        return subprocess.run(
            [*hook.argv, datum, json.dumps(config)],
            env={
                "PATH": f"{self.directory}:{os.environ['PATH']}",
                "FLIP_EVENT": event,
                "FLIP_SYSTEM": "worker",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def test_touch_file(self) -> None:
        """A file comes and goes, whatever its data point is called; both ways twice is once."""
        points = self.directory / "points"
        config = {"directory": str(points)}
        for datum, file in (("a", "point-a"), ("../b c", "point-..%2Fb%20c"), ("", "point-")):
            for event, listing in (("alive", [file]), ("down", [])):
                for _ in range(2):
                    done = self.run_hook("touch_file", event, datum, config)
                    assert_that((done.returncode, done.stderr), equal_to((0, "")))
                    assert_that(os.listdir(points), equal_to(listing))

    def test_touch_file_fails(self) -> None:
        """The last line on standard error is the reason."""
        done = self.run_hook("touch_file", "alive", "a", {})
        assert_that(done.returncode, equal_to(1))
        assert_that(done.stderr, equal_to('touch_file: the config lacks "directory"\n'))
        done = self.run_hook("touch_file", "alive", "a", {"directory": "/dev/null/x"})
        assert_that(done.returncode, equal_to(1))
        assert_that(done.stderr, contains_string("Not a directory: '/dev/null"))

    def test_systemd_unit(self) -> None:
        """The unit's name is escaped; the exit status is that of systemctl."""
        for name, script in (
            ("systemd-escape", 'echo "$2" | tr / -'),
            ("systemctl", f'echo "$@" >> {self.directory}/asked; exit 5'),
        ):
            path = self.directory / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        for event in ("alive", "down", "other"):
            status = self.run_hook("systemd_unit", event, "emea/3", {}).returncode
            assert_that(status, equal_to(2 if event == "other" else 5))
        assert_that(
            (self.directory / "asked").read_text(),
            equal_to("start -- worker@emea-3.service\nstop -- worker@emea-3.service\n"),
        )
