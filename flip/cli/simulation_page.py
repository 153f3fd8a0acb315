"""What ``flip simulate`` prints for people: the story of a run, or how many runs were spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from flip.cli.page import Cell, Page, Row
from flip.simulation.rehearsal import Rehearsal
from flip.simulation.repetition import Spread, Spreads
from flip.simulation.report.answers import Answers, Ownership, Traffic
from flip.simulation.report.series import Interval, total
from flip.simulation.report.timeline import Tone, timeline

STYLES = {Tone.FAULT: "bold yellow", Tone.BAD: "red", Tone.GOOD: "green", Tone.PLAIN: ""}
MOST_POINTS = 12  # data points in a table; the worst come first
MOST_NODES = 10  # nodes in the table of traffic
MOST_FAILURES = 20
MOST_LINES = 200  # of a timeline

FIRST_TIMES = "NO LIVE OWNER"
TIMES: dict[str, Callable[[Ownership], Sequence[Interval]]] = {
    FIRST_TIMES: lambda point: point.gaps,
    "NOWHERE": lambda point: point.nowhere,
    "TWO": lambda point: point.together,
    "TWO, APART": lambda point: point.apart,
    "LEFT OVER": lambda point: point.leftover,
}


def show(page: Page, rehearsal: Rehearsal) -> None:
    """The timeline, then the answers."""
    answers = rehearsal.answers
    lines = timeline(rehearsal.recording)
    width = max((len(line.when) for line in lines), default=0)
    for line in lines[:MOST_LINES]:
        page.paragraph(Cell(f"{line.when:>{width}} ", STYLES[line.tone]), line.text)
    if len(lines) > MOST_LINES:
        page.line(f"and {len(lines) - MOST_LINES} more such lines; --json shows all")
    page.line()
    _show_failures(page, answers)
    _show_data(page, answers)
    _show_traffic(page, answers.traffic)
    _show_verdict(page, answers)


def _show_failures(page: Page, answers: Answers) -> None:
    if not answers.failures:
        return
    rows: list[Row] = [["FAILURE", "VOTE", "DOWN", "EVERYWHERE", "LASTED", "BACK"]]
    for failure in answers.failures[:MOST_FAILURES]:
        times = (failure.suspected, failure.down, failure.down_everywhere, failure.lasted)
        name = f"{failure.node} {failure.how} at {failure.at:.2f} s"
        rows.append([name, *map(_seconds, times), _seconds(failure.back)])
    page.table(rows)
    if len(answers.failures) > MOST_FAILURES:
        page.line(f"and {len(answers.failures) - MOST_FAILURES} more failures; --json shows all")
    page.line()


def _show_data(page: Page, answers: Answers) -> None:
    several = len({point.system for point in answers.data}) > 1
    worst = sorted(answers.data, key=_badness, reverse=True)[:MOST_POINTS]
    shown = [point for point in answers.data if point in worst]
    columns: list[Sequence[Cell | str]] = [
        [
            "DATA POINT",
            *(f"{point.system} {point.datum}" if several else point.datum for point in shown),
        ]
    ]
    for title, times in TIMES.items():
        found = [times(point) for point in shown]
        if any(found) or title == FIRST_TIMES:  # what never happened needs no column
            columns.append([title, *map(_lengths, found)])
    columns.append(["MOVES", *map(_moves, shown)])
    columns.append(["AT THE END", *map(_at_end, shown)])
    page.table([list(row) for row in zip(*columns, strict=True)])
    if len(answers.data) > len(shown):
        page.line(f"and {len(answers.data) - len(shown)} more that fared no worse; --json has all")
    page.line()


def _moves(point: Ownership) -> str:
    text = str(point.moves)
    return f"{text} ({point.unnecessary} unnecessary)" if point.unnecessary else text


def _badness(point: Ownership) -> tuple[bool, float, float, int]:
    both = total(point.together) + total(point.apart)
    return not point.live_at_end, total(point.gaps), both, point.moves


def _at_end(point: Ownership) -> Cell:
    others = ", ".join(id for id in point.owners if id not in point.live_owners)
    if point.live_at_end:
        also = f" (also {others})" if others else ""
        return Cell(", ".join(point.live_owners) + also, "green")
    return Cell(f"no live owner (on {others})" if others else "nowhere", "bold red")


def _lengths(intervals: Sequence[Interval]) -> Cell:
    """Their sum, and how many they are where there are several."""
    if not intervals:
        return Cell("-", "dim")
    text = _seconds(total(intervals))
    return Cell(text if len(intervals) == 1 else f"{text} ({len(intervals)})")


def _show_traffic(page: Page, traffic: Mapping[str, Traffic]) -> None:
    if len(traffic) <= MOST_NODES:
        rows: list[Row] = [["SENT PER SECOND", "DATAGRAMS", "BYTES"]]
        rows += [[id, f"{sent.packets:.1f}", f"{sent.bytes:.0f}"] for id, sent in traffic.items()]
        page.table(rows)
    else:
        packets = sorted(sent.packets for sent in traffic.values())
        amounts = sorted(sent.bytes for sent in traffic.values())
        middle = len(traffic) // 2
        page.line(
            f"Each of the {len(traffic)} nodes sends {packets[middle]:.1f} datagrams and"
            f" {amounts[middle]:.0f} bytes per second (median); at most {packets[-1]:.1f} and"
            f" {amounts[-1]:.0f}."
        )
    page.line()


def _show_verdict(page: Page, answers: Answers) -> None:
    page.paragraph(
        Cell(f"{answers.duration:g} s, seed {answers.seed}:"),
        f"{_times(answers.moves, 'move')}, {answers.unnecessary} unnecessary; live nodes"
        f" wrongly suspected {_times(answers.false_suspicions, 'time')}, wrongly down"
        f" {_times(answers.false_downs, 'time')}.",
    )
    if answers.ownerless:
        _show_ownerless(page, len(answers.ownerless))
    if answers.violation is not None:
        page.line(Cell("A safety rule was broken, and that ended the run:", "bold red"))
        for line in answers.violation.splitlines():
            page.line(f"  {line}")


def _show_ownerless(page: Page, count: int) -> None:
    some = "1 data point ends" if count == 1 else f"{count} data points end"
    page.line(Cell(f"{some} without a live owner.", "bold red"))


def show_spreads(page: Page, spreads: Spreads, runs: Sequence[Answers]) -> None:
    """How the answers of many runs are spread."""
    for title, groups, questions in (
        ("FAILURE", spreads.failures, FAILURE),
        ("DATA POINT", spreads.data, DATA),
    ):
        if groups:
            _show_groups(page, title, groups, questions)
    rows: list[Row] = [["IN A RUN", "MEDIAN", "P95", "MAX"]]
    for question, name in CLUSTER.items():
        found = spreads.cluster[question]
        as_text = _seconds if question in IN_SECONDS else _count
        rows.append([name, *map(as_text, (found.median, found.p95, found.max))])
    for question, name in (("packets", "datagrams"), ("bytes", "bytes")):
        nodes = [spread[question] for spread in spreads.traffic.values()]
        rows.append([f"{name} a node sends per second", *map(_count, _highest(nodes))])
    page.table(rows)
    page.line()
    first, last = runs[0].seed, runs[-1].seed
    page.line(f"{len(runs)} runs of {runs[0].duration:g} s, seeds {first} to {last}.")
    broken = [run for run in runs if run.violation is not None]
    if broken:
        seeds = ", ".join(str(run.seed) for run in broken[:10])
        page.line(Cell(f"{len(broken)} runs broke a safety rule, seeds {seeds}", "bold red"))
    ownerless = [run for run in runs if run.ownerless]
    if ownerless:
        seeds = ", ".join(str(run.seed) for run in ownerless[:10])
        page.line(
            Cell(f"{len(ownerless)} runs end with data points without a live owner", "bold red"),
            f", seeds {seeds}",
        )


FAILURE = {
    "suspected": "first vote",
    "down": "down at the first",
    "down_everywhere": "down everywhere",
    "back": "seen back",
}
DATA = {
    "longest_gap": "no owner for",
    "together": "two owners",
    "apart": "two, apart",
    "leftover": "left over",
}
CLUSTER = {
    "longest_gap": "longest time without a live owner",
    "longest_together": "longest time with two owners that reach each other",
    "moves": "moves",
    "unnecessary": "unnecessary moves",
    "false_suspicions": "live nodes wrongly suspected",
    "false_downs": "live nodes wrongly down",
}
IN_SECONDS = ("longest_gap", "longest_together")


def _show_groups(
    page: Page,
    title: str,
    groups: Mapping[str, Mapping[str, Spread]],
    questions: Mapping[str, str],
) -> None:
    rows: list[Row] = [[title, "", "MEDIAN", "P95", "MAX", "RUNS"]]
    worst = sorted(groups, key=lambda name: -_most(groups[name].values()))[:MOST_POINTS]
    for name in (name for name in groups if name in worst):
        label = name
        for question, words in questions.items():
            found = groups[name][question]
            if not found.max and question != next(iter(questions)):
                continue  # nothing of this happened
            times = map(_seconds, (found.median, found.p95, found.max))
            rows.append([label, words, *times, f"{found.count} of {found.runs}"])
            label = ""
    page.table(rows)
    if len(groups) > len(worst):
        page.line(f"and {len(groups) - len(worst)} more that fared no worse; --json has all")
    page.line()


def _most(found: Iterable[Spread]) -> float:
    return max((spread.max or 0.0 for spread in found), default=0.0)


def _highest(found: Sequence[Spread]) -> tuple[float | None, float | None, float | None]:
    """Of the node that has the most."""
    highest = max(found, key=lambda spread: spread.max or 0.0)
    return highest.median, highest.p95, highest.max


def _times(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
