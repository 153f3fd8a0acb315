"""The last word to the neighbours (R6): who runs `alive` again, and when, after a split."""

from __future__ import annotations

from hamcrest import assert_that, equal_to, greater_than, has_length, less_than

from tests.cluster.case import ALL_ACTIVE, TWO, ClusterTestCase


class LastWordTests(ClusterTestCase):
    """flip1 was cut off, flip has taken over what it holds, and the cut heals."""

    def test_loser_is_silent(self) -> None:
        """Only the one that keeps a data point announces it (K9).

        The loser's announcement would draw the neighbours away from the winner and
        leave them dark as soon as the loser has let go.
        """
        for seed in range(10):
            world = self.story(seed)
            world.cut(("flip1",), world.others("flip1"))
            world.await_served("flip", {*ALL_ACTIVE["flip"], TWO}, 10)
            world.run(1)
            healed = world.now
            world.heal()
            self.await_holdings(world, ALL_ACTIVE)
            world.run(3)
            loser = [run for run in world["flip"].runs if run[0] >= healed and run[2] == TWO]
            assert_that(
                [event for _, event, _ in loser], equal_to(["down"]), "\n".join(world.history)
            )
            [(let_go, _, _)] = loser
            winner = [run for run in world["flip1"].runs if run[0] >= healed and run[2] == TWO]
            assert_that([event for _, event, _ in winner], equal_to(["alive", "alive"]))
            # First as soon as it is back, then once more when it is alone.
            assert_that(winner[0][0], less_than(let_go))
            assert_that(winner[1][0], greater_than(let_go))

    def test_stays_where_it_is(self) -> None:
        """A holder that keeps it announces, also when it is the other one that was cut off."""
        world = self.story()
        for _ in range(2):  # voted down twice in ten minutes, flip1 is ineligible for a while
            world.cut(("flip1",), world.others("flip1"))
            world.await_served("flip", {*ALL_ACTIVE["flip"], TWO}, 10)
            world.run(1)
            healed = world.now
            world.heal()
            world.run_until(lambda: world["flip1"].held() in (set(), {TWO}), 3)
            world.run(0.5)
        runs = [
            run for run in world["flip"].runs if healed <= run[0] < healed + 1 and run[2] == TWO
        ]
        assert_that([event for _, event, _ in runs if event == "alive"], has_length(2))
