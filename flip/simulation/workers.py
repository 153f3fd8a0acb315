"""Processes that play simulations side by side."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool

from twisted.logger import globalLogBeginner


@contextmanager
def workers(count: int) -> Iterator[Pool]:
    """`count` processes that are there from the beginning, and end with the context.

    Forked: they know what the parent has imported and patched. They say nothing,
    and Ctrl-C is for the parent alone, which may want to keep what they have done.
    """
    with multiprocessing.get_context("fork").Pool(count, _begin) as pool:
        yield pool


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The pool ends its workers by SIGTERM; a reactor's handler for it is forked too,
    # and would only take note.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # What nodes log is nobody's to read; Twisted would print their failures otherwise.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
