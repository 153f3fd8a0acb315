"""Tests for `flip simulate`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from hamcrest import assert_that, contains_string, equal_to, greater_than, less_than, starts_with

from flip.cli import simulate
from flip.simulation.faults import KINDS
from flip.simulation.rehearsal import Rehearsal, rehearse
from flip.simulation.schedules import Schedule
from tests.cli.case import CommandCase
from tests.cluster.case import STORY
from tests.matchers import all_of, has_entries, has_item, has_items, is_not

OF_ADDRESSES = (
    "fail-check", "hang-check", "flap-check", "link", "unplug", "vanish", "overrun", "conflict",
    "no-witness",
)  # fmt: skip
FILE = str(Path(__file__).parent.parent.parent / "etc" / "flip.json")


class SimulateCase(CommandCase):
    """`flip simulate`, on the README's example."""

    def simulate(self, *options: str, config: str = FILE) -> int:
        return self.flip("simulate", "-c", config, *options)

    def lines(self, *options: str, code: int = 0) -> list[str]:
        """What is printed, every line within the width."""
        assert_that(self.simulate(*options), equal_to(code), self.err.getvalue())
        lines = self.out.getvalue().splitlines()
        assert_that(max(map(len, lines)), less_than(81))
        return lines

    def json(self, *options: str, code: int = 0) -> dict[str, Any]:
        assert_that(self.simulate("--json", *options), equal_to(code), self.err.getvalue())
        value: dict[str, Any] = json.loads(self.out.getvalue())
        return value


