"""A schedule: a cluster, a seed and the faults that befall it, as one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from flip.errors import BadSchedule
from flip.simulation.faults import Fault, read


@dataclass(frozen=True)
class Schedule:
    """Everything that a run depends on; the same schedule gives the same run.

    :ivar config: a configuration file's JSON.
    :ivar seed: of everything that is left to chance.
    :ivar duration: seconds after which no fault lasts any more.
    :ivar faults: each as text.
    :ivar description: what it shows, and why that went wrong once.
    :ivar rule: the rule without which it ends in a violation; None when nobody knows.
    """

    config: Mapping[str, Any]
    seed: int
    duration: float
    faults: tuple[str, ...]
    description: str = ""
    rule: str | None = None

    @cached_property
    def parsed(self) -> tuple[Fault, ...]:
        """The faults.

        :raises BadFault: one of them cannot be read.
        """
        return tuple(map(read, self.faults))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file as `save` writes it.

        :raises BadSchedule: it cannot be read, or is none.
        """
        try:
            value: Any = json.loads(path.read_text())
            faults = tuple(map(str, value.pop("faults")))
            return cls(**value, faults=faults)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadSchedule(f"({path}: {error})") from error

    def save(self, path: Path) -> None:
        """Write a file that `load` reads."""
        value = {
            "description": self.description,
            "rule": self.rule,
            "seed": self.seed,
            "duration": self.duration,
            "faults": list(self.faults),
            "config": self.config,
        }
        path.write_text(json.dumps(value, indent=2) + "\n")

    def __str__(self) -> str:
        return "\n".join(
            (f"seed {self.seed}, {len(self.config['servers'])} servers:", *self.faults)
        )
