"""The part of ``flip status`` about exclusive systems: what is granted by whom, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flip.cli.page import Cell, Page, Row, lasted

MOST_POINTS = 20  # of one system


def show(status: Mapping[str, Any], page: Page) -> None:
    """Print this node's rights, then what it has granted itself."""
    guard = status["guard"]
    if guard is not None:
        state = f"process {guard['pid']}" if guard["ready"] else "NOT READY"
        page.line(f"The guard ({state}) watches over {guard['armed']} data points.")
    for name, system in status["systems"].items():
        if system["grants"] is not None:
            _show_rights(name, system["grants"], page)
    voting = status["voting"]
    for name, points in voting["granted"].items():
        _show_granted(name, points, page)
    if voting["granted"]:
        page.line()


def _show_rights(name: str, grants: Mapping[str, Any], page: Page) -> None:
    voters = ", ".join(grants["voters"])
    page.line(
        Cell(f"{name} is exclusive", "bold"),
        f": {grants['quorum']} of the voters {voters} have to grant a data point"
        f" (lease {lasted(grants['lease'])})",
    )
    points = list(grants["points"].items())
    if not points:
        return
    rows: list[Row] = [["DATA POINT", "GRANTED BY", "LEASE LEFT", "LETS GO"]]
    for datum, point in points[:MOST_POINTS]:
        granted = ", ".join(point["granted"]) or "nobody"
        rows.append([datum, granted, _left(point["left"]), _lets_go(point)])
    page.table(rows)
    _more(len(points), page)
    page.line()


def _left(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return lasted(seconds) if seconds > 0 else "OVER"


def _lets_go(point: Mapping[str, Any]) -> Cell | str:
    if point["lets_go"] is None:
        return Cell("not permitted", "yellow")
    if not point["permitted"]:
        return Cell("NOW", "bold red")
    return f"in {lasted(point['lets_go'])}, unless renewed"


def _show_granted(name: str, points: Mapping[str, Any], page: Page) -> None:
    if not points:
        page.line(f"{name}: this node votes, and has granted nothing")
        return
    rows: list[Row] = [[f"GRANTED HERE ({name})", "TO", "KEPT FOR"]]
    for datum, grant in list(points.items())[:MOST_POINTS]:
        rows.append([datum, grant["to"], lasted(grant["kept"])])
    page.table(rows)
    _more(len(points), page)


def _more(count: int, page: Page) -> None:
    if count > MOST_POINTS:
        page.line(f"{count - MOST_POINTS} more; --json shows all")
