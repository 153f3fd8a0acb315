"""What is known of the kernel's addresses and interfaces, and what observers are told of it."""

from __future__ import annotations

import errno
import os
import struct

from hamcrest import assert_that, contains_string, empty, equal_to, has_length
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.addresses.kernel import PROTOCOL, Address, Assigned, Link, Put
from flip.errors import AddressError
from tests.addresses.scripted import (
    DELETE_LINK,
    GET_ADDRESS,
    GET_LINK,
    LOOPBACK,
    MACS,
    NEW_ADDRESS,
    NO_ARP,
    RUNNING,
    UP,
    Bench,
    Entry,
    Interface,
    Place,
    message,
)
from tests.matchers import has_entries, has_item, has_items

PLACE: Place = (2, b"\x0a\0\0\x01", 32)
ADDRESS = Address("eth0", "10.0.0.1", 32)


class StartTests(SynchronousTestCase):
    """Starting and stopping."""

    def test_known(self) -> None:
        """What is there at start is known, and no news."""
        bench = Bench()
        bench.host.put(PLACE, Entry(60, 60, 0, b"eth0:flip", PROTOCOL))
        self.successResultOf(bench.kernel.start())
        bench.turn()
        assert_that(
            dict(bench.kernel.addresses()), equal_to({ADDRESS: Assigned(60.0, "flip", True)})
        )
        expected = {
            "lo": Link(1, "lo", bytes(6), True, False),
            "eth0": Link(2, "eth0", MACS["eth0"], True, True),
            "eth1": Link(3, "eth1", MACS["eth1"], True, True),
        }
        assert_that(dict(bench.kernel.links()), equal_to(expected))
        assert_that(bench.observer.heard, empty())
        bench.kernel.stop()

    def test_capabilities(self) -> None:
        """A missing capability is named, and no socket is left open."""
        bench = Bench()
        bench.kernel._missing = lambda: ("CAP_NET_RAW",)
        failure = self.failureResultOf(bench.kernel.start(), AddressError)
        assert_that(str(failure.value), contains_string("CAP_NET_RAW missing: run flip as root"))
        assert_that(bench.host.opened, equal_to({}))

    def test_no_sockets(self) -> None:
        """Whatever cannot be opened, it is said and the others are closed."""
        for kind in ("requests", "news", "packets", "arp", "advertisements"):
            bench = Bench()
            bench.host.unopenable[kind] = OSError(errno.EMFILE, "Too many open files")
            failure = self.failureResultOf(bench.kernel.start(), AddressError)
            assert_that(str(failure.value), contains_string("Too many open files"))
            opened = [sock for socks in bench.host.opened.values() for sock in socks]
            assert_that([sock for sock in opened if not sock.closed], empty())
            assert_that(bench.reactor.readers, empty())

    def test_no_ipv6(self) -> None:
        """A kernel without IPv6 will do."""
        bench = Bench()
        bench.host.unopenable["advertisements"] = OSError(errno.EAFNOSUPPORT, "no IPv6")
        self.successResultOf(bench.kernel.start())
        bench.kernel.stop()

    def test_refused(self) -> None:
        """A kernel that does not list fails the start."""
        bench = Bench()

        def answers(datagram: bytes) -> list[bytes]:
            number = struct.unpack_from("=8xI", datagram)[0]
            return [message(2, struct.pack("=i16x", -errno.EPERM), number)]

        bench.host.answers = answers
        failure = self.failureResultOf(bench.kernel.start(), AddressError)
        assert_that(failure.value.errno, equal_to(errno.EPERM))
        assert_that(bench.reactor.readers, empty())

    def test_news_lost_meanwhile(self) -> None:
        """What was lost while all was listed for the first time is known all the same."""
        bench = Bench()

        def answers(datagram: bytes) -> list[bytes]:
            if PLACE not in bench.host.addresses and datagram[4:6] == struct.pack("=H", 3):
                bench.host.addresses[PLACE] = Entry()
                bench.host.links[9] = Interface("eth9")
                bench.host.lose_news()
            return [datagram]

        bench.host.answers = answers
        self.successResultOf(bench.kernel.start())
        assert_that(bench.kernel.links(), has_item("eth9"))
        assert_that(list(bench.kernel.addresses()), equal_to([ADDRESS]))
        bench.kernel.stop()

    def test_stopped(self) -> None:
        """Then nothing is heard, told or done any more; what waits has failed."""
        bench = Bench()
        self.successResultOf(bench.kernel.start())
        bench.host.answers = lambda datagram: []
        waiting = bench.kernel.apply([Put(ADDRESS)])
        bench.host.put(PLACE)
        bench.kernel.stop()
        results = [self.successResultOf(waiting)]
        results.append(self.successResultOf(bench.kernel.apply([Put(ADDRESS)])))
        for (error,) in results:
            assert_that(str(error), contains_string("stopping"))
        bench.turn(10)
        assert_that(bench.observer.heard, empty())
        assert_that(bench.reactor.getDelayedCalls(), empty())


