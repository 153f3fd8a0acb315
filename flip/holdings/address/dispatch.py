"""Sends each call to who can do it: to a process, or to what flip provides itself."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from flip.holdings.attempts import Runner
from flip.holdings.call import HookCall, HookResult
from flip.holdings.runner import HookProcesses


class Dispatch:
    """A `flip.holdings.runner.HookProcesses` with a provider beside the processes."""

    def __init__(self, processes: HookProcesses, provider: Runner) -> None:
        self._processes = processes
        self._provider = provider

    def run(self, call: HookCall) -> Deferred[HookResult]:
        """Run one; fails with `HookFailed`."""
        return (self._provider if call.hook.provided else self._processes).run(call)

    def end_former(self) -> None:
        """Kill what a former process of this node left running."""
        self._processes.end_former()

    def end_all(self) -> Deferred[None]:
        """End what runs; the provider starts nothing that would go on."""
        return self._processes.end_all()
