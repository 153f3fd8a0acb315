"""What it means to run a hook: the program, the arguments, the environment, the verdict.

Only the standard library is needed here, and little of it: the guard, which runs hooks
as well, is a small process without Twisted. (`dataclasses` alone would add a megabyte.)
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping
from typing import NamedTuple

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Of systemd, for the daemon's own process: in a hook they would speak for the daemon.
PRIVATE = frozenset(
    ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
)


PROVIDERS = frozenset(("address",))  # no absolute path is one of these


class Hook(NamedTuple):
    """An executable that was found, or what flip does itself instead.

    :ivar name: as the configuration spells it; the provider's.
    :ivar argv: what to run, as absolute paths; the datum and the config follow. Empty where
        there is no program.
    """

    name: str
    argv: tuple[str, ...]

    @property
    def provided(self) -> bool:
        """Whether no program is run: flip itself does what the name says."""
        return not self.argv and self.name in PROVIDERS

    @property
    def recorded(self) -> tuple[str, ...]:
        """As the journal names it."""
        return (self.name,) if self.provided else self.argv

    @classmethod
    def of_record(cls, words: tuple[str, ...]) -> Hook:
        """What the journal named so: a provider, a program, or nothing that is known."""
        if len(words) == 1 and words[0] in PROVIDERS:
            return cls(words[0], ())
        return cls(words[-1] if words else "?", words)


class HookCall(NamedTuple):
    """One run of a hook, for a data point.

    :ivar event: "alive" or "down".
    :ivar datum: the data point's id.
    :ivar config: JSON text: the data point's own.
    :ivar node: the id of this node.
    :ivar timeout: seconds, for all members together.
    :ivar members: what the hook's program is run for, in order; the id alone when the data
        point is just a text. More than one are a group; see `flip.holdings.group`.
    :ivar undo: of the `alive` of a group: what takes away the members that are live when
        another one fails; None leaves them.
    """

    hook: Hook
    event: str
    system: str
    datum: str
    config: str
    node: str
    timeout: float
    members: tuple[str, ...]
    undo: Hook | None = None

    @property
    def subject(self) -> str:
        """What it is run for, as logs and errors name it."""
        if self.members == (self.datum,):
            return self.datum
        return f"{', '.join(self.members)} of {self.datum}"


class HookResult(NamedTuple):
    """A hook that ended well.

    :ivar duration: seconds from start to exit.
    """

    duration: float


def arguments(call: HookCall) -> list[bytes]:
    """The argument list of ``HOOK datum config``, for a call with one member.

    :raises UnicodeEncodeError: half of a surrogate pair cannot be written as UTF-8.
    """
    words = [os.fsencode(word) for word in call.hook.argv]
    (member,) = call.members
    return [*words, member.encode(), call.config.encode()]


def environment(call: HookCall, inherited: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """What a hook finds in its environment: the daemon's, and what it is about.

    :raises UnicodeEncodeError: half of a surrogate pair cannot be written as UTF-8.
    """
    (member,) = call.members
    kept = {name: value for name, value in inherited.items() if name not in _PRIVATE}
    return {
        b"PATH": DEFAULT_PATH.encode(),
        **kept,
        b"FLIP_EVENT": call.event.encode(),
        b"FLIP_SYSTEM": call.system.encode(),
        b"FLIP_DATUM": member.encode(),
        b"FLIP_POINT": call.datum.encode(),
        b"FLIP_NODE": call.node.encode(),
        b"FLIP_CONFIG": call.config.encode(),
    }


def verdict(code: int) -> str | None:
    """What an exit code means, negative for a signal; None when it is success."""
    if code == 0:
        return None
    if code > 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {-code}"


def failed(call: HookCall, verdict: str, said: str) -> str:
    """The reason of a failure, with the last that the hook said."""
    text = f"{call.hook.name}: {verdict}"
    return f"{text} (it said: {said})" if said else text


def not_started(call: HookCall, error: Exception) -> str:
    """Why a process could not be started, in an operator's words."""
    return f"{call.hook.name} cannot be started: {why_not(call, error)}"


def no_executable(call: HookCall) -> str:
    """Why a hook without a program cannot be started."""
    return f"{call.hook.name}: no executable is known for it"


def why_not(call: HookCall, error: Exception) -> str:
    path = call.hook.argv[0]
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object!r:.200} holds half a surrogate pair, which is no UTF-8"
    if not isinstance(error, OSError):
        return f"{error} in its path, arguments or environment"
    match error.errno:
        case errno.ENOENT:
            return f"{path}, or the interpreter in its first line, does not exist any more"
        case errno.ENOEXEC:
            return f"{path} is neither a program for this machine nor a script with a #! line"
        case errno.EACCES:
            return f"{path} is not executable any more (chmod +x {path})"
        case errno.E2BIG:
            size = sum(len(word.encode()) for word in (*call.members, call.config))
            return f"datum and config ({size} bytes) are longer than this system allows"
        case errno.EMFILE | errno.ENFILE:
            return "too many open files (LimitNOFILE= in systemd, or ulimit -n)"
        case errno.EAGAIN | errno.ENOMEM:
            return f"{error.strerror} (too many processes, TasksMax=, or out of memory)"
        case _:
            return f"{path}: {error.strerror}"


_PRIVATE = frozenset(name.encode() for name in PRIVATE)
