"""The table: faults are rows, programs are columns; medians of the runs, and the worst of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.failover.contest import PROGRAMS
from benchmarks.failover.faults import FAULTS
from benchmarks.failover.grid import Result
from benchmarks.failover.measures import Outcome

NOTHING = "-"


def seconds(value: float) -> str:
    """Milliseconds below a second."""
    return f"{value * 1000:.0f} ms" if value < 0.9995 else f"{value:.2f} s"


@dataclass(frozen=True)
class Row:
    """One measure of one fault.

    :ivar title: of the measure.
    :ivar cell: what the outcomes of one program show.
    """

    fault: str
    title: str
    cell: Callable[[Sequence[Outcome]], str]


def _spread(name: str, endless: str = "") -> Callable[[Sequence[Outcome]], str]:
    def cell(outcomes: Sequence[Outcome]) -> str:
        spreads = [getattr(one, name) for one in outcomes]
        middle = median(one.median for one in spreads)
        worst = max(one.worst for one in spreads)
        unended = endless and 2 * sum(bool(getattr(one, endless)) for one in outcomes)
        if unended and unended > len(outcomes):
            return "for ever"
        if round(worst, 3) == 0:
            return "0"
        return f"{seconds(middle)} ({seconds(worst)})"

    return cell


def _count(name: str) -> Callable[[Sequence[Outcome]], str]:
    def cell(outcomes: Sequence[Outcome]) -> str:
        counts = [getattr(one, name) for one in outcomes]
        return f"{median(counts):g} ({max(counts)})" if max(counts) else "0"

    return cell


GAP, AFTER = _spread("gap", "dark_at_end"), _spread("gap_after", "dark_at_end")
TWO, NEEDLESS = _spread("two", "two_at_end"), _count("needless")
ROWS = (
    Row("crash", "gap", GAP),
    Row("crash", "needless moves", NEEDLESS),
    Row("stop", "gap", GAP),
    Row("stop", "two owners", TWO),
    Row("return", "gap", GAP),
    Row("return", "two owners", TWO),
    Row("agent", "gap", GAP),
    Row("agent", "two owners", TWO),
    Row("freeze", "gap", GAP),
    Row("freeze", "gap after", AFTER),
    Row("freeze", "two owners", TWO),
    Row("isolated", "gap", GAP),
    Row("isolated", "gap after", AFTER),
    Row("isolated", "two owners", TWO),
    Row("deaf", "gap", GAP),
    Row("deaf", "gap after", AFTER),
    Row("deaf", "two owners", TWO),
    Row("mute", "gap", GAP),
    Row("mute", "gap after", AFTER),
    Row("mute", "two owners", TWO),
    Row("loss", "gap", GAP),
    Row("loss", "needless moves", NEEDLESS),
    Row("busy", "gap", GAP),
    Row("busy", "needless moves", NEEDLESS),
)


def lines(results: Sequence[Result]) -> list[str]:
    """All tables, one per number of addresses, as Markdown; empty without results."""
    text: list[str] = []
    for count in sorted({trial.addresses for trial, _ in results}):
        chosen = [result for result in results if result[0].addresses == count]
        programs = [name for name in PROGRAMS if any(t.program == name for t, _ in chosen)]
        text += [f"{count} address{'es' if count > 1 else ''}, 3 nodes", ""]
        rows = [["fault", "", *(PROGRAMS[name].title for name in programs)]]
        rows += _faults(chosen, programs)
        rows += _costs(chosen, programs)
        text += [*_markdown(rows), ""]
    return text


def _faults(results: Sequence[Result], programs: Sequence[str]) -> list[list[str]]:
    rows = []
    shown = ""
    for row in ROWS:
        of = {name: _outcomes(results, name, row.fault) for name in programs}
        if any(of.values()):
            title = "" if row.fault == shown else FAULTS[row.fault].title
            shown = row.fault
            rows.append(
                [
                    title,
                    row.title,
                    *(row.cell(found) if found else NOTHING for found in of.values()),
                ]
            )
    return rows


def _costs(results: Sequence[Result], programs: Sequence[str]) -> list[list[str]]:
    """What each program takes, over all faults: a node that has nothing else to do."""
    measures: tuple[tuple[str, str, str], ...] = (
        ("at rest, per node", "CPU, % of a core", "idle"),
        ("", "RSS, MB", "rss"),
        ("", "packets sent per second", "packets"),
        ("", "octets sent per second", "octets"),
    )
    of = {name: [one for trial, one in results if trial.program == name] for name in programs}
    rows = [
        [
            title,
            measure,
            *(f"{median(getattr(one.costs, name) for one in of[p]):.3g}" for p in programs),
        ]
        for title, measure, name in measures
    ]
    runs = [
        sorted({len(_outcomes(results, name, fault)) for fault in FAULTS} - {0})
        for name in programs
    ]
    return [*rows, ["runs", "", *(_range(counts) for counts in runs)]]


def _range(counts: Sequence[int]) -> str:
    return "-".join(str(count) for count in sorted({counts[0], counts[-1]})) if counts else NOTHING


def _outcomes(results: Iterable[Result], program: str, fault: str) -> list[Outcome]:
    return [one for trial, one in results if (trial.program, trial.fault) == (program, fault)]


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [text[0], rule, *text[1:]]
