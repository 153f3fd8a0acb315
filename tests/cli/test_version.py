"""Tests for `flip.cli.version`."""

from __future__ import annotations

import json

from hamcrest import assert_that, contains_string, equal_to, has_entries, has_key, starts_with

import flip
from tests.cli.case import CommandCase


class VersionTests(CommandCase):
    """The command tells what a bug report needs."""

    def test_text(self) -> None:
        """One line: flip, its protocol, Python and the libraries."""
        assert_that(self.flip("version"), equal_to(0))
        text = self.out.getvalue()
        assert_that(text, starts_with(f"flip {flip.__version__} (protocol 1, Python 3."))
        assert_that(text, contains_string("Twisted "))
        assert_that(text.count("\n"), equal_to(1))

    def test_json(self) -> None:
        """The same for scripts."""
        assert_that(self.flip("version", "--json"), equal_to(0))
        answer = json.loads(self.out.getvalue())
        assert_that(answer, has_entries(flip=flip.__version__, protocol=1))
        for library in ("Python", "Twisted", "cryptography", "msgspec", "jsonschema"):
            assert_that(answer, has_key(library))
