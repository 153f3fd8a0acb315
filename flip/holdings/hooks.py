"""Hooks: which executable a name in the configuration stands for."""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from flip.config import Config, System
from flip.config.places import Fault
from flip.errors import ConfigError, HookNotFound
from flip.holdings.call import Hook

OWN = Path(__file__).resolve().parent.parent / "hooks"  # flip's own
FIRST_LINE = 256  # bytes; Linux reads no more of a `#!` line


__all__ = ["OWN", "Hook", "find_hook", "find_hooks"]


def find_hook(hook: str, *, base: Path, hook_dir: Path | None, path: str) -> Hook:
    """Find a hook: as a path, beside the configuration, in `hook_dir`, on PATH, or flip's own.

    A name with a slash is never looked for on PATH. A file beside the
    configuration or in `hook_dir` that cannot be run ends the search: whoever put
    it there means that one, and must not get another one without a word.

    :param base: the directory of the configuration file.
    :param path: PATH; its relative entries are passed over, for what they stand
        for depends on where the daemon was started.
    :raises HookNotFound: it is nowhere, or cannot be run; names each place and why.
    """
    refused = []
    for place, meant in _places(hook, base, hook_dir, path):
        reason = _refusal(place)
        if reason is None:
            return Hook(hook, _argv(place))
        refused.append(f"{place} {reason}")
        if meant and os.path.isfile(place):
            break
    raise HookNotFound(f"{hook!r}: {'; '.join(refused) or 'no file can have this name'}.")


def find_hooks(config: Config, path: str) -> dict[str, dict[str, Hook]]:
    """The hooks of each system that this server lists, or its provider, by event.

    "alive" and "down"; and where there is one to look with, "verify" for a data point and
    "check" for the system.

    :param path: PATH.
    :raises ConfigError: with every one that cannot be found or executed.
    """
    found: dict[str, dict[str, Hook]] = {}
    problems = []
    for name in config.me.systems:
        system = config.systems[name]
        found[name] = {}
        if system.provider is not None:
            found[name] = dict.fromkeys(("alive", "down", "verify"), Hook(system.provider, ()))
        for event, setting, hook in _wanted(system):
            try:
                found[name][event] = find_hook(
                    hook, base=config.path.parent, hook_dir=config.hook_dir, path=path
                )
            except HookNotFound as error:
                problems.append(Fault(("cluster", "system", name, *setting), str(error)).problem)
        problems += [fault.problem for fault in _without_tls(system)]
    if problems:
        raise ConfigError(str(config.path), tuple(problems))
    return found


def _without_tls(system: System) -> Iterator[Fault]:
    """A check by https needs a library that all others do without."""
    check = system.check
    if check is None or check.kind != "http" or not check.target.lower().startswith("https:"):
        return
    if importlib.util.find_spec("OpenSSL") is None:
        message = "https needs pyOpenSSL, which is not installed: pip install 'flip[https]'"
        yield Fault(("cluster", "system", system.name, "check", "http"), message)


def _wanted(system: System) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """The programs of a system: the event, the place of the setting, the hook."""
    if system.provider is None:
        yield "alive", ("alive",), system.alive
        yield "down", ("down",), system.down
        if system.verify is not None:
            yield "verify", ("verify",), system.verify
    if system.check is not None and system.check.kind == "run":
        yield "check", ("check", "run"), system.check.target


def _places(hook: str, base: Path, hook_dir: Path | None, path: str) -> Iterator[tuple[Path, bool]]:
    """Where to look, in order, and whether a file there can only be meant for flip."""
    if not hook or not _is_file_name(hook):
        return
    if os.path.isabs(hook):
        yield Path(hook), True
        return
    for directory in (base, hook_dir):
        if directory is not None:
            yield Path(os.path.abspath(directory / hook)), True
    if "/" not in hook:
        for entry in path.split(os.pathsep):
            if os.path.isabs(entry):
                yield Path(entry, hook), False
        if not hook.startswith((".", "_")) and not hook.endswith(".py"):
            yield OWN / hook, False


def _is_file_name(hook: str) -> bool:
    try:
        return b"\0" not in os.fsencode(hook)
    except UnicodeEncodeError:  # half of a surrogate pair, from JSON's \ud800
        return False


def _refusal(place: Path) -> str | None:
    """Why a file cannot be run as a hook, None when it can."""
    try:
        mode = place.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if place.is_symlink():
            return f"is a link to {os.readlink(place)}, which does not exist"
        return "does not exist"
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    if stat.S_ISDIR(mode):
        return "is a directory"
    if not stat.S_ISREG(mode):
        return "is not a regular file"
    if not mode & 0o111:
        return f"is not executable (chmod +x {place})"
    if not os.access(place, os.X_OK):
        return (
            f"may not be executed by user {os.getuid()} (mode {stat.S_IMODE(mode):o};"
            " or its file system is mounted noexec)"
        )
    return None if _is_own(place) else _unrunnable(place)


def _unrunnable(place: Path) -> str | None:
    """What the kernel would stumble over: only at a failover, and in fewer words."""
    try:
        with place.open("rb") as file:
            start = file.read(FIRST_LINE)
    except PermissionError:
        return None  # a binary that may be executed and not read
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not start:
        return "is empty"
    if not start.startswith(b"#!"):
        # What holds a NUL is some binary; whether it runs here, only the kernel knows.
        return None if b"\0" in start else "is a script without a first line like #!/bin/sh"
    line = start[2:].split(b"\n", 1)[0]
    interpreter = os.fsdecode((line.strip(b" \t").split() or [b""])[0])
    if line.endswith(b"\r"):
        return "has lines that end in CR LF, as on Windows (cure: sed -i 's/\\r$//')"
    if not os.path.isabs(interpreter):
        return f"names the interpreter {interpreter!r}, which is not an absolute path"
    if not os.access(interpreter, os.X_OK):
        return f"needs the interpreter {interpreter}, which does not exist or is not executable"
    return None


def _is_own(place: Path) -> bool:
    return place.parent == OWN and bool(sys.executable)


def _argv(place: Path) -> tuple[str, ...]:
    if _is_own(place):
        # Python's flags save half of its start; and this interpreter is here for
        # sure, whereas /usr/bin/env may know no python3 or no option -S.
        return (sys.executable, "-IS", str(place))
    return (str(place),)
