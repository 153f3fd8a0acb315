"""Tests for `flip.config.fit`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hamcrest import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import flip
from flip.config.fit import CHECKS, fits
from flip.config.settings import schema
from flip.config.shape import validator
from tests.config.case import GOOD
from tests.config.strategies import anything, good, nearly_good
from tests.matchers import is_in

ROOT = Path(flip.__file__).parent.parent
VALIDATOR = validator()


def keywords(schema: Any) -> Iterator[str]:
    """All that a schema asks for, at any depth."""
    for keyword, asked in schema.items():
        yield keyword
        inner = asked if isinstance(asked, list) else [asked]
        if keyword == "properties":
            inner = [*asked.values()]
        for part in inner:
            if isinstance(part, dict):
                yield from keywords(part)


class FitTests(SynchronousTestCase):
    """It says yes exactly where jsonschema has nothing to say."""

    def agree(self, value: Any) -> None:
        assert_that(fits(value, schema()), equal_to(VALIDATOR.is_valid(value)))

    def test_good(self) -> None:
        """A good file fits."""
        assert_that(fits(GOOD, schema()), equal_to(True))

    def test_keywords(self) -> None:
        """It knows every keyword that the schema has."""
        for keyword in set(keywords(schema())):
            assert_that(keyword, is_in(CHECKS))

    @settings(deadline=None, max_examples=150)
    @given(nearly_good() | good() | anything)
    def test_files(self, value: Any) -> None:
        """Of whole files."""
        self.agree(value)

    @settings(deadline=None, max_examples=20)
    @given(
        st.sampled_from([*schema()["properties"]]),
        st.lists(anything | st.integers() | st.text(max_size=3), min_size=10, max_size=10),
    )
    def test_settings(self, setting: str, values: list[Any]) -> None:
        """Of anything in any place."""
        for value in values:
            self.agree(GOOD | {setting: value})

    def test_edges(self) -> None:
        """At both ends of every range."""
        ranges: dict[str, tuple[object, ...]] = {
            "quorum": (0, 1, 65535, 65536, 1.5, 2.0, True, float("inf"), float("nan")),
            "gossip_interval": (9.99, 10, 86400000, 86400000.1, 10**400, None),
            "max_packet": (511, 512, 8192, 8193),
            "key": ("", "a", [], ["a"], ["a", "a"], ["a", "b"], ["a", ""], [1, 1], 5, {}),
            "id": ("", "a", "a" * 64, "a" * 65, " a", "a\n", ".", "..", "a/b"),
            "bind": ("::1", "fe80::1%a", "1.2.3", 5),
            "log_level": ("info", "INFO", None, []),
            "state_dir": ("", "a", "a\0", "a\n"),
            "servers": ({}, [], {"": {}}, {"a": {}}),
        }
        for setting, edges in ranges.items():
            for value in edges:
                self.agree(GOOD | {setting: value})

    def test_light(self) -> None:
        """A daemon with a good file never loads jsonschema."""
        path = Path(self.mktemp()).absolute()
        path.write_text(json.dumps(GOOD))
        code = (
            "import sys; from flip.config import load; load(sys.argv[1], environ={})\n"
            "sys.exit('jsonschema' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], env={"PYTHONPATH": str(ROOT)}, check=False
        )
        assert_that(done.returncode, equal_to(0))
