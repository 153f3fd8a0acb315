"""Everything that flip raises on purpose, one class per cause.

The docstring of a class is the sentence its user reads before the details.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flip.config.values import Problem


class FlipError(Exception):
    """flip cannot do this."""

    @property
    def details(self) -> str:
        """What this one error says beyond the sentence of its class."""
        return super().__str__()

    def __str__(self) -> str:
        sentence = (type(self).__doc__ or "").strip().splitlines()[0]
        return f"{sentence} {self.details}".rstrip()


class ConfigError(FlipError):
    """The configuration cannot be used.

    :ivar problems: everything that is wrong with it.
    """

    def __init__(self, path: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(path)
        self.path = path
        self.problems = problems

    def __str__(self) -> str:
        if len(self.problems) == 1 and not self.problems[0].place:
            return f"{self.path}: {self.problems[0]}"
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        return "\n".join((f"{self.path}: {count}", *(f"  {problem}" for problem in self.problems)))


class WireError(FlipError):
    """A packet was dropped."""


class MalformedPacket(WireError):
    """A packet cannot be parsed."""


class UnknownProtocolVersion(WireError):
    """A packet speaks a protocol version that this node does not."""


class UnknownSender(WireError):
    """A packet names a sender that is not in the configuration."""


class UnauthenticPacket(WireError):
    """A packet was not sealed with one of the cluster's keys."""


class ReplayedPacket(WireError):
    """A packet was received before, or is too old to tell."""


class TooManyConnections(WireError):
    """A connection was closed to make room: too many are open."""


class HookNotFound(FlipError):
    """A hook cannot be found or is not executable."""


class HookFailed(FlipError):
    """A hook did not end well."""


class AddressError(FlipError):
    """The kernel did not do this with an address.

    :ivar errno: the kernel's error number, of `errno`; 0: its answer was none.
    """

    def __init__(self, details: str, errno: int = 0) -> None:
        super().__init__(details)
        self.errno = errno


class CheckFailed(FlipError):
    """A health check says that this node cannot serve."""


class MalformedMessage(FlipError):
    """A message of the kernel cannot be parsed."""


class StateDirectoryInUse(FlipError):
    """Another live node uses this state directory."""


class ControlUnavailable(FlipError):
    """The running node cannot be asked."""


class CannotListen(FlipError):
    """A socket cannot be opened."""


class JournalUnreadable(FlipError):
    """The journal on disk cannot be read."""


class BadRequest(FlipError):
    """The request cannot be understood."""


class RequestRefused(FlipError):
    """The running node did not do this."""


class CannotRelease(FlipError):
    """The claim was not dropped."""


class CannotConfirm(FlipError):
    """No member was taken for off."""


class CannotPing(FlipError):
    """This process may not send pings."""


class SyncFailed(FlipError):
    """Two nodes could not exchange their states over TCP."""


class DemoFailed(FlipError):
    """The demo did not go as the story tells."""


class BadFault(FlipError):
    """The fault cannot be simulated:"""


class UnusableOption(FlipError):
    """The options cannot be used:"""


class BadSchedule(FlipError):
    """This file is no schedule of faults."""
