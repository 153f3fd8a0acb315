"""Health checks: their settings, the rules between them, and what they become."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from flip.config.parts import Parts, Section
from flip.config.places import Fault, shown
from flip.config.values import Check
from flip.config.vocabulary import HOOK, Setting, milliseconds, whole

# Where to look, of which a check has one.
KINDS = ("run", "tcp", "http")
PORTS = 65535

CHECK = (
    Setting("run", HOOK, None, "A hook that ends with exit status 0 when this server is fit.", "-"),
    Setting(
        "tcp",
        {
            "type": "string",
            "pattern": r"^(\[[0-9A-Fa-f:.]+(%\w+)?\]|[^\s:/\[\]]+):[0-9]{1,5}$",
            "maxLength": 300,
            "description": '"host:port", an IPv6 address in brackets',
        },
        None,
        "Where a connection has to be accepted. An address is better than a name, which has to be"
        " looked up each time.",
        "-",
    ),
    Setting(
        "http",
        {
            "type": "string",
            "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[!-~]+$",
            "maxLength": 2000,
            "description": 'a URL that begins with "http://" or "https://"',
        },
        None,
        "What has to answer a GET with the status `expect`; redirections are not followed. https"
        " needs pyOpenSSL: `pip install flip[https]`.",
        "-",
    ),
    Setting("expect", whole(100, 599), 200, "The status that `http` has to answer with."),
    Setting("interval", milliseconds(100), 1000, "The time from one check to the next."),
    Setting(
        "timeout",
        milliseconds(10),
        1000,
        "How long one may take; then it has failed. Checks never overlap.",
    ),
    Setting("rise", whole(1, 1000), 2, "Successes in a row after which an unfit server is fit."),
    Setting("fall", whole(1, 1000), 3, "Failures in a row after which a fit server is unfit."),
)
FAILBACK = {
    "anyOf": [
        {"enum": ["auto", "manual"]},
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["after"],
            "properties": {"after": milliseconds(0)},
        },
    ],
    "description": '"auto", "manual" or {"after": milliseconds}',
}


def check(system: Section) -> Check | None:
    """The health check of a system that passed every rule."""
    given = system.get("check")
    if given is None:
        return None

    def value(name: str) -> Any:
        return given.get(name, next(one.default for one in CHECK if one.name == name))

    kind = next(kind for kind in KINDS if kind in given)
    return Check(
        kind=kind,
        target=given[kind],
        expect=int(value("expect")),
        interval=value("interval") / 1000,
        timeout=value("timeout") / 1000,
        rise=int(value("rise")),
        fall=int(value("fall")),
    )


def failback(system: Section) -> float:
    """Seconds for which a server that comes back is drained; infinite: until it is told."""
    given = system.get("failback", "auto")
    if isinstance(given, dict):
        return float(given["after"]) / 1000
    return math.inf if given == "manual" else 0.0


def host_and_port(text: str) -> tuple[str, int]:
    """The two halves of "host:port"."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def faults(parts: Parts) -> Iterator[Fault]:
    """Everything in which health checks are not as they must be."""
    for name, system in parts.systems.items():
        path = ("cluster", "system", name)
        given = system.get("check")
        if given is not None and (*path, "check") not in parts.lost:
            yield from _faults(parts, (*path, "check"), given)
        if "verify" in system and "provider" in system:
            message = "the provider looks by itself: remove it, or use hooks"
            yield Fault((*path, "verify"), message)
        looks = "verify" in system or "provider" in system
        if "check_interval" in system and not looks and (*path, "verify") not in parts.lost:
            yield Fault((*path, "check_interval"), "there is no `verify` to run that often")


def _faults(parts: Parts, path: tuple[str, ...], given: Section) -> Iterator[Fault]:
    kinds = [kind for kind in KINDS if kind in given]
    lost = any((*path, kind) in parts.lost for kind in KINDS)
    if len(kinds) != 1 and not lost:
        found = " and ".join(kinds) or "none"
        yield Fault(path, f"expected one of {', '.join(KINDS)}, not {found}")
    if "expect" in given and "http" not in given and not lost:
        yield Fault((*path, "expect"), "only a check by http has a status to expect")
    if "tcp" in given and not 1 <= host_and_port(given["tcp"])[1] <= PORTS:
        message = f"expected a port from 1 to {PORTS}, not {shown(given['tcp'])}"
        yield Fault((*path, "tcp"), message)
    if "http" in given:
        reason = _unusable(given["http"])
        if reason:
            yield Fault((*path, "http"), f"{reason}: {shown(given['http'])}")


def _unusable(url: str) -> str:
    """What is wrong with a URL, if anything."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if not parts.hostname:
        return "this URL names no host"
    if port == 0:
        return f"expected a port from 1 to {PORTS}"
    if parts.username is not None:
        return "a URL with a password in it would be written to logs; check with a hook instead"
    return ""