class NewsTestCase(SynchronousTestCase):
    """A kernel that was started."""

    def setUp(self) -> None:
        self.bench = Bench()
        self.host = self.bench.host
        self.kernel = self.bench.kernel
        self.heard = self.bench.observer.heard
        self.successResultOf(self.kernel.start())
        self.addCleanup(self.kernel.stop)

    def assert_true(self) -> None:
        """What flip knows is what is there."""
        there = {self.bench.address(place) for place in self.host.addresses}
        assert_that(set(self.kernel.addresses()), equal_to(there))
        names = {link.name: number for number, link in self.host.links.items()}
        known = {name: link.number for name, link in self.kernel.links().items()}
        assert_that(known, equal_to(names))


class NewsTests(NewsTestCase):
    """What the kernel tells."""

    def test_others(self) -> None:
        """What others do is told."""
        self.host.put(PLACE)
        self.bench.turn()
        self.host.remove(PLACE)
        self.bench.turn()
        text = "10.0.0.1/32 on eth0"
        assert_that(self.heard, equal_to([("appeared", text), ("vanished", text)]))

    def test_oneself(self) -> None:
        """What flip does is told, too, but not from inside of doing it."""
        self.successResultOf(self.kernel.apply([Put(ADDRESS)]))
        assert_that(self.heard, empty())
        self.bench.turn()
        assert_that(self.heard, equal_to([("appeared", "10.0.0.1/32 on eth0")]))

    def test_renewed(self) -> None:
        """A renewed lifetime is known, but no news."""
        self.host.put(PLACE, Entry(5))
        self.bench.turn()
        self.host.put(PLACE, Entry(9))
        self.bench.turn()
        assert_that(self.heard, has_length(1))
        assert_that(self.kernel.addresses()[ADDRESS].until, equal_to(9.0))

    def test_there_and_back(self) -> None:
        """What changed and changed back before anybody was told is no news."""
        self.host.put(PLACE)
        self.bench.turn()
        self.heard.clear()
        self.host.remove(PLACE)
        self.host.put(PLACE)
        self.bench.turn()
        assert_that(self.heard, empty())

    def test_stale_news(self) -> None:
        """A removal that flip has undone already, before it read of it, is not believed."""
        self.host.put(PLACE)
        self.bench.turn()
        self.heard.clear()
        self.host.remove(PLACE)  # the news of it wait in the socket
        self.successResultOf(self.kernel.apply([Put(ADDRESS)]))
        assert_that(list(self.kernel.addresses()), equal_to([ADDRESS]))
        self.bench.turn()
        assert_that(self.heard, empty())

    def test_observer_fails(self) -> None:
        """An observer that raises is logged, and the others hear."""
        self.bench.observer.appeared = lambda *_: 1 / 0  # type: ignore[method-assign,assignment]
        other = type(self.bench.observer)()
        self.kernel.observe(other)
        self.host.put(PLACE)
        self.bench.turn()
        assert_that(other.heard, has_length(1))
        assert_that(self.flushLoggedErrors(ZeroDivisionError), has_length(1))


