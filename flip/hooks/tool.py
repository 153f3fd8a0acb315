"""Runs the system's network tool, and says in an operator's words why it failed."""

from __future__ import annotations

import os
import subprocess

from flip.hooks.failure import CAPABILITIES, Failure

# The PATH of an ordinary user, or of a unit, may lack these.
ELSEWHERE = ("/sbin", "/usr/sbin", "/usr/local/sbin", "/bin", "/usr/bin")
DENIED = ("not permitted", "permission denied")


class Tool:
    """`ip` or `ifconfig`.

    :raises Failure: it is not installed.
    """

    def __init__(self, name: str, package: str) -> None:
        searched = os.environ.get("PATH", "").split(os.pathsep)
        for directory in (*filter(os.path.isabs, searched), *ELSEWHERE):
            self._path = os.path.join(directory, name)
            if os.path.isfile(self._path) and os.access(self._path, os.X_OK):
                return
        raise Failure(
            f"{name} is not installed: neither on PATH nor in {', '.join(ELSEWHERE)} ({package})"
        )

    def ask(self, *words: str, stdin: str = "") -> tuple[int, str, str]:
        """Run it; returns exit status, standard output and the first line of errors."""
        done = subprocess.run(
            [self._path, *words],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
        return (
            done.returncode,
            done.stdout,
            (done.stderr.strip() or "no reason given").splitlines()[0],
        )

    def run(self, *words: str, stdin: str = "", accepted: str | None = None) -> str:
        """Run it; returns its standard output.

        :param accepted: an error that is none here.
        :raises Failure: it failed; names the capability when that is what lacks.
        """
        status, output, error = self.ask(*words, stdin=stdin)
        if status == 0 or (accepted and accepted.lower() in error.lower()):
            return output
        command = " ".join([os.path.basename(self._path), *words])
        if any(text in error.lower() for text in DENIED):
            raise Failure(f"needs CAP_NET_ADMIN for '{command}' ({error}): {CAPABILITIES}")
        raise Failure(f"'{command}' failed with status {status}: {error}")
