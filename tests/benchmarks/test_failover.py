"""Tests for the pure parts of the lab: what is counted, what is asked, what is configured."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Any

from hamcrest import assert_that, close_to, contains_string, empty, equal_to, has_length, less_than
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.failover.contest import PROGRAMS
from benchmarks.failover.faults import FAULTS
from benchmarks.failover.flips import Flip
from benchmarks.failover.goals import verdicts
from benchmarks.failover.grid import Results, overflowed, shallow, trials
from benchmarks.failover.leak import steady
from benchmarks.failover.measures import (
    Costs,
    Event,
    Holders,
    Outcome,
    Spread,
    Window,
    gap,
    measure,
    owned,
    stood_still,
    within,
)
from benchmarks.failover.network import Network, addresses
from benchmarks.failover.prober import PERIOD, Record, Schedule, silences
from benchmarks.failover.programs import homes, missing
from benchmarks.failover.responder import GONE, NEW, changes
from benchmarks.failover.scenes import page, stamped
from benchmarks.failover.serf import Serf
from benchmarks.failover.table import lines, seconds
from benchmarks.failover.trial import Trial, probing
from benchmarks.failover.unfit import story
from benchmarks.failover.vrrp import FastKeepalived, Keepalived
from tests.network.namespaces import Lan

ONE, TWO, THREE = addresses(3)
WINDOW = Window(10.0, 14.0, 20.0)


def outcome(**fields: Any) -> Outcome:
    """One in which nothing has happened, but for these."""
    nothing = Spread(0.0, 0.0)
    plain: dict[str, Any] = {
        "gap": nothing, "gap_after": nothing, "others": 0.0, "two": nothing, "none": nothing,
        "two_at_end": 0, "dark_at_end": 0, "moves": 0, "needless": 0, "measured": 10.0,
    }  # fmt: skip
    return Outcome(**{**plain, **fields})


class OwnedTests(SynchronousTestCase):
    """Who had one address, and when."""

    def test_handoff(self) -> None:
        """Between the old owner and the new one nobody has it."""
        events = [Event(11.0, 0, ONE, False), Event(11.5, 1, ONE, True)]
        assert_that(owned(events, {0}, 10.0, 20.0), equal_to((0.0, 0.5, 1)))

    def test_two(self) -> None:
        """Two have it from when the second gets it until the first loses it."""
        events = [Event(11.0, 1, ONE, True), Event(13.0, 0, ONE, False)]
        assert_that(owned(events, {0}, 10.0, 20.0), equal_to((2.0, 0.0, 1)))

    def test_for_ever(self) -> None:
        """Two that still have it are two until the end."""
        assert_that(owned([Event(11.0, 1, ONE, True)], {0}, 10.0, 20.0), equal_to((9.0, 0.0, 2)))


class GapTests(SynchronousTestCase):
    """What the client did not hear."""

    def test_longest(self) -> None:
        """The longest silence counts, not their sum."""
        assert_that(gap([(11.0, 12.0), (13.0, 13.5)], 10.0, 20.0), close_to(1.0, 1e-9))

    def test_edges(self) -> None:
        """Of a silence that began before or never ended, what lies within counts."""
        assert_that(gap([(8.0, 10.5)], 10.0, 20.0), close_to(0.5, 1e-9))
        assert_that(gap([(17.0, None)], 10.0, 20.0), close_to(3.0, 1e-9))
        assert_that(gap([(7.0, 9.0)], 10.0, 20.0), equal_to(0.0))

    def test_none(self) -> None:
        """An address that always answered has no gap."""
        assert_that(gap([], 10.0, 20.0), equal_to(0.0))


class MeasureTests(SynchronousTestCase):
    """From events and silences to one outcome."""

    def test_crash(self) -> None:
        """What is taken over is called for; what moves besides is not, and both are told apart."""
        owners = {ONE: {0}, TWO: {1}, THREE: {0}}
        events = [
            Event(12.0, 1, ONE, True),
            Event(12.5, 2, THREE, True),
            Event(13.0, 1, TWO, False),
            Event(13.5, 2, TWO, True),
        ]
        silent = {ONE: [(10.0, 12.0)], TWO: [(13.0, 13.5)], THREE: [(10.0, 12.5)]}
        counted = within(events, WINDOW, {0: 10.0}, owners)
        found = measure(WINDOW, counted, silent, owners, [ONE, THREE], 2)
        assert_that(found.gap, equal_to(Spread(2.25, 2.5)))
        assert_that(found.others, close_to(0.5, 1e-9))
        assert_that(found.two, equal_to(Spread(0.0, 0.0)))
        assert_that(found.none, equal_to(Spread(2.25, 2.5)))
        assert_that((found.moves, found.needless), equal_to((3, 1)))

    def test_after(self) -> None:
        """What is dark when the fault ends counts from there."""
        silent = {ONE: [(11.0, 15.0)]}
        found = measure(WINDOW, [], silent, {ONE: {0}}, [ONE], 0)
        assert_that(found.gap.median, close_to(4.0, 1e-9))
        assert_that(found.gap_after.median, close_to(1.0, 1e-9))

    def test_host(self) -> None:
        """Silence of what nobody has moved is the host's own; of what has been moved it is not."""
        assert_that(stood_still(outcome(others=1.5)), equal_to(1.5))
        assert_that(stood_still(outcome(others=1.5, needless=1)), equal_to(0.0))
        assert_that(stood_still(outcome(costs=Costs(blurred=0.5))), equal_to(0.5))

    def test_dead(self) -> None:
        """What the kernel of a node that is off does with its addresses is no event."""
        events = [Event(9.0, 1, ONE, True), Event(12.0, 0, ONE, False), Event(21.0, 2, ONE, True)]
        counted = within(events, WINDOW, {0: 11.0}, {ONE: {0}})
        assert_that(counted, equal_to([Event(11.0, 0, ONE, False)]))

    def test_holders(self) -> None:
        """A node that is off serves nothing, whatever it has."""
        holders = Holders()
        holders.see(Event(1.0, 0, ONE, True))
        holders.see(Event(2.0, 1, ONE, True))
        holders.dead.add(0)
        assert_that(holders.of(ONE), equal_to({1}))
        assert_that(holders.has(0, ONE), equal_to(True))


