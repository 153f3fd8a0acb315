"""docs/configuration.md, made from the declarations of the settings.

    python -m flip.config.reference > docs/configuration.md

With ``--schema`` it prints the JSON schema instead, for editors that can use one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from flip.config.address_words import CONFIG
from flip.config.checks import CHECK
from flip.config.settings import SERVER, TOP, schema
from flip.config.system_settings import POINT, SYSTEM
from flip.config.vocabulary import REQUIRED, Setting
from flip.config.witness_settings import WITNESS

HEAD = """\
# Configuration

<!-- Made by `python -m flip.config.reference > docs/configuration.md`; do not edit. -->

One JSON file describes the whole cluster and is the same on every server, but for `id`, which
`--id` or the variable `FLIP_ID` can say instead. `flip check -c FILE` tells everything that is
wrong with it, and warns of what is probably not meant; `flip plan -c FILE` shows who would hold
what.

Numbers that are times are milliseconds. The paths `hook_dir`, `state_dir` and `control` may begin
with `~/` and contain `{id}`, which stands for the node's id; relative ones start at the directory
of the configuration file, as do relative hooks.
"""

SECTIONS: tuple[tuple[str, str, Sequence[Setting]], ...] = (
    ("At the top", "", TOP),
    (
        "witness",
        "The nodes ping it all the time. It may be any host outside of the cluster that answers"
        " as long as the network of a node works, best the gateway; two nodes need not name the"
        " same. [two-nodes.md](two-nodes.md) says what each kind of two-node cluster does in every"
        " fault.",
        WITNESS,
    ),
    (
        "servers",
        "An object from the id of each server to its settings. An id has at most 64 bytes and no"
        ' "/" or ",". All servers must be of one kind, IPv4 or IPv6, and no two may share address'
        " and port.",
        SERVER,
    ),
    (
        "cluster",
        "`cluster.config` is an object that every system's `config` builds on, key by key."
        " `cluster.system` is an object from the name of each system to its settings:",
        SYSTEM,
    ),
    (
        "check",
        "The health check of a system, which each server runs that lists it. It has one of `run`,"
        " `tcp` and `http`; [checks.md](checks.md) says what follows from its results.",
        CHECK,
    ),
    (
        "data",
        "A data point is a text; or a list of texts, which is a group; or an object. A group is one"
        " data point: it moves as a whole, its hooks are run for each member in order, and either"
        " all are live or none. A list goes by its first member in status, plans and logs. No text"
        " may be in a system twice, in whatever form. [topologies.md](topologies.md) has examples."
        " The settings of an object:",
        POINT,
    ),
    (
        "addresses",
        'The `config` of a system with `"provider": "address"`, and of its data points those of the'
        " first three that differ. [addresses.md](addresses.md) says what each choice buys. Other"
        " settings are errors there, but not in `cluster.config`.",
        CONFIG,
    ),
)

RULES = """\
## What is an error, and what a warning

An error keeps a node from starting; `flip check` and `twistd` end with exit code 2 and tell every
one at once, each with its place, such as `servers.flip1.port`. Unknown settings are errors, and
so are names that stand twice in the same object, systems that no server lists, listed systems
that do not exist, a text that is in a system's data twice, in whatever form, a preferred server
that does not list the system, hooks that cannot be found or run (of the systems that this server
lists), and addresses that only one link or one host understands. With a provider so are hooks and
their limits, and data points that are no addresses or twice the same. In an exclusive system so
are the type replicate, `"on_isolation": "hold"`, a `quorum` that is no majority, a lease that is
too short, a data point of more than 256 bytes, and more than 15 servers without a list of
`voters`.

A warning is printed by `flip check`, and logged when a node starts:

- a quorum that cannot be reached when one server is down, or that is no majority;
- a key of fewer than 16 characters, or one that every user of the host can read;
- a witness in a cluster of more than two servers where both sides of a cut could win with it;
- an even number of voters of an exclusive system;
- an interface (`config.interface`) that this host lacks;
- a loopback address beside others, which servers elsewhere cannot reach;
- a single server, a cluster without systems, a divided system that one server lists;
- a data point that is empty or has blanks around it, and an address that is in two systems, or
  that is a server's own;
- a group whose hooks have less than 100 ms each of its `hook_timeout`;
- more data points that prefer a server than its fair share;
- a `ping_timeout` under 60 ms;
- a `max_packet` that is too small for the names of the systems.
"""

EXAMPLE = """\
## Example

etc/flip.json is a whole configuration. A larger system could look like this:

```json
{
  "key": "a line of flip keygen",
  "servers": {
    "a": {"ip": "10.0.0.1", "port": 2200, "systems": ["ip"], "priority": 1},
    "b": {"ip": "10.0.0.2", "port": 2200, "systems": ["ip", "job"]},
    "c": {"ip": "10.0.0.3", "port": 2200, "systems": ["ip", "job"]}
  },
  "state_dir": "/srv/flip/{id}",
  "cluster": {
    "config": {"interface": "eth0"},
    "system": {
      "ip": {
        "alive": "ip_up", "down": "ip_down", "type": "shard",
        "data": ["192.168.0.10", "192.168.0.11", "192.168.0.12"]
      },
      "job": {
        "alive": "hooks/start", "down": "hooks/stop", "type": "shard",
        "data": ["billing", "reports"], "hook_timeout": 30000
      }
    }
  }
}
```

Each server says who it is: `twistd flip -c flip.json --id a`.
"""


def reference() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, text, settings in SECTIONS:
        parts.append(f"## {title}\n" + (f"\n{text}\n" if text else ""))
        parts.append("\n".join(_table(settings)) + "\n")
    return "\n".join([*parts, RULES, EXAMPLE])


def _table(settings: Iterable[Setting]) -> Iterable[str]:
    yield "| setting | default | value | meaning |"
    yield "|---|---|---|---|"
    for setting in settings:
        value = setting.schema.get("description", "an object")
        yield f"| `{setting.name}` | {_default(setting)} | {value} | {setting.text} |"


def _default(setting: Setting) -> str:
    if setting.default is REQUIRED:
        return "**needed**"
    return setting.shown or f"`{json.dumps(setting.default)}`"


if __name__ == "__main__":
    if "--schema" in sys.argv[1:]:
        print(json.dumps(schema(), indent=2))
    else:
        print(reference(), end="")
