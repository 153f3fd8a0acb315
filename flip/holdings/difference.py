"""R7's alarm: members run different configurations, and somebody has to be told."""

from __future__ import annotations

from flip.holdings.journal import Journal
from flip.holdings.outlook import Outlook
from flip.log import Logger

_log = Logger()


class Difference:
    """Compares the present members' configurations with this node's.

    :ivar alarm: what an operator has to know, empty while all run the same.
    """

    def __init__(self, me: str, outlook: Outlook, journal: Journal) -> None:
        self.alarm = ""
        self._me = me
        self._outlook = outlook
        self._journal = journal

    def update(self) -> None:
        """Look again; tell of what changed."""
        alarm = self._describe()
        if alarm == self.alarm:
            return
        self.alarm = alarm
        if alarm:
            _log.error("{alarm}", alarm=alarm)
            self._journal.note_event("configuration", alarm)
        else:
            _log.info("all members run the same configuration again")

    def _describe(self) -> str:
        differing = sorted(self._outlook.differing())
        if not differing:
            return ""
        run = "runs" if len(differing) == 1 else "run"
        planner = "this node's" if self._outlook.planning() else "another member's"
        return (
            f"{', '.join(differing)} {run} another configuration than {self._me};"
            f" {planner} plans until all run the same (see config_version)"
        )
