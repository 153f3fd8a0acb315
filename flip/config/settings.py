"""Every setting, declared once: its name, default, JSON schema and explanation.

The schema that a file is checked against and docs/configuration.md are both made
from these tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TYPES = {
    "shard": "shard",
    "sharded": "shard",
    "replicate": "replicate",
    "replicated": "replicate",
}
LEVELS = ("debug", "info", "warning", "error", "fatal")
MAX_VOTERS = 15  # each renewal of a lease is a message to every one of them
EXCLUSIVE_HOOK_TIMEOUT = 1000  # milliseconds: a lease takes two of them, and so does a takeover
GUARD_DELAY = 300  # milliseconds by which the guard may be late; `flip.holdings.guard.interface`

REQUIRED = object()

# The description of a schema completes the sentence "expected ...".
_WITHOUT_NUL = r"^[^\u0000]*$"
_CONTROL = r"[\u0000-\u001f\u007f-\u009f\u2028\u2029]"
_NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "not": {"pattern": rf"{_CONTROL}|^\s|\s$"},
    "description": "1 to 64 characters, no control characters, no blanks around them",
}
# Ids stand in paths, and with commas between them on the command line.
_ID = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "not": {"pattern": rf"{_CONTROL}|^\s|\s$|[/,]|^\.{{1,2}}$"},
    "description": '1 to 64 characters, no "/", "," or control characters, no blanks around them,'
    ' and not "." or ".."',
}
_HOOK = {
    "type": "string",
    "minLength": 1,
    "pattern": _WITHOUT_NUL,
    "description": "a program's name or path",
}
_PATH = {"type": "string", "minLength": 1, "pattern": _WITHOUT_NUL, "description": "a path"}
_DATUM = {
    "type": "string",
    "maxLength": 4096,
    "pattern": _WITHOUT_NUL,
    "description": "a text of at most 4096 characters, without NUL",
}
_DATA = {
    "type": "array",
    "items": _DATUM,
    "uniqueItems": True,
    "description": "a list of texts without NUL, each once",
}
_SYSTEMS = {
    "type": "array",
    "items": _NAME,
    "uniqueItems": True,
    "description": "a list of names of systems",
}
_VOTERS = {
    "type": "array",
    "items": _ID,
    "uniqueItems": True,
    "minItems": 1,
    "maxItems": MAX_VOTERS,
    "description": f"a list of 1 to {MAX_VOTERS} ids of servers, each once",
}
_FLAG = {"type": "boolean", "description": "true or false"}
_KEY = {"type": "string", "minLength": 1, "description": "a text that is not empty"}
_KEYS = {
    "anyOf": [_KEY, {"type": "array", "items": _KEY, "minItems": 1, "uniqueItems": True}],
    "description": "a text that is not empty, or a list of such texts, each once",
}
_OBJECT = {"type": "object", "description": "an object"}
_ADDRESS = {"type": "string", "format": "ip", "description": "an IPv4 or IPv6 address"}


def _milliseconds(least: int, most: int = 24 * 3600 * 1000) -> dict[str, Any]:
    description = f"a number of milliseconds from {least} to {most}"
    return {"type": "number", "minimum": least, "maximum": most, "description": description}


def _whole(least: int, most: int) -> dict[str, Any]:
    description = f"a whole number from {least} to {most}"
    return {"type": "integer", "minimum": least, "maximum": most, "description": description}


def _one_of(*words: str) -> dict[str, Any]:
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


TOP = (
    Setting(
        "id",
        _ID,
        REQUIRED,
        "Which of `servers` this node is. `--id` or the variable FLIP_ID come before it, so that"
        " one file serves all nodes.",
    ),
    Setting(
        "quorum",
        _whole(1, 65535),
        None,
        "How many votes make a member down, and how many members, itself included, a node must"
        " reach to take anything over.",
        "`len(servers) // 2 + 1`",
    ),
    Setting("gossip_interval", _milliseconds(10), 1000, "The time between two rounds of probes."),
    Setting(
        "key",
        _KEYS,
        REQUIRED,
        "The cluster's secret: 32 bytes in base64 (`flip keygen`) or a passphrase. A list rotates"
        " keys: the first seals, all open.",
    ),
    Setting("ping_per_interval", _whole(1, 1000), 3, "Members probed per round."),
    Setting(
        "ping_timeout",
        _milliseconds(10),
        1500,
        "How long one probe may take: a ping, and without an answer another every sixth"
        " of it, from the third on through up to three other members too. Without any answer by"
        " then, this node votes against the member.",
    ),
    Setting("log_level", _one_of(*LEVELS), "info", "The least severe messages that are logged."),
    Setting(
        "config_version",
        _whole(0, 2**53),
        0,
        "While nodes run different configurations, the highest version plans.",
    ),
    Setting(
        "max_packet",
        _whole(512, 8192),
        1232,
        "The largest datagram, in bytes. The default fits IPv6's minimum MTU and most VPNs.",
    ),
    Setting(
        "bind",
        _ADDRESS,
        None,
        "The address to bind instead of the server's `ip`: behind NAT, in containers.",
        "the server's ip",
    ),
    Setting(
        "hook_dir",
        _PATH,
        None,
        "A directory to look for hooks in, after that of this file.",
        "none",
    ),
    Setting(
        "state_dir",
        _PATH,
        None,
        "The directory of the node's journal. No two nodes may share it.",
        "for root `/var/lib/flip/{id}`, else `$XDG_STATE_HOME/flip/{id}`, where XDG_STATE_HOME is"
        " `~/.local/state` unless it is set",
    ),
    Setting(
        "control",
        _PATH,
        None,
        "The UNIX socket that `flip status` asks: a path of at most 100 bytes.",
        "for root `/run/flip/{id}.sock`, else `$XDG_RUNTIME_DIR/flip/{id}.sock`, or `control.sock`"
        " in the state directory where XDG_RUNTIME_DIR is not set",
    ),
    Setting("servers", {}, REQUIRED, "The members, by id; see below."),
    Setting("cluster", {}, REQUIRED, "What the cluster holds; see below."),
)

SERVER = (
    Setting("ip", _ADDRESS, REQUIRED, "The server's address, IPv4 or IPv6."),
    Setting("port", _whole(1, 65535), REQUIRED, "Its port, for UDP and for TCP."),
    Setting(
        "systems",
        _SYSTEMS,
        (),
        "The systems that this server can hold data of; none makes it an arbiter, which only"
        " votes. `system` is accepted too.",
        "`[]`",
    ),
    Setting("system", _SYSTEMS, None, "Another spelling of `systems`.", "-"),
    Setting(
        "priority",
        {"type": "number", "minimum": -(2**53), "maximum": 2**53, "description": "a number"},
        None,
        "Servers are ordered by it, lower first, ties by id.",
        "last",
    ),
)

SYSTEM = (
    Setting("alive", _HOOK, REQUIRED, "The hook that makes a data point live on this node."),
    Setting("down", _HOOK, REQUIRED, "The hook that takes it away from this node."),
    Setting(
        "type",
        _one_of(*TYPES),
        REQUIRED,
        "shard (also sharded): each data point on one server, evenly divided; replicate (also"
        " replicated): each on every server.",
    ),
    Setting(
        "config",
        _OBJECT,
        None,
        "Handed to the hooks, on top of `cluster.config`: at most 100,000 bytes of JSON.",
        "`{}`",
    ),
    Setting("data", _DATA, REQUIRED, "The data points, in an order that counts."),
    Setting(
        "delay",
        _milliseconds(0),
        50,
        "How long several starts and returns are gathered to become one plan.",
    ),
    Setting(
        "hook_timeout",
        _milliseconds(10),
        None,
        "How long a hook may run; then it is terminated, and killed a second later. In an exclusive"
        " system it is killed by then.",
        f"`10000`; `{EXCLUSIVE_HOOK_TIMEOUT}` in an exclusive system",
    ),
    Setting("hook_concurrency", _whole(1, 1000), 4, "How many hooks of the system run at once."),
    Setting(
        "remove_on_start",
        _FLAG,
        True,
        "Whether a starting node runs `down` for all data points that are not its own, or only"
        " for what it held before; without its journal it cannot tell, and means all. In an"
        " exclusive system it always means all.",
    ),
    Setting(
        "on_isolation",
        _one_of("hold", "release"),
        None,
        "What a node that reaches no quorum does with what it holds: keep it (the other side of a"
        " partition may take it over too, until that heals) or let go of it.",
        "`hold`; an exclusive system always releases",
    ),
    Setting(
        "alive_attempts",
        _whole(1, 1000),
        3,
        "Failures of `alive` in a row after which another server takes over.",
    ),
    Setting(
        "retry_after",
        _milliseconds(0),
        60000,
        "How long a server that gave up stays out, unless `flip retry` lets it in before.",
    ),
    Setting(
        "exclusive",
        _FLAG,
        False,
        "Whether no data point may ever have two owners: a server serves one only while a majority"
        " of `voters` has granted it the right to, and nobody serves where there is no majority.",
    ),
    Setting(
        "lease",
        _milliseconds(10),
        None,
        "How long a voter's grant counts, from when it was asked for: at least `ping_timeout`"
        f" + `hook_timeout` + the longer of `hook_timeout` and {GUARD_DELAY}. A takeover after a"
        " crash may wait for as long.",
        "2 x `ping_timeout` + 2 x `hook_timeout`",
    ),
    Setting(
        "voters",
        _VOTERS,
        None,
        "The servers that grant an exclusive system's data points. An odd number is best; change"
        " them one at a time.",
        f"all servers, if they are at most {MAX_VOTERS}",
    ),
)


def default(settings: Iterable[Setting], name: str) -> Any:
    """The default of a setting."""
    return next(setting.default for setting in settings if setting.name == name)


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a configuration file."""
    top = _object("an object with the settings", TOP)
    top["properties"]["servers"] = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _ID,
        "additionalProperties": _object("an object with ip and port", SERVER),
        "description": "an object with at least one server, by id",
    }
    top["properties"]["cluster"] = {
        "type": "object",
        "required": ["system"],
        "additionalProperties": False,
        "properties": {
            "config": _OBJECT,
            "system": {
                "type": "object",
                "propertyNames": _NAME,
                "additionalProperties": _object("an object with alive, down and data", SYSTEM),
                "description": "an object with the systems, by name",
            },
        },
        "description": "an object with the systems",
    }
    # The command line and the environment may name the node instead.
    top["required"].remove("id")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top}


def _object(description: str, settings: Iterable[Setting]) -> dict[str, Any]:
    settings = tuple(settings)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [setting.name for setting in settings if setting.default is REQUIRED],
        "properties": {setting.name: setting.schema for setting in settings},
        "description": description,
    }
