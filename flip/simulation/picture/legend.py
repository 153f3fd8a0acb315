"""What the colours and textures mean."""

from __future__ import annotations

from flip.simulation.picture.lanes import FILLS, WORDS
from flip.simulation.picture.palette import CAUTION, FAINT, INK, TROUBLE, colour
from flip.simulation.picture.svg import Canvas, width_of

SIZE = 10.5
SWATCH = 16.0
LINE = 18.0


def draw_legend(canvas: Canvas, y: float, left: float, right: float) -> float:
    """Draw it from `y` down; returns where it ends."""
    lanes = [
        ("node runs", FILLS["running"]),
        *((WORDS[state], FILLS[state]) for state in ("stopped", "frozen", "cut", "leaving")),
        ("suspected by others", CAUTION),
        ("down at others (half height: at some)", TROUBLE),
        ("holds a data point (its colour)", colour(0)),
    ]
    rows = [
        ("no live owner", TROUBLE),
        ("handed over", INK),
        ("two owners that reach each other", "url(#double)"),
        ("two owners, apart", "url(#apart)"),
        ("left over where a node was killed", "url(#leftover)"),
    ]
    y = _draw(canvas, "Nodes:", lanes, y, left, right)
    return _draw(canvas, "Data points:", rows, y, left, right)


def _draw(
    canvas: Canvas, title: str, entries: list[tuple[str, str]], y: float, left: float, right: float
) -> float:
    canvas.text(left - 8, y + 11, title, SIZE, text_anchor="end", fill=FAINT)
    x = left
    for words, fill in entries:
        width = SWATCH + 5 + width_of(words, SIZE) + 16
        if x + width > right:
            x, y = left, y + LINE
        canvas.rect(x, y + 2, SWATCH, 10, fill=fill, stroke="#aaaaaa", stroke_width=0.6)
        canvas.text(x + SWATCH + 5, y + 11, words, SIZE, fill=INK)
        x += width
    return y + LINE