class LinkTests(NewsTestCase):
    """Interfaces."""

    def test_carrier(self) -> None:
        """Administratively down, and without a carrier: both are down."""
        for flags, up in ((UP, False), (UP | RUNNING, True), (RUNNING, False)):
            self.host.set_link(2, Interface("eth0", flags))
            self.bench.turn()
            assert_that(self.heard[-1], equal_to(("link", "eth0", up)))
        self.heard.clear()
        self.host.set_link(2, Interface("eth0", RUNNING))
        self.bench.turn()
        assert_that(self.heard, empty())

    def test_neighbours(self) -> None:
        """Only Ethernet that does ARP has neighbours to tell."""
        for number, link in enumerate(
            [
                Interface("veth0"),
                Interface("dummy0", UP | RUNNING | NO_ARP),
                Interface("tun0", UP | RUNNING, 65534, b""),
                Interface("lo2", UP | RUNNING | LOOPBACK, 772, bytes(6)),
                Interface("ib0", UP | RUNNING, 32, bytes(20)),
            ],
            10,
        ):
            self.host.set_link(number, link)
        self.bench.turn()
        announcing = {name for name, link in self.kernel.links().items() if link.announces}
        assert_that(announcing, equal_to({"eth0", "eth1", "veth0"}))

    def test_vanished(self) -> None:
        """With an interface goes what is on it, also where nobody told of that."""
        self.host.put(PLACE)
        self.bench.turn()
        payload = self.host.describe_link(2)
        del self.host.links[2], self.host.addresses[PLACE]
        self.heard.clear()
        self.host.tell(DELETE_LINK, payload)
        self.bench.turn()
        expected = [("link", "eth0", None), ("vanished", "10.0.0.1/32 on eth0")]
        assert_that(self.heard, equal_to(expected))
        self.assert_true()

    def test_returned(self) -> None:
        """One that comes back has another number, and nothing on it."""
        self.host.put(PLACE)
        self.host.remove_link(2)
        self.host.set_link(7, Interface("eth0"))
        self.bench.turn()
        self.assert_true()
        assert_that(self.heard, equal_to([("link", "eth0", True)]))
        self.host.put((7, *PLACE[1:]))
        self.bench.turn()
        self.assert_true()

    def test_replaced_before_its_end(self) -> None:
        """The news of an end may come after those of the next one with the name."""
        old = self.host.describe_link(2)
        self.host.put(PLACE)
        del self.host.links[2], self.host.addresses[PLACE]
        self.host.set_link(7, Interface("eth0"))
        self.host.tell(DELETE_LINK, old)
        self.bench.turn()
        self.assert_true()

    def test_renamed(self) -> None:
        """What is on an interface is on it under its new name."""
        self.host.put(PLACE)
        self.bench.turn()
        self.heard.clear()
        self.host.set_link(2, Interface("lan"))
        self.bench.turn()
        self.assert_true()
        expected = (
            ("link", "eth0", None),
            ("link", "lan", True),
            ("vanished", "10.0.0.1/32 on eth0"),
            ("appeared", "10.0.0.1/32 on lan"),
        )
        assert_that(self.heard, has_items(*expected))

    def test_taken_from_a_bridge(self) -> None:
        """A bridge's "deleted" is about its port: the interface is still there."""
        self.host.tell(DELETE_LINK, self.host.describe_link(2, family=7))
        self.bench.turn()
        self.assert_true()
        assert_that(self.heard, empty())

    def test_address_of_an_unknown_interface(self) -> None:
        """An address whose interface has not been heard of waits for it."""
        self.host.links[8] = Interface("eth8")
        place: Place = (8, PLACE[1], 32)
        self.host.put(place)
        self.bench.turn()
        assert_that(self.kernel.addresses(), empty())
        self.host.set_link(8, Interface("eth8"))
        self.bench.turn()
        self.assert_true()


