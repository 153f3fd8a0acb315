"""Why a hook ends without having done its work."""

from __future__ import annotations

FAILED = 1
REFUSED = 2  # the datum or the config is wrong: no retry will help

CAPABILITIES = (
    "run flip as root, or give its systemd unit AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW"
)


class Failure(Exception):
    """One line for the operator, and the exit status.

    :ivar status: `FAILED` or `REFUSED`.
    """

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status
