"""The whole picture, from the title to the legend."""

from __future__ import annotations

from collections.abc import Sequence

from flip.simulation.picture import palette
from flip.simulation.picture.lanes import draw_lanes
from flip.simulation.picture.legend import draw_legend
from flip.simulation.picture.plot import Plot
from flip.simulation.picture.points import draw_points
from flip.simulation.picture.scene import Break, Scene
from flip.simulation.picture.svg import Canvas, counted, fitted, width_of
from flip.simulation.report.answers import Answers
from flip.simulation.report.recording import Recording

WIDTH = 1200.0
RIGHT = 28.0
NARROWEST, WIDEST = 104.0, 190.0  # of the column with names
LABEL = 11.0  # the size of a fault's label
MARK = 18.0  # the height of a row of them
MOST_MARKS = 8  # rows of labels; faults beyond have none


def draw(recording: Recording, answers: Answers) -> str:
    """An SVG document of a run."""
    scene = Scene(recording, answers)
    canvas = Canvas(WIDTH)
    palette.textures(canvas)
    canvas.rect(0, 0, "100%", "100%", fill="#ffffff")
    names = [*recording.config.servers, *map(scene.name, scene.points)]
    longest = max((width_of(name, 12, bold=True) for name in names), default=0.0)
    plot = Plot(canvas, scene.end, min(max(longest + 20, NARROWEST), WIDEST), WIDTH - RIGHT)
    marks = _draw_title(plot, scene)
    rows = _rows(plot, scene.breaks)
    top = marks + MARK * min(max(rows.values(), default=-1) + 1, MOST_MARKS) + 8
    lanes = draw_lanes(plot, scene, top)
    bottom = draw_points(plot, scene, lanes + 6)
    plot.grid(top, bottom)
    _draw_breaks(plot, rows, marks, bottom)
    y = plot.axis(bottom + 2)
    y = draw_legend(canvas, y + 10, plot.left, plot.right)
    return canvas.write(y + 8)


def _draw_title(plot: Plot, scene: Scene) -> float:
    config, answers = scene.recording.config, scene.answers
    faults = ", ".join(mark.text for mark in scene.recording.faults if mark.began)
    room = plot.right - 16
    title = fitted(faults or "no faults", room, 17)
    plot.canvas.text(16, 28, title, 16, font_weight="bold", fill=palette.INK)
    text = (
        f"{counted(len(config.servers), 'node')}, quorum {config.quorum},"
        f" {counted(len(scene.points), 'data point')},"
        f" seed {answers.seed}; {summary(answers)}"
    )
    plot.canvas.text(16, 47, fitted(text, room, 12), 12, fill=palette.FAINT)
    if answers.violation is not None:
        broken = "A SAFETY RULE WAS BROKEN: " + answers.violation.splitlines()[0]
        plot.canvas.text(
            16, 64, fitted(broken, room, 12), 12, fill=palette.TROUBLE, font_weight="bold"
        )
        return 74.0
    return 58.0


def summary(answers: Answers) -> str:
    """The worst of a run in a line."""
    seen = [found.down_everywhere for found in answers.failures]
    in_time = [seconds for seconds in seen if seconds is not None]
    parts = []
    if seen:
        parts.append(f"{len(in_time)} of {counted(len(seen), 'failure')} seen everywhere")
    if in_time:
        parts.append(f"at most after {max(in_time):.2f} s")
    parts.append(f"longest without a live owner {answers.longest_gap:.2f} s")
    parts.append(f"{counted(answers.moves, 'move')}, {answers.unnecessary} unnecessary")
    return ", ".join(parts)


def _rows(plot: Plot, breaks: Sequence[Break]) -> dict[Break, int]:
    """In which row each fault's label stands, so that none covers another."""
    ends: list[float] = []
    rows = {}
    for broken in breaks:
        x, width = plot.across(broken.interval)
        begin = _label_at(plot, broken)
        end = max(x + width, begin + width_of(broken.what, LABEL, bold=True)) + 14
        row = next((number for number, taken in enumerate(ends) if taken <= x), len(ends))
        ends[row : row + 1] = [end]
        rows[broken] = row
    return rows


def _label_at(plot: Plot, broken: Break) -> float:
    """Where the label begins: beside the mark, or further left where the picture ends."""
    x = plot.x(broken.interval.begin) + 8
    return max(min(x, plot.right - width_of(broken.what, LABEL, bold=True)), plot.left)


def _draw_breaks(plot: Plot, rows: dict[Break, int], top: float, bottom: float) -> None:
    canvas = plot.canvas
    for broken, row in rows.items():
        x, width = plot.across(broken.interval)
        hover = f"{broken.what}: {broken.interval.begin:g} s"
        if not broken.is_moment:
            hover += f" to {broken.interval.end:g} s"
            canvas.rect(x, top + 4, width, bottom - top - 4, fill="#000000", fill_opacity=0.045)
        for at in (x,) if broken.is_moment else (x, x + width):
            canvas.line(
                at, top + 4, at, bottom, stroke=palette.INK, stroke_opacity=0.55,
                stroke_dasharray="4 3",
            )  # fmt: skip
        if row >= MOST_MARKS:
            continue
        y = top + MARK * row
        if broken.is_moment:
            canvas.path(f"M{x - 5:.1f},{y + 3:.1f} h10 l-5,9 Z", hover, fill=palette.INK)
        else:
            canvas.rect(x, y + 12, width, 2.5, hover, fill=palette.INK)
        canvas.text(
            _label_at(plot, broken), y + (11 if broken.is_moment else 8), broken.what, LABEL,
            font_weight="bold", fill=palette.INK, paint_order="stroke", stroke="#ffffff",
            stroke_width=4,
        )  # fmt: skip
