"""`flip confirm-down` with real processes and the real command."""

from __future__ import annotations

from hamcrest import assert_that, contains_string, equal_to

from flip.demo.story import ALL_ACTIVE
from tests.end_to_end.case import DaemonTestCase
from tests.matchers import has_item


class ConfirmDownTests(DaemonTestCase):
    """Three servers, of which two are off."""

    def test_survivor(self) -> None:
        """The last one takes everything when somebody says so, and gives it back on a return."""
        cluster = self.story()
        path = str(cluster.write())
        cluster.kill("flip2")
        cluster.kill("flip1")
        words = ("confirm-down", "-c", path, "--id", "flip")
        cluster.wait(
            lambda: (status := cluster.status("flip")) and not status["in_touch"],
            10,
            "flip is out of touch",
        )
        refused = cluster.flip(*words, "flip1", "flip2")
        assert_that(refused.returncode, equal_to(1))
        assert_that(refused.stderr, contains_string("repeat with --force"))
        done = cluster.flip(*words, "--force", "flip1", "flip2")
        assert_that((done.returncode, done.stderr), equal_to((0, "")))
        cluster.wait(
            lambda: (
                (status := cluster.status("flip")) and len(status["systems"]["ip"]["held"]) == 2
            ),
            10,
            "flip holds both",
        )
        status = cluster.status("flip")
        assert status is not None
        assert_that(status["alarms"], has_item(contains_string("flip1 counts as off")))
        again = cluster.flip(*words, "--force", "flip")
        assert_that(again.stderr, contains_string("flip is this node"))
        cluster.start("flip1", "flip2")
        cluster.await_row(ALL_ACTIVE)
        status = cluster.status("flip")
        assert status is not None
        assert_that(status["alarms"], equal_to([]))
