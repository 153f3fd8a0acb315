"""Changes of addresses against a kernel that refuses, loses, lies or has changed meanwhile."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence

from hamcrest import assert_that, contains_string, empty, equal_to, has_length, instance_of
from twisted.trial.unittest import SynchronousTestCase

from flip.addresses.exchange import ANSWER_LIMIT, ATTEMPTS
from flip.addresses.kernel import PROTOCOL, Address, Put, Remove
from flip.addresses.messages import ACK, REQUEST
from flip.errors import AddressError
from tests.addresses.scripted import (
    DELETE_ADDRESS,
    ERROR,
    FOR_EVER,
    GET_ADDRESS,
    GET_LINK,
    HEADER,
    NEW_ADDRESS,
    SET_LINK,
    Bench,
    Entry,
    Interface,
    Place,
    message,
)
from tests.matchers import contains_exactly, has_item, has_items, has_properties, not_

PLACE: Place = (2, b"\x0a\0\0\x01", 32)
ADDRESS = Address("eth0", "10.0.0.1", 32)
PLACE6: Place = (2, bytes.fromhex("fd000000000000000000000000000001"), 128)
ADDRESS6 = Address("eth0", "fd00::1", 128)
OTHER = Address("eth0", "10.0.0.2", 32)


class ChangesTestCase(SynchronousTestCase):
    """A kernel that was started."""

    def setUp(self) -> None:
        self.bench = Bench()
        self.host = self.bench.host
        self.kernel = self.bench.kernel
        self.successResultOf(self.kernel.start())
        self.host.requests.clear()
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """Nothing is left behind."""
        self.kernel.stop()
        self.bench.turn()
        assert_that(self.bench.reactor.readers, empty())
        assert_that(self.bench.reactor.getDelayedCalls(), empty())
        open_ones = [s for socks in self.host.opened.values() for s in socks if not s.closed]
        assert_that(open_ones, empty())

    def apply(self, *changes: Put | Remove) -> Sequence[AddressError | None]:
        """Apply changes that need no waiting."""
        return self.successResultOf(self.kernel.apply(changes))

    def kinds(self) -> list[int]:
        """The kinds of the requests, in order."""
        return [kind for kind, _, _ in self.host.requests]

    def one_error(self, change: Put | Remove) -> AddressError:
        """The error of a change that is refused."""
        (error,) = self.apply(change)
        assert_that(error, instance_of(AddressError))
        assert error is not None
        return error


class PutTests(ChangesTestCase):
    """Putting addresses."""

    def test_there(self) -> None:
        """An address is there, with its lifetime and mark, when `apply` has fired."""
        assert_that(self.apply(Put(ADDRESS, 3, "flip")), equal_to([None]))
        expected = Entry(3, 3, 0, b"eth0:flip", PROTOCOL)
        assert_that(self.host.addresses[PLACE], equal_to(expected))
        assert_that(
            self.kernel.addresses()[ADDRESS],
            has_properties(until=3.0, label="flip", marked=True, serving=True),
        )

    def test_before_its_news(self) -> None:
        """IPv6 tells of an address later than it answers: it is known by the answer, too."""
        self.patch(self.host, "tell", lambda kind, payload: None)
        self.apply(Put(ADDRESS6, 3), Put(ADDRESS, None, "flip"))
        known = self.kernel.addresses()
        assert_that(known[ADDRESS6], has_properties(until=3.0, label=None, serving=True))
        assert_that(known[ADDRESS], has_properties(until=None, label="flip", serving=True))
        self.apply(Remove(ADDRESS6), Remove(ADDRESS))
        assert_that(known, empty())

    def test_others_meanwhile(self) -> None:
        """What others did until then is known, too, when `apply` has fired."""
        put = self.host.put

        def both(place: Place, entry: Entry) -> None:
            put((3, *place[1:]), entry)
            put(place, entry)

        self.patch(self.host, "put", both)
        self.apply(Put(ADDRESS))
        assert_that(self.kernel.addresses(), has_length(2))

    def test_for_ever(self) -> None:
        """Without a lifetime it stays."""
        self.apply(Put(ADDRESS))
        assert_that(self.host.addresses[PLACE].valid, equal_to(FOR_EVER))
        assert_that(self.kernel.addresses()[ADDRESS].until, equal_to(None))

    def test_ipv6(self) -> None:
        """No detection of duplicates; a /128 has no route, and is the source of no packet."""
        self.apply(Put(ADDRESS6, 3, "flip"))
        entry = self.host.addresses[PLACE6]
        assert_that(entry, equal_to(Entry(3, 0, 0x02 | 0x200, b"", PROTOCOL)))
        self.apply(Put(Address("eth0", "fd00::2", 64), 3))
        entry = self.host.addresses[2, PLACE6[1][:-1] + b"\2", 64]
        assert_that(entry, equal_to(Entry(3, 3, 0x02, b"", PROTOCOL)))

    def test_renewed(self) -> None:
        """An address that is there gets another lifetime, and keeps its label."""
        self.apply(Put(ADDRESS, 3, "flip"))
        self.bench.reactor.advance(2)
        self.apply(Put(ADDRESS, 3))
        assert_that(
            self.kernel.addresses()[ADDRESS], has_properties(until=5.0, label="flip", marked=True)
        )

    def test_in_time(self) -> None:
        """A lifetime is cut down to whole seconds before a moment, when the kernel is told."""
        self.bench.turn(0.5)
        late = Address("eth0", "10.0.0.3", 32)
        changes = [Put(ADDRESS, 9, by=4.4), Put(OTHER, 2, by=4.4), Put(ADDRESS6, by=4.4)]
        *results, error = self.apply(*changes, Put(late, 9, by=1.4))
        assert_that(results, equal_to([None] * 3))
        assert error is not None
        assert_that(error.errno, equal_to(errno.ETIME))
        lifetimes = {place[1]: entry.valid for place, entry in self.host.addresses.items()}
        expected = {PLACE[1]: 3, b"\x0a\0\0\x02": 2, PLACE6[1]: 3}
        assert_that(lifetimes, equal_to(expected))

    def test_stood_still(self) -> None:
        """A lifetime that began too late is an error, and it is known that the address is there."""

        def answers(datagram: bytes) -> list[bytes]:
            self.bench.pass_time(slow)
            return [datagram]

        self.host.answers = answers
        slow = 0.05
        assert_that(self.apply(Put(ADDRESS, by=3.0)), equal_to([None]))
        self.bench.turn(0.95)
        slow = 5.0
        assert_that(self.one_error(Put(ADDRESS, by=3.0)).errno, equal_to(errno.ETIME))
        assert_that(self.kernel.addresses()[ADDRESS].until, equal_to(8.0))
        self.bench.turn()
        assert_that(self.apply(Put(OTHER, 9)), equal_to([None]))  # nothing is said of its end

    def test_in_time_at_the_end_of_many(self) -> None:
        """Time that the first batches take is not given to the last ones."""
        places: list[Place] = [(2, struct.pack("!BBH", 10, 1, n), 32) for n in range(100)]

        def answers(datagram: bytes) -> list[bytes]:
            self.bench.pass_time(0.01)
            return [datagram]

        self.host.answers = answers
        ends: list[float] = []
        put = self.host.put

        def timed(place: Place, entry: Entry) -> None:
            ends.append(self.bench.reactor.seconds() + entry.valid)
            put(place, entry)

        self.patch(self.host, "put", timed)
        pending = self.kernel.apply([Put(self.bench.address(p), 9, by=2.0) for p in places])
        while not pending.called:
            self.bench.one_turn()
            self.bench.pass_time(0.05)
        errors = [error for error in self.successResultOf(pending) if error]
        assert_that({error.errno for error in errors}, equal_to({errno.ETIME}))
        assert_that(len(errors) in range(20, 80), f"{len(errors)} of 100 came too late")
        # Before the first answer nobody knows how long they take.
        assert_that(max(ends) < 2.1, f"the last one would end at {max(ends)}")

    def test_order(self) -> None:
        """Changes of one address are made in their order."""
        changes: list[Put | Remove]
        changes = [Put(ADDRESS), Remove(ADDRESS), Put(ADDRESS, 9), Put(OTHER), Remove(OTHER)]
        assert_that(self.apply(*changes), equal_to([None] * 5))
        assert_that(self.host.addresses, equal_to({PLACE: self.host.addresses[PLACE]}))
        assert_that(self.host.addresses[PLACE].valid, equal_to(9))
        assert_that(list(self.kernel.addresses()), equal_to([ADDRESS]))

    def test_refused(self) -> None:
        """What the kernel says is told in an operator's words, with its number."""
        for number, text, word in (
            (errno.EPERM, "", "CAP_NET_ADMIN is missing: run flip as root"),
            (errno.ENOBUFS, "", "no memory for it just now (No buffer space available)"),
            (errno.EINVAL, "ipv4: Invalid scope value", "10.0.0.1/32 on eth0: ipv4: Invalid scope"),
        ):
            self.host.refuse[PLACE[1]] = number, text
            error = self.one_error(Put(ADDRESS))
            assert_that(error.errno, equal_to(number))
            assert_that(str(error), contains_string(word))
        assert_that(self.kernel.addresses(), empty())

    def test_ipv6_disabled(self) -> None:
        """The kernel's word for it would be "permission denied"."""
        self.host.refuse[PLACE6[1]] = errno.EACCES, "IPv6 is disabled on this device"
        error = self.one_error(Put(ADDRESS6))
        assert_that(str(error), contains_string("sysctl -w net.ipv6.conf.eth0.disable_ipv6=0"))

    def test_exists(self) -> None:
        """That it is there already is success if it is."""
        self.host.put(PLACE)
        self.host.refuse[PLACE[1]] = errno.EEXIST, ""
        assert_that(self.apply(Put(ADDRESS)), equal_to([None]))
        self.host.refuse[PLACE6[1]] = errno.EEXIST, ""
        assert_that(self.one_error(Put(ADDRESS6)).errno, equal_to(errno.EEXIST))

    def test_other_prefix(self) -> None:
        """IPv6 has an address once: the kernel would say yes and do nothing."""
        self.host.put((*PLACE6[:2], 64))
        error = self.one_error(Put(ADDRESS6))
        assert_that(str(error), contains_string("fd00::1/64 on eth0 is in the way"))
        assert_that(self.host.requests, empty())

    def test_detection_failed(self) -> None:
        """An address that does not serve is taken away first, or it would not serve later."""
        self.host.put(PLACE6, Entry(flags=0x08 | 0x40))
        self.bench.turn()
        assert_that(self.kernel.addresses()[ADDRESS6].serving, equal_to(False))
        assert_that(self.apply(Put(ADDRESS6, 3)), equal_to([None]))
        assert_that(self.kinds(), equal_to([DELETE_ADDRESS, NEW_ADDRESS]))
        assert_that(self.kernel.addresses()[ADDRESS6].serving, equal_to(True))

    def test_impossible(self) -> None:
        """What the kernel cannot have is said per change, and the others are made."""
        changes: list[Put | Remove] = [
            Put(Address("eth0", "10.0.0", 32)),
            Put(Address("eth0", "10.0.0.1", 33)),
            Put(ADDRESS, 0),
            Put(ADDRESS, 2**32),
            Put(ADDRESS, None, "a-long-label"),
            Put(OTHER),
        ]
        *errors, last = self.apply(*changes)
        words = ["is no address", "prefix length", "lifetime of 0", "lifetime of", "15 bytes"]
        for error, word in zip(errors, words, strict=True):
            assert_that(str(error), contains_string(word))
        assert_that(last, equal_to(None))
        assert_that(self.kinds(), equal_to([NEW_ADDRESS]))

    def test_neighbours_in_the_subnet(self) -> None:
        """Before a change with a subnet, once per interface: let the others outlive the first."""
        self.host.set_link(2, Interface("eth0", promotes=False))
        self.apply(Put(ADDRESS, 3), Put(ADDRESS6, 3))
        assert_that(self.kinds(), not_(has_item(SET_LINK)))
        wide = Address("eth0", "10.0.0.9", 24)
        self.apply(Put(wide, 3), Put(Address("eth0", "10.0.0.10", 24), 3))
        self.apply(Remove(wide))
        assert_that(self.host.links[2].promotes, equal_to(True))
        expected = [NEW_ADDRESS] * 2 + [SET_LINK, NEW_ADDRESS, NEW_ADDRESS, DELETE_ADDRESS]
        assert_that(self.kinds(), equal_to(expected))


