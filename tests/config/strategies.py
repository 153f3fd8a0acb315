"""What a configuration file may hold, for laws about all of them."""

from __future__ import annotations

import copy
import math
from typing import Any

from hypothesis import strategies as st

from flip.config.settings import SERVER, TOP
from flip.config.system_settings import POINT, SYSTEM
from flip.config.vocabulary import TYPES
from tests.config.case import GOOD

NAMES = sorted(
    {setting.name for setting in (*TOP, *SERVER, *SYSTEM, *POINT)} | {"system", "flip", "ip"}
)

names = st.sampled_from(NAMES) | st.text(max_size=5)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(("::1", "fe80::1%eth0", "127.0.0.1", "shard", "flip", "\ud800", "{id}", "~"))
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@st.composite
def nearly_good(draw: st.DrawFn) -> Any:
    """A good file in which something else stands in a few places."""
    description = copy.deepcopy(GOOD)
    group = {"id": "web", "members": ["c", "d"], "prefer": "flip1", "config": {"dev": "eth0"}}
    description["cluster"]["system"]["ip"]["data"] += [["a", "b"], group]
    for _ in range(draw(st.integers(1, 4))):
        value: Any = description
        while True:
            if isinstance(value, dict):
                name = draw(st.sampled_from([*value, draw(names)]))
            elif isinstance(value, list) and value:
                name = draw(st.integers(0, len(value) - 1))
            else:
                break
            inner = value.get(name) if isinstance(value, dict) else value[name]
            if isinstance(inner, dict | list) and draw(st.integers(0, 3)):
                value = inner
                continue
            value[name] = draw(anything)
            break
    return description


ids = st.text("abcdé-.5", min_size=1, max_size=8).filter(lambda id: id.strip(".") != "")


@st.composite
def data(draw: st.DrawFn) -> list[Any]:
    """Data points in all their forms; no text is there twice."""
    text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
    texts = draw(st.lists(text, unique=True, max_size=8))
    points: list[Any] = []
    while texts:
        members = texts[: draw(st.integers(1, 3))]
        del texts[: len(members)]
        form = draw(st.sampled_from(("texts", "list", "object")))
        if form == "texts":
            points += members
        elif form == "list":
            points.append(members)
        else:
            config = draw(st.dictionaries(st.text("ab"), scalars.filter(_is_json), max_size=2))
            named = {"id": members[-1], "members": members, "config": config}
            needed = ("id", "members") if len(members) > 1 else ("id",)
            left_out = draw(st.sets(st.sampled_from(("members", "config")))).difference(needed)
            points.append({key: value for key, value in named.items() if key not in left_out})
    return points


@st.composite
def good(draw: st.DrawFn) -> dict[str, Any]:
    """Any good file, with all that it may leave out or say."""
    milliseconds = st.integers(10, 10_000) | st.floats(10, 10_000)
    optional: dict[str, st.SearchStrategy[Any]] = {
        "gossip_interval": milliseconds,
        "ping_timeout": milliseconds,
        "ping_per_interval": st.integers(1, 1000),
        "log_level": st.sampled_from(("debug", "info", "warning", "error", "fatal")),
        "config_version": st.integers(0, 2**53),
        "max_packet": st.integers(512, 8192),
        "bind": st.ip_addresses(v=4, network="10.0.0.0/8").map(str),
        "hook_dir": st.just("hooks"),
        "state_dir": st.just("/s/{id}"),
    }
    system = st.fixed_dictionaries(
        {
            "alive": st.text("ab/", min_size=1),
            "down": st.text("ab/", min_size=1),
            "type": st.sampled_from(tuple(TYPES)),
            "data": data(),
        },
        optional={
            "config": st.dictionaries(st.text("ab"), scalars.filter(_is_json), max_size=3),
            "delay": st.integers(0, 1000),
            "hook_timeout": milliseconds,
            "hook_concurrency": st.integers(1, 100),
            "remove_on_start": st.booleans(),
            "on_isolation": st.sampled_from(("hold", "release")),
            "alive_attempts": st.integers(1, 9),
            "retry_after": st.integers(0, 100_000),
        },
    )
    systems: dict[str, dict[str, Any]] = draw(st.dictionaries(ids, system, max_size=3))
    server: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {"systems": st.lists(st.sampled_from([*systems]), unique=True) if systems else st.just([])},
        optional={
            "priority": st.integers(-9, 9) | st.floats(-9, 9),
            "weight": st.integers(1, 10_000),
        },
    )
    servers = draw(st.dictionaries(ids, server, min_size=1, max_size=5))
    for number, settings in enumerate(servers.values()):
        settings |= {"ip": f"10.0.0.{number + 1}", "port": draw(st.integers(1, 65535))}
    first = next(iter(servers))
    servers[first]["systems"] = [*systems]
    for written in systems.values():
        for point in written["data"]:
            if (
                isinstance(point, dict)
                and TYPES[written["type"]] == "shard"
                and draw(st.booleans())
            ):
                point["prefer"] = first
    return {
        "id": draw(st.sampled_from([*servers])),
        "key": draw(st.text("xyz", min_size=1)),
        "quorum": draw(st.integers(1, len(servers))),
        "servers": servers,
        "cluster": {"system": systems},
        **draw(st.fixed_dictionaries({}, optional=optional)),
    }


def _is_json(value: object) -> bool:
    return value != "\ud800" and not (isinstance(value, float) and not math.isfinite(value))
