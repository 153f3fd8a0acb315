"""What a process lacks to keep addresses."""

from __future__ import annotations

import sys
from pathlib import Path

from hamcrest import assert_that, calling, contains_string, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.addresses import capabilities
from tests.matchers import raises

STATUS = "Name:\tflip\nCapPrm:\t0000000000000000\nCapEff:\t{:016x}\nCapBnd:\t000001ffffffffff\n"
NET_ADMIN, NET_RAW = 1 << 12, 1 << 13


class MissingTests(SynchronousTestCase):
    """`missing`, for a made-up process."""

    def missing(self, content: str) -> tuple[str, ...]:
        path = Path(self.mktemp())
        path.write_text(content)
        self.patch(capabilities, "STATUS", str(path))
        return capabilities.missing()

    def test_each(self) -> None:
        """Only the effective ones count, and each is missed for itself."""
        both = ("CAP_NET_ADMIN", "CAP_NET_RAW")
        assert_that(self.missing(STATUS.format(0)), equal_to(both))
        assert_that(self.missing(STATUS.format(NET_ADMIN)), equal_to(both[1:]))
        assert_that(self.missing(STATUS.format(NET_RAW)), equal_to(both[:1]))
        assert_that(self.missing(STATUS.format(NET_ADMIN | NET_RAW)), equal_to(()))
        assert_that(self.missing(STATUS.format(2**41 - 1)), equal_to(()))

    def test_unknown(self) -> None:
        """Where nothing can be read, nothing is assumed."""
        assert_that(len(self.missing("Name:\tflip\n")), equal_to(2))
        assert_that(len(self.missing("CapEff:\tnonsense\n")), equal_to(2))
        self.patch(capabilities, "STATUS", "/proc/self/no/such/file")
        assert_that(len(capabilities.missing()), equal_to(2))
        assert_that(calling(capabilities.effective).with_args(""), raises(ValueError))


class ComplaintTests(SynchronousTestCase):
    """What an operator is told."""

    def test_names_and_cure(self) -> None:
        """What is missing, and what to do."""
        text = capabilities.complaint(("CAP_NET_ADMIN", "CAP_NET_RAW"))
        expected = "CAP_NET_ADMIN and CAP_NET_RAW missing: run flip as root, or give its systemd"
        assert_that(text or "", contains_string(expected))
        assert_that(capabilities.complaint(()), equal_to(None))

    def test_elsewhere(self) -> None:
        """Other systems have the hooks."""
        self.patch(sys, "platform", "freebsd14")
        assert_that(
            capabilities.complaint(()) or "", contains_string("the hooks ip_up and ip_down")
        )
