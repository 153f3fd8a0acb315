"""Tests for docs/protocol.md: what it shows as examples is what flip does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from hamcrest import assert_that, contains_string, equal_to
from twisted.trial.unittest import SynchronousTestCase

import flip
from flip.membership import datagram, dissemination, exchange, frames, member, push, sync
from flip.wire import claims, messages, replay, seal

PAGE = Path(flip.__file__).parent.parent / "docs" / "protocol.md"


class ProtocolPageTests(SynchronousTestCase):
    """The page and the code."""

    def setUp(self) -> None:
        if not PAGE.exists():
            self.skipTest("flip is installed without its docs/")
        self.page = PAGE.read_text()

    def example(self, name: str) -> bytes:
        """The hexadecimal digits behind a name, over as many lines as they take."""
        found = re.search(rf"^    {name} +((?:[0-9a-f]+\s+)+)", self.page, re.MULTILINE)
        assert found is not None, f"the page shows no {name}"
        return bytes.fromhex("".join(found[1].split()))

    def test_seal(self) -> None:
        """The key, and the datagram of its member."""
        key = seal.stretch("secret")
        assert_that(self.example("key"), equal_to(key))
        message = messages.Ping(1_700_000_000_000, 5, 9)
        payload = messages.encode(message)
        assert_that(self.page, contains_string(f"`{payload.hex()}`"))
        sealed = seal.Seal((key,), "flip", 7, ("flip",)).seal(payload, seal.Channel.UDP)
        assert_that(self.example("datagram"), equal_to(sealed))

    def test_outsiders(self) -> None:
        """The voters that are no members."""
        for voter in member.OUTSIDERS:
            assert_that(self.page, contains_string(f"`{voter}`"))

    def test_claims(self) -> None:
        """The claims of a data point, and their names."""
        data = {"ip": ("192.168.0.2", "192.168.0.1")}
        body = claims.encode_claims({"ip": {"192.168.0.1": claims.Phase.HELD}}, data)
        assert_that(self.example("list"), equal_to(claims.data_digest(data["ip"])))
        assert_that(self.example("claims"), equal_to(body))
        assert_that(self.example("hash"), equal_to(claims.claims_hash(body)))

    def test_fields(self) -> None:
        """Every message, with its tag and its fields in their order."""
        for kind in (
            messages.Ping,
            messages.Ack,
            messages.PingReq,
            messages.Nack,
            messages.Gossip,
            messages.SyncRequest,
            messages.SyncResponse,
            messages.GrantRequest,
            messages.GrantAnswer,
            messages.GrantRelease,
            messages.GrantQuery,
        ):
            row = re.search(rf"^\| (\d+) \| {kind.__name__}\b[^|]*\| (.*) \|$", self.page, re.M)
            assert row is not None, f"the page does not list {kind.__name__}"
            assert_that(int(row[1]), equal_to(kind.__struct_config__.tag))
            fields = [field.split(" ")[0] for field in row[2].split(", ")]
            assert_that(fields, equal_to(list(kind.__struct_fields__)))
        for part in (messages.Update, messages.Record):
            table = self.page.split(f"\n### {part.__name__}:")[1].split("\n#")[0]
            fields = re.findall(r"^\| (\w+) \| (?!type)", table, re.MULTILINE)
            assert_that(fields, equal_to([field.name for field in msgspec.structs.fields(part)]))

    def test_numbers(self) -> None:
        """The limits that the page names are those of the code."""
        for words in (
            f"sliding window of {replay.WIDTH} per",
            f"{dissemination.RETRANSMISSIONS} x ceil(log2(members + 1)) packets",
            f"at most {exchange.ERRANDS} such",
            f"at most {frames.CHUNK:,} bytes",
            f"at most {frames.LARGEST >> 20} MiB",
            f"accepts {sync.CONNECTIONS} connections",
            f"up to {push.SMALL} others, beyond that to {push.FANOUT} at random",
            f"protocol version {seal.PROTOCOL_VERSION}.",
        ):
            assert_that(self.page, contains_string(words))
        assert_that(
            [seal.LIVES, datagram.COMPLAINT_PAUSE, datagram.SHOW_PAUSE, frames.TIME_LIMIT],
            equal_to([4, 10, 1, 10]),  # in words
        )
