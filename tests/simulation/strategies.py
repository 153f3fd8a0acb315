"""Hypothesis strategies for faults."""

from __future__ import annotations

from hypothesis import strategies as st

from flip.simulation.faults import Fault, Span
from flip.simulation.faults.beliefs import Mistrust
from flip.simulation.faults.checks import FailCheck, FlapCheck, HangCheck
from flip.simulation.faults.clocks import Drift, Slow, Step
from flip.simulation.faults.hooks import FailHook, HangHook, SlowHook
from flip.simulation.faults.links import Conflict, LinkDown, Overrun, Unplug, Vanish
from flip.simulation.faults.network import (
    BlockTCP,
    Cut,
    CutOneWay,
    Duplicate,
    Latency,
    Loss,
    Reorder,
)
from flip.simulation.faults.operators import ConfirmDown, Drain, NoWitness
from flip.simulation.faults.processes import (
    Freeze,
    FreezeGuard,
    Kill,
    KillGuard,
    Leave,
    Reboot,
    Restart,
    RestartEmpty,
)

# As the configuration allows them: no "/" and ",", no blanks around them.
IDS = st.text(
    st.characters(blacklist_characters="/,", blacklist_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=64,
).filter(lambda id: id == id.strip())
DATA = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=50)
TIMES = st.floats(0, 1e6)
PERCENTS = st.floats(0, 100)
NODES = st.lists(IDS, min_size=1, max_size=4, unique=True).map(tuple)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """A begin, and perhaps an end after it."""
    begin, other = draw(TIMES), draw(st.none() | TIMES)
    if other is None or other == begin:
        return Span(begin)
    return Span(min(begin, other), max(begin, other))


@st.composite
def groups(draw: st.DrawFn, most: int = 4) -> tuple[tuple[str, ...], ...]:
    """Groups of nodes, none in two of them."""
    ids = draw(st.lists(IDS, min_size=1, max_size=8, unique=True))
    count = draw(st.integers(1, min(most, len(ids))))
    return tuple(tuple(ids[number::count]) for number in range(count))


@st.composite
def latencies(draw: st.DrawFn) -> Latency:
    """A least and a most that is no less."""
    one, two = sorted((draw(PERCENTS), draw(PERCENTS)))
    return Latency(draw(spans()), one, two)


def faults() -> st.SearchStrategy[Fault]:
    """Faults of every kind."""
    of_nodes = [
        st.builds(cls, spans(), NODES)
        for cls in (Kill, Reboot, Leave, Freeze, FreezeGuard, Mistrust, NoWitness, Overrun)
    ]
    once = [
        st.builds(cls, TIMES.map(Span), NODES)
        for cls in (Restart, RestartEmpty, KillGuard, ConfirmDown)
    ]
    of_hooks = [
        st.builds(cls, spans(), NODES, st.sampled_from(["alive", "down"]), st.none() | DATA)
        for cls in (FailHook, HangHook, SlowHook)
    ]
    of_parts = [
        st.builds(cls, spans(), NODES, st.none() | DATA)
        for cls in (FailCheck, HangCheck, FlapCheck, Drain, LinkDown, Unplug)
    ]
    return st.one_of(
        *of_nodes,
        *once,
        *of_hooks,
        *of_parts,
        st.builds(Vanish, TIMES.map(Span), NODES, st.none() | DATA),
        st.builds(Conflict, spans(), DATA),
        st.builds(Cut, spans(), groups()),
        st.builds(CutOneWay, spans(), groups(2)),
        st.builds(Loss, spans(), PERCENTS),
        st.builds(Duplicate, spans(), PERCENTS),
        st.builds(Reorder, spans(), PERCENTS),
        st.builds(Slow, spans(), NODES, PERCENTS),
        st.builds(Drift, spans(), NODES, st.floats(-50, 50)),
        st.builds(Step, spans(), NODES, st.floats(-1e6, 1e6)),
        latencies(),
        st.builds(BlockTCP, spans()),
    )
