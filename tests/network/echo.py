"""Who answers for an address, every few milliseconds; run in namespaces as a program.

``python echo.py answer NAME PORT`` answers every datagram with its content and NAME, from
the address that it was sent to; by TCP it accepts connections, for those who only ask whether
it is there. ``python echo.py ask ADDRESS PORT`` sends a datagram every
`PERIOD` until SIGTERM and prints, as JSON, [sent, received or null, NAME or null] for each;
times are seconds of the monotonic clock, which all namespaces share.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import struct
import sys
import time

PERIOD = 0.005  # seconds
IP_PKTINFO = 8
PKTINFO = struct.Struct("=I4s4s")  # interface, local address, destination


def answer(name: str, port: int) -> None:
    """Answer for every address of this host, until killed."""
    with (
        socket.create_server(("0.0.0.0", port)) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.bind(("0.0.0.0", port))
        while True:
            readable, _, _ = select.select([sock, listener], [], [])
            if listener in readable:
                listener.accept()[0].close()
            if sock not in readable:
                continue
            question, ancillary, _, asker = sock.recvmsg(64, 64)
            (_, _, info) = ancillary[0]
            _, _, asked = PKTINFO.unpack(info)
            # Without this the kernel would answer from another of its addresses.
            source = (socket.IPPROTO_IP, IP_PKTINFO, PKTINFO.pack(0, asked, b"\0" * 4))
            try:
                sock.sendmsg([question, name.encode()], [source], 0, asker)
            except OSError:
                continue  # the address was removed just now: nobody answers for it


def ask(address: str, port: int) -> list[list[object]]:
    """Ask until SIGTERM; see the module for the result."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    asked: list[list[object]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        due = time.monotonic()
        while not stopped:
            now = time.monotonic()
            if now >= due:
                asked.append([now, None, None])
                # No route, or an ICMP error about an earlier one: it counts as lost.
                with contextlib.suppress(OSError):
                    sock.sendto(struct.pack("=I", len(asked) - 1), (address, port))
                due = max(due + PERIOD, now)
            if select.select([sock], [], [], max(0.0, due - time.monotonic()))[0]:
                with contextlib.suppress(OSError):
                    reply = sock.recv(64)
                    (number,) = struct.unpack("=I", reply[:4])
                    asked[number][1:] = [time.monotonic(), reply[4:].decode()]
    return asked


if __name__ == "__main__":
    if sys.argv[1] == "answer":
        answer(sys.argv[2], int(sys.argv[3]))
    else:
        print(json.dumps(ask(sys.argv[2], int(sys.argv[3]))))
