"""Every setting, declared once: its name, default, JSON schema and explanation.

The schema that a file is checked against and docs/configuration.md are both made
from these tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flip.config.system_settings import SYSTEM
from flip.config.urgency import REALTIME
from flip.config.vocabulary import (
    ADDRESS,
    ID,
    KEYS,
    LEVELS,
    MAX_WEIGHT,
    NAME,
    OBJECT,
    PATH,
    REQUIRED,
    SYSTEMS,
    Setting,
    milliseconds,
    one_of,
    structure,
    whole,
)
from flip.config.witness_settings import WITNESS

TOP = (
    Setting(
        "id",
        ID,
        REQUIRED,
        "Which of `servers` this node is. `--id` or the variable FLIP_ID come before it, so that"
        " one file serves all nodes.",
    ),
    Setting(
        "quorum",
        whole(1, 65535),
        None,
        "How many votes make a member down, and how many members, itself included, a node must"
        " reach to take anything over.",
        "`len(servers) // 2 + 1`",
    ),
    Setting("gossip_interval", milliseconds(10), 1000, "The time between two rounds of probes."),
    Setting(
        "key",
        KEYS,
        REQUIRED,
        "The cluster's secret: 32 bytes in base64 (`flip keygen`) or a passphrase. A list rotates"
        " keys: the first seals, all open.",
    ),
    Setting("ping_per_interval", whole(1, 1000), 3, "Members probed per round."),
    Setting(
        "ping_timeout",
        milliseconds(10),
        1500,
        "How long one probe may take: a ping, and without an answer another every sixth"
        " of it, from the third on through up to three other members too. Without any answer by"
        " then, this node votes against the member.",
    ),
    Setting("log_level", one_of(*LEVELS), "info", "The least severe messages that are logged."),
    Setting(
        "config_version",
        whole(0, 2**53),
        0,
        "While nodes run different configurations, the highest version plans.",
    ),
    Setting(
        "max_packet",
        whole(512, 8192),
        1232,
        "The largest datagram, in bytes. The default fits IPv6's minimum MTU and most VPNs.",
    ),
    Setting(
        "bind",
        ADDRESS,
        None,
        "The address to bind instead of the server's `ip`: behind NAT, in containers.",
        "the server's ip",
    ),
    Setting(
        "hook_dir",
        PATH,
        None,
        "A directory to look for hooks in, after that of this file.",
        "none",
    ),
    Setting(
        "state_dir",
        PATH,
        None,
        "The directory of the node's journal. No two nodes may share it.",
        "for root `/var/lib/flip/{id}`, else `$XDG_STATE_HOME/flip/{id}`, where XDG_STATE_HOME is"
        " `~/.local/state` unless it is set",
    ),
    Setting(
        "control",
        PATH,
        None,
        "The UNIX socket that `flip status` asks: a path of at most 100 bytes.",
        "for root `/run/flip/{id}.sock`, else `$XDG_RUNTIME_DIR/flip/{id}.sock`, or `control.sock`"
        " in the state directory where XDG_RUNTIME_DIR is not set",
    ),
    Setting(
        "witness",
        structure('an object with "ping"', WITNESS),
        None,
        "Something outside the cluster that every node can ping, the gateway say. A node that it"
        " answers has one more vote, and one more member that it reaches: so the survivor of two"
        " servers takes over, and a node that is cut off from everything does not. See below, and"
        " [two-nodes.md](two-nodes.md). Not with exclusive systems.",
        "none",
    ),
    Setting(
        "realtime",
        REALTIME,
        False,
        "Run before all ordinary processes (Linux: SCHED_RR), at this priority; true is 10. Hooks"
        " and other children do not. It takes CAP_SYS_NICE or a RLIMIT_RTPRIO that allows it;"
        " without, the node runs on, with an alarm. See [operating.md](operating.md).",
    ),
    Setting("servers", {}, REQUIRED, "The members, by id; see below."),
    Setting("cluster", {}, REQUIRED, "What the cluster holds; see below."),
)

SERVER = (
    Setting("ip", ADDRESS, REQUIRED, "The server's address, IPv4 or IPv6."),
    Setting("port", whole(1, 65535), REQUIRED, "Its port, for UDP and for TCP."),
    Setting(
        "systems",
        SYSTEMS,
        (),
        "The systems that this server can hold data of; none makes it an arbiter, which only"
        " votes. `system` is accepted too.",
        "`[]`",
    ),
    Setting("system", SYSTEMS, None, "Another spelling of `systems`.", "-"),
    Setting(
        "priority",
        {"type": "number", "minimum": -(2**53), "maximum": 2**53, "description": "a number"},
        None,
        "Servers are ordered by it, lower first, ties by id.",
        "last",
    ),
    Setting(
        "weight",
        {
            **whole(1, MAX_WEIGHT),
            "description": f"a whole number from 1 to {MAX_WEIGHT} (to hold nothing of a system, a"
            " server does not list it)",
        },
        1,
        "Its share of the data that is divided: twice the weight, twice the data points.",
    ),
)


def default(settings: Iterable[Setting], name: str) -> Any:
    """The default of a setting."""
    return next(setting.default for setting in settings if setting.name == name)


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a configuration file."""
    top = structure("an object with the settings", TOP)
    top["properties"]["servers"] = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": ID,
        "additionalProperties": structure("an object with ip and port", SERVER),
        "description": "an object with at least one server, by id",
    }
    top["properties"]["cluster"] = {
        "type": "object",
        "required": ["system"],
        "additionalProperties": False,
        "properties": {
            "config": OBJECT,
            "system": {
                "type": "object",
                "propertyNames": NAME,
                "additionalProperties": structure("an object with alive, down and data", SYSTEM),
                "description": "an object with the systems, by name",
            },
        },
        "description": "an object with the systems",
    }
    # The command line and the environment may name the node instead.
    top["required"].remove("id")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top}
