"""R6: who keeps a data point that another node held, too, has the last word to the neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flip.holdings.division import Division
from flip.holdings.outlook import Outlook, Point
from flip.holdings.system import SystemKeeper
from flip.membership.roster import Change, State
from flip.wire.claims import Phase


class LastWord:
    """Has `alive` run again for what this node keeps, when somebody else held it or may have.

    :param systems: this node's systems, by name.
    :param divisions: of the same systems.
    :param two_sided: whether a partition may have two sides that both take over: who comes
        back may have served anything, even if it claims nothing any more.
    """

    def __init__(
        self,
        systems: Mapping[str, SystemKeeper],
        divisions: Mapping[str, Division],
        outlook: Outlook,
        *,
        two_sided: bool,
    ) -> None:
        self._systems = systems
        self._divisions = divisions
        self._outlook = outlook
        self._two_sided = two_sided
        self._conflicts: dict[Point, None] = {}  # in order, like all that starts hooks

    def heed(self, change: Change, touched: Iterable[Point]) -> None:
        """Another member changed.

        :param touched: the data points whose claims by it changed.
        """
        back = not _absent(change.state) and _absent(change.state_before)
        if back and self._two_sided:
            self.repeat()
        claims = change.claims
        if claims is None:
            return
        points = dict.fromkeys(touched)
        if back:
            # It is back: what it claims it may have held all the time.
            points |= {(name, datum): None for name in claims for datum in claims[name]}
        for name, datum in points:
            keeper = self._systems.get(name)
            if keeper is None or not keeper.single_owner:
                continue
            phase = claims.get(name, {}).get(datum)
            if phase is None:  # it let go
                keeper.announce((datum,))
            elif phase is Phase.HELD:
                self._conflicts[name, datum] = None

    def speak(self) -> None:
        """Announce what others hold too and this node keeps, once a plan with them is made.

        By the plan that still waits for its `delay` the loser would keep it: its
        announcement would draw the neighbours away from the winner.
        """
        for name, datum in list(self._conflicts):
            if not self._divisions[name].waiting:
                del self._conflicts[name, datum]
                holders = self._outlook.claims(name, datum).values()
                if datum in self._systems[name].wanted and Phase.HELD in holders:
                    self._systems[name].announce((datum,))

    def repeat(self) -> None:
        """Announce all that is held again, as soon as this node is in touch and keeps it."""
        for keeper in self._systems.values():
            if keeper.single_owner:
                keeper.announce(keeper.claims())


def _absent(state: State) -> bool:
    return state in (State.DOWN, State.LEFT)
