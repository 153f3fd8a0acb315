"""A row per data point: who owns it, and glaringly where nobody does, or two do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flip.simulation.picture.area import draw_area
from flip.simulation.picture.palette import FAINT, INK, TROUBLE, colour, on
from flip.simulation.picture.plot import Plot
from flip.simulation.picture.scene import NOTABLE, Scene
from flip.simulation.picture.svg import width_of
from flip.simulation.report.answers import Ownership
from flip.simulation.report.series import Interval, without

ROW = 19.0
BAR = 13.0  # the height of an owner's bar, above what is left over
MOST_ROWS = 24  # more data points in trouble, and they are counted
BRIEF = 0.05  # seconds with two owners that are not drawn
COUNTED = 34.0  # the height of an area of counts


def draw_points(plot: Plot, scene: Scene, y: float) -> float:
    """Draw all rows from `y` down; returns where they end."""
    data = scene.answers.data
    if not data:
        return y
    plot.heading(y + 8, "Data points: the owner; where there is no live owner, or more than one")
    y += 14
    troubled = [point for point in data if _is_troubled(point)]
    quiet = [point for point in data if not _is_troubled(point)]
    if len(data) <= MOST_ROWS:
        troubled, quiet = data, []
    if len(troubled) > MOST_ROWS:
        return _draw_counts(plot, data, y)
    for point in troubled:
        _draw_row(plot, scene, point, y)
        y += ROW
    if quiet:
        plot.name(y + 12, f"{len(quiet)} others" if troubled else f"all {len(quiet)}")
        plot.canvas.rect(plot.left, y + 2, plot.right - plot.left, ROW - 4, fill="#d9e7ef", rx=1.5)
        text = "one live owner each, all the time, but for handovers"
        plot.canvas.text(plot.left + 8, y + 12, text, 10, fill=FAINT)
        y += ROW
    return y + 4


def _is_troubled(point: Ownership) -> bool:
    return bool(
        not point.live_at_end
        or any(gap.length >= NOTABLE for gap in point.gaps)
        or any(both.length >= BRIEF for both, _, _ in _doubles(point))
    )


def _draw_row(plot: Plot, scene: Scene, point: Ownership, y: float) -> None:
    canvas, name = plot.canvas, scene.name((point.system, point.datum))
    fill = colour(scene.points[point.system, point.datum])
    plot.name(y + 12, name)
    canvas.rect(plot.left, y + 2, plot.right - plot.left, BAR, fill="#ffffff", stroke="#dddddd")
    doubles = [double for double in _doubles(point) if double[0].length >= BRIEF]
    against = [both for both, texture, _ in doubles if texture != "leftover"]
    for interval, id in scene.live_spans(point):
        x, width = plot.across(interval)
        hover = f"{id} owns {name}, {interval.begin:.2f} s to {interval.end:.2f} s"
        canvas.rect(x, y + 2, width, BAR, hover, fill=fill)
        _label_first(plot, without(interval, against), id, y, on(fill))
    for gap in [*point.gaps, *([Interval(0, plot.end)] if point.placed is None else [])]:
        hover = f"{name}: no live owner, {gap.begin:.2f} s to {gap.end:.2f} s"
        if gap.length < NOTABLE:
            canvas.rect(plot.x(gap.begin), y + 2, 1, BAR, hover, fill=INK)
            continue
        x, width = plot.across(gap, 3)
        canvas.rect(x, y + 1, width, BAR + 2, hover, fill=TROUBLE)
        words = f"no owner {gap.length:.2g} s"
        if not _label(plot, gap, words, y, "#ffffff"):
            before = [
                owned for owned in scene.live_spans(point) if owned[0].end <= gap.begin + BRIEF
            ]
            if before:
                _label_before(plot, gap, words, y, *max(before))
    for interval, texture, words in doubles:
        x, width = plot.across(interval, 3)
        hover = f"{name}: {words}, {interval.begin:.2f} s to {interval.end:.2f} s"
        is_part = texture == "leftover"  # beside the owner, not against it
        top, height = (y + BAR + 2, 4.0) if is_part else (y + 2, BAR)
        canvas.rect(
            x, top, width, height, hover, fill=f"url(#{texture})", stroke=INK, stroke_width=0.7
        )
        if not is_part:
            _label(plot, interval, words, y, INK)


def _doubles(point: Ownership) -> Iterator[tuple[Interval, str, str]]:
    """When it had two owners, the texture for that, and what to call it."""
    for intervals, texture, words in (
        (point.leftover, "leftover", "left over"),
        (point.apart, "apart", "two owners, apart"),
        (point.together, "double", "two owners"),
    ):
        yield from ((interval, texture, words) for interval in intervals)


def _label(plot: Plot, interval: Interval, words: str, y: float, fill: str) -> bool:
    """Write it into an interval, if there is room; returns whether there was."""
    x, width = plot.across(interval)
    if width <= width_of(words, 10, bold=True) + 6:
        return False
    _write(plot, x + width / 2, words, y, "middle", fill, "#ffffff" if fill == INK else TROUBLE)
    return True


def _label_before(
    plot: Plot, gap: Interval, words: str, y: float, owned: Interval, owner: str
) -> None:
    """Two seconds of minutes are a hair: say beside it what it is, behind the last owner's name."""
    end, begin = plot.x(gap.begin) - 5, plot.x(owned.begin) + width_of(owner, 10) + 12
    if end - width_of(words, 10, bold=True) > begin:
        _write(plot, end, words, y, "end", "#ffffff", TROUBLE)


def _write(plot: Plot, x: float, words: str, y: float, anchor: str, fill: str, halo: str) -> None:
    plot.canvas.text(
        x, y + 12, words, 10, text_anchor=anchor, fill=fill,
        font_weight="bold", paint_order="stroke", stroke=halo, stroke_width=3,
    )  # fmt: skip


def _label_first(plot: Plot, pieces: Sequence[Interval], words: str, y: float, fill: str) -> None:
    """Write it into the first piece that has room."""
    for piece in pieces:
        x, width = plot.across(piece)
        if width > width_of(words, 10) + 10:
            plot.canvas.text(x + 5, y + 12, words, 10, fill=fill)
            return


def _draw_counts(plot: Plot, data: Sequence[Ownership], y: float) -> float:
    """How many data points have no live owner, and how many have two, as areas."""
    for words, fill, found in (
        ("no live owner", TROUBLE, [gap for point in data for gap in _gaps(point, plot.end)]),
        ("two owners", "url(#double)", [both for point in data for both in point.together]),
        ("two, apart", "url(#apart)", [both for point in data for both in point.apart]),
        ("left over", "url(#leftover)", [both for point in data for both in point.leftover]),
    ):
        notable = [interval for interval in found if interval.length >= BRIEF]
        if not notable:
            continue
        plot.name(y + COUNTED / 2 + 4, words)
        draw_area(plot, notable, y, COUNTED, fill=fill)
        y += COUNTED + 8
    return y


def _gaps(point: Ownership, end: float) -> list[Interval]:
    return [Interval(0, end)] if point.placed is None else point.gaps
