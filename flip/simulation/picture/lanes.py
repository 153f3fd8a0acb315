"""A lane per node: its state, what the others think of it, and what it holds."""

from __future__ import annotations

from collections.abc import Sequence

from flip.simulation.picture.area import draw_area
from flip.simulation.picture.palette import CALM, CAUTION, FAINT, INK, MANY, TROUBLE, colour, on
from flip.simulation.picture.plot import Plot
from flip.simulation.picture.scene import Bar, Lane, Scene
from flip.simulation.picture.svg import counted, fitted, width_of
from flip.simulation.report.failures import Opinion
from flip.simulation.report.series import Interval, common, total

FILLS = {
    "running": CALM,
    "stopped": "url(#stopped)",
    "frozen": "url(#frozen)",
    "cut": "url(#cut)",
    "leaving": "url(#leaving)",
}
WORDS = {"stopped": "not running", "frozen": "frozen", "cut": "cut off", "leaving": "leaving"}
OPINIONS = {
    Opinion.SUSPECTED: CAUTION,
    Opinion.DOWN_AT_SOME: TROUBLE,
    Opinion.DOWN_AT_ALL: TROUBLE,
}
MOST_LANES = 60  # more nodes than that, and those without events become one band
MOST_ROWS = 16  # more data points at once on a node, and they are counted
OPINION = 5.0  # the height of the strip below a lane's bars
GAP = 6.0  # between lanes
SMALL = 9.5  # the size of a data point's name
SHORTEST = 60.0  # pixels that are worth an abbreviated one


def draw_lanes(plot: Plot, scene: Scene, y: float) -> float:
    """Draw all of them from `y` down; returns where the last one ends."""
    lanes, others = scene.lanes, list[Lane]()
    if len(lanes) > MOST_LANES:
        named = {name for broken in scene.breaks for name in broken.named}
        lanes = [lane for lane in lanes if lane.is_eventful or lane.id in named][:MOST_LANES]
        drawn = {lane.id for lane in lanes}
        others = [lane for lane in scene.lanes if lane.id not in drawn]
    height = _bar_height(len(lanes))
    for lane in lanes:
        y = _draw_lane(plot, scene, lane, y, height) + (GAP if height > 6 else 3)
    if others:
        y = _draw_band(plot, others, y) + GAP
    return y


def _bar_height(lanes: int) -> float:
    """The height of one data point's bar."""
    return 13.0 if lanes <= 6 else 9.0 if lanes <= 16 else 6.0


def _draw_lane(plot: Plot, scene: Scene, lane: Lane, y: float, height: float) -> float:
    crowded = len(lane.rows) > MOST_ROWS
    if crowded:
        inside = 4.5 * height
    else:
        per_row = height if len(lane.rows) <= 4 else max(height / 2, 4.0)
        inside = max(len(lane.rows), 1) * (per_row + 1)
    bottom = y + inside + 3 + OPINION
    plot.name(y + inside / 2 + 5, lane.id, bold=True)
    for interval, state in lane.states:
        x, width = plot.across(interval)
        hover = f"{lane.id}: {WORDS.get(state, state)}, {_times(interval)}"
        plot.canvas.rect(
            x, y, width, bottom - y, hover, fill=FILLS[state], stroke="#d0d0d0", stroke_width=0.6
        )
    if crowded:
        served = [bar.interval for row in lane.rows for bar in row]
        draw_area(plot, served, y + 1, inside, fill=MANY)
    else:
        for number, row in enumerate(lane.rows):
            for bar in row:
                _draw_bar(plot, scene, lane, bar, y + 1 + number * (per_row + 1), per_row)
    if inside >= 12:
        _draw_words(plot, lane, y, inside)
    _draw_opinions(plot, lane, bottom - OPINION)
    return bottom


def _draw_bar(plot: Plot, scene: Scene, lane: Lane, bar: Bar, y: float, height: float) -> None:
    x, width = plot.across(bar.interval, 1.0)
    name = scene.name(bar.point)
    hover = f"{lane.id} serves {name}, {_times(bar.interval)}"
    fill = colour(scene.points[bar.point])
    plot.canvas.rect(x, y, width, height, hover, fill=fill, rx=1.5)
    for dead in common([bar.interval], _without_process(lane)):
        # Still live on the machine, and nobody looks after it.
        dead_x, dead_width = plot.across(dead)
        plot.canvas.rect(
            dead_x, y, dead_width, height, f"{name} is left over on {lane.id}, {_times(dead)}",
            fill="#ffffff", fill_opacity=0.62, stroke=fill, stroke_dasharray="3 2",
        )  # fmt: skip
    if height >= 9 and width > min(width_of(name, SMALL), SHORTEST) + 8:
        plot.canvas.text(
            x + 4, y + height / 2 + 3.5, fitted(name, width - 8, SMALL), SMALL, fill=on(fill)
        )


def _without_process(lane: Lane) -> list[Interval]:
    return [interval for interval, state in lane.states if state == "stopped"]


def _draw_words(plot: Plot, lane: Lane, y: float, inside: float) -> None:
    """Say what the state is, where there is room."""
    for interval, state in lane.states:
        word = WORDS.get(state, "")
        x, width = plot.across(interval)
        if word and width > width_of(word, 10, bold=True) + 10:
            plot.canvas.text(
                x + width / 2, y + inside / 2 + 5, word, 10, text_anchor="middle", fill=INK,
                font_weight="bold", paint_order="stroke", stroke="#ffffff", stroke_width=3,
            )  # fmt: skip


def _draw_opinions(plot: Plot, lane: Lane, y: float) -> None:
    for interval, opinion in lane.opinions:
        if opinion is Opinion.ALIVE:
            continue
        x, width = plot.across(interval, 1.5)
        height = OPINION if opinion is not Opinion.DOWN_AT_SOME else OPINION / 2
        words = opinion.name.lower().replace("_", " ").replace("at all", "at all others")
        hover = f"{lane.id} is {words}, {_times(interval)}"
        plot.canvas.rect(x, y, width, height, hover, fill=OPINIONS[opinion])


def _draw_band(plot: Plot, lanes: Sequence[Lane], y: float) -> float:
    """The nodes to which nothing happened, as one."""
    held = sum(len(row) for lane in lanes for row in lane.rows)
    plot.name(y + 14, f"{len(lanes)} others")
    plot.canvas.rect(plot.left, y, plot.right - plot.left, 20, fill=CALM, stroke="#d0d0d0")
    never = sum(total(_without_process(lane)) >= plot.end for lane in lanes)
    running = f"{counted(len(lanes) - never, 'node')} run all the time"
    text = f"{running}, nothing changes there; they hold {counted(held, 'data point')}"
    plot.canvas.text(plot.left + 8, y + 14, text, 10.5, fill=FAINT)
    return y + 20


def _times(interval: Interval) -> str:
    return f"{interval.begin:.2f} s to {interval.end:.2f} s ({interval.length:.2f} s)"