class ScheduleTests(SynchronousTestCase):
    """Which address is asked when."""

    @given(st.integers(1, 300), st.integers(1, 60), st.integers(1, 10))
    def test_turns(self, count: int, sample: int, slower: int) -> None:
        """The tick and the step that are said of a row are those at which it is asked."""
        schedule = Schedule(addresses(count), sample, slower)
        assert_that(sorted(schedule.order), equal_to(sorted(addresses(count))))
        asked: dict[int, list[int]] = {row: [] for row in range(count)}
        for tick in range(3 * slower):
            for begin, end in schedule.slices(tick):
                for row in range(begin, end):
                    asked[row].append(tick)
        for row, ticks in asked.items():
            first, step = schedule.ticks(row)
            assert_that(ticks, equal_to(list(range(first, 3 * slower, step))))

    def test_sample(self) -> None:
        """At most as many as asked for are asked at every tick."""
        (often, _) = Schedule(addresses(1000), 50, 10).slices(0)
        assert_that(often, equal_to((0, 50)))


class SilencesTests(SynchronousTestCase):
    """From answers to silences."""

    def test_one(self) -> None:
        """It lasts from the first probe without an answer to the next one with."""
        times = [float(n) for n in range(6)]
        assert_that(silences(b"\1\1\0\0\1\1", times, 0, 1), equal_to([(2.0, 4.0)]))

    def test_last(self) -> None:
        """One that has not ended has no end."""
        assert_that(silences(b"\1\0\0\0\0\0", [0.0, 1.0, 2.0], 0, 1), equal_to([(1.0, None)]))

    def test_seldom(self) -> None:
        """The ticks at which an address was not asked say nothing."""
        times = [float(n) for n in range(9)]
        answers = bytes([0, 1, 0, 0, 0, 0, 0, 1, 0])
        assert_that(silences(answers, times, 1, 3), equal_to([(4.0, 7.0)]))

    def test_late(self) -> None:
        """An answer that comes too late is none."""
        record = Record(Schedule([ONE], 1, 1), 100)
        address = socket.inet_aton(ONE)
        record.add(address, 0, 1, 2)
        record.add(address, 1, 1, 1 + round(0.1 / PERIOD))
        record.add(address, 2, 1, 3 + round(0.1 / PERIOD))
        assert_that(record.silences([0.0, 0.005, 0.01]), equal_to({ONE: [(0.01, None)]}))
        assert_that((record.silent(1), record.silent(2)), equal_to((0, 1)))


