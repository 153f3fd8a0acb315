"""How many intervals cover each time, as an area: for what is too much to draw one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from flip.simulation.picture.palette import INK
from flip.simulation.picture.plot import Plot
from flip.simulation.picture.svg import width_of
from flip.simulation.report.series import Interval

LEAST = 3.0  # pixels of the lowest count that is not 0


def draw_area(
    plot: Plot,
    intervals: Iterable[Interval],
    y: float,
    height: float,
    **attributes: float | str,
) -> None:
    """Draw the counts, the highest with the whole height, with numbers where there is room."""
    steps = list(_counts(intervals, plot.end))
    most = max((count for _, count in steps), default=0)
    bottom = y + height
    for interval, count in steps:
        if not count:
            continue
        level = bottom - max(height * count / most, LEAST)
        x, width = plot.across(interval, 1)
        hover = f"{count}, {interval.begin:.2f} s to {interval.end:.2f} s"
        plot.canvas.rect(x, level, width, bottom - level, hover, **attributes)
        if width > width_of(str(count), 10) + 6:
            plot.canvas.text(
                x + width / 2, bottom - 4, str(count), 10, text_anchor="middle", fill=INK,
                paint_order="stroke", stroke="#ffffff", stroke_width=3,
            )  # fmt: skip


def _counts(intervals: Iterable[Interval], end: float) -> Iterator[tuple[Interval, int]]:
    edges: dict[float, int] = {0.0: 0, end: 0}
    for interval in intervals:
        edges[interval.begin] = edges.get(interval.begin, 0) + 1
        edges[interval.end] = edges.get(interval.end, 0) - 1
    times, count = sorted(edges), 0
    for at, until in pairwise(times):
        count += edges[at]
        yield Interval(at, until), count
