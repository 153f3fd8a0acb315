"""Whether, and how much, a node goes before the other processes of its host."""

from __future__ import annotations

from typing import Any

from flip.config.parts import Section

USUAL = 10  # above everything ordinary, below what a kernel's own threads have
REALTIME: dict[str, Any] = {
    "anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 1, "maximum": 99}],
    "description": "true, false, or a priority from 1 to 99",
}


def realtime(top: Section) -> int:
    """The priority, 0 for none."""
    given = top.get("realtime", False)
    return USUAL if given is True else int(given)
