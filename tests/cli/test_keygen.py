"""Tests for `flip.cli.keygen`."""

from __future__ import annotations

import base64

from hamcrest import assert_that, empty, equal_to

from flip.config import load
from flip.wire.seal import stretch
from tests.cli.case import CommandCase


class KeygenTests(CommandCase):
    """The command makes keys."""

    def key(self) -> str:
        self.out.truncate(0)
        self.out.seek(0)
        assert_that(self.flip("keygen"), equal_to(0))
        return self.out.getvalue().removesuffix("\n")

    def test_random(self) -> None:
        """32 bytes, never the same, which are used as they are."""
        keys = {self.key() for _ in range(20)}
        assert_that(len(keys), equal_to(20))
        for key in keys:
            assert_that(stretch(key), equal_to(base64.b64decode(key)))
            assert_that(len(stretch(key)), equal_to(32))

    def test_good(self) -> None:
        """It is a key that the configuration does not warn of."""
        self.description["key"] = self.key()
        assert_that(load(self.write(), environ={"HOME": "/home/op"}).warnings, empty())
