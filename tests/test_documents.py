"""Tests for README.md, CONTRIBUTING.md and docs/: links lead somewhere, and examples are true."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from hamcrest import assert_that, contains_string, empty, equal_to, greater_than, has_item
from twisted.trial.unittest import SynchronousTestCase

import flip.cli
from flip.config.settings import SERVER, TOP
from flip.config.system_settings import SYSTEM
from flip.simulation.faults import KINDS, read

ROOT = Path(__file__).parent.parent
STORY = ROOT / "etc" / "flip.json"
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$|^    .*?$", re.M | re.S)


def documents() -> Iterator[Path]:
    """Every document for people."""
    yield from sorted(ROOT.glob("*.md"))
    yield from sorted((ROOT / "docs").glob("*.md"))


def anchors(document: Path) -> set[str]:
    """What a link into a document may name: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def printed(*argv: str) -> str:
    """What a command prints on a wide, plain terminal."""
    output = io.StringIO()
    with mock.patch.dict(os.environ, {"COLUMNS": "120"}), contextlib.redirect_stdout(output):
        flip.cli.main(argv)
    return output.getvalue()


class LinkTests(SynchronousTestCase):
    """Links between documents, and to files."""

    def test_links(self) -> None:
        """Every relative link leads to a file and to a heading in it."""
        broken, count = [], 0
        for document in documents():
            for link in LINK.findall(FENCE.sub("", document.read_text())):
                if re.match(r"[a-z]+:", link):
                    continue
                count += 1
                name, _, anchor = link.partition("#")
                target = (document.parent / name).resolve() if name else document
                if not target.exists() or (anchor and anchor not in anchors(target)):
                    broken.append(f"{document.relative_to(ROOT)}: {link}")
        assert_that(broken, empty())
        assert_that(count, greater_than(30))

    def test_read_me_leads_everywhere(self) -> None:
        """The README links to every page of docs/."""
        links = LINK.findall((ROOT / "README.md").read_text())
        for document in (ROOT / "docs").glob("*.md"):
            assert_that(links, has_item(f"docs/{document.name}"))


class CodeTests(SynchronousTestCase):
    """What documents say of the code."""

    def test_modules(self) -> None:
        """Every module that a document names is there."""
        known = {
            path.relative_to(ROOT).as_posix()
            for folder in ("flip", "tests", "benchmarks")
            for path in (ROOT / folder).rglob("*.py")
        }
        missing, count = [], 0
        for document in documents():
            for name in re.findall(r"`([a-z_/]+\.py)`", document.read_text()):
                count += 1
                if not any(path == name or path.endswith(f"/{name}") for path in known):
                    missing.append(f"{document.relative_to(ROOT)}: {name}")
        assert_that(missing, empty())
        assert_that(count, greater_than(40))

    def test_rules(self) -> None:
        """The design names every rule and schedule that code and tests refer to."""
        design = (ROOT / "docs" / "design.md").read_text()
        named = set(re.findall(r"\b[RDMSK]\d+\b", design))
        used = {
            rule
            for folder in ("flip", "tests", "benchmarks")
            for path in (ROOT / folder).rglob("*.py")
            for rule in re.findall(r"\(([RDMSK]\d+)\)", path.read_text())
        }
        assert_that(used - named, empty())
        assert_that(len(used), greater_than(10))


class SimulatingTests(SynchronousTestCase):
    """docs/simulating.md."""

    def setUp(self) -> None:
        self.page = (ROOT / "docs" / "simulating.md").read_text()

    def test_faults(self) -> None:
        """It explains every kind of fault."""
        _, _, table = self.page.partition("\n## Faults")
        table, _, _ = table.partition("\n## ")
        named = set(re.findall(r"`--([a-z-]+)", table))
        assert_that(named, equal_to({kind for kind, cls in KINDS.items() if cls.can_happen}))

    def test_faults_of_questions(self) -> None:
        """What it suggests can be read."""
        _, _, table = self.page.partition("\n## Questions")
        table, _, _ = table.partition("\n## ")
        found = re.findall(r"--([a-z-]+) ([^ `]+@[^ `]+|[\d-]+)", table)
        texts = [f"{kind} {rest}" for kind, rest in found if kind in KINDS]
        assert_that([str(read(text)) for text in texts], equal_to(texts))
        assert_that(len(texts), greater_than(15))


class ReadMeTests(SynchronousTestCase):
    """What the README shows is what flip does."""

    def setUp(self) -> None:
        self.page = (ROOT / "README.md").read_text()

    def test_configuration(self) -> None:
        """The story's file is shown as it is."""
        (shown,) = re.findall(r"^```json\n(.*?)^```$", self.page, re.M | re.S)
        assert_that(shown, equal_to(STORY.read_text()))

    def test_plan(self) -> None:
        """``flip plan`` prints what is shown."""
        lines = printed("plan", "-c", str(STORY), "--down", "flip1").splitlines()
        shown = "\n".join(f"    {line}" for line in lines)
        assert_that(self.page, contains_string(f"--down flip1\n{shown}\n"))

    def test_simulate(self) -> None:
        """``flip simulate`` tells what is shown, in this order; its times may differ a little."""
        command = "flip simulate -c etc/flip.json --kill flip1@20 --restart flip1@40"
        _, _, example = self.page.partition(f"    $ {command}\n    ...\n")
        shown = [line.split(" s  ")[1] for line in example.partition("\n    ...")[0].splitlines()]
        assert_that(len(shown), greater_than(5))
        options = command.replace("etc/flip.json", str(STORY)).split()[1:]
        told = [line.partition(" s  ")[2] for line in printed(*options).splitlines()]
        order = iter(told)
        assert_that([line for line in shown if line not in order], empty())

    def test_table(self) -> None:
        """The rows of the story are the plans of their members."""
        rows = [line.split("|")[2:4] for line in self.page.splitlines() if "(arbiter) |" in line]
        found = [[re.findall(r"[\d.]{7,}", cell) for cell in row] for row in rows]
        plans = [
            json.loads(printed("plan", "-c", str(STORY), "--json", *down))["ip"]
            for down in ([], ["--down", "flip1"], [], [])
        ]
        assert_that(found, equal_to([[plan["flip"], plan["flip1"]] for plan in plans]))

    def test_defaults(self) -> None:
        """The table of options names settings that exist, with their defaults."""
        settings = {setting.name: setting.default for setting in (*TOP, *SERVER, *SYSTEM)}
        compared = 0
        for names, defaults in re.findall(r"^\| (`[^|]+`) \| ([^|]*) \|", self.page, re.M):
            found = [name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", names)]
            if not set(found) <= settings.keys():
                continue  # a table of commands
            values = [value.strip("` ") for value in defaults.split(",")]
            for name, value in zip(found, values, strict=False):
                if isinstance(settings[name], (int, str)):
                    compared += 1
                    default = json.dumps(settings[name]).strip('"')
                    assert_that(value, equal_to(default), name)
        assert_that(compared, greater_than(7))
