"""What a node says of the addresses that it keeps itself, in its answer to ``flip status``."""

from __future__ import annotations

from typing import Any

from flip.control.parts import Parts


def kept(node: Parts, system: str) -> dict[str, Any] | None:
    """What is kept of one system, by data point; None where its hooks do the work."""
    configured = node.config.systems[system]
    if configured.provider != "address" or node.addresses is None:
        return None
    return {
        datum: found
        for datum in configured.data
        if (found := node.addresses.status(system, datum)) is not None
    }
