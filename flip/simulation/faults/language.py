"""From the text of a fault to the fault, and whether it can befall this cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flip.config import Config
from flip.config.places import meant, shown
from flip.errors import BadFault
from flip.simulation.faults import (
    beliefs,
    checks,
    clocks,
    hooks,
    links,
    network,
    operators,
    processes,
)
from flip.simulation.faults.fault import Fault
from flip.simulation.faults.notation import number

# In the order of the help.
KINDS: dict[str, type[Fault]] = {
    cls.kind: cls
    for cls in (
        processes.Kill,
        processes.Restart,
        processes.RestartEmpty,
        processes.Reboot,
        processes.Leave,
        processes.Freeze,
        processes.KillGuard,
        processes.FreezeGuard,
        beliefs.Mistrust,
        network.Cut,
        network.CutOneWay,
        network.Loss,
        network.Duplicate,
        network.Reorder,
        network.Latency,
        network.BlockTCP,
        hooks.FailHook,
        hooks.HangHook,
        hooks.SlowHook,
        checks.FailCheck,
        checks.HangCheck,
        checks.FlapCheck,
        links.LinkDown,
        links.Unplug,
        links.Vanish,
        links.Overrun,
        links.Conflict,
        operators.Drain,
        operators.ConfirmDown,
        operators.NoWitness,
        clocks.Slow,
        clocks.Drift,
        clocks.Step,
    )
}


def read(text: str) -> Fault:
    """Read a fault with its kind, as `str` writes it.

    :raises BadFault: it is none, or this kind needs something else.
    """
    kind, _, rest = text.partition(" ")
    return parse(kind, rest)


def parse(kind: str, text: str) -> Fault:
    """Read what follows a kind's name.

    :raises BadFault: it is none, or this kind needs something else.
    """
    if kind not in KINDS:
        raise BadFault(f"there is no kind {shown(kind)}{meant(kind, KINDS)}")
    expected = KINDS[kind]
    try:
        return expected.parse(text)
    except BadFault as error:
        raise BadFault(
            f"{shown(f'{kind} {text}')}: {error.details};"
            f" expected {expected.form}, such as {expected.example}"
        ) from None


def check(faults: Sequence[Fault], config: Config, duration: float) -> None:
    """Make sure that faults can befall a cluster within so many seconds.

    :raises BadFault: names every one that cannot.
    """
    found = [
        f"{shown(str(fault))}: {problem}"
        for fault in faults
        for problem in _problems(fault, config, duration)
    ]
    if found:
        raise BadFault("; ".join(found))


def _problems(fault: Fault, config: Config, duration: float) -> Iterator[str]:
    unknown = [name for name in fault.named if name not in config.servers]
    for name in unknown:
        yield f"there is no server {shown(name)}{meant(name, config.servers)}"
    last = fault.span.last
    if last > duration:
        yield (
            f"{number(last)} s comes after the end of the simulation, {number(duration)} s;"
            " let that last longer"
        )
    if not unknown:
        yield from fault.problems(config)
