"""What a hook prints, line by line into the log, and no more of it than is good."""

from __future__ import annotations

from collections.abc import Callable

LINE_BYTES = 1024  # of a line that are kept
LINES = 100  # per stream and run that are logged


class Lines:
    """Cuts one stream into lines; its memory is bounded by `LINE_BYTES`.

    :param say: called with each line, at most `LINES` times, without control characters.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.dropped = 0  # bytes that were not said
        self._say = say
        self._said = 0
        self._rest = b""
        self._last = b""

    @property
    def last(self) -> str:
        """The last line that is not blank, said or not."""
        return _readable(self._last)

    def received(self, data: bytes) -> None:
        """Some output arrived, cut anywhere."""
        while data:
            if self._said >= LINES:
                self._skip(data)
                return
            line, newline, data = data.partition(b"\n")
            self._keep(line)
            if newline:
                self._end_line()

    def ended(self) -> None:
        """There will be no more: a last line may lack its newline."""
        self._end_line()

    def _keep(self, piece: bytes) -> None:
        room = LINE_BYTES - len(self._rest)
        self._rest += piece[:room]
        self.dropped += max(0, len(piece) - room)

    def _end_line(self) -> None:
        line, self._rest = self._rest.strip(), b""
        if not line:
            return
        self._last = line
        if self._said < LINES:
            self._said += 1
            self._say(_readable(line))

    def _skip(self, data: bytes) -> None:
        """Only remember the last line: a flood must cost little."""
        self.dropped += len(data)
        lines = (self._rest + data[-2 * LINE_BYTES :]).split(b"\n")
        self._rest = lines.pop()[:LINE_BYTES]
        self._last = next((line.strip() for line in reversed(lines) if line.strip()), self._last)
        self._last = self._last[:LINE_BYTES]


def _readable(line: bytes) -> str:
    """Text that cannot move a terminal's cursor or forge a line of the log."""
    text = line.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