class RemoveTests(ChangesTestCase):
    """Removing addresses."""

    def test_gone(self) -> None:
        """An address is gone when `apply` has fired, with whatever lifetime and label."""
        self.host.put(PLACE, Entry(30, 30, 0, b"eth0:x"))
        assert_that(self.apply(Remove(ADDRESS)), equal_to([None]))
        assert_that(self.host.addresses, empty())
        assert_that(self.kernel.addresses(), empty())

    def test_not_there(self) -> None:
        """What is not there is removed already, also where the whole interface is not."""
        assert_that(
            self.apply(Remove(ADDRESS), Remove(Address("eth7", "10.0.0.1", 32))),
            equal_to([None, None]),
        )

    def test_refused(self) -> None:
        """Then it is still there."""
        self.host.put(PLACE)
        self.host.refuse[PLACE[1]] = errno.EPERM, ""
        assert_that(self.one_error(Remove(ADDRESS)).errno, equal_to(errno.EPERM))
        assert_that(list(self.kernel.addresses()), equal_to([ADDRESS]))


class InterfaceTests(ChangesTestCase):
    """Interfaces that are not there, vanish, and return."""

    def test_unknown(self) -> None:
        """It is said which ones there are."""
        error = self.one_error(Put(Address("eth7", "10.0.0.1", 32)))
        assert_that(error.errno, equal_to(errno.ENODEV))
        assert_that(str(error), contains_string("no such interface here, only: eth0, eth1, lo"))

    def test_vanished_unheard(self) -> None:
        """It goes while it is asked about: the kernel refuses."""
        del self.host.links[2]  # and its news have not come
        error = self.one_error(Put(ADDRESS))
        assert_that(error.errno, equal_to(errno.ENODEV))
        assert_that(str(error), contains_string("eth0 has gone away"))
        assert_that(self.apply(Remove(ADDRESS)), equal_to([None]))

    def test_returned(self) -> None:
        """It comes back with another number: that is the one that is used, at once."""
        self.apply(Put(ADDRESS))
        self.host.remove_link(2)
        self.host.set_link(9, Interface("eth0"))
        assert_that(self.apply(Put(ADDRESS)), equal_to([None]))
        assert_that(list(self.host.addresses), equal_to([(9, *PLACE[1:])]))
        assert_that(list(self.kernel.addresses()), equal_to([ADDRESS]))
        assert_that(self.kernel.links()["eth0"].number, equal_to(9))


