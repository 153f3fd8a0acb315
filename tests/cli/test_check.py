"""Tests for `flip.cli.check`."""

from __future__ import annotations

import importlib.util
import json
import socket
from pathlib import Path
from typing import Any

from hamcrest import assert_that, contains_string, equal_to, starts_with

from flip import realtime
from flip.membership import ping_socket
from tests.cli.case import CommandCase
from tests.matchers import contains_exactly, has_entries, has_items, is_not


class CheckTests(CommandCase):
    """The command finds what keeps a node from starting."""

    def check(self, *options: str) -> int:
        return self.flip("check", "-c", self.write(), *options)

    def json(self, code: int, *options: str) -> Any:
        assert_that(self.check("--json", *options), equal_to(code))
        assert_that(self.err.getvalue(), equal_to(""))
        return json.loads(self.out.getvalue())

    def test_good(self) -> None:
        """A good configuration: for whom, and how many systems."""
        assert_that(self.check(), equal_to(0))
        line = self.out.getvalue()
        assert_that(
            line, starts_with(f"{self.path} is good for node flip: 1 of 1 system, quorum 2")
        )
        assert_that(line, contains_string(" of 3, digest "))
        assert_that(line.count("\n"), equal_to(1))
        assert_that(self.err.getvalue(), equal_to(""))

    def test_other_node(self) -> None:
        """Each node has its own systems."""
        assert_that(self.check("--id", "flip2"), equal_to(0))
        assert_that(self.out.getvalue(), contains_string("for node flip2: 0 of 1 system,"))

    def test_warnings(self) -> None:
        """What is doubtful is told first, one line each, and keeps nobody from starting."""
        self.description |= {"key": "secret", "quorum": 1}
        assert_that(self.check(), equal_to(0))
        lines = self.out.getvalue().splitlines()
        assert_that(
            [line.split(": ")[:2] for line in lines[:2]],
            equal_to([["warning", "quorum"], ["warning", "key"]]),
        )
        assert_that(lines[2], contains_string("is good"))

    def test_not_permitted(self) -> None:
        """What this user may not do here: ping, and be real-time."""
        self.patch(ping_socket, "complaint", lambda families: f"no sockets of {[*families]}")
        self.patch(
            realtime, "complaint", lambda priority: f"no priority {priority}" * (priority > 0)
        )
        self.description |= {"witness": {"ping": ["10.0.0.1", "fd00::1"]}, "realtime": 5}
        assert_that(self.check(), equal_to(0))
        lines = self.out.getvalue().splitlines()
        families = [socket.AF_INET, socket.AF_INET6]
        assert_that(lines, has_items(
            f"warning: witness: cannot be pinged here: no sockets of {families}",
            "warning: realtime: not permitted here: no priority 5",
        ))  # fmt: skip

    def test_problems(self) -> None:
        """Errors go where errors go, with exit code 2 and no traceback."""
        self.description["quorum"] = 4
        assert_that(self.check(), equal_to(2))
        expected = (
            f"{self.path}: 1 problem\n  quorum: expected at most 3, the number of servers, not 4\n"
        )
        assert_that((self.out.getvalue(), self.err.getvalue()), equal_to(("", expected)))

    def test_missing_file(self) -> None:
        """A file that is not there is an error like any other."""
        assert_that(self.flip("check", "-c", "nosuch.json"), equal_to(2))
        assert_that(self.err.getvalue(), starts_with("nosuch.json: no such file"))

    def test_hooks(self) -> None:
        """Every hook that cannot be found, with the places looked in."""
        self.description["cluster"]["system"]["ip"] |= {"alive": "nosuch", "down": "x/nosuch"}
        assert_that(self.check(), equal_to(2))
        text = self.err.getvalue()
        assert_that(text, contains_string(": 2 problems\n  cluster.system.ip.alive: "))
        assert_that(text, contains_string("\n  cluster.system.ip.down: "))
        assert_that(text, contains_string(str(self.path.absolute().parent / "x/nosuch")))
        assert_that(self.out.getvalue(), equal_to(""))

    def test_hooks_that_look(self) -> None:
        """Those of checks are found at start like the others."""
        self.description["cluster"]["system"]["ip"] |= {
            "check": {"run": "no-such-check"},
            "verify": "no-such-look",
        }
        assert_that(self.flip("check", "-c", self.write()), equal_to(2))
        for place in ("check.run", "verify"):
            assert_that(self.err.getvalue(), contains_string(f"cluster.system.ip.{place}: "))

    def test_https(self) -> None:
        """A library that only https needs is missed before it is needed."""
        self.description["cluster"]["system"]["ip"]["check"] = {"http": "https://localhost/"}
        found = {True: 0, False: 2}
        for there, status in found.items():
            self.patch(importlib.util, "find_spec", lambda name, there=there: there or None)
            assert_that(self.flip("check", "-c", self.write()), equal_to(status))
        assert_that(self.err.getvalue(), contains_string("pip install 'flip[https]'"))

    def test_hooks_of_others(self) -> None:
        """What this server does not run is not looked for."""
        self.description["cluster"]["system"]["ip"] |= {"alive": "nosuch", "down": "nosuch"}
        assert_that(self.check("--id", "flip2"), equal_to(0))

    def test_foreign_address(self) -> None:
        """An address that is not this host's can only be right elsewhere."""
        for server in self.description["servers"].values():
            server["ip"] = "192.0.2.1"  # for documentation: nobody's
        assert_that(self.check(), equal_to(0))
        expected = "warning: servers.flip.ip: 192.0.2.1 cannot be bound here ("
        assert_that(self.out.getvalue(), starts_with(expected))
        self.description["bind"] = "127.0.0.1"
        self.out.truncate(0)
        assert_that(self.check(), equal_to(0))
        assert_that(self.out.getvalue(), is_not(contains_string("warning")))

    def test_json(self) -> None:
        """For scripts: also what the defaults come to, and the hooks that were found."""
        hook = Path(self.mktemp())
        hook.write_text("#!/bin/sh\n")
        hook.chmod(0o755)
        self.description["cluster"]["system"]["ip"] |= {"alive": str(hook.absolute())}
        self.description["cluster"]["system"]["ip"] |= {"down": str(hook.absolute())}
        self.description |= {"key": "secret", "state_dir": "/s/{id}", "control": "/c/{id}"}
        argv = [str(hook.absolute())]
        assert_that(
            self.json(0),
            has_entries(
                ok=True,
                file=str(self.path),
                id="flip",
                systems=["ip"],
                quorum=2,
                state_dir="/s/flip",
                control="/c/flip",
                hooks={"ip": {"alive": argv, "down": argv}},
                problems=[],
                warnings=contains_exactly(has_entries(place="key")),
            ),
        )

    def test_json_problems(self) -> None:
        """Errors are data too, and the exit code is the same."""
        self.description["quorum"] = 4
        expected = {
            "ok": False,
            "file": str(self.path),
            "problems": [
                {"place": "quorum", "message": "expected at most 3, the number of servers, not 4"}
            ],
        }
        assert_that(self.json(2), equal_to(expected))

    def test_json_hooks(self) -> None:
        """As are hooks that cannot be found."""
        self.description["cluster"]["system"]["ip"]["down"] = "nosuch"
        answer = self.json(2)
        assert_that((answer["ok"], answer["hooks"], answer["id"]), equal_to((False, {}, "flip")))
        places = [problem["place"] for problem in answer["problems"]]
        assert_that(places, equal_to(["cluster.system.ip.down"]))
