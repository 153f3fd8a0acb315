"""The demo's directory: its hooks, every node's configuration, and what the hooks left there.

hooks/ip_up, hooks/ip_down      the hooks, for all nodes
flip1/flip.json                 the configuration that the node flip1 runs with
flip1/log                       what it logged
flip1/holds/192.168.0.2         there while flip1 holds this data point
flip1/record                    one line per hook that ran
"""

from __future__ import annotations

import copy
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flip.demo.records import HookRun, parse
from flip.demo.story import CONFIGURATION, IDS, SYSTEM
from flip.errors import DemoFailed

LAST_LINES = 8  # of a log that say enough
TRACEBACK = "Traceback (most recent call last):"
LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 104 on the BSDs, 108 on Linux

HOOK = """\
#!/bin/sh
# A hook of flip can be any executable. flip runs it as "{name} DATUM CONFIG", where
# CONFIG is JSON, with FLIP_EVENT, FLIP_SYSTEM, FLIP_DATUM, FLIP_NODE and FLIP_CONFIG
# in the environment. Exit status 0 means that it is done.
#
# flip's own {name} {deed}.
# This one only {feat}, and writes down when it
# began and when it ended, in nanoseconds.
set -e
cd "${{0%/*}}/../$FLIP_NODE"
began=$({clock})
{command}
echo "$FLIP_EVENT $1 $began $({clock})" >> record
"""
HOOKS = {
    "ip_up": (
        "adds the address DATUM to an interface and announces it",
        "makes a file, which needs no privilege",
        'touch "holds/$1"',
    ),
    "ip_down": (
        "removes the address DATUM from an interface",
        "removes that file",
        'rm -f "holds/$1"',
    ),
}


class Workplace:
    """A directory of our own.

    :ivar root: where it is.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def make(cls) -> Workplace:
        """Make the directory where sockets and executable hooks can be, and write the hooks.

        :raises DemoFailed: there is no such place.
        """
        refused = []
        for base in _places():
            try:
                root = Path(tempfile.mkdtemp(prefix="flip-demo-", dir=base))
            except OSError as error:
                refused.append(f"{base}: {error.strerror}")
                continue
            place = cls(root)
            try:
                reason = place._unfit() or place._write_hooks()
            except OSError as error:
                reason = str(error)
            except BaseException:
                place.remove()
                raise
            if not reason:
                return place
            place.remove()
            refused.append(f"{base}: {reason}")
        tried = "; ".join(refused)
        raise DemoFailed(f"There is no directory that it can work in ({tried}). Set TMPDIR to one.")

    def remove(self) -> None:
        """Remove everything; hooks that still end must not get in the way."""
        for _ in range(3):
            shutil.rmtree(self.root, ignore_errors=True)
            if not self.root.exists():
                return
        shutil.rmtree(self.root)

    def configure(self, id: str, ports: Mapping[str, int]) -> Path:
        """Write a node's configuration: the story's, with the ports where it finds each server."""
        configuration: dict[str, Any] = copy.deepcopy(CONFIGURATION)
        configuration["id"] = id
        for server, port in ports.items():
            configuration["servers"][server]["port"] = port
        system = configuration["cluster"]["system"][SYSTEM]
        # With whole paths nothing else of that name can be run by mistake.
        system["alive"] = str(self.root / "hooks" / system["alive"])
        system["down"] = str(self.root / "hooks" / system["down"])
        configuration["state_dir"] = str(self.root / id / "state")
        configuration["control"] = str(self.control(id))
        path = self.root / id / "flip.json"
        path.write_text(json.dumps(configuration, indent=2) + "\n")
        return path

    def control(self, id: str) -> Path:
        """A node's UNIX socket."""
        return self.root / id / "control"

    def log(self, id: str) -> Path:
        """A node's log."""
        return self.root / id / "log"

    def last_lines(self, id: str) -> list[str]:
        """The end of a node's log."""
        return self._logged(id)[-LAST_LINES:]

    def has_traceback(self, id: str) -> bool:
        """Whether a node logged an error in flip itself."""
        return any(line.endswith(TRACEBACK) for line in self._logged(id))

    def _logged(self, id: str) -> list[str]:
        try:
            return self.log(id).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []

    def files(self, id: str) -> frozenset[str]:
        """The data points for which a node's hooks have made a file."""
        return frozenset(path.name for path in (self.root / id / "holds").iterdir())

    def runs(self) -> list[HookRun]:
        """All runs of hooks so far, in the order in which they ended."""
        runs = [run for id in IDS for run in self._runs(id)]
        return sorted(runs, key=lambda run: run.ended)

    def _runs(self, id: str) -> list[HookRun]:
        try:
            return parse(id, (self.root / id / "record").read_text())
        except FileNotFoundError:
            return []

    def _write_hooks(self) -> str:
        """Returns why they could not be run here, or nothing."""
        for id in IDS:
            (self.root / id / "holds").mkdir(parents=True)
        directory = self.root / "hooks"
        directory.mkdir()
        for name, (deed, feat, command) in HOOKS.items():
            hook = directory / name
            hook.write_text(
                HOOK.format(name=name, deed=deed, feat=feat, command=command, clock=_clock())
            )
            hook.chmod(0o700)
            if not os.access(hook, os.X_OK):
                return "nothing can be executed there (noexec)"
        return ""

    def _unfit(self) -> str:
        """Returns why paths here cannot be what they are needed for, or nothing."""
        longest = max(len(os.fsencode(self.control(id))) for id in IDS)
        if longest > LONGEST_SOCKET_PATH:
            return "its path is too long for a UNIX socket"
        text = os.fsencode(self.root).decode("utf-8", "replace")
        # Braces would be taken for {id}, which a configuration may have in paths.
        return "its name cannot stand in JSON" if text != str(self.root) or "{" in text else ""


def _places() -> Iterator[str]:
    """Directories to try: the user's choice first."""
    with suppress(FileNotFoundError):  # none of the usual ones can be written
        yield tempfile.gettempdir()
    yield from ("/tmp", "/var/tmp", "/dev/shm", os.path.expanduser("~"))


def _clock() -> str:
    """A shell command that prints the wall clock in nanoseconds: not every date knows %N."""
    try:
        printed = subprocess.run(["date", "+%s%N"], capture_output=True, check=False).stdout
    except OSError:
        printed = b""
    if printed.strip().isdigit():
        return "date +%s%N"
    return f"{shlex.quote(sys.executable)} -c 'import time; print(time.time_ns())'"