class OneRunTests(SimulateCase):
    """One run: its story and its numbers."""

    def test_without_faults(self) -> None:
        """Who starts, who holds what, what it costs; all is well."""
        lines = self.lines()
        assert_that(lines, has_item(contains_string("flip holds 192.168.0.1")))
        assert_that(lines, has_item(starts_with("SENT PER SECOND")))
        assert_that(lines, is_not(has_item(starts_with("FAILURE"))))
        assert_that(lines[-2:], has_item(starts_with("60 s, seed 1: 0 moves, 0 unnecessary;")))

    def test_kill(self) -> None:
        """The story in order, then the failure and the data points in tables."""
        lines = self.lines("--kill", "flip1@20", "--restart", "flip1@40")
        story = [
            "FAULT kill flip1", "suspect flip1", "see flip1 down", "flip holds 192.168.0.2",
            "FAULT restart flip1", "flip1 starts", "see flip1 alive again",
            "flip lets go of 192.168.0.2", "flip1 holds 192.168.0.2", "FAILURE",
            "flip1 killed at 20.00 s", "DATA POINT", "192.168.0.2 ", "192.168.0.1 ",
        ]  # fmt: skip
        found = iter(lines)
        for words in story:
            assert_that(any(words in line for line in found), equal_to(True), words)

    def test_json(self) -> None:
        """Everything is in the JSON, the story too."""
        value = self.json("--kill", "flip1@20")
        (failure,) = value["failures"]
        assert_that(failure, has_entries(node="flip1", how="killed", at=20.0, lasted=None))
        assert_that(failure["down_everywhere"], less_than(2.6))
        two = next(point for point in value["data"] if point["datum"] == "192.168.0.2")
        assert_that(two, has_entries(system="ip", moves=1, unnecessary=0, owners=["flip1", "flip"]))
        assert_that(two["gaps"][0][0], equal_to(20.0))
        assert_that(value["traffic"]["flip2"]["packets"], greater_than(1))
        assert_that(value["timeline"], has_item(has_entries(begin=20.0, text="FAULT kill flip1")))
        assert_that(value, has_entries(violation=None, seed=1, duration=60.0))

    def test_seed(self) -> None:
        """The same seed gives the same output, another seed another."""

        def printed(*options: str) -> str:
            self.out.truncate(0)
            self.out.seek(0)
            self.simulate("--json", "--kill", "flip1@20", *options)
            return self.out.getvalue()

        first = printed()
        assert_that(printed("--seed", "1"), equal_to(first))
        assert_that(printed("--seed", "2"), is_not(equal_to(first)))

    def test_duration(self) -> None:
        """It goes on until 30 s after the last fault, at least a minute, or as told."""
        for options, seconds in (
            ((), 60), (("--kill", "flip1@50"), 80), (("--freeze", "flip@10-55"), 85),
            (("--duration", "12.5"), 12.5),
        ):  # fmt: skip
            self.out.truncate(0)
            self.out.seek(0)
            assert_that(self.json(*options)["duration"], equal_to(seconds))

    def test_ownerless(self) -> None:
        """A data point that ends without a live owner has an exit code of its own."""
        lines = self.lines("--kill", "flip1@20", "--kill", "flip@20", code=simulate.OWNERLESS)
        assert_that(lines[-1], equal_to("2 data points end without a live owner."))

    def test_violation(self) -> None:
        """So has a broken safety rule, which is shown with all that led to it."""

        def broken(schedule: Schedule, hook_time: object = None) -> Rehearsal:
            recording, answers = rehearse(schedule)
            answers.violation = "seed 1, 5.000 s: Minority: flip took\nlast:\n  flip: alive"
            return Rehearsal(recording, answers)

        self.patch(sys.modules["flip.cli.simulation_input"], "rehearse", broken)
        lines = self.lines(code=simulate.VIOLATED)
        assert_that(
            lines,
            has_items(
                "A safety rule was broken, and that ended the run:",
                "  seed 1, 5.000 s: Minority: flip took",
            ),
        )

    def test_every_fault(self) -> None:
        """Every kind is an option, which takes the example of its help."""
        self.description = self.addresses()
        addresses = self.write()
        for kind, cls in KINDS.items():
            if "guard" not in kind and cls.can_happen:
                self.out.truncate(0)
                config = addresses if kind in OF_ADDRESSES else FILE
                options = f"--{kind}", cls.example, "--duration", "130"
                code = self.simulate(*options, config=config)
                assert_that((kind, code in (0, simulate.OWNERLESS)), equal_to((kind, True)))

    def test_addresses(self) -> None:
        """Links, leases and health checks are in the story; who is fit has the data."""
        self.description = self.addresses()
        options = "--kill", "flip1@10-30", "--link", "flip@50-60", "--fail-check", "flip@70-80"
        assert_that(self.simulate(*options, config=self.write()), equal_to(0))
        found = iter(self.out.getvalue().splitlines())
        story = [
            "FAULT kill flip1", "flip1 lets 192.168.0.2 lapse in the kernel", "flip holds",
            "FAULT link flip", "flip loses the link of eth0", "flip is not fit: ip",
            "flip1 holds 192.168.0.1", "END OF link", "flip has the link of eth0 again",
            "flip can serve ip again", "flip holds 192.168.0.1",
            "FAULT fail-check flip", "flip is not fit: ip", "flip1 holds 192.168.0.1",
            "END OF fail-check", "flip can serve ip again",
        ]  # fmt: skip
        for words in story:
            assert_that(any(words in line for line in found), equal_to(True), words)
        assert_that(self.out.getvalue(), contains_string(": 6 moves, 0 unnecessary"))

    def addresses(self) -> dict[str, Any]:
        """The example with addresses that flip sets itself, a health check and a witness."""
        description: dict[str, Any] = json.loads(Path(FILE).read_text())
        ip = description["cluster"]["system"]["ip"]
        del ip["alive"], ip["down"]
        ip |= {
            "provider": "address",
            "config": {"interface": "eth0", "kernel_lease": 3000, "wait_for_lease": True},
            "check": {"run": "/no/such/program", "interval": 500, "timeout": 200},
        }
        return description | {"witness": {"ping": ["192.0.2.1"]}}

    def test_exclusive(self) -> None:
        """An exclusive system has no two owners in a partition, and pays with a longer gap."""
        self.description = json.loads(Path(FILE).read_text())
        self.description["cluster"]["system"]["ip"]["exclusive"] = True
        options = "--cut", "flip,flip2/flip1@30-45", "--json"
        assert_that(self.simulate(*options, config=self.write()), equal_to(0))
        two = json.loads(self.out.getvalue())["data"][0]
        assert_that(two, has_entries(together=[], apart=[], leftover=[], moves=2))
        begin, end = two["gaps"][0]
        assert_that(begin, equal_to(30.0))
        assert_that(end - begin, greater_than(2.5))

    def test_hook_time(self) -> None:
        """Hooks take as long as told."""
        placed = self.json("--hook-time", "3000ms", "--duration", "20")["data"][0]["placed"]
        assert_that(placed, greater_than(6.0))

    def test_leaves_nothing(self) -> None:
        """No file appears anywhere in the state directory of the user."""
        home = Path(self.mktemp())
        home.mkdir()
        self.patch(os, "environ", {**os.environ, "HOME": str(home)})
        self.lines()
        assert_that(list(home.rglob("*")), equal_to([]))


