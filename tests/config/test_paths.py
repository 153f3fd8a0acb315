"""Tests for `flip.config.paths`."""

from __future__ import annotations

import pwd
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

from hamcrest import assert_that, empty, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.config.paths import Paths

BASE = Path("/etc/flip")


def make(
    settings: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    user: int = 1000,
    id: str | None = "flip1",
) -> Paths:
    """The paths of flip1, for the user whose home is /home/op."""
    environ = {"HOME": "/home/op"} if environ is None else environ
    return Paths(settings or {}, id, BASE, environ, user)


class DefaultTests(SynchronousTestCase):
    """Without a word in the file, every node has its own places."""

    def check(self, found: Paths, state_dir: str, control: str) -> None:
        assert_that(found.faults, empty())
        assert_that((str(found.state_dir), str(found.control)), equal_to((state_dir, control)))

    def test_root(self) -> None:
        """Root has the system's directories, whatever its environment says."""
        self.patch(sys, "platform", "linux")
        environ = {"HOME": "/root", "XDG_STATE_HOME": "/x", "XDG_RUNTIME_DIR": "/y"}
        self.check(make({}, environ, user=0), "/var/lib/flip/flip1", "/run/flip/flip1.sock")

    def test_root_elsewhere(self) -> None:
        """macOS and the BSDs have no /run."""
        self.patch(sys, "platform", "darwin")
        self.check(make(user=0), "/var/lib/flip/flip1", "/var/run/flip/flip1.sock")

    def test_user(self) -> None:
        """Others have directories in their home."""
        directory = "/home/op/.local/state/flip/flip1"
        self.check(make(), directory, f"{directory}/control.sock")

    def test_user_with_session(self) -> None:
        """Or where the XDG variables say."""
        environ = {"HOME": "/h", "XDG_STATE_HOME": "/state", "XDG_RUNTIME_DIR": "/run/user/1000"}
        self.check(make({}, environ), "/state/flip/flip1", "/run/user/1000/flip/flip1.sock")

    def test_relative_variables(self) -> None:
        """Which mean nothing when they are relative."""
        environ = {"HOME": "/h", "XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": ""}
        directory = "/h/.local/state/flip/flip1"
        self.check(make({}, environ), directory, f"{directory}/control.sock")

    def test_no_home(self) -> None:
        """Without HOME (cron, systemd) the user's entry says where home is."""
        self.patch(pwd, "getpwuid", lambda user: SimpleNamespace(pw_dir=f"/home/{user}"))
        directory = "/home/1000/.local/state/flip/flip1"
        self.check(make({}, {}), directory, f"{directory}/control.sock")

    def test_nobody(self) -> None:
        """A user without an entry either has to say it."""

        def unknown(user: int) -> None:
            raise KeyError(user)

        self.patch(pwd, "getpwuid", unknown)
        expected = ["state_dir: user 1000 has no home directory: give an absolute path"]
        assert_that([str(fault.problem) for fault in make({}, {}).faults], equal_to(expected))
        self.check(make({"state_dir": "/s/{id}"}, {}), "/s/flip1", "/s/flip1/control.sock")


class ExplicitTests(SynchronousTestCase):
    """Paths that the file gives."""

    def test_id(self) -> None:
        """`{id}` is the node's id, wherever it stands and how often."""
        found = make({"state_dir": "/s/{id}/x-{id}", "control": "/c/{id}", "hook_dir": "/h"})
        expected = ("/s/flip1/x-flip1", "/c/flip1", "/h")
        assert_that(
            (str(found.state_dir), str(found.control), str(found.hook_dir)), equal_to(expected)
        )

    def test_no_hook_dir(self) -> None:
        """There is no hook_dir by default."""
        assert_that(make().hook_dir, equal_to(None))

    def test_relative(self) -> None:
        """Relative paths start at the file, not where the daemon was started."""
        found = make({"state_dir": "state", "hook_dir": "../hooks"})
        expected = ("/etc/flip/state", "/etc/hooks")
        assert_that((str(found.state_dir), str(found.hook_dir)), equal_to(expected))

    def test_home(self) -> None:
        """`~` is home, as everywhere."""
        assert_that(str(make({"hook_dir": "~/hooks"}).hook_dir), equal_to("/home/op/hooks"))
        assert_that(str(make({"hook_dir": "~"}).hook_dir), equal_to("/home/op"))
        assert_that(str(make({"hook_dir": "~x"}).hook_dir), equal_to("/etc/flip/~x"))

    def test_other_placeholder(self) -> None:
        """Nothing else in braces stands for anything."""
        found = make({"state_dir": "/s/{ID}/{id}", "control": "/{}"})
        expected = [
            'state_dir: "{ID}" stands for nothing; only {id} does',
            'control: "{}" stands for nothing; only {id} does',
        ]
        assert_that([str(fault.problem) for fault in found.faults], equal_to(expected))

    def test_unknown_node(self) -> None:
        """Paths can be checked even if nobody knows who this node is."""
        assert_that(make({"state_dir": "/s/{id}"}, id=None).faults, empty())


class SocketTests(SynchronousTestCase):
    """A UNIX socket's path is short, in bytes."""

    def problems(self, found: Paths) -> list[str]:
        return [str(fault.problem) for fault in found.faults]

    def test_explicit(self) -> None:
        """A path that is too long is refused, with its length."""
        assert_that(self.problems(make({"control": "/" + "x" * 99})), empty())
        long = "/" + "ö" * 50
        expected = (
            f'control: "{long}" has 101 bytes, and a UNIX socket\'s path has at most 100: give a'
            " shorter one"
        )
        assert_that(self.problems(make({"control": long})), equal_to([expected]))

    def test_both(self) -> None:
        """A path may be wrong in two ways."""
        assert_that(len(self.problems(make({"control": "/{x}" * 50}))), equal_to(51))

    def test_default(self) -> None:
        """So is a default that is too long: then the file has to say it."""
        found = make({}, {"HOME": "/h", "XDG_RUNTIME_DIR": "/" + "x" * 200})
        (problem,) = self.problems(found)
        expected = "has 217 bytes, and a UNIX socket's path has at most 100: set a shorter one"
        assert_that(problem.partition('..." ')[2], equal_to(expected))
