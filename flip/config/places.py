"""How places in the file and the values there are written in reports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flip.config.values import Problem

Path = tuple[str | int, ...]

LONGEST = 60  # characters of a value that are shown

MOST_NAMES = 20  # that are listed

_PLAIN = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with the value at a path.

    :ivar usable: whether the value can be used to look for more faults.
    """

    path: Path
    message: str
    usable: bool = False

    @property
    def problem(self) -> Problem:
        return Problem(place(self.path), self.message)


def place(path: Path) -> str:
    """A path as people write it: ``servers.flip1.systems[0]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        name = step if _PLAIN.fullmatch(step) else shown(step)
        text += f".{name}" if text else name
    return text


def shown(value: Any) -> str:
    """A value as the file has it, shortened when it is long."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, str) and len(value) > LONGEST:
        value = value[:LONGEST] + "..."
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 4 * LONGEST else text[: 4 * LONGEST] + "..."


def printable(text: str) -> str:
    """Without anything that could move the cursor or break the line."""
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def is_text(value: str) -> bool:
    """Whether it can be written in UTF-8, which half of a surrogate pair cannot."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def closest(name: str, known: Iterable[str], *, alike: float = 0.6) -> str | None:
    """The name that was perhaps meant.

    :param alike: how much it must be like it, from 0 to 1.
    """
    import difflib  # a file that is good has no need of it

    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=alike)
    return by_lower[close[0]] if close else None


def meant(name: str, known: Iterable[str]) -> str:
    """``; did you mean "..."?`` when one is close, or which there are."""
    names = [*known]
    close = closest(name, names)
    if close is not None:
        return f"; did you mean {shown(close)}?"
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"; there are {printable(', '.join(names[:MOST_NAMES])) or 'none'}{more}"
