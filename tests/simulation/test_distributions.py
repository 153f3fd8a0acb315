"""How long things take by chance."""

from __future__ import annotations

import random
import statistics

from hamcrest import assert_that, close_to, equal_to, greater_than, less_than
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.simulation.distributions import Distribution, LogNormal, Uniform

seconds = st.floats(0, 100)
distributions = st.one_of(
    st.tuples(seconds, seconds).map(lambda pair: Uniform(min(pair), max(pair))),
    st.builds(LogNormal, st.floats(1e-6, 10), st.floats(0, 3), seconds),
)


class DistributionTests(SynchronousTestCase):
    """Uniform and LogNormal."""

    @given(distribution=distributions, seed=st.integers())
    def test_bounds(self, distribution: Distribution, seed: int) -> None:
        """No duration is negative, none is longer than the longest."""
        rng = random.Random(seed)
        drawn = [distribution.draw(rng) for _ in range(20)]
        assert_that(all(0 <= one <= distribution.longest + 1e-9 for one in drawn), equal_to(True))

    @given(distribution=distributions, seed=st.integers())
    def test_seeded(self, distribution: Distribution, seed: int) -> None:
        """The same seed draws the same."""
        one, two = random.Random(seed), random.Random(seed)
        assert_that(
            [distribution.draw(one) for _ in range(5)],
            equal_to([distribution.draw(two) for _ in range(5)]),
        )

    def test_long_tail(self) -> None:
        """Half take less than the median, one in a hundred ten times as long."""
        rng = random.Random(1)
        drawn = [LogNormal(0.001, 1.0, 10.0).draw(rng) for _ in range(20_000)]
        assert_that(statistics.median(drawn), close_to(0.001, 0.0001))
        hundredth = statistics.quantiles(drawn, n=100)[98]
        assert_that(hundredth, greater_than(0.009))
        assert_that(hundredth, less_than(0.012))
