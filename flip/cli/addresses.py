"""The addresses that a node keeps itself, as ``flip status`` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flip.cli.page import Cell, Page

MOST_LINES = 10  # about one system's conflicts, and missing addresses


def show(status: Mapping[str, Any], page: Page) -> None:
    """A line for each system with addresses, and one for each that is in trouble."""
    for name, system in status["systems"].items():
        kept = system["addresses"]
        if not kept:
            continue
        here = [one for one in kept.values() if one["interface"] is not None]
        if here:
            interfaces = ", ".join(sorted({one["interface"] for one in here}))
            left = [one["left"] for one in here if one["left"] is not None]
            lease = f"; the kernel ends them in {min(left):.1f} s without flip" if left else ""
            page.line(f"{name}: {len(here)} with addresses on {interfaces}{lease}")
        _show_troubles(name, kept, page)


def _show_troubles(name: str, kept: Mapping[str, Any], page: Page) -> None:
    troubles = [
        (datum, f"{one['conflict']} answers for it, too")
        for datum, one in kept.items()
        if one["conflict"] is not None
    ]
    troubles += [
        (datum, f"not there: {', '.join(one['missing'])}")
        for datum, one in kept.items()
        if one["missing"]
    ]
    for datum, trouble in troubles[:MOST_LINES]:
        page.paragraph(Cell(f"{name} {datum}:", "red"), trouble)
    if len(troubles) > MOST_LINES:
        page.line(f"{name}: {len(troubles) - MOST_LINES} more; --json shows all")
