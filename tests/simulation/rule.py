"""A rule of flip, and what takes it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Settings = Mapping[str, Any]


def any_system(settings: Settings) -> bool:
    """Whatever a system is like."""
    return True


@dataclass(frozen=True)
class Rule:
    """One rule.

    :ivar says: what flip does by it.
    :ivar patches: what stands in its place: object, attribute, replacement.
    :ivar concerns: says of a system's settings whether the rule is about such ones.
    """

    says: str
    patches: Sequence[tuple[object, str, object]]
    concerns: Callable[[Settings], bool] = any_system


def nothing(*args: object, **kw: object) -> None:
    """What a rule does when it is off."""


def false(*args: object, **kw: object) -> bool:
    """What it answers then."""
    return False
