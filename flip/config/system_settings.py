"""The settings of a system, each declared once."""

from __future__ import annotations

from flip.config.address_words import PROVIDERS
from flip.config.checks import CHECK, FAILBACK
from flip.config.vocabulary import (
    DATUM,
    EXCLUSIVE_HOOK_TIMEOUT,
    FLAG,
    GUARD_DELAY,
    HOOK,
    ID,
    MAX_VOTERS,
    MEMBERS,
    OBJECT,
    REQUIRED,
    TYPES,
    VOTERS,
    Setting,
    milliseconds,
    one_of,
    structure,
    whole,
)

POINT = (
    Setting("id", DATUM, REQUIRED, "What status, plans, logs and `flip release` call it."),
    Setting(
        "members",
        MEMBERS,
        None,
        "What the hooks are run for, one after the other: a group, which moves as a whole.",
        "the id",
    ),
    Setting(
        "prefer",
        ID,
        None,
        "The server that has it while that is up. Only with the type shard.",
        "as the data is divided",
    ),
    Setting(
        "config",
        OBJECT,
        None,
        "Handed to the hooks, on top of the system's `config`.",
        "`{}`",
    ),
)
DATA = {
    "type": "array",
    "items": {
        "anyOf": [DATUM, MEMBERS, structure("an object with an id", POINT)],
        "description": "a text of at most 4096 characters, without NUL, a list of such texts, or an"
        " object with an id",
    },
    "uniqueItems": True,
    "description": "a list of data points, each once",
}

SYSTEM = (
    Setting(
        "alive",
        HOOK,
        None,
        "The hook that makes a data point live on this node.",
        "**needed** without `provider`",
    ),
    Setting(
        "down",
        HOOK,
        None,
        "The hook that takes it away from this node.",
        "**needed** without `provider`",
    ),
    Setting(
        "provider",
        one_of(*PROVIDERS),
        None,
        "What flip does by itself in place of hooks. address: the data points are IP addresses,"
        " which it puts on an interface and announces; `config` says how, see below.",
        "none",
    ),
    Setting(
        "type",
        one_of(*TYPES),
        REQUIRED,
        "shard (also sharded): each data point on one server, evenly divided; failover: all on the"
        " first server that can have them; replicate (also replicated): each on every server.",
    ),
    Setting(
        "config",
        OBJECT,
        None,
        "Handed to the hooks, on top of `cluster.config`: at most 100,000 bytes of JSON.",
        "`{}`",
    ),
    Setting(
        "data",
        DATA,
        REQUIRED,
        "The data points, in an order that counts: a text, a list of texts, which is a group, or an"
        " object; see below.",
    ),
    Setting(
        "delay",
        milliseconds(0),
        50,
        "How long several starts and returns are gathered to become one plan.",
    ),
    Setting(
        "hook_timeout",
        milliseconds(10),
        None,
        "How long a hook may run; then it is terminated, and killed a second later. In an exclusive"
        " system it is killed by then.",
        f"`10000`; `{EXCLUSIVE_HOOK_TIMEOUT}` in an exclusive system",
    ),
    Setting("hook_concurrency", whole(1, 1000), 4, "How many hooks of the system run at once."),
    Setting(
        "remove_on_start",
        FLAG,
        True,
        "Whether a starting node runs `down` for all data points that are not its own, or only"
        " for what it held before; without its journal it cannot tell, and means all. In an"
        " exclusive system it always means all.",
    ),
    Setting(
        "on_isolation",
        one_of("hold", "release"),
        None,
        "What a node that reaches no quorum does with what it holds: keep it (the other side of a"
        " partition may take it over too, until that heals) or let go of it.",
        "`hold`; an exclusive system always releases",
    ),
    Setting(
        "alive_attempts",
        whole(1, 1000),
        3,
        "Failures of `alive` in a row after which another server takes over.",
    ),
    Setting(
        "retry_after",
        milliseconds(0),
        60000,
        "How long a server that gave up stays out, unless `flip retry` lets it in before.",
    ),
    Setting(
        "check",
        structure("an object with one of run, tcp and http", CHECK),
        None,
        "The health check of the system; see below. A server that is not fit gets no data of it.",
        "none",
    ),
    Setting(
        "all_unfit",
        one_of("stay", "divide", "release"),
        "stay",
        "What is done while no server is fit: the data stays where it is, and only what nobody has"
        " is divided; or all of it is divided as if all were fit; or every server lets go of it.",
    ),
    Setting(
        "failback",
        FAILBACK,
        "auto",
        "When a server that was down or unfit gets data again: as soon as it is back (auto), after"
        ' a time ({"after": milliseconds}), or after `flip undrain` (manual). Until then it is'
        " drained, and serves only when no other server can.",
    ),
    Setting(
        "verify",
        HOOK,
        None,
        "A hook that looks whether a data point really is here: exit status 0 says so, after any"
        " other `alive` is run again.",
        "none",
    ),
    Setting(
        "check_interval",
        milliseconds(100),
        30000,
        "How often that is looked at, for each data point that is held.",
    ),
    Setting(
        "exclusive",
        FLAG,
        False,
        "Whether no data point may ever have two owners: a server serves one only while a majority"
        " of `voters` has granted it the right to, and nobody serves where there is no majority.",
    ),
    Setting(
        "lease",
        milliseconds(10),
        None,
        "How long a voter's grant counts, from when it was asked for: at least `ping_timeout`"
        f" + `hook_timeout` + the longer of `hook_timeout` and {GUARD_DELAY}. A takeover after a"
        " crash may wait for as long.",
        "2 x `ping_timeout` + 2 x `hook_timeout`",
    ),
    Setting(
        "voters",
        VOTERS,
        None,
        "The servers that grant an exclusive system's data points. An odd number is best; change"
        " them one at a time.",
        f"all servers, if they are at most {MAX_VOTERS}",
    ),
)
