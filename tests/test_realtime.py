"""Tests for `flip.realtime`, without asking the kernel for anything."""

from __future__ import annotations

import errno
import os
import resource
import sys
from typing import Any

from hamcrest import assert_that, contains_string, equal_to, none
from twisted.trial.unittest import SynchronousTestCase

from flip import realtime


class EnterTests(SynchronousTestCase):
    """What is asked of the kernel, and what is said when it refuses."""

    def setUp(self) -> None:
        self.asked: list[tuple[int, int, int]] = []
        self.refusal: OSError | None = None
        self.patch(os, "sched_setscheduler", self.set)

    def set(self, pid: int, policy: int, param: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append((pid, policy, param.sched_priority))

    def test_entered(self) -> None:
        """Round robin, that no child inherits."""
        assert_that(realtime.enter(10), none())
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        assert_that(self.asked, equal_to([(0, policy, 10)]))

    def test_not_asked(self) -> None:
        """Without a priority nothing is done."""
        assert_that([realtime.enter(0), realtime.complaint(0)], equal_to([None, None]))
        assert_that(self.asked, equal_to([]))

    def test_checked(self) -> None:
        """A check leaves the process as it was."""
        assert_that(realtime.complaint(10), none())
        assert_that(self.asked[1], equal_to((0, os.SCHED_OTHER, 0)))

    def test_not_permitted(self) -> None:
        """What is missing is named, with the limit that there is."""
        self.refusal = PermissionError(errno.EPERM, "Operation not permitted")
        self.patch(realtime, "_capable", lambda: False)
        self.patch(resource, "getrlimit", lambda which: (3, 3))
        expected = (
            "it takes CAP_SYS_NICE, or RLIMIT_RTPRIO of 10 or more, and that is 3"
            " (systemd: LimitRTPRIO=10)"
        )
        assert_that(realtime.enter(10), equal_to(expected))
        assert_that(realtime.complaint(10), equal_to(expected))

    def test_no_budget(self) -> None:
        """With the capability it is the cgroup."""
        self.refusal = PermissionError(errno.EPERM, "Operation not permitted")
        self.patch(realtime, "_capable", lambda: True)
        assert_that(str(realtime.enter(10)), contains_string("cpu.rt_runtime_us"))

    def test_refused(self) -> None:
        """Any other error is told."""
        self.refusal = OSError(errno.EINVAL, "Invalid argument")
        assert_that(str(realtime.enter(10)), contains_string("Invalid argument"))

    def test_other_systems(self) -> None:
        """A system that has it not says so."""
        self.patch(realtime, "os", object())
        self.patch(sys, "platform", "freebsd14")
        assert_that(str(realtime.enter(10)), contains_string("freebsd14 has no"))
