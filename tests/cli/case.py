"""Commands as somebody types them, with what they print."""

from __future__ import annotations

import copy
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from flip.cli import main
from tests.config.case import GOOD


class CommandCase(SynchronousTestCase):
    """`flip` runs a command, on files that are no terminals."""

    def setUp(self) -> None:
        self.patch(os, "environ", {**os.environ, "COLUMNS": "80", "HOME": "/home/op"})
        os.environ.pop("FLIP_ID", None)
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)
        self.description: dict[str, Any] = copy.deepcopy(GOOD)
        self.path = Path(self.mktemp())

    def write(self) -> str:
        """The description as a file."""
        self.path.write_text(json.dumps(self.description))
        self.path.chmod(0o600)
        return str(self.path)

    def flip(self, *words: str) -> int:
        """The exit code of a command; what it prints is in `out` and `err`."""
        return main(words)