class ChangesTests(SynchronousTestCase):
    """What the kernel says of addresses."""

    def message(self, kind: int, address: str) -> bytes:
        """As the kernel makes it: a label, and the address as IFA_LOCAL."""
        attributes = struct.pack("=HH5s3x", 9, 3, b"eth0\0")
        attributes += struct.pack("=HH4s", 8, 2, socket.inet_aton(address))
        body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, 2) + attributes
        return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body

    def test_several(self) -> None:
        """Each of several messages in one datagram is told, in order."""
        data = self.message(NEW, ONE) + struct.pack("=IHHII", 16, 3, 0, 0, 0)
        data += self.message(GONE, TWO)
        assert_that(list(changes(data)), equal_to([(True, ONE), (False, TWO)]))

    def test_broken(self) -> None:
        """A message without a length is no endless loop."""
        with self.assertRaises(ValueError):
            list(changes(bytes(32)))


class ConfigurationTests(SynchronousTestCase):
    """What an operator writes."""

    def network(self) -> Network:
        """Of three nodes that do not exist."""
        return Network(Lan(4))

    @given(st.integers(1, 100), st.integers(2, 5))
    def test_homes(self, count: int, nodes: int) -> None:
        """Shares are even, and each address has every node once."""
        orders = [homes(count, nodes, number) for number in range(count)]
        owners = [order[0] for order in orders]
        shares = [owners.count(node) for node in range(nodes)]
        assert_that(max(shares) - min(shares) <= 1, equal_to(True))
        assert_that({tuple(sorted(order)) for order in orders}, equal_to({tuple(range(nodes))}))

    def test_keepalived(self) -> None:
        """An instance has an owner, and at most 20 addresses in its advertisements."""
        directory = Path(self.mktemp())
        many = Keepalived(self.network(), addresses(75), directory).configuration(0)
        assert_that(many.count("vrrp_instance"), equal_to(3))
        assert_that(many.count("state MASTER"), equal_to(1))
        assert_that(many.count("virtual_ipaddress_excluded"), equal_to(3))
        first = many.partition("virtual_ipaddress {")[2].partition("}")[0]
        assert_that(first.split(), has_length(20))
        assert_that(many.count("/32"), equal_to(75))

    def test_fast(self) -> None:
        """Ten advertisements per second need version 3."""
        text = FastKeepalived(self.network(), [ONE], Path(self.mktemp())).configuration(1)
        assert_that(text, contains_string("vrrp_version 3"))
        assert_that(text, contains_string("advert_int 0.1\n"))
        assert_that(text, contains_string("state BACKUP"))

    def test_serf(self) -> None:
        """Every address has a line, its owner first."""
        directory = Path(self.mktemp())
        directory.mkdir()
        Serf(self.network(), [ONE, TWO, THREE], directory).configure()
        plan = (directory / "plan").read_text().splitlines()
        assert_that(plan[1], equal_to(f"{TWO} node2 node3 node1"))

    def test_flip(self) -> None:
        """The README's times, and all servers."""
        found = Flip(self.network(), [ONE], Path(self.mktemp())).configuration()
        assert_that((found["gossip_interval"], found["ping_timeout"]), equal_to((1000, 1500)))
        assert_that(found["servers"], has_length(3))

    def test_missing(self) -> None:
        """What is not installed is named as apt names it."""
        directory = self.mktemp()
        self.patch_path(directory)
        assert_that(
            missing(["serf", "arping", "nft"]),
            equal_to("apt install iputils-arping nftables serf"),
        )
        assert_that(missing([]), equal_to(None))

    def patch_path(self, directory: str) -> None:
        """Let nothing be found for a test."""
        self.patch(os, "environ", {**os.environ, "PATH": directory})


