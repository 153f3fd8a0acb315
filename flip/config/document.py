"""The file as a JSON value, or what is wrong with its bytes and its syntax."""

from __future__ import annotations

import codecs
import errno
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from flip.config.places import Fault, Path, is_text, place
from flip.config.values import Problem

MAX_SIZE = 64 * 1024 * 1024  # bytes
MAX_DEPTH = 64  # lists and objects within one another
TOO_DEEP = f"lists and objects are nested more than {MAX_DEPTH} deep"
HALF = "holds half of a surrogate pair, which is no text"
EXCERPT = 100  # characters of a line that are shown

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
# The value of "key" as far as broken JSON lets one tell.
_SECRET = re.compile(r'"key"\s*:?\s*(\[[^\]]*\]?|"(?:[^"\\\n]|\\.)*"?|[^\s,}]*)')


class Unreadable(Exception):
    """There is no JSON value to check, for this one reason."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON value, and what is wrong with how it is written.

    :ivar mode: the file's permission bits.
    """

    value: Any
    faults: tuple[Fault, ...]
    mode: int


def read(path: str) -> Document:
    """Read a file.

    :raises Unreadable: there is none, or it is not JSON in UTF-8.
    """
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        _fail("no such file; name the configuration with -c FILE")
    except IsADirectoryError:
        _fail("a directory; name the file in it")
    except PermissionError:
        _fail(f"user {os.geteuid()} may not read it; change its owner or mode, or the user")
    except (OSError, ValueError) as error:
        _fail(f"cannot be read: {_reason(error)}")
    if len(content) > MAX_SIZE:
        _fail(f"larger than {MAX_SIZE // 1024 // 1024} MiB: is it the right file?")
    value, faults = parse(content)
    return Document(value, faults, mode)


def parse(content: bytes) -> tuple[Any, tuple[Fault, ...]]:
    """The JSON value that these bytes are, and what is wrong with it anywhere inside.

    :raises Unreadable: they are not JSON in UTF-8.
    """
    text = _decode(content)
    if not text.strip():
        _fail("empty; expected a JSON object")
    repeated: list[tuple[dict[str, Any], list[str]]] = []

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            repeated.append((built, [name for name, count in counts.items() if count > 1]))
        return built

    try:
        value = json.loads(
            text, object_pairs_hook=build, parse_constant=_refuse_constant, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        raise Unreadable(_syntax_problem(text, error)) from None
    except RecursionError:
        _fail(TOO_DEEP)
    return value, tuple(_inner_faults(value, {id(built): names for built, names in repeated}))


def _fail(message: str) -> NoReturn:
    raise Unreadable(Problem("", message)) from None


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror} ({errno.errorcode.get(error.errno, error.errno)})"
    return str(error)


def _decode(content: bytes) -> str:
    if content.startswith(codecs.BOM_UTF8):
        _fail("begins with a byte order mark; save it as UTF-8 without one (without BOM)")
    for mark, name in _MARKS:
        if content.startswith(mark):
            _fail(f"{name}; save it as UTF-8")
    if b"\0" in content[:4]:  # JSON begins with two characters of ASCII
        _fail("UTF-16 or UTF-32; save it as UTF-8")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        where = f"line {line}, byte {column}"
        _fail(f"not UTF-8: {where} is 0x{content[error.start]:02x}; save it as UTF-8")


class _Constant(float):
    """NaN or an infinity, which JSON does not know."""


def _refuse_constant(name: str) -> float:
    return _Constant(name.replace("Infinity", "inf"))


def _integer(digits: str) -> int | float:
    # Python refuses to convert thousands of digits; no setting is that large.
    return int(digits) if len(digits) <= 400 else math.inf


def _inner_faults(root: Any, repeated: dict[int, list[str]]) -> Iterator[Fault]:
    """What JSON's grammar allows and flip does not, at any depth."""
    waiting: list[tuple[Path, Any]] = [((), root)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > MAX_DEPTH:
            raise Unreadable(Problem(f"{place(path[:4])}...", TOO_DEEP))
        for name in repeated.get(id(value), ()):
            yield Fault((*path, name), "there more than once; keep one of them", usable=True)
        for key, inner in _members(value):
            inside = (*path, key)
            if isinstance(key, str) and not is_text(key):
                yield Fault(inside, f"the name {HALF}")
            elif isinstance(inner, str):
                if not is_text(inner):
                    yield Fault(inside, HALF)
            elif isinstance(inner, float):
                if not math.isfinite(inner):
                    yield Fault(inside, _not_finite(inner))
            elif isinstance(inner, dict | list):
                waiting.append((inside, inner))


def _not_finite(number: float) -> str:
    if not isinstance(number, _Constant):
        return "too large a number"
    name = "NaN" if math.isnan(number) else str(float(number)).replace("inf", "Infinity")
    return f"{name} is no number in JSON"


def _members(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _syntax_problem(text: str, error: json.JSONDecodeError) -> Problem:
    message = error.msg[0].lower() + error.msg[1:].removesuffix(" at")
    # At the end of the file, the last line that says something is the one to show.
    position = min(error.pos, len(text.rstrip()))
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    hint = _hint(text, position)
    return Problem(
        f"line {line}, column {column}",
        f"{message}{f' ({hint})' if hint else ''}\n{_excerpt(text, position)}",
    )


def _hint(text: str, position: int) -> str:
    """What people write when they think of other languages than JSON."""
    rest = text[position : position + 5]
    if not text[position:].strip():
        return "the file ends here; is a bracket or a quote not closed?"
    if rest[0] in "\r\n":
        return "a text ends on the line on which it begins; is its quote not closed?"
    if rest[0] in "]}" and text[:position].rstrip().endswith(","):
        return "take away the comma before it"
    if rest[0] == "," and text[position + 1 :].lstrip()[:1] in ("]", "}"):
        return "take it away"  # newer Pythons point at the comma itself
    if rest[0] == "'":
        return 'JSON uses double quotes: "..."'
    if rest[0] == "#" or rest.startswith(("//", "/*")):
        return "JSON has no comments"
    for word, right in (("True", "true"), ("False", "false"), ("None", "null")):
        if rest.startswith(word):
            return f"write {right}"
    return ""


def _excerpt(text: str, position: int) -> str:
    """The line, without the key, and a mark under the place."""
    shown = _SECRET.sub(_mask, text)
    start = shown.rfind("\n", 0, position) + 1
    end = shown.find("\n", position)
    line = shown[start : len(shown) if end < 0 else end].rstrip("\r")
    column = position - start
    first = max(0, column - EXCERPT // 2) if len(line) > EXCERPT else 0
    line = "".join(char if char.isprintable() else " " for char in line[first : first + EXCERPT])
    return f"    {line}\n    {' ' * (column - first)}^"


def _mask(match: re.Match[str]) -> str:
    start, end = match.start(1) - match.start(), match.end(1) - match.start()
    whole = match.group()
    return whole[:start] + re.sub(r"[^\s\[\]\",]", "*", whole[start:end]) + whole[end:]
