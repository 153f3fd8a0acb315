"""How the guard starts one program."""

from __future__ import annotations

from collections.abc import Callable

from flip.holdings.call import HookCall, no_executable, not_started
from flip.holdings.guard.messages import Report, Started
from flip.holdings.guard.running import Hooks, Running
from flip.holdings.guard.watch import Watch


def launch(
    running: Running, step: HookCall, hooks: Hooks, watch: Watch, tell: Callable[[Report], None]
) -> str | None:
    """Start the program of a step, and tell who ordered it; returns why it did not start."""
    if not step.hook.argv:
        return no_executable(step)
    if hooks.survives(step.event):
        watch.extend((step.system, step.datum), running.limit)
    try:
        pid = hooks.start(running.number, step, running.limit)
    except (OSError, ValueError) as error:
        return not_started(step, error)
    for order in running.orders:
        tell(Started(order.number, pid))
    return None
