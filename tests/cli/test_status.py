"""Tests for `flip.cli.status`."""

from __future__ import annotations

import copy
import io
import json
import os
import socket
import sys
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Thread
from typing import Any

from hamcrest import assert_that, contains_string, ends_with, equal_to, less_than
from twisted.trial.unittest import SynchronousTestCase

from flip.cli import main
from flip.cli.page import Page
from flip.cli.status import show
from tests.matchers import has_item, is_not

# What the story's flip1 says while flip2 does not answer.
MEMBER = {
    "state": "alive",
    "status": "active",
    "incarnation": 1732399999123,
    "votes": [],
    "reachable": True,
    "last_ack": 0.31,
    "address": "127.0.0.1:2200",
    "sync": {"last": 12.0, "error": None},
    "config": "same",
    "systems": {},
}
STATUS: dict[str, Any] = {
    "id": "flip1",
    "incarnation": 1732399999123,
    "boot": "9f3ab2c4d5e6f708",
    "version": "0.1.0",
    "status": "active",
    "in_touch": True,
    "settled": True,
    "quorum": 2,
    "health": 0,
    "config": {"path": "/etc/flip/flip.json", "digest": "a1b2c3d4e5f60718", "version": 0},
    "uptime": 11520.3,
    "witness": None,
    "members": {
        "flip1": {
            **MEMBER,
            "last_ack": None,
            "systems": {
                "ip": {
                    "eligible": True,
                    "standing": "fit",
                    "held": ["192.168.0.2"],
                    "claims": {"192.168.0.2": "held"},
                }
            },
        },
        "flip": {
            **MEMBER,
            "systems": {
                "ip": {
                    "eligible": True,
                    "standing": "fit",
                    "held": ["192.168.0.1"],
                    "claims": {"192.168.0.1": "held"},
                }
            },
        },
        "flip2": {
            **MEMBER,
            "state": "probably_down",
            "votes": ["flip"],
            "reachable": False,
            "last_ack": 7.2,
        },
    },
    "systems": {
        "ip": {
            "type": "shard",
            "wanted": ["192.168.0.2", "192.168.0.3"],
            "held": ["192.168.0.2"],
            "failed": {},
            "waiting": {},
            "ineligible": None,
            "standing": "fit",
            "check": None,
            "grants": None,
            "addresses": None,
        }
    },
    "voting": {"silent": 0.0, "granted": {}},
    "guard": None,
    "alarms": [],
    "journal": {"path": "/var/lib/flip/flip1/journal.sqlite", "error": None},
    "traffic": {},
    "events": [],
}


