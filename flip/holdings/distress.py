"""The alarm that no server of a system is fit, and what is done about it."""

from __future__ import annotations

from collections.abc import Mapping

from flip.holdings.division import Division
from flip.holdings.eligibility import Way
from flip.holdings.journal import Journal
from flip.holdings.outlook import Outlook
from flip.log import Logger

DONE = {
    Way.STAY: "everything stays where it is",
    Way.DIVIDE: "all of them try",
    Way.RELEASE: "everything is released",
}

_log = Logger()


class Distress:
    """Looks for systems of this node that nobody can serve as it should be.

    :param divisions: of this node's systems, by name.
    :ivar alarms: what an operator has to know, by system.
    """

    def __init__(
        self, divisions: Mapping[str, Division], outlook: Outlook, journal: Journal
    ) -> None:
        self.alarms: dict[str, str] = {}
        self._divisions = divisions
        self._outlook = outlook
        self._journal = journal

    def update(self) -> None:
        """Look again; tell of what changed."""
        for name, division in self._divisions.items():
            alarm = self._describe(name, division)
            if alarm == self.alarms.get(name, ""):
                continue
            if alarm:
                self.alarms[name] = alarm
                _log.critical("{alarm}", alarm=alarm)
                self._journal.note_event("nobody-fit", alarm)
            else:
                del self.alarms[name]
                text = f"{name}: a server is fit again"
                _log.info("{text}", text=text)
                self._journal.note_event("fit", text)

    def _describe(self, name: str, division: Division) -> str:
        if not division.candidates.nobody_fit:
            return ""
        servers = ", ".join(sorted(self._outlook.standings(name)))
        done = DONE[division.candidates.way]
        return f"{name}: no server is fit ({servers}), so {done} (see 'flip status' on each)"
