"""The checks of a real node: hooks, connections, requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from flip.config import Check, Config, System
from flip.errors import CheckFailed, HookFailed
from flip.holdings.attempts import Runner
from flip.holdings.call import Hook, HookCall


class Probe(Protocol):
    """One way to look."""

    def look(self) -> Deferred[None]:
        """Fails with `CheckFailed`."""


class RunProbe:
    """Runs a hook, which ends with exit status 0 when all is well.

    It gets the system's config and, in place of a data point, an empty argument. The hook
    runner ends it after the check's timeout, first with TERM.
    """

    def __init__(self, node: str, system: System, check: Check, hook: Hook, runner: Runner) -> None:
        config = json.dumps(dict(system.config), sort_keys=True)
        self._call = HookCall(
            hook, "check", system.name, "", config, node, check.timeout, members=("",)
        )
        self._runner = runner

    def look(self) -> Deferred[None]:
        """Fails with `CheckFailed`: another exit status, or too slow."""
        return self._runner.run(self._call).addCallbacks(lambda _: None, _failed)


class Probes:
    """Implements `flip.holdings.checks.prober.Prober`.

    :param reactor: for IReactorTCP, IReactorTime and name resolution.
    :param runner: runs hooks.
    :param hooks: per system, what was found of them; "check" is the one to be run.
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,
        runner: Runner,
        hooks: Mapping[str, Mapping[str, Hook]],
    ) -> None:
        self._probes: dict[str, Probe] = {}
        for name in hooks:
            check = config.systems[name].check
            if check is None:
                continue
            if check.kind == "run":
                hook = hooks[name]["check"]
                probe: Probe = RunProbe(config.id, config.systems[name], check, hook, runner)
            elif check.kind == "tcp":
                from flip.holdings.checks.tcp import TcpProbe

                probe = TcpProbe(reactor, check)
            else:
                from flip.holdings.checks.http import HttpProbe

                probe = HttpProbe(reactor, check)
            self._probes[name] = probe

    def probe(self, system: str) -> Deferred[None]:
        """Look once."""
        return self._probes[system].look()


def _failed(failure: Failure) -> None:
    failure.trap(HookFailed)
    error: HookFailed = failure.value  # type: ignore[assignment]
    raise CheckFailed(error.details)
