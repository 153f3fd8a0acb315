"""An observer hears of hooks, what is served, processes, faults and views."""

from __future__ import annotations

from hamcrest import assert_that, empty, equal_to, greater_than

from flip.holdings.runner import HookCall
from flip.membership.roster import State
from flip.simulation.machine import Machine, Point
from flip.simulation.observer import Observer, Observers
from flip.simulation.world import World
from tests.cluster.case import ONE, TWO, ClusterTestCase
from tests.matchers import contains_exactly, has_item, has_items, is_not


class Everything(Observer):
    """Writes down all that it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []
        self.steps = 0

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        self.heard.append(("started", machine.id, call.event, call.datum))

    def hook_ended(self, machine: Machine, call: HookCall, good: bool) -> None:
        self.heard.append(("ended", machine.id, call.event, call.datum, good))

    def served_changed(self, machine: Machine, point: Point, serves: bool) -> None:
        self.heard.append(("served", machine.id, point[1], serves))

    def process_changed(self, machine: Machine) -> None:
        self.heard.append(("process", machine.id, machine.node is not None, machine.running))

    def fault(self, text: str, began: bool) -> None:
        self.heard.append(("fault", text, began))

    def member_changed(self, machine: Machine, member: str, before: State, after: State) -> None:
        self.heard.append((machine.id, member, before, after))

    def stepped(self, world: World) -> None:
        self.steps += 1


class ObserverTests(ClusterTestCase):
    """What an observer hears of a world."""

    def setUp(self) -> None:
        self.world = self.story()
        self.observer = Everything()
        self.world.observe(self.observer)

    def test_a_takeover(self) -> None:
        """After a kill: the process, the survivors' view of it, the hook and what it made live."""
        self.world["flip1"].kill()
        self.world.await_served("flip", {ONE, TWO}, 10)
        self.world.run(1)
        heard = self.observer.heard
        assert_that(heard[0], equal_to(("process", "flip1", False, False)))
        assert_that(heard, has_items(
            ("flip", "flip1", State.ALIVE, State.PROBABLY_DOWN),
            ("flip", "flip1", State.PROBABLY_DOWN, State.DOWN),
            ("flip2", "flip1", State.PROBABLY_DOWN, State.DOWN),
        ))  # fmt: skip
        hooks = [entry for entry in heard if entry[0] in ("started", "served", "ended")]
        assert_that(hooks, contains_exactly(
            ("started", "flip", "alive", TWO),
            ("served", "flip", TWO, True),
            ("ended", "flip", "alive", TWO, True),
        ))  # fmt: skip
        assert_that(self.observer.steps, greater_than(10))

    def test_a_failed_hook(self) -> None:
        """A hook that fails has ended badly; what `down` could not let go of is still served."""
        self.world["flip1"].failing.add(("down", TWO))
        self.world["flip1"].leave()
        self.world.run(1)
        assert_that(self.observer.heard, has_item(("ended", "flip1", "down", TWO, False)))
        assert_that(self.observer.heard, is_not(has_item(("served", "flip1", TWO, False))))

    def test_a_reboot(self) -> None:
        """What was served before a reboot no longer is."""
        self.world["flip1"].reboot()
        assert_that(self.observer.heard, has_item(("served", "flip1", TWO, False)))

    def test_freezing(self) -> None:
        """A frozen process exists and does not run."""
        self.world["flip1"].freeze()
        self.world["flip1"].thaw()
        processes = [entry for entry in self.observer.heard if entry[0] == "process"]
        assert_that(processes, contains_exactly(
            ("process", "flip1", True, False), ("process", "flip1", True, True)
        ))  # fmt: skip

    def test_faults(self) -> None:
        """Faults are told with their beginning and their end."""
        self.world.fault("loss 20%", began=True)
        self.world.fault("loss 20%", began=False)
        assert_that(self.observer.heard, contains_exactly(
            ("fault", "loss 20%", True), ("fault", "loss 20%", False)
        ))  # fmt: skip

    def test_what_is_not_overridden(self) -> None:
        """An observer is not called for what it does not care about."""

        class Hooks(Observer):
            def hook_started(self, machine: Machine, call: HookCall) -> None:
                raise NotImplementedError

        observers = Observers()
        observers.add(Hooks())
        assert_that(observers.stepped, empty())
        assert_that(len(observers.hook_started), equal_to(1))
