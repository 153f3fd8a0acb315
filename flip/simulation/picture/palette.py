"""Colours that the colour-blind tell apart, and that print well on white.

Okabe and Ito's set (Color Universal Design, 2008); its vermilion means trouble and
is no data point's. More data points than colours share them, lighter each time.
"""

from __future__ import annotations

from flip.simulation.picture.svg import Canvas

INK = "#222222"
FAINT = "#777777"
GRID = "#e4e4e4"
TROUBLE = "#d55e00"
CAUTION = "#e69f00"
CALM = "#f5f5f5"
MANY = "#9fb3c8"  # data points that are counted, not drawn

_COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#b59a00", "#5d4a9c")
_LIGHTER = 0.28  # towards white, each time around
_ROUNDS = 3


def colour(number: int) -> str:
    """The colour of a data point, by its place among all."""
    rounds, place = divmod(number, len(_COLOURS))
    share = _LIGHTER * (rounds % _ROUNDS)
    base = _COLOURS[place]
    channels = (int(base[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(value + (255 - value) * share):02x}" for value in channels)


def on(fill: str) -> str:
    """The colour of a text on such a background."""
    red, green, blue = (int(fill[at : at + 2], 16) for at in (1, 3, 5))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"


def textures(canvas: Canvas) -> None:
    """What lanes and rows are filled with where a plain colour says too little."""
    up, down = "M-2,10 L10,-2", "M-2,-2 L10,10"
    canvas.pattern("stopped", 8, "#cfcfcf", (up, "#8f8f8f"), (down, "#8f8f8f"))
    canvas.pattern("frozen", 6, "#dcecf8", ("M3,0 V6", "#8bb8d8"))
    canvas.pattern("cut", 8, "#fff6e0", ("M-2,10 L10,-2 M-2,2 L2,-2 M6,10 L10,6", "#e8c46a"))
    canvas.pattern("leaving", 6, "#eee8f4", ("M0,3 H6", "#b9a8d0"))
    canvas.pattern("double", 12, "#f7d200", ("M-3,15 L15,-3 M-3,3 L3,-3 M9,15 L15,9", "#111111"))
    canvas.pattern("apart", 10, "#ffe9a8", ("M-2,12 L12,-2", "#111111"))
    canvas.pattern("leftover", 6, "#ffffff", ("M-2,8 L8,-2", "#9a9a9a"))
