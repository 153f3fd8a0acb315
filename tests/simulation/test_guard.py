"""A machine's guard on virtual time: it survives its daemon, and is survived by its hooks."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, close_to, empty, equal_to, greater_than, has_length, less_than
from twisted.trial.unittest import SynchronousTestCase

from flip.simulation.machine import Machine
from flip.simulation.world import World

HOOK_TIMEOUT = 1.0
LEASE = 5.0
MARGIN = 1.3
DESCRIPTION: dict[str, Any] = {
    "id": "one",
    "key": "secret",
    "servers": {
        "one": {"ip": "10.0.0.1", "port": 2200, "systems": ["ip"]},
        "two": {"ip": "10.0.0.2", "port": 2200, "systems": ["ip"]},
        "arbiter": {"ip": "10.0.0.3", "port": 2200},
    },
    "cluster": {
        "config": {},
        "system": {
            "ip": {
                "alive": "up",
                "down": "down",
                "type": "shard",
                "config": {},
                "data": ["a", "b"],
                "exclusive": True,
                "remove_on_start": False,
            }
        },
    },
}


class GuardTests(SynchronousTestCase):
    """An exclusive system of two servers and an arbiter, all active: each holds one data point."""

    def setUp(self) -> None:
        self.world = World(DESCRIPTION, seed=3)
        self.addCleanup(self.world.close)
        self.world.start()
        self.world.run_until(lambda: self.one.held() == {"a"} and self.two.held() == {"b"}, 30)
        self.world.run(5)

    @property
    def one(self) -> Machine:
        return self.world["one"]

    @property
    def two(self) -> Machine:
        return self.world["two"]

    def taken_over(self) -> float:
        """Seconds until the other one has everything, and nobody else anything."""
        return self.world.run_until(lambda: self.two.held() == {"a", "b"}, 30)

    def test_who_has_one(self) -> None:
        """Servers with an exclusive system."""
        guards = {id: len(machine.guards) for id, machine in self.world.machines.items()}
        assert_that(guards, equal_to({"one": 1, "two": 1, "arbiter": 0}))

    def test_killed(self) -> None:
        """The daemon's death is enough to let go; the guard then ends."""
        self.one.kill()
        assert_that(self.world.run_until(lambda: not self.one.held(), 5), less_than(0.1))
        self.taken_over()
        assert_that(self.one.guards, empty())

    def test_frozen(self) -> None:
        """The guard lets go at the deadline, before anybody else may begin."""
        self.one.freeze()
        took = self.world.run_until(lambda: not self.one.held(), 10)
        assert_that(took, greater_than((LEASE - MARGIN) / 2))
        assert_that(took, less_than(LEASE - MARGIN + 0.1))
        self.taken_over()
        self.one.thaw()
        self.world.run_until(lambda: self.one.held() == {"a"} and self.two.held() == {"b"}, 40)

    def test_guarded(self) -> None:
        """Either of the two is enough for the promise to hold."""
        assert_that(self.one.guarded, equal_to(True))
        self.one.freeze()
        assert_that(self.one.guarded, equal_to(True))
        self.one.freeze_guard()
        assert_that(self.one.guarded, equal_to(False))
        self.one.thaw_guard()
        assert_that(self.one.guarded, equal_to(True))

    def test_both_frozen(self) -> None:
        """Nobody lets go: the time of two owners is counted apart."""
        self.one.freeze_guard()
        self.one.freeze()
        self.taken_over()
        assert_that(self.one.held(), equal_to({"a"}))
        self.one.thaw_guard()
        assert_that(self.world.run_until(lambda: not self.one.held(), 1), less_than(0.1))

    def test_guard_killed(self) -> None:
        """There is another one, armed; nothing moves."""
        runs = len(self.one.runs)
        self.one.kill_guard()
        self.world.run(0.1)
        (guard,) = self.one.guards
        assert_that(guard.pid, equal_to(2))
        self.world.run(20)
        assert_that((self.one.held(), len(self.one.runs)), equal_to(({"a"}, runs)))
        self.one.kill()
        assert_that(self.world.run_until(lambda: not self.one.held(), 5), less_than(0.1))

    def test_guard_frozen(self) -> None:
        """The daemon misses its answer to the next renewal, and replaces it."""
        self.one.freeze_guard()
        self.world.run(LEASE / 4 + 0.5)
        (guard,) = self.one.guards
        assert_that((guard.pid, guard.frozen), equal_to((2, False)))
        self.world.run(20)
        assert_that(self.one.held(), equal_to({"a"}))

    def test_guard_killed_while_down_runs(self) -> None:
        """The hook goes on to its end, and the next guard runs none before."""
        self.one.slow.add(("down", "a"))
        self.one.runs.clear()
        leaving = self.one.leave()
        self.world.run(0.2)
        self.one.kill_guard()
        self.world.await_fired(leaving, 20)
        self.taken_over()
        (first, second) = [
            at for at, event, datum in self.one.runs if (event, datum) == ("down", "a")
        ]
        assert_that(second - first, greater_than(HOOK_TIMEOUT))

    def test_restarted_while_letting_go(self) -> None:
        """The new guard waits for the old one: hooks of a data point never overlap."""
        self.one.slow.add(("down", "a"))
        self.one.runs.clear()
        self.one.kill()
        self.world.run(0.1)
        self.one.start()
        self.world.run(0.2)
        assert_that(self.one.guards, has_length(2))
        self.world.run_until(lambda: len(self.one.guards) == 1, 5)
        self.one.slow.clear()
        self.world.run(10)
        downs = [at for at, event, datum in self.one.runs if (event, datum) == ("down", "a")]
        assert_that(downs[1] - downs[0], greater_than(0.7))
        self.world.run_until(lambda: self.one.held() == {"a"} and self.two.held() == {"b"}, 40)

    def test_reboot(self) -> None:
        """Neither guard nor hooks survive that."""
        self.one.reboot()
        assert_that((self.one.guards, self.one.held()), equal_to(([], set())))
        self.taken_over()
        self.one.start()
        self.world.run_until(lambda: self.one.held() == {"a"} and self.two.held() == {"b"}, 40)

    def test_hanging(self) -> None:
        """A hook that hangs is killed at its timeout: it keeps the data point, and fails."""
        self.one.hanging.add(("down", "a"))
        self.one.runs.clear()
        self.one.kill()
        self.world.run(2.4)
        downs = [at for at, event, _ in self.one.runs if event == "down"]
        assert_that(downs, has_length(2))
        assert_that(downs[1] - downs[0], close_to(HOOK_TIMEOUT + 0.5, 0.05))
        assert_that(self.one.held(), equal_to({"a"}))
