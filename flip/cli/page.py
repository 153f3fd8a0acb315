"""What commands print: text that fits the terminal, with colours where it has them."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import NamedTuple, TextIO

NARROWEST = 8  # columns that a table's column keeps when it is cut
GAP = "  "


class Cell(NamedTuple):
    """A text and, in rich's words, how it looks on a good terminal.

    `data`: the text is this list, and may be abbreviated as `listed` does.
    """

    text: str
    style: str = ""
    data: Sequence[str] = ()


Row = Sequence[Cell | str]


class Page:
    """A file to print on, plain unless it is a terminal that knows colours."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = sys.stdout if file is None else file
        self._styled = self._file.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.width = shutil.get_terminal_size().columns

    def line(self, *cells: Cell | str) -> None:
        """Print the cells, one after the other."""
        parts = [_printable(cell) for cell in cells]
        if self._styled:
            from rich.console import Console
            from rich.text import Text

            text = Text.assemble(*((part.text, part.style) for part in parts))
            Console(file=self._file).print(text, soft_wrap=True)
        else:
            encoding = self._file.encoding or "utf-8"
            plain = "".join(part.text for part in parts).rstrip()
            print(plain.encode(encoding, "backslashreplace").decode(encoding), file=self._file)

    def paragraph(self, lead: Cell, text: str) -> None:
        """Print text that may need several lines, after and beside its lead."""
        indent = " " * min(len(_printable(lead).text) + 1, self.width // 2)
        text = f"{_printable(lead).text} {_printable(text).text}"
        first, *others = textwrap.wrap(
            text, max(self.width, 40), subsequent_indent=indent, break_on_hyphens=False
        )
        end = len(_printable(lead).text)
        self.line(Cell(first[:end], lead.style), first[end:])
        for other in others:
            self.line(other)

    def fits(self, rows: Sequence[Row]) -> bool:
        """Whether a table needs no cutting."""
        return _total(_widths(rows)) <= self.width

    def table(self, rows: Sequence[Row], *, header: bool = True) -> None:
        """Print aligned columns, perhaps the first row as a header; the widest are cut to fit."""
        widths = [min(width, self.width) for width in _widths(rows)]
        while _total(widths) > self.width and max(widths) > NARROWEST:
            widths[widths.index(max(widths))] -= 1
        for number, row in enumerate(rows):
            cells: list[Cell] = []
            for cell, width in zip(map(_printable, row), widths, strict=True):
                text = listed(cell.data, width) if cell.data else cell.text
                style = "bold" if header and number == 0 else cell.style
                cells += [Cell(_cut(text, width).ljust(width), style), Cell(GAP)]
            self.line(*cells)


def _widths(rows: Sequence[Row]) -> list[int]:
    return [
        max(len(_printable(cell).text) for cell in column) for column in zip(*rows, strict=True)
    ]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _printable(cell: Cell | str) -> Cell:
    """Without anything that could move the cursor or break the line: hooks print what they like."""
    cell = Cell(cell) if isinstance(cell, str) else cell
    if cell.text.isprintable():
        return cell
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in cell.text)
    return cell._replace(text=text)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def listing(data: Sequence[str]) -> Cell:
    """A cell for as much of the list as fits."""
    return Cell(", ".join(data) or "-", data=data)


def listed(data: Sequence[str], width: int) -> str:
    """All of it when it fits, else how many there are and the first few."""
    whole = ", ".join(data)
    if len(whole) <= width:
        return whole
    text = f"{len(data)}:"
    for datum in data:
        longer = f"{text} {datum},"
        if len(longer) + len(" ...") > width:
            break
        text = longer
    return f"{text} ..." if text.endswith(",") else str(len(data))


def lasted(seconds: float) -> str:
    """A time span in the largest unit that says enough."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, length in (("s", 1), ("min", 60), ("h", 3600)):
        if seconds < 100 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"