class PictureTests(SimulateCase):
    """--picture."""

    def test_svg(self) -> None:
        """The run as SVG."""
        path = Path(self.mktemp() + ".svg")
        self.lines("--kill", "flip1@20", "--picture", str(path))
        assert_that(ET.parse(path).getroot().tag, contains_string("svg"))
        assert_that(self.err.getvalue(), equal_to(f"Drawn: {path}\n"))

    def test_html(self) -> None:
        """The run as a page, with the story below the picture."""
        path = Path(self.mktemp() + ".html")
        self.lines("--kill", "flip1@20", "--picture", str(path))
        wanted = map(contains_string, ("<!DOCTYPE html>", "<svg", "FAULT kill flip1"))
        assert_that(path.read_text(), all_of(*wanted))


class RepeatTests(SimulateCase):
    """--repeat."""

    def test_table(self) -> None:
        """Median, p95 and maximum for every question."""
        lines = self.lines("--kill", "flip1@20", "--repeat", "3", "--workers", "1")
        wanted = "flip1 killed at 20.0 s", "ip 192.168.0.2", "IN A RUN", "moves", "bytes a node"
        for words in wanted:
            assert_that(lines, has_item(starts_with(words)))
        assert_that(lines[-1], equal_to("3 runs of 60 s, seeds 1 to 3."))

    def test_json(self) -> None:
        """Spreads and every single run, the same with any number of workers."""
        options = "--kill", "flip1@20", "--repeat", "3", "--seed", "5", "--workers"
        alone = self.json(*options, "1")
        self.out.truncate(0)
        self.out.seek(0)
        assert_that(self.json(*options, "2"), equal_to(alone))
        assert_that([run["seed"] for run in alone["each"]], equal_to([5, 6, 7]))
        down = alone["failures"]["flip1 killed at 20.0 s"]["down_everywhere"]
        assert_that(down, has_entries(count=3, runs=3))

    def test_worst(self) -> None:
        """The picture is that of the run with the longest gap."""
        path = Path(self.mktemp() + ".svg")
        options = "--kill", "flip1@20", "--repeat", "4", "--workers", "1"
        runs = self.json(*options, "--picture", str(path))["each"]
        worst = max(
            runs,
            key=lambda run: max(
                (end - begin for point in run["data"] for begin, end in point["gaps"])
            ),
        )
        assert_that(path.read_text(), contains_string(f"seed {worst['seed']};"))

    def test_interrupted(self) -> None:
        """Ctrl-C prints what is there so far, and ends as interrupted commands do."""
        calls: list[int] = []

        def impatient(schedule: Schedule, hook_time: object = None) -> Rehearsal:
            calls.append(schedule.seed)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return rehearse(schedule)

        self.patch(sys.modules["flip.cli.simulation_input"], "rehearse", impatient)
        lines = self.lines("--repeat", "100", "--workers", "1", code=simulate.INTERRUPTED)
        assert_that(lines[-1], equal_to("2 runs of 60 s, seeds 1 to 2."))


class ScheduleTests(SimulateCase):
    """--schedule."""

    def write_schedule(self, *faults: str) -> str:
        path = Path(self.mktemp())
        Schedule({"id": "flip", **STORY}, 4, 20, faults).save(path)
        return str(path)

    def test_replayed(self) -> None:
        """A saved schedule is played with its own seed and faults."""
        path = self.write_schedule("kill flip1@10")
        assert_that(self.flip("simulate", "--schedule", path, "--json"), equal_to(0))
        value = json.loads(self.out.getvalue())
        assert_that(value["seed"], equal_to(4))
        assert_that(value["failures"], has_item(has_entries(node="flip1", at=10.0)))

    def test_alone(self) -> None:
        """It says the rest by itself."""
        path = self.write_schedule()
        assert_that(self.simulate("--schedule", path), equal_to(2))
        assert_that(self.err.getvalue(), contains_string("-c with --schedule"))

    def test_unreadable(self) -> None:
        """A file that is no schedule is refused."""
        assert_that(self.flip("simulate", "--schedule", FILE), equal_to(2))
        assert_that(self.err.getvalue(), contains_string(FILE))