class ResultsTests(SynchronousTestCase):
    """What was done is not done again."""

    def test_kept(self) -> None:
        """A later run finds what an earlier one has found."""
        path = Path(self.mktemp(), "results.jsonl")
        done, to_do = trials(["flip"], ["crash", "stop"], [50], 1)
        found = outcome(gap=Spread(1.5, 2.5), moves=17)
        Results(path).add(done, found)
        again = Results(path)
        assert_that(again.missing([done, to_do]), equal_to([to_do]))
        assert_that(list(again.of([done, to_do])), equal_to([(done, found)]))


class HostTests(SynchronousTestCase):
    """Whether the host can carry the labs."""

    def test_overflowed(self) -> None:
        """The second column counts what was thrown away, in hexadecimal, per processor."""
        text = "10373648 0001af7d 000009dc 00000000\n0c0a4f20 00000003 00000351 00000000\n"
        assert_that(overflowed(text), equal_to(0x1AF7D + 3))

    def test_shallow(self) -> None:
        """Advice is given only where it is needed."""
        assert_that(shallow(20_000), equal_to(""))
        assert_that(shallow(1000), contains_string("netdev_max_backlog=20000"))


class TableTests(SynchronousTestCase):
    """Faults are rows, programs are columns."""

    def test_cells(self) -> None:
        """A cell is the median of the runs, and the worst of all."""
        results = [
            (Trial("flip", "crash", 50, run), outcome(gap=Spread(middle, worst)))
            for run, (middle, worst) in enumerate([(0.25, 0.3), (2.0, 2.5), (1.0, 1.1)], 1)
        ]
        text = "\n".join(lines(results))
        assert_that(text, contains_string("50 addresses"))
        assert_that(text, contains_string("1.00 s (2.50 s)"))

    def test_for_ever(self) -> None:
        """Two owners that do not end are no number."""
        results = [
            (Trial("serf", "agent", 1, 1), outcome(two=Spread(13.0, 13.0), two_at_end=1)),
            (Trial("flip", "agent", 1, 1), outcome()),
        ]
        (row,) = [line for line in lines(results) if "two owners" in line]
        assert_that(row, contains_string("for ever"))
        assert_that(row.split("|")[-2].strip(), equal_to("0"))

    def test_missing(self) -> None:
        """What was not tried has no row, and in a row no cell."""
        results = [
            (Trial("serf", "crash", 1, 1), outcome()),
            (Trial("flip", "stop", 1, 1), outcome()),
        ]
        found = [line for line in lines(results) if "clean stop" in line]
        assert_that(found[0].split("|")[3].strip(), equal_to("-"))
        assert_that([line for line in lines(results) if "freeze" in line], empty())

    def test_nothing(self) -> None:
        """Without results there is no table."""
        assert_that(lines([]), empty())

    def test_seconds(self) -> None:
        """Below a second milliseconds are shown."""
        assert_that([seconds(0.0094), seconds(2.0)], equal_to(["9 ms", "2.00 s"]))

    def test_all_known(self) -> None:
        """Every fault and program has its title."""
        for program in PROGRAMS:
            for fault in FAULTS:
                text = "\n".join(lines([(Trial(program, fault, 1, 1), outcome())]))
                assert_that(text, contains_string(FAULTS[fault].title))
                assert_that(text, contains_string(PROGRAMS[program].title))


