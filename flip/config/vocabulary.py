"""The words that the settings are declared with: shapes of values, and what a setting is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TYPES = {
    "shard": "shard",
    "sharded": "shard",
    "failover": "failover",
    "replicate": "replicate",
    "replicated": "replicate",
}
ONE_OWNER = ("shard", "failover")  # the types in which a data point is on one server
LEVELS = ("debug", "info", "warning", "error", "fatal")
MAX_WEIGHT = 10_000
MAX_VOTERS = 15  # each renewal of a lease is a message to every one of them
EXCLUSIVE_HOOK_TIMEOUT = 1000  # milliseconds: a lease takes two of them, and so does a takeover
GUARD_DELAY = 300  # milliseconds by which the guard may be late; `flip.holdings.guard.interface`

REQUIRED = object()

# The description of a schema completes the sentence "expected ...".
_WITHOUT_NUL = r"^[^\u0000]*$"
_CONTROL = r"[\u0000-\u001f\u007f-\u009f\u2028\u2029]"
NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "not": {"pattern": rf"{_CONTROL}|^\s|\s$"},
    "description": "1 to 64 characters, no control characters, no blanks around them",
}
# Ids stand in paths, and with commas between them on the command line.
ID = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "not": {"pattern": rf"{_CONTROL}|^\s|\s$|[/,]|^\.{{1,2}}$"},
    "description": '1 to 64 characters, no "/", "," or control characters, no blanks around them,'
    ' and not "." or ".."',
}
HOOK = {
    "type": "string",
    "minLength": 1,
    "pattern": _WITHOUT_NUL,
    "description": "a program's name or path",
}
PATH = {"type": "string", "minLength": 1, "pattern": _WITHOUT_NUL, "description": "a path"}
DATUM = {
    "type": "string",
    "maxLength": 4096,
    "pattern": _WITHOUT_NUL,
    "description": "a text of at most 4096 characters, without NUL",
}
MEMBERS = {
    "type": "array",
    "items": DATUM,
    "uniqueItems": True,
    "minItems": 1,
    "description": "a list of one or more texts without NUL, each once",
}
SYSTEMS = {
    "type": "array",
    "items": NAME,
    "uniqueItems": True,
    "description": "a list of names of systems",
}
VOTERS = {
    "type": "array",
    "items": ID,
    "uniqueItems": True,
    "minItems": 1,
    "maxItems": MAX_VOTERS,
    "description": f"a list of 1 to {MAX_VOTERS} ids of servers, each once",
}
FLAG = {"type": "boolean", "description": "true or false"}
KEY = {"type": "string", "minLength": 1, "description": "a text that is not empty"}
KEYS = {
    "anyOf": [KEY, {"type": "array", "items": KEY, "minItems": 1, "uniqueItems": True}],
    "description": "a text that is not empty, or a list of such texts, each once",
}
OBJECT = {"type": "object", "description": "an object"}
ADDRESS = {"type": "string", "format": "ip", "description": "an IPv4 or IPv6 address"}


def milliseconds(least: int, most: int = 24 * 3600 * 1000) -> dict[str, Any]:
    description = f"a number of milliseconds from {least} to {most}"
    return {"type": "number", "minimum": least, "maximum": most, "description": description}


def whole(least: int, most: int) -> dict[str, Any]:
    description = f"a whole number from {least} to {most}"
    return {"type": "integer", "minimum": least, "maximum": most, "description": description}


def one_of(*words: str) -> dict[str, Any]:
    return {"enum": list(words), "description": f"one of {', '.join(words)}"}


@dataclass(frozen=True)
class Setting:
    """One key of the file.

    :ivar default: `REQUIRED`, None for one that is worked out, or the value.
    :ivar shown: the default in words, where the value itself says little.
    """

    name: str
    schema: dict[str, Any]
    default: object
    text: str
    shown: str = ""


def structure(description: str, settings: Iterable[Setting]) -> dict[str, Any]:
    """The schema of an object with these settings and no others."""
    settings = tuple(settings)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [setting.name for setting in settings if setting.default is REQUIRED],
        "properties": {setting.name: setting.schema for setting in settings},
        "description": description,
    }
