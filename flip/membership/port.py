"""The UDP socket of a node: Twisted's port, for a node that strangers may flood."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorFDSet
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.internet.udp import Port

from flip.log import Logger

LARGEST = 8192  # bytes; `max_packet` cannot be set higher
BURST = 512  # datagrams read before a timer gets its turn: 15 ms of pings, 2 ms of rubbish

RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes; about 10,000 waiting datagrams survive a stall
SO_RCVBUFFORCE = 33  # Linux, <asm-generic/socket.h>: root may exceed net.core.rmem_max
CS6 = 0xC0  # network control (RFC 2474, RFC 4594): gossip must not queue behind bulk data

_log = Logger()


class GossipPort(Port):
    """Twisted's `Port`, different where that one was made for fewer datagrams.

    Twisted's reads 256 KiB before any timer runs, which is thousands of pings
    or endless empty datagrams; it closes itself on an error that it does not
    know; and it parses the address of every datagram that it sends three times,
    a fifth of the cost of answering a ping.
    """

    def startListening(self) -> None:
        """Open the socket, as large and as urgent as this host allows."""
        super().startListening()
        enlarge(self.socket)
        mark(self.socket)

    def doRead(self) -> None:
        """Read what is there, up to `BURST` datagrams."""
        # Whatever a datagram brings to light, the node must not go deaf.
        maybeDeferred(self._read).addErrback(
            lambda failure: _log.failure("an error in receiving a datagram", failure)
        )

    def _read(self) -> None:
        for _ in range(BURST):
            try:
                datagram, address = self.socket.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError as error:
                self.protocol.receive_failed(error)
                return
            self.protocol.datagramReceived(datagram, address)

    def write(self, datagram: bytes, addr: tuple[str, int] | None = None) -> None:
        """Send to a numeric address.

        :raises OSError: the kernel refuses, or the address is of the other family.
        """
        if addr is None:
            raise ValueError("a datagram needs an address: this port is connected to nobody")
        self.socket.sendto(datagram, addr)


def listen_udp(reactor: Any, port: int, protocol: DatagramProtocol, interface: str) -> Any:
    """Start to listen; like `IReactorUDP.listenUDP`, on a `GossipPort` where there are sockets.

    :raises twisted.internet.error.CannotListenError: the address cannot be bound.
    """
    if not IReactorFDSet.providedBy(reactor):
        return reactor.listenUDP(port, protocol, interface=interface, maxPacketSize=LARGEST)
    listening = GossipPort(port, protocol, interface, LARGEST, reactor)
    listening.startListening()
    return listening


def enlarge(sock: socket.socket) -> None:
    """Let a socket hold what arrives while this process stands still, as far as it may."""
    if sys.platform == "linux":
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except PermissionError:
            pass  # it takes CAP_NET_ADMIN; without it the kernel's own limit holds
        else:
            return
    size = RECEIVE_BUFFER
    while size > sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF):
        try:
            # Linux gives what it allows and says nothing; BSD refuses what is too much.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            size //= 2
        else:
            return


def mark(sock: socket.socket) -> None:
    """Mark what a socket sends as network control, as far as this host allows."""
    try:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, CS6)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, CS6)
    except OSError as error:
        _log.warn("what is sent to members cannot be marked CS6: {error}", error=error)


def listen_tcp(reactor: Any, port: int, factory: Factory, interface: str) -> IListeningPort:
    """Open a TCP port whose connections are marked from their first packet on.

    What the kernel answers before a connection is accepted has the mark of the listener.

    :raises twisted.internet.error.CannotListenError: the address cannot be bound.
    """
    listening: IListeningPort = reactor.listenTCP(port, factory, interface=interface)
    sock = getattr(listening, "socket", None)
    if isinstance(sock, socket.socket):  # and not one of a simulated network
        mark(sock)
    return listening
