"""The settings of `"provider": "address"` in a system's `config`, each declared once."""

from __future__ import annotations

from flip.config.vocabulary import FLAG, REQUIRED, Setting, milliseconds, one_of, structure, whole

PROVIDERS = ("address",)
LONGEST_LABEL = 15  # bytes of "INTERFACE:LABEL"; Linux
DEFAULT_LABEL = "flip"
KERNEL_DELAY = 1100  # milliseconds by which the kernel may be late to end a lifetime, and some
WHOLE_SECOND = 1000  # milliseconds; the kernel counts lifetimes in seconds
SHORTEST_EXCLUSIVE_LEASE = 4000  # milliseconds
PAUSES = 4  # by how much each pause between two announcements is longer than the one before

_WORD = r"^[^\s/\u0000-\u001f\u007f]+$"
INTERFACE = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_LABEL,
    "pattern": _WORD,
    "not": {"pattern": r"^\.{1,2}$"},
    "description": "the name of an interface: 1 to 15 characters, no blanks or slashes",
}
LABEL = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_LABEL - 2,
    "pattern": _WORD,
    "description": "a text of 1 to 13 characters without blanks or slashes",
}
NEVER = {"enum": [False]}
KERNEL_LEASE = {
    "anyOf": [NEVER, milliseconds(2000)],
    "description": "false, or a number of milliseconds from 2000 to 86400000",
}
ANNOUNCE = (
    Setting(
        "count",
        whole(1, 10),
        3,
        "How often an address is announced after it was put: at once, and after pauses of which"
        f" each is {PAUSES} times as long as the one before: with the defaults after 1 and 5 s.",
    ),
    Setting("interval", milliseconds(100), 1000, "The first of these pauses."),
    Setting(
        "repeat",
        {
            "anyOf": [NEVER, milliseconds(1000)],
            "description": "false, or a number of milliseconds from 1000 to 86400000",
        },
        False,
        "How often all addresses are announced again for as long as they are held.",
    ),
)
# What a data point may set for itself, and what its system sets for all of them.
OWN = (
    Setting("interface", INTERFACE, REQUIRED, "The interface that gets the addresses."),
    Setting(
        "prefix",
        whole(1, 128),
        None,
        "The length of the network's part, in bits; one that a data point brings along"
        " (`192.0.2.1/24`) comes first.",
        "`32` for IPv4, `128` for IPv6",
    ),
    Setting(
        "label",
        LABEL,
        DEFAULT_LABEL,
        "What follows `INTERFACE:` in the label of an IPv4 address, at most 15 bytes together. IPv6"
        " has no labels.",
        f"`{DEFAULT_LABEL}`, none where the interface's name is too long for it",
    ),
)
SHARED = (
    Setting(
        "kernel_lease",
        KERNEL_LEASE,
        False,
        "For how long the kernel keeps the addresses without flip, in whole seconds: killed, frozen"
        " or starved, flip does not renew them. Not with `exclusive`, where it follows from"
        " `lease`.",
    ),
    Setting(
        "wait_for_lease",
        FLAG,
        False,
        "Whether to take an address from a server that is down only when its kernel must have"
        " removed it.",
    ),
    Setting(
        "announce",
        structure("an object with count, interval and repeat", ANNOUNCE),
        None,
        "How the neighbours are told: an object with `count` (1 to 10, 3 by default), `interval`"
        f" (milliseconds, 1000 by default; each pause is {PAUSES} times the one before, so that the"
        " default announces at once and after 1 and 5 s) and `repeat` (milliseconds, how often"
        " again for as long as an address is held; false by default).",
        '`{"count": 3, "interval": 1000, "repeat": false}`',
    ),
    Setting(
        "on_conflict",
        one_of("take", "wait"),
        "take",
        "What to do when somebody who is not the last owner answers for an address: take it all"
        " the same, or wait until nobody does.",
    ),
)
CONFIG = (*OWN, *SHARED)
NEEDLESS = ("alive", "down", "hook_timeout", "hook_concurrency")  # what nobody asks about then