class ShowTests(SynchronousTestCase):
    """What is printed on 80 columns."""

    def setUp(self) -> None:
        self.patch(os, "environ", {**os.environ, "COLUMNS": "80"})
        self.status = copy.deepcopy(STATUS)

    def shown(self) -> list[str]:
        file = io.StringIO()
        show(self.status, Page(file))
        lines = file.getvalue().splitlines()
        assert_that(max(map(len, lines)), less_than(81))
        return lines

    def line(self, start: str) -> str:
        (line,) = [line for line in self.shown() if line.startswith(start)]
        return line

    def words(self, start: str) -> str:
        return " ".join(self.line(start).split())

    def test_header(self) -> None:
        """The first lines say who this is and whether it can act."""
        lines = self.shown()
        assert_that(lines[0], equal_to("flip1 is active, in touch (quorum 2 of 3)"))
        assert_that(lines[1], contains_string("up for 3 h, flip 0.1.0, incarnation 1732399999123"))
        assert_that(" ".join(lines[1:3]), contains_string("/etc/flip/flip.json"))

    def test_not_in_touch(self) -> None:
        """A node that cannot act says so in the first line."""
        self.status["in_touch"] = False
        assert_that(self.shown()[0], contains_string("NOT IN TOUCH with a quorum 2 of 3"))

    def test_not_settled(self) -> None:
        """So does one that waits for the others."""
        self.status["settled"] = False
        assert_that(self.shown()[0], contains_string("NOT SETTLED"))

    def test_alarms(self) -> None:
        """Alarms come before the tables, the journal's and bad health with them."""
        self.status["alarms"] = ["flip2 runs another configuration", "journal: disk full"]
        self.status["journal"]["error"] = "disk full"
        self.status["health"] = 2
        lines = self.shown()
        alarms = [line for line in lines if line.startswith("ALARM")]
        assert_that(alarms[:2], equal_to([f"ALARM {text}" for text in self.status["alarms"]]))
        assert_that(alarms[2], contains_string("slow itself (health 2"))
        self.status["alarms"] = []
        assert_that(self.shown(), has_item(contains_string("journal.sqlite: disk full")))
        assert_that(lines.index(alarms[-1]), less_than(lines.index(self.line("MEMBER"))))

    def test_members(self) -> None:
        """A member's line has its state, who accuses it, its last ack and what it claims."""
        words = self.words("flip2 ")
        assert_that(words, equal_to("flip2 probably_down 1 of 2: flip 7.2 s ago -"))
        words = self.words("flip1 (me)")
        assert_that(words, equal_to("flip1 (me) alive - - 192.168.0.2"))

    def test_outsiders(self) -> None:
        """The votes of a witness and of an operator have no id."""
        for votes, text in (
            (["/operator"], "1 of 2: an operator"),
            (["/witness", "flip"], "2 of 2: the witness, flip"),
        ):
            self.status["members"]["flip2"]["votes"] = votes
            assert_that(self.words("flip2 "), contains_string(text))

    def test_witness(self) -> None:
        """A witness that answers is named; of one that does not there is an alarm."""
        answered = {"10.0.0.253": None, "10.0.0.254": 0.2}
        self.status["witness"] = {"reached": True, "answered": answered, "trouble": None}
        assert_that(self.shown()[1], equal_to("a witness answers: 10.0.0.254"))
        self.status["witness"]["reached"] = False
        assert_that("\n".join(self.shown()), is_not(contains_string("10.0.0.254")))

    def test_claims(self) -> None:
        """A claim that is not yet, or no more, held says so."""
        self.status["members"]["flip1"]["systems"]["ip"].update(
            held=["a", "b"], claims={"a": "held", "c": "taking"}
        )
        assert_that(self.line("flip1 (me)"), ends_with("  a, b, c (taking)"))

    def test_several_systems(self) -> None:
        """With more than one system, claims name theirs."""
        jobs = {
            "eligible": True,
            "standing": "fit",
            "held": ["nightly"],
            "claims": {"nightly": "held"},
        }
        self.status["members"]["flip2"]["systems"]["job"] = jobs
        assert_that(self.line("flip2 "), ends_with("  job nightly"))
        assert_that(self.line("flip "), ends_with("  ip 192.168.0.1"))

    def test_other_lives(self) -> None:
        """What a member says of itself is shown when it is not the usual."""
        self.status["members"]["flip"]["status"] = "leaving"
        assert_that(self.line("flip "), contains_string("alive, leaving"))
        self.status["members"]["flip"].update(state="left", status="left")
        assert_that(self.line("flip "), is_not(contains_string(",")))
        self.status["members"]["flip"].update(state="alive", status=None, last_ack=None)
        assert_that(self.line("flip "), contains_string("alive, not heard of"))
        assert_that(self.line("flip "), contains_string("never"))

    def test_troubles(self) -> None:
        """What is wrong with a member follows the table, in words."""
        flip = self.status["members"]["flip"]
        flip["sync"] = {"last": 75.0, "error": "Connection refused"}
        flip["config"] = "differs"
        flip["systems"]["ip"] |= {"eligible": False, "standing": "unfit"}
        text = "\n".join(self.shown())
        for words in (
            "flip2: unreachable",
            "flip: no sync over TCP: Connection refused (last good one: 75 s ago)",
            "flip: runs another configuration",
            "flip: not eligible for ip (unfit)",
        ):
            assert_that(text, contains_string(words))
        assert_that(text, is_not(contains_string("flip1: ")))

    def test_systems(self) -> None:
        """A system's line has what is wanted and held; reasons follow, also hostile ones."""
        self.status["systems"]["ip"]["failed"] = {"192.168.0.3": "exit status 2: \x1b[2J"}
        self.status["systems"]["ip"]["waiting"] = {str(n): "flip claims it" for n in range(30)}
        self.status["systems"]["ip"] |= {
            "ineligible": "alive failed 3 times",
            "standing": "failing",
        }
        words = self.words("ip  ")
        assert_that(words, equal_to("ip shard 192.168.0.2, 192.168.0.3 192.168.0.2 1 30"))
        lines = self.shown()
        assert_that(lines, has_item(r"ip 192.168.0.3 failed: exit status 2: \x1b[2J"))
        assert_that(lines, has_item("ip: FAILING, NOT ELIGIBLE alive failed 3 times"))
        assert_that(lines, has_item("ip 9 waiting: flip claims it"))
        assert_that(lines, has_item("ip: 20 more waiting; --json shows all"))

    def test_health_check(self) -> None:
        """A failing check has its reason beside it, one that is well has no line."""
        check: dict[str, Any] = {
            "fit": True,
            "for": 9.0,
            "successes": 9,
            "failures": 0,
            "reason": None,
        }
        self.status["systems"]["ip"]["check"] = check
        assert_that(self.shown(), is_not(has_item(contains_string("health check"))))
        check |= {"failures": 1, "reason": "10.0.0.9:80: refused"}
        assert_that(self.shown(), has_item("ip health check (fit so far): 10.0.0.9:80: refused"))
        check["fit"] = False
        assert_that(
            self.shown(), has_item("ip health check (fails since 9.0 s): 10.0.0.9:80: refused")
        )

    def test_arbiter(self) -> None:
        """A node without systems says so."""
        self.status["systems"] = {}
        assert_that(self.shown(), has_item(contains_string("only votes")))

    def test_large_system(self) -> None:
        """Long lists are abbreviated."""
        data = [f"10.0.{n // 256}.{n % 256}" for n in range(5000)]
        self.status["systems"]["ip"].update(wanted=data, held=data)
        assert_that(self.line("ip  ").split()[2:4], equal_to(["5000:", "10.0.0.0,"]))

    def test_last_word(self) -> None:
        """What a member that is down held may be held by another one now."""
        self.status["members"]["flip"] |= {"state": "down", "votes": ["flip1", "flip2"]}
        assert_that(self.shown(), has_item("flip: is down: HOLDS is what it said last"))

    def test_events(self) -> None:
        """The last events end it, the newest last."""
        self.status["events"] = [{"time": n, "kind": "tick", "text": f"tick {n}"} for n in range(9)]
        assert_that(
            [line[-6:] for line in self.shown()[-5:]], equal_to([f"tick {n}" for n in range(4, 9)])
        )


