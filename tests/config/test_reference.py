"""Tests for `flip.config.reference`."""

from __future__ import annotations

import json
from pathlib import Path

from hamcrest import assert_that, contains_string, empty, equal_to
from twisted.trial.unittest import SynchronousTestCase

import flip
from flip.config import load
from flip.config.doubts import DOUBTS
from flip.config.reference import EXAMPLE, RULES, reference
from flip.config.settings import SERVER, TOP
from flip.config.system_settings import SYSTEM
from tests.matchers import only_contains

PAGE = Path(flip.__file__).parent.parent / "docs" / "configuration.md"


class ReferenceTests(SynchronousTestCase):
    """docs/configuration.md is made from the declarations."""

    def test_up_to_date(self) -> None:
        """Cure: python -m flip.config.reference > docs/configuration.md"""
        assert_that(PAGE.read_text(), equal_to(reference()))

    def test_complete(self) -> None:
        """Every setting has its line."""
        for setting in (*TOP, *SERVER, *SYSTEM):
            assert_that(reference(), contains_string(f"\n| `{setting.name}` | "))

    def test_tables(self) -> None:
        """No text breaks its table."""
        rows = [line for line in reference().splitlines() if line.startswith("|")]
        assert_that({row.count("|") for row in rows}, only_contains(5))

    def test_warnings(self) -> None:
        """There is one line per kind of warning."""
        assert_that(RULES.count("\n- "), equal_to(len(DOUBTS)))

    def test_example(self) -> None:
        """The example is a good configuration."""
        description = json.loads(EXAMPLE.split("```json\n")[1].split("```")[0])
        path = Path(self.mktemp())
        path.write_text(json.dumps(description))
        path.chmod(0o600)
        config = load(path, id="a", environ={"HOME": "/home/op"})
        doubts = {warning.place for warning in config.warnings}
        assert_that(doubts - {"cluster.system.ip.config.interface"}, empty())
