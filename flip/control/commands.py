"""What can be asked of a running node over its control socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flip.control.parts import Parts
from flip.control.status import status
from flip.errors import BadRequest, CannotRelease

Command = Callable[[Mapping[str, Any]], Any]


def commands(running: Callable[[], Parts]) -> dict[str, Command]:
    """The commands by name; each takes the request and returns its JSON-able result.

    :param running: returns the parts of the running node.
    """

    def retry(request: Mapping[str, Any]) -> None:
        keeper = running().keeper
        system = request.get("system")
        if system is not None and (not isinstance(system, str) or system not in keeper.systems):
            known = ", ".join(keeper.systems) or "none"
            raise BadRequest(f"This node has no system {system!r}, only: {known}.")
        keeper.retry(system)

    def release(request: Mapping[str, Any]) -> None:
        system, datum = (_text(request, name) for name in ("system", "datum"))
        if request.get("force") is not True:
            raise CannotRelease(
                f"Without this claim another node runs alive for {system}: {datum} at once."
                " Make sure that nothing of it is left on this node, then repeat with --force."
            )
        running().keeper.forsake(system, datum)

    return {
        "status": lambda request: status(running()),
        "retry": retry,
        "release": release,
    }


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise BadRequest(f"{name} has to be a string, not {value!r}.")
    return value
