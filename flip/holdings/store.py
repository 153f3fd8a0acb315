"""The journal's SQLite file: its tables, and how to tell that they cannot be read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from flip.errors import JournalUnreadable
from flip.wire.claims import Phase
from flip.wire.messages import ClaimNumber

SCHEMA = 3  # kept in user_version; 0 is a new file
EVENTS_KEPT = 10_000
DOWNS_KEPT = 100
DRAINED = "drained "  # and the system's name: a fact that is 1 or 0
GRANTS = (
    "CREATE TABLE grants (system TEXT, datum TEXT, node TEXT, generation INTEGER, counter INTEGER,"
    " lease INTEGER, PRIMARY KEY (system, datum)) WITHOUT ROWID"
)
TABLES = (
    "CREATE TABLE held (system TEXT, datum TEXT, phase INTEGER, down TEXT, config TEXT,"
    " members TEXT, PRIMARY KEY (system, datum)) WITHOUT ROWID",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID",
    "CREATE TABLE downs (time REAL)",
    "CREATE TABLE events (time REAL, kind TEXT, text TEXT)",
    GRANTS,
    f"PRAGMA user_version = {SCHEMA}",
)


@dataclass(frozen=True)
class Held:
    """A data point that this node claims, and how to let go of it.

    `down` is the hook to run, as the start of an argument list; `config` is the
    JSON it was given, `members` what it was run for, one after the other. All are kept
    because the configuration may say something else at the next start, or nothing.
    """

    system: str
    datum: str
    phase: Phase
    down: tuple[str, ...]
    config: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """To which claim this node has granted a data point of an exclusive system, as a voter.

    :ivar lease: milliseconds that the claimant asked for.
    """

    node: str
    number: ClaimNumber
    lease: int


class Event(NamedTuple):
    """Something an operator may ask about later; `time` is seconds of the wall clock."""

    time: float
    kind: str
    text: str


@dataclass
class Contents:
    """What must survive the process, apart from the events.

    `complete`: `held` is known to be all there is. `buried`: the highest incarnation of
    which it was noted that the node was voted down. `voter` names the node whose
    grants `grants` are, and all of them; None while that is not sure.
    """

    held: dict[tuple[str, str], Held] = field(default_factory=dict)
    incarnation: int = 0
    buried: int = 0
    complete: bool = False
    downs: list[float] = field(default_factory=list)
    grants: dict[tuple[str, str], Grant] = field(default_factory=dict)
    voter: int | None = None
    drained: set[str] = field(default_factory=set)


class Store:
    """One open database. `apply` makes several changes one transaction.

    `found` is what the file held when it was opened, None for a new file. Every
    method may raise `sqlite3.Error`.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        """
        :param database: closed when this fails.
        :raises JournalUnreadable: the file is damaged, or a newer flip's.
        :raises sqlite3.Error: it cannot be read or prepared.
        """
        self._database = database
        try:
            self.found = self._prepare()
        except (ValueError, TypeError, sqlite3.Error) as error:
            self._database.close()
            if isinstance(error, sqlite3.Error) and not _is_damage(error):
                raise
            raise JournalUnreadable(f"({error})") from error

    def _prepare(self) -> Contents | None:
        # NORMAL: a killed process loses nothing; a power cut may lose the last
        # writes, but then also what they speak of.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._synchronize("NORMAL")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self.apply([Store._create])
            return None
        if version in UPGRADES:
            self.apply(UPGRADES[version])
            version = SCHEMA
        if version != SCHEMA:
            raise ValueError(f"its schema is {version}, this flip's is {SCHEMA}")
        (verdict,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise ValueError(verdict)
        return self._load()

    def _create(self) -> None:
        for statement in TABLES:
            self._database.execute(statement)

    def _add_grants(self) -> None:
        self._database.execute(GRANTS)

    def _add_members(self) -> None:
        self._database.execute("ALTER TABLE held ADD COLUMN members TEXT")
        self._database.execute(f"PRAGMA user_version = {SCHEMA}")

    def _load(self) -> Contents:
        contents = Contents()
        for system, datum, node, *number, lease in self._database.execute("SELECT * FROM grants"):
            contents.grants[system, datum] = Grant(str(node), ClaimNumber(*number), int(lease))
        rows = self._database.execute(
            "SELECT system, datum, phase, down, config, members FROM held"
        )
        for system, datum, phase, down, config, listed in rows:
            members = (datum,) if listed is None else tuple(json.loads(listed))
            held = Held(system, datum, Phase(phase), tuple(json.loads(down)), config, members)
            contents.held[system, datum] = held
        facts = dict(self._database.execute("SELECT name, value FROM facts"))
        contents.incarnation = int(facts.get("incarnation", 0))
        contents.buried = int(facts.get("buried", 0))
        contents.complete = bool(facts.get("complete"))
        contents.voter = facts.get("voter")
        contents.drained = {
            name.removeprefix(DRAINED)
            for name, value in facts.items()
            if name.startswith(DRAINED) and value
        }
        rows = self._database.execute("SELECT time FROM downs ORDER BY rowid")
        contents.downs = [float(time) for (time,) in rows]
        return contents

    def apply(self, changes: Iterable[Change], *, durable: bool = False) -> None:
        """Make all of these changes, or none.

        :param durable: wait until they would survive a power cut.
        """
        if durable:
            self._synchronize("FULL")
        try:
            self._change(changes)
        finally:
            if durable:
                self._synchronize("NORMAL")

    def _synchronize(self, mode: Literal["FULL", "NORMAL"]) -> None:
        self._database.execute(f"PRAGMA synchronous = {mode}")

    def _change(self, changes: Iterable[Change]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        with self._database:  # commits, or rolls back
            for change in changes:
                change(self)

    def replace(self, contents: Contents) -> None:
        """Write everything again; events that are on disk already stay."""
        for table in ("held", "facts", "downs", "grants"):
            self._database.execute(f"DELETE FROM {table}")
        for held in contents.held.values():
            self.hold(held)
        self.remember("incarnation", contents.incarnation)
        self.remember("buried", contents.buried)
        self.remember("complete", contents.complete)
        if contents.voter is not None:
            self.remember("voter", contents.voter)
        for system in contents.drained:
            self.remember(f"{DRAINED}{system}", 1)
        for (system, datum), grant in contents.grants.items():
            self.grant(system, datum, grant)
        for time in contents.downs:
            self.note_down(time)

    def hold(self, held: Held) -> None:
        # One that is its only member is the rule, and need not be written twice.
        members = None if held.members == (held.datum,) else json.dumps(held.members)
        row = (held.system, held.datum, held.phase, json.dumps(held.down), held.config, members)
        self._database.execute("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?)", row)

    def forget(self, system: str, datum: str) -> None:
        self._database.execute("DELETE FROM held WHERE system = ? AND datum = ?", (system, datum))

    def grant(self, system: str, datum: str, grant: Grant) -> None:
        row = (system, datum, grant.node, *grant.number, grant.lease)
        self._database.execute("INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?, ?, ?)", row)

    def revoke(self, system: str, datum: str) -> None:
        self._database.execute("DELETE FROM grants WHERE system = ? AND datum = ?", (system, datum))

    def remember(self, name: str, value: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def note_down(self, time: float) -> None:
        self._database.execute("INSERT INTO downs VALUES (?)", (time,))
        self._keep("downs", DOWNS_KEPT)

    def note_event(self, event: Event) -> None:
        self._database.execute("INSERT INTO events VALUES (?, ?, ?)", event)
        self._keep("events", EVENTS_KEPT)

    def _keep(self, table: str, count: int) -> None:
        newest = f"(SELECT max(rowid) FROM {table})"
        self._database.execute(f"DELETE FROM {table} WHERE rowid <= {newest} - ?", (count,))

    def events(self, limit: int) -> list[Event]:
        """The last ones, oldest first."""
        rows = self._database.execute(
            "SELECT time, kind, text FROM events ORDER BY rowid DESC LIMIT ?", (limit,)
        )
        return [Event(*row) for row in rows][::-1]

    def close(self) -> None:
        self._database.close()


Change = Callable[[Store], None]
UPGRADES: Mapping[int, Sequence[Change]] = {
    1: (Store._add_grants, Store._add_members),
    2: (Store._add_members,),
}


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file, not the disk or its permissions, is at fault."""
    # Errors of the sqlite3 module itself (text that is no UTF-8) carry no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    primary = code & 0xFF  # the other bytes refine it
    return primary in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
