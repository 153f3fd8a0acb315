"""The node of a simulated machine, and everything that it stands on there."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from flip.holdings.address.provider import AddressProvider
from flip.holdings.call import Hook, HookCall, HookResult
from flip.holdings.journal import Journal
from flip.node import Node
from flip.simulation.checks import SimulatedProber
from flip.simulation.echo import SimulatedEcho
from flip.simulation.guard import guard_of
from flip.simulation.hooks import Hooks
from flip.simulation.kernel import SimulatedKernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from flip.config import Config
    from flip.config.values import System
    from flip.simulation.disk import Mount
    from flip.simulation.machine import Machine
    from flip.simulation.reactor import VirtualReactor

KEY = b"k" * 32


class Daemon:
    """One life of the process that runs a node.

    :param life: tells it from the other lives on its machine.
    :param ended: called when the node must not go on.
    """

    def __init__(
        self,
        machine: Machine,
        config: Config,
        reactor: VirtualReactor,
        mount: Mount,
        life: int,
        ended: Callable[[], None],
    ) -> None:
        self.reactor = reactor
        self.mount = mount
        self._machine = machine
        self._kernel: SimulatedKernel | None = None
        world = machine.world
        self.node = Node(
            config,
            reactor,
            random.Random(f"{world.seed} {machine.id} {life}"),
            keys=(KEY,),
            wall=machine.wall,
            journal=Journal(mount, now=machine.wall),
            runner=Hooks(machine, reactor),
            hooks={name: _hooks(config.systems[name]) for name in config.me.systems},
            failed=ended,
            guard=guard_of(machine, config, reactor),
            kernel=self._ask_kernel,
            prober=SimulatedProber(machine, reactor),
            echo=_echo(machine, config, reactor, life),
            ciphers=world.ciphers,
        )

    def start(self) -> None:
        """Start the node; what it asks of the kernel is told to all observers, as hooks are."""
        self.node.startService()
        addresses = self.node.parts.addresses
        if addresses is not None:
            _overhear(self._machine, addresses.provider)

    def end(self) -> None:
        """The process is gone."""
        if self._kernel is not None:
            self._machine.stack.unwatch(self._kernel)
        self.mount.vanish()

    def _ask_kernel(self) -> SimulatedKernel:
        self._kernel = SimulatedKernel(self._machine, self.reactor)
        return self._kernel


def _echo(
    machine: Machine, config: Config, reactor: VirtualReactor, life: int
) -> SimulatedEcho | None:
    if config.witness is None:
        return None
    rng = random.Random(f"{machine.world.seed} {machine.id} {life} echo")
    return SimulatedEcho(reactor, machine.world.network, rng)


def _hooks(system: System) -> dict[str, Hook]:
    """What `flip.holdings.hooks.find_hooks` would find."""
    if system.provider is not None:
        return dict.fromkeys(("alive", "down", "verify"), Hook(system.provider, ()))
    events = ["alive", "down"]
    if system.verify is not None:
        events.append("verify")
    return {event: Hook(event, (event,)) for event in events}


def _overhear(machine: Machine, provider: AddressProvider) -> None:
    run = provider.run

    def overheard(call: HookCall) -> Deferred[HookResult]:
        if call.event == "check":
            return run(call)
        machine.runs.append((machine.world.now, call.event, call.datum))
        machine.world.hook_started(machine, call)

        def ended(result: HookResult | Failure) -> HookResult | Failure:
            machine.world.hook_ended(machine, call, isinstance(result, HookResult))
            return result

        return run(call).addBoth(ended)

    provider.run = overheard  # type: ignore[method-assign]
