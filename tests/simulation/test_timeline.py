"""Tests for `flip.simulation.report.timeline`, on recordings written by hand."""

from __future__ import annotations

from hamcrest import assert_that, equal_to

from flip.membership.roster import State
from flip.simulation.report.recording import FaultMark, HookRun, Recording, Sharing, View
from flip.simulation.report.series import Series
from flip.simulation.report.timeline import Tone, timeline
from tests.cluster.case import ONE, TWO, ClusterTestCase, larger
from tests.matchers import contains_exactly


class TimelineTests(ClusterTestCase):
    """A run told as a story."""

    def setUp(self) -> None:
        self.recording = Recording(self.cluster())
        self.recording.end = 100.0

    def told(self) -> list[str]:
        return [f"{line.when}: {line.text}" for line in timeline(self.recording)]

    def see(self, at: float, by: str, member: str, after: State) -> None:
        self.recording.views.append(View(at, by, member, State.ALIVE, after))

    def hold(self, at: float, id: str, datum: str) -> None:
        series = self.recording.live.setdefault((id, ("ip", datum)), Series(False))
        series.set(at, True)

    def test_one(self) -> None:
        """One who does something."""
        self.see(21.005, "flip", "flip1", State.DOWN)
        assert_that(self.told(), contains_exactly("21.00 s: flip sees flip1 down"))

    def test_many_who(self) -> None:
        """Those who do the same at about the same time share a line, and its times."""
        self.see(21, "flip", "flip1", State.PROBABLY_DOWN)
        self.see(21.5, "flip2", "flip1", State.PROBABLY_DOWN)
        assert_that(self.told(), contains_exactly("21.00-21.50 s: flip, flip2 suspect flip1"))

    def test_much_later(self) -> None:
        """What happens much later has a line of its own."""
        self.see(21, "flip", "flip1", State.DOWN)
        self.see(22.5, "flip2", "flip1", State.DOWN)
        expected = "21.00 s: flip sees flip1 down", "22.50 s: flip2 sees flip1 down"
        assert_that(self.told(), contains_exactly(*expected))

    def test_many_what(self) -> None:
        """So do the things with which the same nodes do the same."""
        self.hold(2, "flip", TWO)
        self.hold(2.25, "flip", ONE)
        assert_that(self.told(), contains_exactly(f"2.00-2.25 s: flip holds {TWO}, {ONE}"))

    def test_fault_between(self) -> None:
        """A fault parts what comes before it from what comes after."""
        self.hold(2, "flip", TWO)
        self.recording.faults.append(FaultMark(2.1, "kill flip1@2.1", True))
        self.hold(2.25, "flip", ONE)
        expected = (
            f"2.00 s: flip holds {TWO}",
            "2.10 s: FAULT kill flip1",
            f"2.25 s: flip holds {ONE}",
        )
        assert_that(self.told(), contains_exactly(*expected))

    def test_end_of_fault(self) -> None:
        """A fault is told when it begins and when it ends, before what follows at once."""
        for at, began in ((30, True), (45, False)):
            self.recording.faults.append(FaultMark(at, "cut flip/flip1@30-45", began))
        self.see(45, "flip", "flip1", State.ALIVE)
        expected = (
            "30.00 s: FAULT cut flip/flip1",
            "45.00 s: END OF cut flip/flip1",
            "45.00 s: flip sees flip1 alive again",
        )
        assert_that(self.told(), contains_exactly(*expected))

    def test_oneself(self) -> None:
        """What a node hears of itself is no news of the cluster."""
        self.see(21, "flip1", "flip1", State.DOWN)
        assert_that(self.told(), equal_to([]))

    def test_taken_back(self) -> None:
        """What a node takes back at once is not told, but what it takes back later is."""
        for at, back in ((10, 10.05), (20, 20.2)):
            for when, before, after in (
                (at, State.ALIVE, State.PROBABLY_DOWN),
                (back, State.PROBABLY_DOWN, State.ALIVE),
            ):
                self.recording.views.append(View(when, "flip", "flip1", before, after))
        expected = "20.00 s: flip suspects flip1", "20.20 s: flip sees flip1 alive again"
        assert_that(self.told(), contains_exactly(*expected))

    def test_hooks(self) -> None:
        """A hook that fails is told with its node and data point."""
        run = HookRun(5, "flip", "alive", ("ip", ONE), False)
        self.recording.hooks += [run, run._replace(at=6, good=True)]
        assert_that(self.told(), contains_exactly(f"5.00 s: flip cannot take {ONE}: alive fails"))

    def test_two_owners(self) -> None:
        """Two owners are told with their names, unless it was for a moment only."""
        sharing = self.recording.sharing[("ip", TWO)] = Series(Sharing.NONE)
        for id in ("flip", "flip1"):
            served = self.recording.served[id, ("ip", TWO)] = Series(False)
            served.set(1, True)
        for at, how in ((20, Sharing.APART), (30, Sharing.TOGETHER), (30.05, Sharing.NONE)):
            sharing.set(at, how)
        (line,) = timeline(self.recording)
        assert_that(
            line.text, equal_to(f"{TWO} has two owners that cannot hear each other: flip, flip1")
        )
        assert_that(line.tone, equal_to(Tone.BAD))

    def test_processes(self) -> None:
        """Starts are told; an end that a fault explains is not."""
        world = self.cluster(seed=2)
        recording = Recording(world)
        world.start()
        world.run(5)
        world.fault("kill flip1@5")
        world["flip1"].kill()
        world.run(0.01)
        world["flip2"].kill()
        recording.finish()
        told = [
            line.text for line in timeline(recording) if "start" in line.text or "end" in line.text
        ]
        assert_that(told, equal_to(["flip1, flip, flip2 start", "flip2 ends by itself"]))


class CrowdTests(ClusterTestCase):
    """Many nodes and data points are counted."""

    def setUp(self) -> None:
        self.recording = Recording(self.cluster(larger(8, 20)))
        self.recording.end = 100.0

    def told(self) -> list[str]:
        return [line.text for line in timeline(self.recording)]

    def test_all_others(self) -> None:
        """All but the one that they speak of."""
        for number in range(1, 8):
            self.recording.views.append(View(20, f"n{number}", "n0", State.ALIVE, State.DOWN))
        assert_that(self.told(), contains_exactly("all 7 others see n0 down"))

    def test_some(self) -> None:
        """More than a few are counted."""
        for number in range(1, 7):
            self.recording.views.append(View(20, f"n{number}", "n0", State.ALIVE, State.DOWN))
        assert_that(self.told(), contains_exactly("6 nodes see n0 down"))

    def test_many_to_many(self) -> None:
        """When each does the same with something else, it is still one line."""
        for number in range(7):
            for datum in (number, number + 7):
                series = self.recording.live[f"n{number}", ("ip", f"d{datum}")] = Series(False)
                series.set(3, True)
        assert_that(self.told(), contains_exactly("7 nodes hold 14 data points"))

    def test_some_of_many(self) -> None:
        """Views of which some see these and some those are not made views of all."""
        for number in range(7):
            for other in {number + 1, number + 2} - {7, 8}:
                self.recording.views.append(
                    View(20, f"n{number}", f"n{other}", State.ALIVE, State.PROBABLY_DOWN)
                )
        assert_that(self.told(), contains_exactly("6 nodes suspect some of 6 nodes"))
