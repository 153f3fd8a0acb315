"""What goes wrong, one at a time."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.failover.lab import Lab, NotSettled
from benchmarks.failover.network import others

SETTLE_LIMIT = 60.0  # seconds
LOSS = 20  # percent


def _nothing(lab: Lab, node: int) -> None:
    return


@dataclass(frozen=True)
class Fault:
    """One kind.

    :ivar title: in the table.
    :ivar begin: does it to a node of a lab; `end` undoes it after `seconds`, None for good.
    :ivar before: what has to have happened already.
    :ivar least: seconds that are looked at afterwards, in any case; `most`, if it finds no rest.
    :ivar demands: whether the node's addresses have to move.
    :ivar fine: whether all addresses are probed at every tick, for gaps of milliseconds.
    :ivar loops: busy loops beside it, which many labs can share; nothing else runs then.
    """

    name: str
    title: str
    begin: Callable[[Lab, int], None]
    least: float
    most: float
    seconds: float | None = None
    end: Callable[[Lab, int], None] = _nothing
    before: Callable[[Lab, int], None] = _nothing
    demands: bool = False
    fine: bool = False
    loops: int = 0


def _stop(lab: Lab, node: int) -> None:
    lab.program.stop(node)


def _crashed(lab: Lab, node: int) -> None:
    lab.crash(node)
    if not lab.calm(1, SETTLE_LIMIT):
        raise NotSettled(lab.describe())


def _freeze(lab: Lab, node: int) -> None:
    lab.signal(node, signal.SIGSTOP)


def _thaw(lab: Lab, node: int) -> None:
    lab.signal(node, signal.SIGCONT)


def _isolate(lab: Lab, node: int) -> None:
    _mute(lab, node)
    _deafen(lab, node)


def _mute(lab: Lab, node: int) -> None:
    nodes = lab.network.nodes
    lab.network.drop([nodes[node]], others(nodes, nodes[node]))


def _deafen(lab: Lab, node: int) -> None:
    nodes = lab.network.nodes
    lab.network.drop(others(nodes, nodes[node]), [nodes[node]])


def _lose(lab: Lab, node: int) -> None:
    lab.network.drop(lab.network.nodes, lab.network.nodes, LOSS)


def _heal(lab: Lab, node: int) -> None:
    lab.network.heal()


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("crash", "node crash", Lab.crash, 3, 30, demands=True),
        Fault("stop", "clean stop", _stop, 3, 20, demands=True, fine=True),
        Fault("return", "return", Lab.boot, 8, 40, before=_crashed, demands=True, fine=True),
        Fault("agent", "agent crash", Lab.kill, 15, 20, demands=True),
        Fault("freeze", "freeze 8 s", _freeze, 8, 30, seconds=8, end=_thaw),
        Fault("isolated", "isolated 15 s", _isolate, 8, 50, seconds=15, end=_heal),
        Fault("deaf", "hears nobody 15 s", _deafen, 8, 50, seconds=15, end=_heal),
        Fault("mute", "unheard 15 s", _mute, 8, 50, seconds=15, end=_heal),
        Fault("loss", f"{LOSS} % loss 60 s", _lose, 4, 15, seconds=60, end=_heal),
        Fault("busy", "4 busy loops 60 s", _nothing, 3, 15, seconds=60, loops=4),
    )
}
