"""What may be watched of a world: hooks, what machines serve, faults, what nodes believe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flip.holdings.runner import HookCall
    from flip.membership.roster import State
    from flip.simulation.machine import Machine, Point
    from flip.simulation.world import World
    from flip.wire.standing import Standing


class Observer:
    """Hears of what happens in a world; override what you need, the rest costs nothing.

    The world's clock, `World.now`, shows when it happened. An exception that an
    observer raises ends the run.
    """

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        """A hook begins to run; an `alive` hook has not made anything live yet."""

    def hook_ended(self, machine: Machine, call: HookCall, good: bool) -> None:
        """A hook has ended, well or not; its process need not be alive to hear of it."""

    def served_changed(self, machine: Machine, point: Point, serves: bool) -> None:
        """A machine began, or ceased, to serve a data point."""

    def announced(self, machine: Machine, point: Point) -> None:
        """A machine tells its neighbours that it has an address of a data point."""

    def lapsed(self, machine: Machine, point: Point) -> None:
        """A kernel ends the lifetime of an address of a data point."""

    def standing_changed(self, machine: Machine, system: str, standing: Standing) -> None:
        """A running node says something else than before of how well it can serve a system."""

    def link_changed(self, machine: Machine, interface: str, up: bool) -> None:
        """An interface of a machine came up, or went down or away."""

    def process_changed(self, machine: Machine) -> None:
        """A process of the machine started, ended, froze, thawed, or is asked to leave."""

    def fault(self, text: str, began: bool) -> None:
        """Something was broken, or (`began` False) is whole again."""

    def member_changed(self, machine: Machine, member: str, before: State, after: State) -> None:
        """A running node thinks something else of a member than before."""

    def stepped(self, world: World) -> None:
        """Something happened somewhere, and all that followed at once has happened as well."""


class Observers:
    """The observers of one world: per event, those that want to hear of it."""

    def __init__(self) -> None:
        self.hook_started: list[Callable[[Machine, HookCall], None]] = []
        self.hook_ended: list[Callable[[Machine, HookCall, bool], None]] = []
        self.served_changed: list[Callable[[Machine, Point, bool], None]] = []
        self.announced: list[Callable[[Machine, Point], None]] = []
        self.lapsed: list[Callable[[Machine, Point], None]] = []
        self.standing_changed: list[Callable[[Machine, str, Standing], None]] = []
        self.link_changed: list[Callable[[Machine, str, bool], None]] = []
        self.process_changed: list[Callable[[Machine], None]] = []
        self.fault: list[Callable[[str, bool], None]] = []
        self.member_changed: list[Callable[[Machine, str, State, State], None]] = []
        self.stepped: list[Callable[[World], None]] = []

    def add(self, observer: Observer) -> None:
        """Tell `observer` of every event for which its class has a method of its own."""
        for event, callbacks in vars(self).items():
            method: Any = getattr(observer, event)
            if getattr(type(observer), event) is not getattr(Observer, event):
                callbacks.append(method)