class RunTests(SynchronousTestCase):
    """The command."""

    def setUp(self) -> None:
        directory = Path(mkdtemp())  # short, as a socket's path must be
        self.addCleanup(rmtree, directory)
        self.socket = directory / "control"
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)

    def run_status(self, *options: str) -> int:
        return main(["status", "--socket", str(self.socket), *options])

    def answer(self, line: bytes) -> None:
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(str(self.socket))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(line + b"\n")

        thread = Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join)

    def test_json(self) -> None:
        """With --json the node's answer comes as it is."""
        self.answer(json.dumps({"ok": True, "result": STATUS}).encode())
        assert_that(self.run_status("--json"), equal_to(0))
        assert_that(json.loads(self.out.getvalue()), equal_to(STATUS))

    def test_text(self) -> None:
        """Without it, for people."""
        self.answer(json.dumps({"ok": True, "result": STATUS}).encode())
        assert_that(self.run_status(), equal_to(0))
        assert_that(self.out.getvalue(), contains_string("flip1 is active"))

    def test_not_running(self) -> None:
        """No node, no traceback: exit 1 and what to do."""
        assert_that(self.run_status(), equal_to(1))
        assert_that(self.err.getvalue(), contains_string("the node is not running"))
        assert_that(self.out.getvalue(), equal_to(""))

    def test_refused(self) -> None:
        """What the node refuses is told in its words."""
        self.answer(b'{"ok": false, "error": "Not now."}')
        assert_that(self.run_status(), equal_to(1))
        assert_that(self.err.getvalue(), contains_string("Not now."))
