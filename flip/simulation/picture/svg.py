"""A small typed writer of SVG."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree as ET

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
CHARACTER = 0.53  # the width of one, on average, in units of the font's size
WIDE = 0.58  # the same for bold letters


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """About how wide a text is, in pixels."""
    return len(text) * size * (WIDE if bold else CHARACTER)


def counted(count: int, noun: str) -> str:
    """How many there are: "1 move", "2 moves"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def fitted(text: str, room: float, size: float) -> str:
    """As much of the text as fits."""
    if width_of(text, size) <= room:
        return text
    letters = int(room / (size * CHARACTER)) - 1
    return f"{text[:letters]}…" if letters > 1 else ""


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


class Canvas:
    """Shapes in the order in which they are painted.

    Attributes are those of SVG, with `_` for `-`. `hover` is a text that viewers
    show when the mouse is over the shape.
    """

    def __init__(self, width: float) -> None:
        self.width = width
        self._root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg"})
        self._into = self._root

    @contextmanager
    def group(self, hover: str = "", **attributes: float | str) -> Iterator[None]:
        """What is painted meanwhile belongs together."""
        outer = self._into
        self._into = self._add("g", hover, attributes)
        try:
            yield
        finally:
            self._into = outer

    def rect(
        self,
        x: float,
        y: float,
        width: float | str,
        height: float | str,
        hover: str = "",
        **attributes: float | str,
    ) -> None:
        """A rectangle."""
        place: dict[str, float | str] = {"x": x, "y": y, "width": width, "height": height}
        self._add("rect", hover, place | attributes)

    def line(self, x1: float, y1: float, x2: float, y2: float, **attributes: float | str) -> None:
        """A straight line."""
        place: dict[str, float | str] = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        self._add("line", "", place | attributes)

    def path(self, d: str, hover: str = "", **attributes: float | str) -> None:
        """Any shape, in SVG's own notation."""
        self._add("path", hover, {"d": d, **attributes})

    def text(
        self, x: float, y: float, text: str, size: float = 11, **attributes: float | str
    ) -> None:
        """A text; `y` is its base line."""
        place: dict[str, float | str] = {"x": x, "y": y, "font_size": size}
        self._add("text", "", place | attributes).text = _printable(text)

    def pattern(self, id: str, size: float, background: str, *shapes: tuple[str, str]) -> None:
        """A texture to fill shapes with, ``url(#id)``: a square with strokes, each (d, colour)."""
        attributes: dict[str, float | str] = {
            "id": id,
            "width": size,
            "height": size,
            "patternUnits": "userSpaceOnUse",
        }
        outer = self._into
        self._into = self._add("pattern", "", attributes)
        self.rect(0, 0, size, size, fill=background)
        for d, colour in shapes:
            self.path(d, stroke=colour, stroke_width=1.2, fill="none")
        self._into = outer

    def write(self, height: float) -> str:
        """The document, of this height."""
        self._root.attrib.update(
            {
                "viewBox": f"0 0 {_number(self.width)} {_number(height)}",
                "width": _number(self.width),
                "height": _number(height),
                "font-family": FONT,
            }
        )
        return ET.tostring(self._root, encoding="unicode")

    def _add(self, tag: str, hover: str, attributes: dict[str, float | str]) -> ET.Element:
        written = {name.replace("_", "-"): _number(value) for name, value in attributes.items()}
        element = ET.SubElement(self._into, tag, written)
        if hover:
            ET.SubElement(element, "title").text = _printable(hover)
        return element


def _printable(text: str) -> str:
    """Without what XML cannot contain."""
    return "".join(char for char in text if char.isprintable() or char in "\n\t")
