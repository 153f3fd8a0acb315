"""What `ip_up` and `ip_down` accept."""

from __future__ import annotations

import json

from hamcrest import assert_that, contains_string, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.hooks.failure import REFUSED, Failure
from flip.hooks.request import read_address, read_interface, read_request


class RequestTests(SynchronousTestCase):
    """A datum and a config become an address and an interface."""

    def refusal(self, *arguments: str) -> str:
        failure = self.assertRaises(Failure, read_request, list(arguments))
        assert_that(failure.status, equal_to(REFUSED))
        return str(failure)

    def test_addresses(self) -> None:
        """No prefix length means the address alone; netmasks are understood."""
        for datum, expected in (
            ("192.0.2.1", "192.0.2.1/32"),
            ("192.0.2.1/24", "192.0.2.1/24"),
            ("192.0.2.1/255.255.255.0", "192.0.2.1/24"),
            ("2001:DB8:0:0::1", "2001:db8::1/128"),
            ("2001:db8::1/64", "2001:db8::1/64"),
        ):
            assert_that(str(read_address(datum)), equal_to(expected))

    def test_no_addresses(self) -> None:
        """Everything else is named and refused."""
        for datum in (
            *("", "x", "192.0.2", "192.0.2.1/33", "192.0.2.01", " 192.0.2.1", "192.0.2.1\n"),
            *("-x", "--help", "192.0.2.1;reboot", "224.0.0.1", "0.0.0.0", "::", "ff02::1"),
            *("fe80::1%eth0", "2001:db8::1/129", "1", "192.0.2.1/24/24"),
        ):
            assert_that(self.refusal(datum, "{}"), contains_string(repr(datum)))

    def test_interface(self) -> None:
        """The config may hold other keys too."""
        config = json.dumps({"interface": "eth0.100", "other": 1})
        assert_that(read_interface(config), equal_to("eth0.100"))

    def test_no_interface(self) -> None:
        """The message says where to set it."""
        for config in ("{}", '{"interface": null}', "[]", "1", "null", '"eth0"'):
            assert_that(self.refusal("192.0.2.1", config), contains_string("cluster.config"))

    def test_wrong_interface(self) -> None:
        """Nothing that is no name of an interface becomes an argument of a command."""
        names: tuple[object, ...] = ("", "-x", "a b", "a/b", "../x", "a\n", 1, ["eth0"], True, {})
        for name in names:
            message = self.refusal("192.0.2.1", json.dumps({"interface": name}))
            assert_that(message, contains_string(repr(name)))

    def test_broken_config(self) -> None:
        """Broken JSON is an error with its place."""
        assert_that(self.refusal("192.0.2.1", "{"), contains_string("line 1 column 2"))

    def test_arguments(self) -> None:
        """Both arguments are needed."""
        for arguments in ((), ("192.0.2.1",), ("192.0.2.1", "{}", "x")):
            assert_that(self.refusal(*arguments), contains_string("expected an address and a"))

    @given(st.text(), st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
    @settings(deadline=None)
    def test_nonsense(self, datum: str, config: str) -> None:
        """Whatever the arguments are, the result is a request or a `Failure`."""
        try:
            read_request([datum, config])
        except Failure as failure:
            assert_that(failure.status, equal_to(REFUSED))