class BatchTests(ChangesTestCase):
    """Many changes."""

    def places(self, count: int) -> list[Place]:
        return [(2, struct.pack("!BBH", 10, 1, n), 32) for n in range(count)]

    def test_a_hundred_failures_among_a_thousand(self) -> None:
        """Each change has its own result; the others are made, in few sends."""
        places = self.places(1000)
        bad = set(places[::10])
        for place in bad:
            self.host.refuse[place[1]] = errno.EINVAL, "no"
        requests = self.host.sock("requests")
        sends = len(requests.sent)
        pending = self.kernel.apply([Put(self.bench.address(place), 5) for place in places])
        self.bench.turn()
        results = self.successResultOf(pending)
        failed = {place for place, error in zip(places, results, strict=True) if error}
        assert_that(failed, equal_to(bad))
        assert_that(set(self.host.addresses), equal_to(set(places) - bad))
        assert_that(self.kernel.addresses(), has_length(900))
        assert_that(len(requests.sent) - sends < 60)
        self.bench.turn()
        assert_that(self.bench.observer.heard, has_length(900))

    def test_reactor(self) -> None:
        """A kernel that takes long is asked little at once, and the reactor gets its turns."""
        requests = self.host.sock("requests")
        slow = 0.001  # seconds for each

        def answers(datagram: bytes) -> list[bytes]:
            self.bench.pass_time(slow)
            return [datagram]

        self.host.answers = answers
        changes = [Put(self.bench.address(place)) for place in self.places(200)]
        pending, turns, longest = self.bench.turns(lambda: self.kernel.apply(changes))
        assert_that(self.successResultOf(pending), equal_to([None] * 200))
        assert_that(longest < 0.015, f"{longest} s in one turn")
        assert_that(turns >= 20, f"{turns} turns")
        assert_that(len(requests.sent) > 20)

    def test_calls_take_turns(self) -> None:
        """What is asked for later happens later, though the earlier takes many batches."""

        def answers(datagram: bytes) -> list[bytes]:
            self.bench.pass_time(0.001)
            return [datagram]

        self.host.answers = answers
        places = self.places(100)
        first = self.kernel.apply([Put(self.bench.address(place), 5) for place in places])
        later = self.kernel.apply([Remove(self.bench.address(place)) for place in places[:40:-1]])
        again = self.kernel.apply([Put(self.bench.address(places[99]), 7)])
        self.assertNoResult(first)
        for _ in range(200):
            self.bench.one_turn()
        for call, count in ((first, 100), (later, 59), (again, 1)):
            assert_that(self.successResultOf(call), equal_to([None] * count))
        assert_that(set(self.host.addresses), equal_to({*places[:41], places[99]}))
        assert_that(self.host.addresses[places[99]].valid, equal_to(7))

    def test_crowd(self) -> None:
        """However many wait for their turn, each of them gets it, in order."""
        done: list[int] = []

        def ended(results: Sequence[AddressError | None], n: int) -> None:
            assert_that(results, equal_to([None]))
            done.append(n)

        self.host.answers = lambda datagram: []  # the first one waits for its answer
        first = self.kernel.apply([Put(ADDRESS)])
        self.host.answers = lambda datagram: [datagram]
        for n, place in enumerate(self.places(1000)):
            self.kernel.apply([Put(self.bench.address(place))]).addCallback(ended, n)
        self.bench.reactor.advance(ANSWER_LIMIT)
        for _ in range(2000):
            self.bench.one_turn()
        self.bench.turn()
        assert_that(self.successResultOf(first), equal_to([None]))
        assert_that(done, equal_to([*range(1000)]))
        assert_that(self.flushLoggedErrors(), empty())

    def test_nothing(self) -> None:
        """No changes, no question."""
        assert_that(self.apply(), equal_to([]))
        assert_that(self.host.requests, empty())


