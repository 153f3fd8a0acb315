"""What a system's keeper sees of grants: whether it may serve a data point."""

from __future__ import annotations

from typing import Protocol

from flip.holdings.call import HookCall


class Permit(Protocol):
    """The right to serve the data points of one system."""

    def permitted(self, datum: str) -> bool:
        """Whether `alive` may run now, and what it made live may stay."""

    def lapsed(self, datum: str) -> bool:
        """Whether `alive` was begun and the right to it is gone: `down` must run now."""

    def pursue(self, datum: str) -> None:
        """Ask for the right; does nothing while that is done already."""

    def begin(self, datum: str, down: HookCall) -> None:
        """`alive` is about to run; `down` undoes it when the right ends."""

    def kill(self, datum: str) -> None:
        """End a running `alive` at once: it would stand in the way of `down`."""

    def relinquish(self, datum: str) -> None:
        """Nothing of it is here any more: others may have the right."""


class Free:
    """The permit of ordinary systems: nobody has to be asked."""

    def permitted(self, datum: str) -> bool:
        return True

    def lapsed(self, datum: str) -> bool:
        return False

    def pursue(self, datum: str) -> None: ...

    def begin(self, datum: str, down: HookCall) -> None: ...

    def kill(self, datum: str) -> None: ...

    def relinquish(self, datum: str) -> None: ...
