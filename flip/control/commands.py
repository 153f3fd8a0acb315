"""What can be asked of a running node over its control socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flip.control.parts import Parts
from flip.control.status import status
from flip.errors import BadRequest, CannotConfirm, CannotRelease

Command = Callable[[Mapping[str, Any]], Any]


def commands(running: Callable[[], Parts]) -> dict[str, Command]:
    """The commands by name; each takes the request and returns its JSON-able result.

    :param running: returns the parts of the running node.
    """

    def retry(request: Mapping[str, Any]) -> None:
        if request.get("system") is None:
            running().keeper.retry()
        else:
            for system in systems(request):
                running().keeper.retry(system)

    def drain(request: Mapping[str, Any]) -> None:
        running().keeper.failback.drain(systems(request))

    def undrain(request: Mapping[str, Any]) -> None:
        running().keeper.failback.undrain(systems(request))

    def systems(request: Mapping[str, Any]) -> list[str]:
        """The one that the request names, or all of this node's."""
        known = running().keeper.systems
        system = request.get("system")
        if not known:
            raise BadRequest("This node has no systems: it only votes.")
        if system is None:
            return [*known]
        if not isinstance(system, str) or system not in known:
            listed = ", ".join(known)
            raise BadRequest(f"This node has no system {system!r}, only: {listed}.")
        return [system]

    def release(request: Mapping[str, Any]) -> None:
        system, datum = (_text(request, name) for name in ("system", "datum"))
        if request.get("force") is not True:
            raise CannotRelease(
                f"Without this claim another node runs alive for {system}: {datum} at once."
                " Make sure that nothing of it is left on this node, then repeat with --force."
            )
        running().keeper.forsake(system, datum)

    def confirm_down(request: Mapping[str, Any]) -> None:
        ids = request.get("ids")
        if not isinstance(ids, list) or not ids or not all(isinstance(id, str) for id in ids):
            raise BadRequest(f"ids has to be a list of one or more ids, not {ids!r}.")
        named = ", ".join(ids)
        if request.get("force") is not True:
            raise CannotConfirm(
                f"The others take over what {named} may still serve. Make sure that it is off or"
                " cut off for good, then repeat with --force."
            )
        by = _text(request, "by")
        running().membership.confirm_down(ids)
        running().chronicle.warn("confirmed-down", f"{by} confirmed here that {named} is off")

    return {
        "status": lambda request: status(running()),
        "retry": retry,
        "drain": drain,
        "undrain": undrain,
        "release": release,
        "confirm-down": confirm_down,
    }


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise BadRequest(f"{name} has to be a string, not {value!r}.")
    return value
