"""What can be asked of a running node over its control socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flip.control.parts import Parts
from flip.control.status import status
from flip.errors import BadRequest

Command = Callable[[Mapping[str, Any]], Any]


def commands(running: Callable[[], Parts]) -> dict[str, Command]:
    """The commands by name; each takes the request and returns its JSON-able result.

    :param running: returns the parts of the running node.
    """

    def retry(request: Mapping[str, Any]) -> None:
        keeper = running().keeper
        system = request.get("system")
        if system is not None and system not in keeper.systems:
            known = ", ".join(keeper.systems) or "none"
            raise BadRequest(f"This node has no system {system!r}, only: {known}.")
        keeper.retry(system)

    return {"status": lambda request: status(running()), "retry": retry}