class GoalsTests(SynchronousTestCase):
    """What flip should do beside the others."""

    def test_rival(self) -> None:
        """A goal beside another program is a share of what that one takes."""
        results = [
            (Trial("keepalived", "crash", 50, 1), outcome(gap=Spread(3.0, 3.5))),
            (Trial("flip", "crash", 50, 1), outcome(gap=Spread(2.5, 2.6))),
        ]
        assert_that(
            verdicts(results),
            equal_to(
                [
                    (
                        False,
                        "50, node crash, flip, gap: 2.50 s, at most 2.40 s"
                        " (0.8 x 3.00 s of keepalived 1 s)",
                    )
                ]
            ),
        )
        assert_that(verdicts(results[1:]), empty())

    def test_every_run(self) -> None:
        """An exclusive system may have two owners in no run, for no address."""
        results = [
            (Trial("flip-exclusive", "freeze", 1, run), outcome(two=Spread(0.0, worst)))
            for run, worst in enumerate((0.0, 0.25, 0.0), 1)
        ]
        missed = [words for met, words in verdicts(results) if not met]
        assert_that(missed, has_length(1))
        assert_that(missed[0], contains_string("two owners: 250 ms, at most 0 ms"))

    def test_median(self) -> None:
        """One slow handoff in five is no miss."""
        results = [
            (Trial("flip", "stop", 1, run), outcome(gap=Spread(gap, gap)))
            for run, gap in enumerate((0.01, 0.015, 0.3, 0.01, 0.02), 1)
        ]
        assert_that([met for met, _ in verdicts(results)], equal_to([True, True]))


class SceneTests(SynchronousTestCase):
    """What is printed to be looked at."""

    def test_stamped(self) -> None:
        """Only lines with a time that are about our addresses are shown."""
        said = [
            "[2026-11-25T02:57:02.158123] 2: eth0    inet 10.78.0.1/32 scope global",
            "2026-11-25 02:57:02.977001 aa > ff, ARP: Request who-has 10.78.0.2",
            "[2026-11-25T02:57:03.000000] 2: eth0 inet 10.77.0.1/24",
            "listening on eth0",
        ]
        assert_that(
            list(stamped(said)),
            equal_to(
                [
                    ("2026-11-25T02:57:02.158123", "2: eth0 inet 10.78.0.1/32 scope global"),
                    ("2026-11-25T02:57:02.977001", "aa > ff, ARP: Request who-has 10.78.0.2"),
                ]
            ),
        )

    def test_renewals(self) -> None:
        """An address that is renewed is shown once, until it goes."""
        there, gone = "2: eth0 inet 10.78.0.1/32 scope", "Deleted 2: eth0 inet 10.78.0.1/32 scope"
        said = [(f"2026-11-25T02:57:0{n}.000000", "node1", there) for n in range(3)]
        said += [("2026-11-25T02:57:04.000000", "node1", gone)]
        assert_that(
            list(page(said)),
            equal_to([f"02:57:00.000  node1   {there}", f"02:57:04.000  node1   {gone}"]),
        )

    def test_story(self) -> None:
        """Each second says what came back in it, and marks stand where they were made."""
        said = ["9.9 200 a", "10.1 200 a", "10.2 200 a", "11.5 503 a", "11.6 0 -", "12.5 200 b"]
        assert_that(
            story(said, 10.0, 12.0, {1.25: "a breaks"}),
            equal_to(
                [
                    "     0     2 x 200 by a",
                    "     1     1 x 503 by a, 1 x no answer",
                    "     1.250 a breaks",
                    "     2     ",
                ]
            ),
        )

    def test_leak(self) -> None:
        """Growth counts from when the daemons are warm; a file more is one too many."""
        warm = (2500, [(50.0, 20)])
        assert_that(steady([(500, [(30.0, 10)]), warm, (9000, [(54.0, 20)])]), equal_to(True))
        assert_that(steady([warm, (9000, [(56.0, 20)])]), equal_to(False))
        assert_that(steady([warm, (9000, [(50.0, 21)])]), equal_to(False))


class ProbingTests(SynchronousTestCase):
    """How often addresses are asked."""

    def test_fine(self) -> None:
        """Where milliseconds count every address is asked at every tick."""
        assert_that(probing(Trial("flip", "stop", 50, 1)), equal_to((100, 1)))

    def test_many(self) -> None:
        """A thousand would take all of the machine."""
        sample, slower = probing(Trial("flip", "stop", 1000, 1))
        assert_that((sample + (1000 - sample) / slower) / PERIOD, less_than(25_000))