class OverrunTests(NewsTestCase):
    """News that were lost."""

    def test_listed_again(self) -> None:
        """What changed meanwhile is told, and nothing else."""
        stays, goes, comes = [(2, bytes((10, 0, 0, n)), 32) for n in (1, 2, 3)]
        self.host.put(stays)
        self.host.put(goes)
        self.bench.turn()
        self.heard.clear()
        self.host.remove(goes)
        self.host.put(comes)
        self.host.set_link(3, Interface("eth1", UP, mac=MACS["eth1"]))
        self.host.lose_news()
        self.bench.turn()
        self.assert_true()
        expected = {
            ("vanished", "10.0.0.2/32 on eth0"),
            ("appeared", "10.0.0.3/32 on eth0"),
            ("link", "eth1", False),
        }
        assert_that(set(self.heard), equal_to(expected))
        assert_that(self.heard, has_length(3))

    def test_older_news(self) -> None:
        """What the queue held before it ran over does not bring back what is gone."""
        self.host.put(PLACE)
        self.host.remove(PLACE)
        self.host.lose_news(kept=1)
        self.bench.turn()
        self.assert_true()
        assert_that(self.heard, empty())

    def test_news_during_a_listing(self) -> None:
        """What happens while all is listed is not lost, and not undone by an older list."""
        self.host.put(PLACE)
        self.bench.turn()
        self.heard.clear()
        other: Place = (3, PLACE[1], 32)

        def answers(datagram: bytes) -> list[bytes]:
            if datagram[4:6] == struct.pack("=H", NEW_ADDRESS) and PLACE in self.host.addresses:
                self.host.remove(PLACE)  # it was written into the list already
                self.host.put(other)
            return [datagram]

        self.host.answers = answers
        self.host.lose_news()
        self.bench.turn()
        self.assert_true()
        expected = {("vanished", "10.0.0.1/32 on eth0"), ("appeared", "10.0.0.1/32 on eth1")}
        assert_that(set(self.heard), equal_to(expected))

    def test_lost_again(self) -> None:
        """News that are lost while all is listed are looked for again."""
        lost = [False]

        def answers(datagram: bytes) -> list[bytes]:
            if not lost[0] and datagram[4:6] == struct.pack("=H", 3):
                lost[0] = True
                self.host.addresses[PLACE] = Entry()
                self.host.lose_news()
            return [datagram]

        self.host.answers = answers
        self.host.lose_news()
        self.bench.turn()
        self.assert_true()
        assert_that(list(self.kernel.addresses()), equal_to([ADDRESS]))

    def test_other_lists(self) -> None:
        """Entries that answer somebody else's question, or an older one, are none."""

        def answers(datagram: bytes) -> list[bytes]:
            number = struct.unpack_from("=8xI", datagram)[0]
            payload = self.host.describe_link(3).replace(b"eth1", b"eth7")
            return [message(16, payload, number - 1, 2), datagram]

        self.host.answers = answers
        self.host.lose_news()
        self.bench.turn()
        self.assert_true()

    def test_interrupted(self) -> None:
        """A list that changed while it was read is read again."""
        self.host.interruptions = 3
        self.host.requests.clear()
        self.host.lose_news()
        self.bench.turn()
        self.bench.turn(0.1)
        self.bench.turn(0.1)
        self.bench.turn(0.1)
        kinds = [kind for kind, _, _ in self.host.requests]
        assert_that(kinds, equal_to([GET_LINK] * 4 + [GET_ADDRESS]))
        self.host.put(PLACE)
        self.bench.turn()
        self.assert_true()

    def test_cannot_be_listed(self) -> None:
        """Then it is tried again every second, and the news go on."""
        real = self.host.answers

        def answers(datagram: bytes) -> list[bytes]:
            number = struct.unpack_from("=8xI", datagram)[0]
            return [message(2, struct.pack("=i16x", -errno.EBUSY), number)]

        self.host.answers = answers
        self.host.addresses[PLACE] = Entry()
        self.host.lose_news()
        self.bench.turn()
        assert_that(self.kernel.addresses(), empty())
        other: Place = (3, PLACE[1], 32)
        self.host.put(other)
        self.bench.turn()
        assert_that(self.kernel.addresses(), has_length(1))
        self.host.answers = real
        self.bench.turn(1)
        self.assert_true()

    def test_malformed(self) -> None:
        """News that cannot be parsed are as good as lost."""
        self.host.addresses[PLACE] = Entry()
        self.host.tell(NEW_ADDRESS, b"\2\x20\0\0\2\0\0\0\xff\xff")
        self.bench.turn()
        self.assert_true()
        assert_that(list(self.kernel.addresses()), equal_to([ADDRESS]))

    def test_not_the_kernel(self) -> None:
        """News of a process are none."""
        self.host.addresses[PLACE] = Entry()
        datagram = message(NEW_ADDRESS, self.host.describe(PLACE))
        self.host.sock("news").queue.append((datagram, (4711, 1)))
        self.bench.turn()
        assert_that(self.kernel.addresses(), empty())

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.binary(max_size=120), max_size=5))
    def test_rubbish(self, datagrams: list[bytes]) -> None:
        """Whatever comes in, flip knows what is there in the end."""
        bench = Bench()
        self.successResultOf(bench.kernel.start())
        bench.host.put(PLACE)
        for datagram in datagrams:
            bench.host.sock("news").queue.append((datagram, (0, 0)))
        bench.host.lose_news()
        bench.turn()
        assert_that(list(bench.kernel.addresses()), equal_to([ADDRESS]))
        bench.kernel.stop()