class UnreliableTests(ChangesTestCase):
    """Answers that are lost, late, wrong or forged."""

    def test_answers_lost(self) -> None:
        """What was not answered is asked again, and all is listed anew."""
        lost = [0]

        def lose(datagram: bytes) -> list[bytes]:
            lost[0] += 1
            if lost[0] == 2:
                self.host.sock("requests").queue.append(OSError(errno.ENOBUFS, "full"))
            return [] if lost[0] in (2, 3) else [datagram]

        self.host.answers = lose
        pending = self.kernel.apply([Put(ADDRESS, 5), Put(OTHER, 5), Put(ADDRESS6, 5)])
        self.bench.turn()
        assert_that(self.successResultOf(pending), equal_to([None, None, None]))
        assert_that(set(self.kernel.addresses()), equal_to({ADDRESS, OTHER, ADDRESS6}))
        assert_that(self.host.opened["requests"], has_length(2))
        assert_that(self.kinds(), has_items(GET_LINK, GET_ADDRESS))

    def test_silence(self) -> None:
        """A kernel that does not answer is asked a few times, then the change has failed."""
        self.host.answers = lambda datagram: []
        pending = self.kernel.apply([Put(ADDRESS)])
        for _ in range(ATTEMPTS - 1):
            self.bench.turn(ANSWER_LIMIT)
            self.assertNoResult(pending)
        self.host.answers = lambda datagram: [datagram]
        self.host.refuse.clear()
        asked = len([kind for kind in self.kinds() if kind == NEW_ADDRESS])
        self.bench.turn(ANSWER_LIMIT)
        (error,) = self.successResultOf(pending)
        assert error is not None
        assert_that(error.errno, equal_to(errno.ETIMEDOUT))
        assert_that(asked, equal_to(ATTEMPTS))
        self.bench.turn(1)
        assert_that(list(self.kernel.addresses()), equal_to([ADDRESS]))  # it is there all the same

    def test_strange_answers(self) -> None:
        """Answers to nobody's question, and of other processes, are none."""
        requests = self.host.sock("requests")

        def answers(datagram: bytes) -> list[bytes]:
            number = HEADER.unpack_from(datagram)[3]
            refusal = struct.pack("=i", -errno.EPERM) + HEADER.pack(16, NEW_ADDRESS, 5, number, 0)
            requests.queue.append((message(ERROR, refusal, number), (4711, 0)))
            requests.queue.append((message(ERROR, refusal, number + 77), (0, 0)))
            requests.queue.append((message(NEW_ADDRESS, b"", number), (0, 0)))
            return [datagram]

        self.host.answers = answers
        assert_that(self.apply(Put(ADDRESS)), equal_to([None]))

    def test_garbage(self) -> None:
        """Answers that cannot be parsed, or say nonsense, are asked for again."""

        def refused(datagram: bytes) -> bytes:
            number = HEADER.unpack_from(datagram)[3]
            refusal = struct.pack("=i", -errno.EPERM) + HEADER.pack(16, NEW_ADDRESS, 5, number, 0)
            return message(ERROR, refusal, number)

        nonsense = struct.pack("=i", 22) + HEADER.pack(16, NEW_ADDRESS, 5, 1, 0)
        for garbage in (
            lambda datagram: [datagram[:-3]],
            lambda datagram: [struct.pack("=I", 10**6) + datagram[4:]],
            lambda datagram: [message(ERROR, b"", HEADER.unpack_from(datagram)[3])],
            lambda datagram: [message(ERROR, nonsense, HEADER.unpack_from(datagram)[3])],
            lambda datagram: [refused(datagram) + bytes(300_000)],  # more than is read of it
        ):
            bad = iter([garbage])

            def answers(datagram: bytes, bad: object = bad) -> list[bytes]:
                twist = next(bad, None)  # type: ignore[call-overload]
                return twist(datagram) if twist else [datagram]

            self.host.answers = answers
            pending = self.kernel.apply([Put(ADDRESS, 5)])
            self.bench.turn()
            assert_that(self.successResultOf(pending), equal_to([None]))

    def test_crowded(self) -> None:
        """A kernel without memory is asked again a little later; in vain, all changes fail."""
        requests = self.host.sock("requests")
        requests.refusals.append(OSError(errno.ENOBUFS, "No buffer space available"))
        pending = self.kernel.apply([Put(ADDRESS)])
        self.assertNoResult(pending)
        self.bench.turn(0.1)
        assert_that(self.successResultOf(pending), equal_to([None]))
        requests.refusals.extend([OSError(errno.EAGAIN, "not now")] * 100_000)
        pending = self.kernel.apply([Put(ADDRESS), Remove(OTHER)])
        for _ in range(100):
            self.bench.turn(0.1)
        requests.refusals.clear()
        errors = self.successResultOf(pending)
        numbers = [error.errno for error in errors if error]
        assert_that(numbers, equal_to([errno.EAGAIN, errno.EAGAIN]))

    def test_flags(self) -> None:
        """Every change asks for an answer."""
        self.apply(Put(ADDRESS), Remove(ADDRESS))
        flags = [flags & (REQUEST | ACK) for _, flags, _ in self.host.requests]
        assert_that(flags, contains_exactly(REQUEST | ACK, REQUEST | ACK))
