"""How long things take: durations by chance, from a seeded source."""

from __future__ import annotations

import math
import random
from typing import NamedTuple, Protocol


class Distribution(Protocol):
    """A duration that differs each time."""

    @property
    def longest(self) -> float:
        """The most that it ever is, in seconds."""

    def draw(self, rng: random.Random) -> float:
        """Seconds, never negative."""


class Uniform(NamedTuple):
    """Anything between two durations, each as likely; a wide range reorders what travels."""

    low: float
    high: float

    @property
    def longest(self) -> float:
        return self.high

    def draw(self, rng: random.Random) -> float:
        return self.low + (self.high - self.low) * rng.random()


class LogNormal(NamedTuple):
    """Mostly short, now and then very long, as networks and hooks are.

    Half of all take less than `median`. `spread` is the standard deviation of the
    logarithm: with 1.0 one in a hundred takes ten times the median, one in a
    thousand 22 times. `limit` cuts the tail off.
    """

    median: float
    spread: float
    limit: float

    @property
    def longest(self) -> float:
        return self.limit

    def draw(self, rng: random.Random) -> float:
        # Not rng.gauss, which keeps a second value for the next call.
        return min(self.median * math.exp(self.spread * rng.normalvariate(0.0, 1.0)), self.limit)
