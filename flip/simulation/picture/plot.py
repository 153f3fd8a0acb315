"""Where things are in the picture: time from left to right, names before it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from flip.simulation.picture.palette import FAINT, INK
from flip.simulation.picture.svg import Canvas, fitted
from flip.simulation.report.series import Interval

NAME = 12.0  # the size of a lane's name
TICKS = 9  # at most so many parts of the axis
STEPS = (1.0, 2.0, 5.0)


class Plot:
    """A canvas with a scale of time between `left` and `right`, in pixels."""

    def __init__(self, canvas: Canvas, end: float, left: float, right: float) -> None:
        self.canvas = canvas
        self.end = end
        self.left = left
        self.right = right

    def x(self, seconds: float) -> float:
        """Where a time is."""
        return self.left + (self.right - self.left) * seconds / self.end

    def across(self, interval: Interval, least: float = 0.0) -> tuple[float, float]:
        """Where an interval begins, and how wide it is, at least `least` pixels."""
        x = self.x(interval.begin)
        return x, max(self.x(interval.end) - x, least)

    def name(self, y: float, text: str, *, bold: bool = False) -> None:
        """Write a name before the scale."""
        weight = "bold" if bold else "normal"
        self.canvas.text(
            self.left - 8,
            y,
            fitted(text, self.left - 12, NAME),
            NAME,
            text_anchor="end",
            fill=INK,
            font_weight=weight,
        )

    def heading(self, y: float, text: str) -> None:
        """Say what follows."""
        self.canvas.text(self.left, y, text, 11, fill=FAINT)

    def ticks(self) -> Iterator[float]:
        """Round times, evenly along the axis."""
        rough = self.end / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next((power * part for part in STEPS if power * part >= rough), power * 10)
        yield from (number * step for number in range(int(self.end / step + 1e-9) + 1))

    def grid(self, top: float, bottom: float) -> None:
        """Faint lines at the round times."""
        for seconds in self.ticks():
            x = self.x(seconds)
            self.canvas.line(x, top, x, bottom, stroke="#000000", stroke_opacity=0.10)

    def axis(self, y: float) -> float:
        """Write the times below; returns where the picture goes on."""
        self.canvas.line(self.left, y, self.right, y, stroke=INK)
        *others, last = self.ticks()
        for seconds in (*others, last):
            x = self.x(seconds)
            self.canvas.line(x, y, x, y + 4, stroke=INK)
            unit = " s" if seconds == last else ""
            self.canvas.text(x, y + 16, f"{seconds:g}{unit}", 11, text_anchor="middle", fill=INK)
        return y + 20
