"""Tests for `flip.cli.plan`."""

from __future__ import annotations

import argparse
import copy
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hamcrest import (
    assert_that,
    contains_inanyorder,
    contains_string,
    equal_to,
    less_than,
    starts_with,
)
from twisted.trial.unittest import SynchronousTestCase

from flip.cli.plan import add
from tests.matchers import has_item, has_items, is_not

HOOKS = {"alive": "ip_up", "down": "ip_down"}
STORY = {
    "id": "flip",
    "quorum": 2,
    "key": "secret",
    "servers": {
        "flip": {"ip": "127.0.0.1", "port": 2200, "systems": ["ip"]},
        "flip1": {"priority": 1, "ip": "127.0.0.1", "port": 2201, "systems": ["ip"]},
        "flip2": {"ip": "127.0.0.1", "port": 2202},
    },
    "cluster": {
        "system": {"ip": {**HOOKS, "type": "shard", "data": ["192.168.0.2", "192.168.0.1"]}}
    },
}


class PlanTests(SynchronousTestCase):
    """The command, on a file that is 80 columns wide and no terminal."""

    def setUp(self) -> None:
        self.patch(os, "environ", {**os.environ, "COLUMNS": "80"})
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)
        self.description: dict[str, Any] = STORY

    def run_plan(self, *options: str) -> int:
        path = Path(self.mktemp())
        path.write_text(json.dumps(self.description))
        parser = argparse.ArgumentParser()
        add(parser.add_subparsers())
        args = parser.parse_args(["plan", "-c", str(path), *options])
        run: Callable[[argparse.Namespace], int] = args.run
        return run(args)

    def lines(self, *options: str) -> list[str]:
        """What is printed, every line within the width."""
        assert_that(self.run_plan(*options), equal_to(0))
        lines = self.out.getvalue().splitlines()
        assert_that(max(map(len, lines)), less_than(81))
        return lines

    def json(self, *options: str) -> Any:
        assert_that(self.run_plan(*options, "--json"), equal_to(0))
        return json.loads(self.out.getvalue())

    def test_all_active(self) -> None:
        """The first row of the README's table."""
        expected = [
            "ip (shard, 2 data points)",
            "            flip         flip1        flip2",
            "all active  192.168.0.1  192.168.0.2  (arbiter)",
        ]
        assert_that(self.lines(), equal_to(expected))

    def test_down(self) -> None:
        """The second row too."""
        expected = [
            "            flip                      flip1        flip2",
            "all active  192.168.0.1               192.168.0.2  (arbiter)",
            "flip1 down  192.168.0.1, 192.168.0.2  x            (arbiter)",
        ]
        assert_that(self.lines("--down", "flip1")[1:], equal_to(expected))

    def test_then_down(self) -> None:
        """A second failure adds a row, and what moves."""
        lines = self.lines("--down", "flip2", "--then-down", "flip1")
        assert_that(
            [line.split("  ")[0] for line in lines[2:5]],
            equal_to(["all active", "flip2 down", "flip1, flip2 down"]),
        )
        expected = ["ip moves 1 of 2 data points", "  flip1 -> flip  192.168.0.2"]
        assert_that(lines[7:9], equal_to(expected))

    def test_nothing_moves(self) -> None:
        """An arbiter takes nothing along."""
        assert_that(self.lines("--then-down", "flip2"), has_item("ip moves none of 2 data points"))

    def test_no_quorum(self) -> None:
        """With too many down it says that this would not happen."""
        text = " ".join(" ".join(self.lines("--down", "flip1,flip2")).split())
        note = "Note: flip1, flip2 down: 1 of 3 servers are left, and the quorum is 2."
        assert_that(text, contains_string(note))
        assert_that(text, contains_string("Nobody could agree: nothing would move."))

    def test_quorum(self) -> None:
        """And only then."""
        assert_that(" ".join(self.lines("--down", "flip1")), is_not(contains_string("Note")))

    def test_json(self) -> None:
        """System, server, data: every server is there."""
        expected = {"ip": {"flip": ["192.168.0.1"], "flip1": ["192.168.0.2"], "flip2": []}}
        assert_that(self.json(), equal_to(expected))

    def test_json_down(self) -> None:
        """Ids may be given together or one by one."""
        expected = {"ip": {"flip": ["192.168.0.1", "192.168.0.2"], "flip1": [], "flip2": []}}
        assert_that(self.json("--down", "flip1"), equal_to(expected))
        for options in (["--down", "flip1, flip"], ["--down", "flip1", "--down", "flip"]):
            self.out.seek(0)
            self.out.truncate()
            expected = {"ip": {"flip": [], "flip1": [], "flip2": []}}
            assert_that(self.json(*options), equal_to(expected))

    def test_json_then_down(self) -> None:
        """Both plans and the moves between them."""
        answer = self.json("--then-down", "flip1")
        assert_that(answer["before"]["ip"]["flip1"], equal_to(["192.168.0.2"]))
        assert_that(answer["after"]["ip"]["flip1"], equal_to([]))
        move = {"system": "ip", "datum": "192.168.0.2", "source": "flip1", "target": "flip"}
        assert_that(answer["moves"], equal_to([move]))

    def uneven(self) -> None:
        """A group, a preference, both, and a heavy server."""
        self.description = copy.deepcopy(STORY)
        self.description["servers"]["flip1"]["weight"] = 2
        self.description["cluster"]["system"]["ip"]["data"] = [
            "10.0.0.1",
            ["10.0.0.2", "10.0.0.3"],
            {"id": "10.0.0.4", "prefer": "flip"},
            {"id": "web", "members": ["10.0.0.5"], "prefer": "flip1", "config": {"dev": "lo"}},
        ]

    def test_groups(self) -> None:
        """The table has the ids; what they stand for, and why it is uneven, follows."""
        self.uneven()
        expected = [
            "ip (shard, 4 data points)",
            "            flip      flip1                    flip2",
            "all active  10.0.0.4  10.0.0.1, 10.0.0.2, web  (arbiter)",
            "  10.0.0.2:  10.0.0.2, 10.0.0.3",
            "  10.0.0.4                       prefers flip",
            "  web:       10.0.0.5            prefers flip1",
            "  weights: flip1 2, flip 1",
        ]
        assert_that(self.lines(), equal_to(expected))

    def test_groups_json(self) -> None:
        """What is more than a text is an object, as in the file."""
        self.uneven()
        group = {"id": "10.0.0.2", "members": ["10.0.0.2", "10.0.0.3"], "prefer": None}
        web = {"id": "web", "members": ["10.0.0.5"], "prefer": "flip1"}
        mine = {"id": "10.0.0.4", "members": ["10.0.0.4"], "prefer": "flip"}
        plan = {"flip1": ["10.0.0.1", group, web], "flip": [mine], "flip2": []}
        assert_that(self.json(), equal_to({"ip": plan}))

    def test_groups_move(self) -> None:
        """As a whole, by id."""
        self.uneven()
        answer = self.json("--then-down", "flip1")
        assert_that(
            [move["datum"] for move in answer["moves"]],
            contains_inanyorder("10.0.0.1", "10.0.0.2", "web"),
        )
        assert_that(len(answer["after"]["ip"]["flip"]), equal_to(4))

    def test_many_groups(self) -> None:
        """Are abbreviated, and narrow enough."""
        self.uneven()
        data = [[f"10.0.{n}.{m}" for m in range(30)] for n in range(30)]
        self.description["cluster"]["system"]["ip"]["data"] = data
        lines = self.lines()
        assert_that(lines, has_item("  and 10 more such lines; --json shows all"))
        assert_that(lines, has_item(starts_with("  10.0.0.0:   30: 10.0.0.0, 10.0.0.1,")))

    def test_failover(self) -> None:
        """All on one, and all on the next."""
        self.description = copy.deepcopy(STORY)
        self.description["cluster"]["system"]["ip"]["type"] = "failover"
        lines = self.lines("--down", "flip1")
        assert_that(
            lines[2:],
            equal_to(
                [
                    "all active  -                         192.168.0.2, 192.168.0.1  (arbiter)",
                    "flip1 down  192.168.0.2, 192.168.0.1  x                         (arbiter)",
                ]
            ),
        )

    def test_unknown_server(self) -> None:
        """Every unknown id is named, with what was perhaps meant."""
        assert_that(self.run_plan("--down", "flp1", "--then-down", "x"), equal_to(2))
        assert_that(self.out.getvalue(), equal_to(""))
        expected = [
            'flip plan: there is no server "flp1"; did you mean "flip1"?',
            'flip plan: there is no server "x"; there are flip1, flip, flip2',
        ]
        assert_that(self.err.getvalue().splitlines(), equal_to(expected))

    def large(self) -> None:
        """Twenty servers, two of them without systems, and a thousand data points."""
        servers: dict[str, Any] = {
            f"server{n:02}": {"ip": "127.0.0.1", "port": 2200 + n, "systems": ["ip", "job"]}
            for n in range(20)
        }
        del servers["server18"]["systems"]
        servers["server19"]["systems"] = ["job"]
        data = [f"10.0.{n // 250}.{n % 250}" for n in range(1000)]
        systems = {
            "ip": {**HOOKS, "type": "shard", "data": data},
            "job": {**HOOKS, "type": "replicate", "data": ["a", "b"]},
        }
        self.description = {
            "id": "server00",
            "key": "secret",
            "servers": servers,
            "cluster": {"system": systems},
        }

    def test_large(self) -> None:
        """What does not fit is a line per server, with the number and the first few."""
        self.large()
        lines = self.lines("--down", "server03", "--then-down", "server05")
        assert_that(
            lines,
            has_items(
                starts_with("server00  56: 10.0.0.0, ...       59: 10.0.0.0, ...       63: "),
                "server03  56: 10.0.0.3, ...       x                       x",
                starts_with("server18  (arbiter)"),
                "server19",
                contains_string("server05 -> (nobody)  a, b"),
                "  server05 -> server12  10.0.0.113, 10.0.1.169, 10.0.2.225",
                "  and 1 more such lines; --json shows all",
            ),
        )
        assert_that(len(lines), less_than(80))

    def test_large_json(self) -> None:
        """JSON is never abbreviated."""
        self.large()
        loads = [len(data) for data in self.json()["ip"].values()]
        assert_that(sum(loads), equal_to(1000))
        assert_that(loads, equal_to([56] * 10 + [55] * 8 + [0, 0]))
