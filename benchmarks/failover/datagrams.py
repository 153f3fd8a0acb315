"""Many datagrams per system call: ``sendmmsg`` and ``recvmmsg``, which Python lacks.

The instruments of the lab handle some ten thousand datagrams a second beside the
programs that they measure. The arrays are laid out once, and a batch costs one call
however many datagrams are in it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from ctypes import POINTER, Structure, c_char, c_int, c_size_t, c_uint32, c_void_p, pointer, sizeof

PORT = 7007
NUMBER = struct.Struct("=I")  # of the tick that a probe was sent at
ANSWER = struct.Struct("=IB")  # the same, and the number of the node that answers
_NAME = struct.Struct("=HH4s8x")  # struct sockaddr_in
_CONTROL = 32  # bytes: a struct cmsghdr with a struct in_pktinfo, aligned
IP_PKTINFO = 8
BATCH = 256

_libc = ctypes.CDLL(None, use_errno=True)


class _Vector(Structure):
    _fields_ = [("base", c_void_p), ("length", c_size_t)]


class _Message(Structure):
    """``struct mmsghdr``: a ``struct msghdr`` and the length that was sent or received."""

    _fields_ = [
        ("name", c_void_p),
        ("name_length", c_uint32),
        ("vectors", POINTER(_Vector)),
        ("vector_count", c_size_t),
        ("control", c_void_p),
        ("control_length", c_size_t),
        ("flags", c_size_t),  # an int and the padding after it
        ("length", c_uint32),
    ]


def _address(buffer: ctypes.Array[c_char], offset: int = 0) -> int:
    return ctypes.addressof(buffer) + offset


def udp(port: int = 0, *, asked: bool = False) -> socket.socket:
    """A socket that never blocks, with buffers for all that waits while its process stands still.

    Packets that wait for an address to be resolved are in the sender's buffer, so a
    small one would let a few silent addresses keep all others from being probed.

    :param asked: whether the kernel is to note the address to which each datagram was
        sent: before the socket has its port, or those that come first lack the note.
    """
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (33, 32):  # SO_RCVBUFFORCE, SO_SNDBUFFORCE
        one.setsockopt(socket.SOL_SOCKET, option, 1 << 29)
    one.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, asked)
    one.setblocking(False)
    one.bind(("", port))
    return one


class Probes:
    """The same few octets to many addresses, sent in slices."""

    def __init__(self, descriptor: int, addresses: Sequence[str]) -> None:
        self._descriptor = descriptor
        names = b"".join(
            _NAME.pack(socket.AF_INET, socket.htons(PORT), socket.inet_aton(address))
            for address in addresses
        )
        self._names = ctypes.create_string_buffer(names, len(names))
        self._payload = ctypes.create_string_buffer(NUMBER.size)
        self._vector = _Vector(_address(self._payload), NUMBER.size)
        self._messages = (_Message * len(addresses))()
        for index, message in enumerate(self._messages):
            message.name = _address(self._names, index * _NAME.size)
            message.name_length = _NAME.size
            message.vectors = pointer(self._vector)
            message.vector_count = 1

    def send(self, number: int, begin: int, end: int) -> None:
        """Send `number` to the addresses [begin, end); what cannot be sent is passed over."""
        NUMBER.pack_into(self._payload, 0, number)
        while begin < end:
            begin += max(1, _call(_libc.sendmmsg, self._descriptor, self._messages, begin, end))


class Answers:
    """What comes back, as (address, number, node)."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._names = ctypes.create_string_buffer(BATCH * _NAME.size)
        self._payloads = ctypes.create_string_buffer(BATCH * ANSWER.size)
        self._vectors = (_Vector * BATCH)()
        self._messages = (_Message * BATCH)()
        for index, (vector, message) in enumerate(zip(self._vectors, self._messages, strict=True)):
            vector.base = _address(self._payloads, index * ANSWER.size)
            vector.length = ANSWER.size
            message.name = _address(self._names, index * _NAME.size)
            message.name_length = _NAME.size
            message.vectors = pointer(vector)
            message.vector_count = 1

    def receive(self) -> Iterator[tuple[bytes, int, int]]:
        """All that wait; addresses are packed."""
        count = BATCH
        while count == BATCH:
            count = _call(_libc.recvmmsg, self._descriptor, self._messages, 0, BATCH)
            for index in range(count):
                number, node = ANSWER.unpack_from(self._payloads, index * ANSWER.size)
                yield _NAME.unpack_from(self._names, index * _NAME.size)[2], number, node


class Echo:
    """Answers each probe from the address that it was sent to, and says which node it is.

    A message is received and sent back by two headers that share the sender's name
    and the control data (IP_PKTINFO, in which the kernel puts the address asked, and
    out of which it takes the one to answer from): no datagram is looked at here.

    :param server: made with `asked`.
    """

    def __init__(self, server: socket.socket, node: int) -> None:
        self._descriptor = server.fileno()
        self._names = ctypes.create_string_buffer(BATCH * _NAME.size)
        self._numbers = ctypes.create_string_buffer(BATCH * NUMBER.size)
        self._controls = ctypes.create_string_buffer(BATCH * _CONTROL)
        self._node = ctypes.create_string_buffer(bytes([node]), 1)
        self._vectors = (_Vector * (2 * BATCH))()
        self._received, self._sent = (_Message * BATCH)(), (_Message * BATCH)()
        for index in range(BATCH):
            number, who = self._vectors[2 * index], self._vectors[2 * index + 1]
            number.base, number.length = _address(self._numbers, index * NUMBER.size), NUMBER.size
            who.base, who.length = _address(self._node), 1
            for message, count in ((self._received[index], 1), (self._sent[index], 2)):
                message.name = _address(self._names, index * _NAME.size)
                message.name_length = _NAME.size
                message.vectors = pointer(number)
                message.vector_count = count
                message.control = _address(self._controls, index * _CONTROL)
                message.control_length = _CONTROL
        # The kernel notes in each header how long things were; they are as new from this.
        self._fresh = bytes(self._received)

    def answer(self) -> None:
        """Answer all that wait."""
        count = BATCH
        while count == BATCH:
            count = _call(_libc.recvmmsg, self._descriptor, self._received, 0, BATCH)
            if count:
                ctypes.memmove(self._received, self._fresh, count * sizeof(_Message))
            begin = 0
            while begin < count:  # an address that has just gone cannot be answered from
                sent = _call(_libc.sendmmsg, self._descriptor, self._sent, begin, count)
                begin += max(1, sent)


# Nothing waits; the address is gone, or nobody has it; the queue is full: one datagram is lost.
_LOST = {
    errno.EAGAIN,
    errno.EINTR,
    errno.EINVAL,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.EADDRNOTAVAIL,
    errno.ENOBUFS,
    errno.ENETDOWN,
    errno.ENODEV,
}


def _call(
    function: ctypes._NamedFuncPointer,
    descriptor: int,
    messages: ctypes.Array[_Message],
    begin: int,
    end: int,
) -> int:
    """How many went through; 0 where the first did not.

    :raises OSError: for a reason that no network has.
    """
    first = ctypes.byref(messages, begin * sizeof(_Message))
    arguments = [c_int(descriptor), first, c_uint32(end - begin), c_int(socket.MSG_DONTWAIT)]
    if function is _libc.recvmmsg:
        arguments.append(None)
    done = int(function(*arguments))
    if done >= 0:
        return done
    error = ctypes.get_errno()
    if error not in _LOST:
        raise OSError(error, os.strerror(error))
    return 0