class HistoryTests(SynchronousTestCase):
    """Any history."""

    STEPS = st.lists(
        st.tuples(
            st.sampled_from(["put", "remove", "link", "unlink", "lose", "turn", "apply"]),
            st.integers(2, 5),
            st.integers(1, 3),
        ),
        max_size=25,
    )

    @settings(max_examples=150, deadline=None)
    @given(STEPS)
    def test_told(self, steps: list[tuple[str, int, int]]) -> None:
        """In the end, what is known is what is there, and so is what was told."""
        bench = Bench()
        host = bench.host
        self.successResultOf(bench.kernel.start())
        for what, number, host_number in steps:
            place: Place = (number, bytes((10, 0, 0, host_number)), 32)
            name = f"eth{number % 2}"
            free = all(link.name != name for link in host.links.values())
            if what == "put" and number in host.links:
                host.put(place)
            elif what == "remove" and place in host.addresses:
                host.remove(place)
            elif what == "link" and (number in host.links or free):
                old = host.links.get(number, Interface(name))
                host.set_link(number, old._replace(flags=old.flags ^ RUNNING))
            elif what == "unlink" and number in host.links:
                host.remove_link(number)
            elif what == "lose":
                host.lose_news(kept=host_number - 1)
            elif what == "turn":
                bench.turn()
            elif what == "apply":
                bench.kernel.apply([Put(Address(name, f"10.0.0.{host_number}", 32), 9)])
        bench.turn()
        told: set[object] = set()
        for kind, item, *_ in bench.observer.heard:
            if kind == "appeared":
                assert item not in told, f"{item} appeared twice"
                told.add(item)
            elif kind == "vanished":
                told.remove(item)
        there = {str(bench.address(place)) for place in host.addresses}
        assert_that({str(address) for address in bench.kernel.addresses()}, equal_to(there))
        assert_that(told, equal_to(there))
        known = {name: (link.number, link.up) for name, link in bench.kernel.links().items()}
        links = {link.name: (n, bool(link.flags & RUNNING)) for n, link in host.links.items()}
        assert_that(known, equal_to(links))
        bench.kernel.stop()
        assert_that(bench.reactor.getDelayedCalls(), empty())


class NameTests(SynchronousTestCase):
    """Names of any bytes."""

    def test_not_utf8(self) -> None:
        """An interface may have any name."""
        bench = Bench()
        self.successResultOf(bench.kernel.start())
        name = os.fsdecode(b"\xff\xfe0")
        payload = bench.host.describe_link(3).replace(b"eth1", b"\xff\xfe0\0")
        bench.host.tell(16, payload)
        bench.turn()
        assert_that(
            dict(bench.kernel.links()), has_entries({name: Link(3, name, MACS["eth1"], True, True)})
        )
        bench.kernel.stop()