class MistakeTests(SimulateCase):
    """What cannot be used is refused with exit code 2, before anything runs."""

    def assert_refused(self, *options: str, says: str) -> None:
        self.err.truncate(0)
        self.err.seek(0)
        assert_that((options, self.simulate(*options)), equal_to((options, 2)))
        assert_that(self.err.getvalue(), contains_string(says))
        assert_that(self.out.getvalue(), equal_to(""))

    def test_faults(self) -> None:
        """Faults that cannot be read, or that cannot befall this cluster."""
        self.assert_refused("--kill", "flip1", says='"kill flip1": it says no time')
        self.assert_refused("--kill", "flp1@5", says='no server "flp1"; did you mean "flip1"?')
        self.assert_refused("--cut", "flip/flip1@9-5", says="does not come after its begin")
        self.assert_refused("--loss", "20@5", says='"20" is no percentage')
        self.assert_refused(
            "--kill", "flip@90", "--duration", "60", says="90 s comes after the end"
        )
        self.assert_refused("--kill-guard", "flip@5", says="lists no exclusive system")

    def test_all_at_once(self) -> None:
        """Every mistake is named."""
        self.assert_refused("--kill", "a", "--freeze", "b", says='"kill a"')
        assert_that(self.err.getvalue(), contains_string('"freeze b"'))

    def test_options(self) -> None:
        """Numbers that make no sense."""
        self.assert_refused("--nodes", "2", says="expected from 3, the servers of the conf")
        self.assert_refused("--nodes", "9999", says="--nodes 9999")
        self.assert_refused("--repeat", "0", says="--repeat 0: expected a number from 1")
        self.assert_refused("--workers", "0", says="--workers 0")
        self.assert_refused("--seed", "-1", says="--seed -1: expected a number from 0")
        self.assert_refused("--duration", "0", says="--duration 0: expected more than 0")
        self.assert_refused("--duration", "nan", says="--duration nan")
        self.assert_refused("--hook-time", "5", says="--hook-time: ")
        self.assert_refused("--picture", "run.png", says="ends with .svg or .html")
        self.assert_refused("--picture", "/nowhere/at/all.svg", says="cannot be written")

    def test_no_cluster(self) -> None:
        """Without a configuration there is nothing to simulate."""
        assert_that(self.flip("simulate", "--kill", "a@5"), equal_to(2))
        assert_that(self.err.getvalue(), contains_string("-c FILE"))

    def test_configuration(self) -> None:
        """A bad configuration gets the report of every command; its own id does not matter."""
        self.description["quorum"] = 99
        self.description["id"] = "nobody"
        assert_that(self.simulate(config=self.write()), equal_to(2))
        assert_that(self.err.getvalue(), contains_string("quorum: expected at most"))
        assert_that(self.err.getvalue(), is_not(contains_string("nobody")))
        self.assert_refused("--kill", "x@1", says="x")

    def test_missing(self) -> None:
        """So does a file that is not there."""
        assert_that(self.simulate(config="nowhere.json"), equal_to(2))
        assert_that(self.err.getvalue(), contains_string("nowhere.json"))


class ScaleTests(SimulateCase):
    """--nodes."""

    def test_grown(self) -> None:
        """Generated servers take part, and may be named by faults."""
        value = self.json("--nodes", "6", "--kill", "n5@20", "--duration", "30")
        assert_that(set(value["traffic"]), has_items("flip", "n4", "n6"))
        (failure,) = value["failures"]
        assert_that(failure, has_entries(node="n5", how="killed"))

    def test_unknown(self) -> None:
        """Only those that there are."""
        assert_that(self.simulate("--nodes", "6", "--kill", "n7@20"), equal_to(2))
        assert_that(self.err.getvalue(), contains_string('no server "n7"'))
