"""Where a node keeps its state and its control socket."""

from __future__ import annotations

import os
import pwd
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from flip.config.places import Fault, shown

LONGEST_SOCKET = 100  # bytes; Linux takes 107, macOS and the BSDs 103

_PLACEHOLDER = re.compile(r"\{[^{}/]*\}")


class Paths:
    """The paths of one node, and what is wrong with them.

    :ivar faults: without any, the paths can be used.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        id: str | None,
        base: Path,
        environ: Mapping[str, str],
        user: int,
    ) -> None:
        """
        :param settings: `hook_dir`, `state_dir` and `control`, those that the file gives.
        :param id: the node's id, None when it is not known.
        :param base: the directory of the configuration file.
        :param user: the numeric id of the user that runs the node.
        """
        self.faults: list[Fault] = []
        self._settings = settings
        self._id = id or "ID"
        self._base = base
        self._environ = environ
        self._user = user
        self.hook_dir = self._explicit("hook_dir")
        self.state_dir = self._explicit("state_dir") or self._state_dir()
        self.control = self._explicit("control") or self._control()
        self._check_length(self.control)

    def _explicit(self, name: str) -> Path | None:
        """``{id}`` is the node's id, ``~`` the user's home; relative ones start beside the file."""
        text = self._settings.get(name)
        if text is None:
            return None
        for placeholder in _PLACEHOLDER.findall(text):
            if placeholder != "{id}":
                message = f"{shown(placeholder)} stands for nothing; only {{id}} does"
                self.faults.append(Fault((name,), message, usable=True))
        text = text.replace("{id}", self._id)
        if text == "~" or text.startswith("~/"):
            return self._home(name) / text[1:].lstrip("/")
        return Path(os.path.normpath(self._base / text))

    def _state_dir(self) -> Path:
        if self._user == 0:
            return Path("/var/lib/flip", self._id)
        base = self._from_environment("XDG_STATE_HOME")
        return (base or self._home("state_dir") / ".local/state") / "flip" / self._id

    def _control(self) -> Path:
        run = self._from_environment("XDG_RUNTIME_DIR")
        if self._user == 0:
            run = Path("/run" if sys.platform == "linux" else "/var/run")
        return run / "flip" / f"{self._id}.sock" if run else self.state_dir / "control.sock"

    def _check_length(self, control: Path) -> None:
        length = len(os.fsencode(control))
        if length > LONGEST_SOCKET:
            cure = "give a shorter one" if "control" in self._settings else "set a shorter one"
            message = f"{shown(str(control))} has {length} bytes, and a UNIX socket's path has"
            self.faults.append(Fault(("control",), f"{message} at most {LONGEST_SOCKET}: {cure}"))

    def _from_environment(self, variable: str) -> Path | None:
        path = self._environ.get(variable, "")
        # The XDG specification has relative ones ignored.
        return Path(path) if path.startswith("/") else None

    def _home(self, name: str) -> Path:
        home = self._from_environment("HOME")
        if home is not None:
            return home
        try:
            return Path(pwd.getpwuid(self._user).pw_dir)
        except KeyError:
            message = f"user {self._user} has no home directory: give an absolute path"
            self.faults.append(Fault((name,), message))
            return self._base
