"""Is it that member, or is it this node? A sample of the others gives the answer.

Probing everybody at each failure never ends (2,000 packets per node and death at
100 nodes, modelled), so five members are probed, and twice as many for as long
as one of those fails. What a sweep probes never starts another sweep.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

FIRST = 5


class Sweep:
    """At most one sweep at a time.

    :param candidates: members that could be probed now.
    :param probe: starts probes; each must end in a call of `ended`.
    """

    def __init__(
        self,
        rng: random.Random,
        candidates: Callable[[], list[str]],
        probe: Callable[[Iterable[str]], None],
    ) -> None:
        self._rng = rng
        self._candidates = candidates
        self._probe = probe
        self._waiting: set[str] = set()
        self._swept: set[str] = set()
        self._missed = False
        self._width = FIRST

    def doubt(self, suspect: str) -> None:
        """`suspect` used to answer and is silent."""
        if self._waiting or suspect in self._swept:
            return
        self._swept = {suspect}
        self._width = FIRST
        self._widen()

    def ended(self, member: str, *, missed: bool) -> None:
        """A probe of `member` ended."""
        if member not in self._waiting:
            return
        self._waiting.discard(member)
        self._missed = self._missed or missed
        if self._waiting:
            return
        if self._missed:
            self._width *= 2
            self._widen()
        else:
            self._swept.clear()

    def _widen(self) -> None:
        self._missed = False
        fresh = [member for member in self._candidates() if member not in self._swept]
        chosen = self._rng.sample(fresh, min(self._width, len(fresh)))
        if not chosen:
            self._swept.clear()
            return
        self._waiting.update(chosen)
        self._swept.update(chosen)
        self._probe(chosen)
