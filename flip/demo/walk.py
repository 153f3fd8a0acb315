"""The way through the story: what is done to the cluster, and what must come of it."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from flip.demo import story
from flip.demo.audience import Audience, Moment, Result
from flip.demo.cluster import Cluster
from flip.demo.records import HookRun, handoffs, overlaps
from flip.demo.story import IDS, Observation, Row, words
from flip.errors import DemoFailed

ROW_LIMIT = 30.0  # seconds for the nodes to reach a row
CALM = 3.0  # seconds, after all have settled, in which nothing may move either
QUIET = 1.0  # seconds without a hook after which none is to be expected
POLL = 0.1  # seconds between two looks

NANOSECOND = 1e-9


class Walk:
    """Walks the cluster through all rows, in order."""

    def __init__(self, clock: IReactorTime, cluster: Cluster, audience: Audience) -> None:
        self.result = Result()
        self._clock = clock
        self._cluster = cluster
        self._audience = audience

    async def all(self) -> None:
        """The whole story.

        :raises DemoFailed: something is not as the story tells.
        """
        await self.start()
        await self.kill()
        await self.restart()
        await self.cut()
        await self.stop()
        self._check_holders()

    async def start(self) -> None:
        """Row 1."""
        self._audience.step(
            "All three start",
            "A node takes nothing over before it is in touch with a quorum and has heard what the"
            " others hold. Then it runs alive for what is its own, and down for the rest.",
        )
        await self._cluster.start(IDS)
        began = min(self._cluster.began(id) for id in IDS)
        await self._reach(
            story.ALL_ACTIVE, began, " from the start of the processes to the end of the last hook"
        )

    async def kill(self) -> None:
        """Row 2."""
        self._audience.step(
            "kill -9 flip1",
            "It can tell nobody, so the others must find out: no answer for"
            f" {story.PING_TIMEOUT:g} s (ping_timeout) is a vote, two votes are the quorum, and"
            " then flip is the only one left that can hold the data.",
        )
        self._cluster.kill("flip1")
        killed = self._cluster.deaths["flip1"][-1]
        seen = await self._reach(
            story.FLIP1_KILLED,
            killed,
            " from kill -9 until flip's alive hook had ended: a ping_timeout, after up to a"
            f" gossip_interval ({story.GOSSIP_INTERVAL:g} s)",
            events=True,
        )
        left = words(seen.files["flip1"])
        self._audience.remark(
            f"A killed process runs no hooks, so what flip1 held ({left}) is still there, as after"
            " a crash. Its journal says so when it comes back."
        )

    async def restart(self) -> None:
        """Row 3."""
        self._audience.step(
            "flip1 starts again",
            "The data is divided again: flip lets go of what is flip1's (down), and only then"
            " flip1 takes it over (alive).",
        )
        await self._cluster.start(["flip1"])
        began = self._cluster.began("flip1")
        await self._reach(
            story.FLIP1_BACK, began, " from the start of the process to the end of the last hook"
        )
        self._tell_handoffs(began)

    async def cut(self) -> None:
        """Row 4, and what follows when the links are back."""
        self._audience.step(
            "All links are cut",
            f"For {story.CUT:g} s every packet between the nodes is dropped. No timeout is longer"
            f" than {story.LONGEST_TIMEOUT:g} s, so whatever a timer could move would move now. But"
            " a node alone is 1 of 3, the quorum is 2: nobody can agree on anything.",
        )
        before = await self._quiet()
        dropped = self._dropped()
        self._cluster.cut()
        seen = await self._hold(story.ALL_CUT_OFF, story.CUT, "nobody could talk")
        self._expect(story.ALL_CUT_OFF, seen)
        runs = self._cluster.workplace.runs()
        if len(runs) != before:
            raise DemoFailed(f"A hook ran while nobody could talk: {_told(runs[before:])}.")
        self._show(story.ALL_CUT_OFF, seen, None)
        self.result.datagrams_dropped = self._dropped() - dropped
        self._audience.remark(
            f"Nothing moved, no hook ran; {self.result.datagrams_dropped} datagrams were dropped."
        )
        await self._heal(before)

    async def _heal(self, before: int) -> None:
        self._audience.step(
            "The links are back",
            "Everybody has doubts about everybody. Nobody acts on them before it has heard all"
            " the others out, so nothing must move now either.",
        )
        healed = self._clock.seconds()
        self._cluster.heal()
        await self._meet()
        seconds = self._clock.seconds() - healed
        seen = await self._hold(story.FLIP1_BACK, CALM, "all could talk again")
        self._expect(story.FLIP1_BACK, seen)
        again = self._cluster.workplace.runs()[before:]
        moved = [
            run
            for run in again
            if run.event != "alive" or run.datum not in (story.FLIP1_BACK.holds[run.node] or ())
        ]
        if moved:
            raise DemoFailed(f"Something moved after the links came back: {_told(moved)}.")
        self._show(story.FLIP1_BACK, seen, seconds, name="after the cut")
        self._audience.remark(
            f"All were in touch again after {seconds:.1f} s, and nothing moved."
            + (
                f" Each holder ran alive once more ({_told(again)}): its neighbours may have heard"
                " of another one meanwhile, and the last word must be the right one."
                if again
                else ""
            )
        )

    async def stop(self) -> None:
        """The end: every node leaves in order and lets go of everything."""
        self._audience.step(
            "SIGTERM, one after the other",
            "A node that stops lets go of everything and says so: nobody has to wait for a"
            " timeout, and what it held moves at once if somebody can take it.",
        )
        for id in ("flip1", "flip", "flip2"):
            began = self._cluster.workplace.runs()[-1].ended
            took = await self._cluster.stop(id)
            self.result.stops[id] = round(took, 3)
            self._audience.remark(f"{id} left within {took:.1f} s.")
            left = self._cluster.workplace.files(id)
            if left:
                raise DemoFailed(f"{id} stopped, but did not let go of {words(left)}.")
            self._tell_handoffs(began)
            if id == "flip1":
                files = self._cluster.workplace.files("flip")
                if files != frozenset(story.DATA):
                    raise DemoFailed(f"flip1 left, but flip holds {words(files)}.")

    async def _reach(self, row: Row, began: int, said: str, *, events: bool = False) -> Observation:
        """Wait until the nodes and their hooks' files are as the row says.

        :param began: when the step began, in nanoseconds.
        :param said: from when to when that took so long, in words.
        :param events: also tell what the nodes found out.
        :raises DemoFailed: they are not within `ROW_LIMIT`.
        """
        asked = self._clock.seconds()
        while True:
            seen = await self._cluster.observe()
            if not row.differences(seen):
                break
            waited = self._clock.seconds() - asked
            if waited > ROW_LIMIT:
                self._expect(row, seen)
            self._audience.waiting(row.name, waited)
            await deferLater(self._clock, POLL)
        runs = [run for run in self._cluster.workplace.runs() if run.began >= began]
        moments = [
            Moment((run.ended - began) * NANOSECOND, run.node, self._deed(run)) for run in runs
        ]
        if events:
            moments += _votes(seen, began)
        self._audience.moments(sorted(moments, key=lambda moment: moment.after))
        taken = max((run.ended for run in runs if run.event == "alive"), default=None)
        if taken is None:
            raise DemoFailed(f"The row {row.name!r} is there, but no alive hook ran for it.")
        seconds = (taken - began) * NANOSECOND
        self._show(row, seen, seconds)
        self._audience.remark(f"Took {seconds:.2f} s{said}.")
        return seen

    def _deed(self, run: HookRun) -> str:
        """A run in words: `down` by a node that did not hold it in this life only cleans up."""
        life = self._cluster.began(run.node)
        held = any(
            other.event == "alive" and (other.node, other.datum) == (run.node, run.datum)
            for other in self._cluster.workplace.runs()
            if life <= other.began < run.began
        )
        cleans = run.event == "down" and not held
        return f"{run.event} {run.datum}: done" + (", in case it was left there" if cleans else "")

    async def _hold(self, row: Row, seconds: float, doing: str) -> Observation:
        """Watch for some time that every node holds what the row says, and nothing else.

        :raises DemoFailed: something moved.
        """
        began = self._clock.seconds()
        while True:
            seen = await self._cluster.observe()
            moved = row.moved(seen)
            if moved:
                raise DemoFailed(f"Something moved while {doing}:\n" + "\n".join(moved))
            passed = self._clock.seconds() - began
            if passed >= seconds:
                return seen
            self._audience.waiting("nothing may move", passed)
            await deferLater(self._clock, POLL)

    async def _quiet(self) -> int:
        """Wait until no hook runs any more, for those that clean up run last; returns how many ran.

        :raises DemoFailed: that takes longer than `ROW_LIMIT`.
        """
        began = since = self._clock.seconds()
        count = len(self._cluster.workplace.runs())
        while self._clock.seconds() - since < QUIET:
            await deferLater(self._clock, POLL)
            ran = len(self._cluster.workplace.runs())
            if ran != count:
                count, since = ran, self._clock.seconds()
            if since - began > ROW_LIMIT:
                raise DemoFailed("Hooks run again and again, though nothing has to move.")
        return count

    async def _meet(self) -> None:
        """Wait until all nodes have settled; what they hold must not change meanwhile."""
        began = self._clock.seconds()
        while True:
            seen = await self._hold(story.FLIP1_BACK, 0, "they found each other again")
            if not story.FLIP1_BACK.differences(seen):
                return
            if self._clock.seconds() - began > ROW_LIMIT:
                self._expect(story.FLIP1_BACK, seen)
            await deferLater(self._clock, POLL)

    def _expect(self, row: Row, seen: Observation) -> None:
        differences = row.differences(seen)
        if differences:
            raise DemoFailed(f"The row {row.name!r} differs:\n" + "\n".join(differences))

    def _show(self, row: Row, seen: Observation, seconds: float | None, name: str = "") -> None:
        shown = Row(name or row.name, row.holds, row.connected)
        self.result.note(shown, seen, seconds)
        self._audience.row(shown, seen)

    def _tell_handoffs(self, since: int) -> None:
        self._check_holders()
        for handoff in handoffs(self._cluster.workplace.runs(), since):
            self.result.handoffs.append(handoff._asdict())
            self._audience.remark(
                f"{handoff.datum} went from {handoff.source} to {handoff.target}: held by nobody"
                f" for {handoff.gap * 1000:.0f} ms, by two never."
            )

    def _dropped(self) -> int:
        return sum(link.dropped for link in self._cluster.links.values())

    def _check_holders(self) -> None:
        """:raises DemoFailed: a data point had two holders at one time."""
        found = overlaps(self._cluster.workplace.runs(), self._cluster.deaths)
        if found:
            raise DemoFailed("Two nodes held the same data point:\n" + "\n".join(found))


def _votes(seen: Observation, since: int) -> list[Moment]:
    """What the nodes say in their own words about who is down; what two of them say, once."""
    began = since * NANOSECOND
    moments = sorted(
        (event["time"] - began, id, event["text"])
        for id, status in seen.statuses.items()
        if status is not None
        for event in status["events"]
        if event["kind"] in ("probably-down", "down") and event["time"] > began
    )
    first: dict[str, Moment] = {}
    for after, id, text in moments:
        first.setdefault(text, Moment(after, id, text))
    return list(first.values())


def _told(runs: list[HookRun]) -> str:
    return ", ".join(f"{run.node}: {run.event} {run.datum}" for run in runs)
