"""Where a node keeps its state and its control socket."""

from __future__ import annotations

import pwd
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from flip.config.places import Fault, meant, shown

LONGEST_SOCKET = 100  # bytes; Linux takes 107, macOS and the BSDs 103

_PLACEHOLDER = re.compile(r"\{[^{}/]*\}")


class Paths:
    """The paths of one node.

    :param base: the directory of the configuration file.
    :param user: the numeric id of the user that runs the node.
    """

    def __init__(self, id: str, base: Path, environ: Mapping[str, str], user: int) -> None:
        self._id = id
        self._base = base
        self._environ = environ
        self._user = user
        self.faults: list[Fault] = []

    def explicit(self, name: str, text: str | None) -> Path | None:
        """A path that the file gives: ``{id}`` is the node's id, relative ones start beside it."""
        if text is None:
            return None
        for placeholder in _PLACEHOLDER.findall(text):
            if placeholder != "{id}":
                message = f"{placeholder} in {shown(text)}: only {{id}} stands for something"
                self.faults.append(Fault((name,), message + meant(placeholder, ["{id}"])))
        text = text.replace("{id}", self._id)
        if text == "~" or text.startswith("~/"):
            home = self._home(name)
            return home / text[2:] if home else None
        return self._base / text

    def state_dir(self, text: str | None) -> Path | None:
        """The directory of the journal."""
        if text is not None:
            return self.explicit("state_dir", text)
        if self._user == 0:
            return Path("/var/lib/flip", self._id)
        base = self._from_environment("XDG_STATE_HOME")
        if base is None:
            home = self._home("state_dir")
            if home is None:
                return None
            base = home / ".local/state"
        return base / "flip" / self._id

    def control(self, text: str | None, state_dir: Path | None) -> Path | None:
        """The UNIX socket."""
        path = self._control(text, state_dir)
        length = len(bytes(path)) if path else 0
        if length > LONGEST_SOCKET:
            cure = "give a shorter one" if text is not None else "set control to a shorter path"
            message = f"{shown(str(path))} has {length} bytes; a UNIX socket's path has at most"
            self.faults.append(Fault(("control",), f"{message} {LONGEST_SOCKET}: {cure}"))
        return path

    def _control(self, text: str | None, state_dir: Path | None) -> Path | None:
        if text is not None:
            return self.explicit("control", text)
        if self._user == 0:
            run = "/run" if sys.platform == "linux" else "/var/run"
            return Path(run, "flip", f"{self._id}.sock")
        base = self._from_environment("XDG_RUNTIME_DIR")
        if base is not None:
            return base / "flip" / f"{self._id}.sock"
        return state_dir / "control.sock" if state_dir else None

    def _from_environment(self, variable: str) -> Path | None:
        path = self._environ.get(variable, "")
        # The XDG specification has relative ones ignored.
        return Path(path) if path.startswith("/") else None

    def _home(self, name: str) -> Path | None:
        home = self._from_environment("HOME")
        if home is not None:
            return home
        try:
            return Path(pwd.getpwuid(self._user).pw_dir)
        except KeyError:
            message = f"user {self._user} has no home directory; give an absolute path"
            self.faults.append(Fault((name,), message))
            return None
