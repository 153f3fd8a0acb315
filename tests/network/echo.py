"""Who answers for an address, every few milliseconds; run in namespaces as a program.

``python echo.py answer NAME PORT`` answers every datagram with its content and NAME, from
the address that it was sent to. ``python echo.py ask ADDRESS PORT SECONDS`` sends a
datagram every `PERIOD` and prints, as JSON, one [sent, received or null, NAME or null]
for each; times are seconds of the monotonic clock, which all namespaces share. It imports
nothing but the standard library, so that it starts fast.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

PERIOD = 0.005  # seconds
PATIENCE = 1.0  # seconds to wait for the last answers
IP_PKTINFO = 8
PKTINFO = struct.Struct("=I4s4s")  # interface, local address, destination


def answer(name: str, port: int) -> None:
    """Answer for every address of this host, until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.bind(("0.0.0.0", port))
        while True:
            question, ancillary, _, asker = sock.recvmsg(64, 64)
            (_, _, info) = ancillary[0]
            _, _, asked = PKTINFO.unpack(info)
            # Without this the kernel would answer from another of its addresses.
            source = (socket.IPPROTO_IP, IP_PKTINFO, PKTINFO.pack(0, asked, b"\0" * 4))
            try:
                sock.sendmsg([question, name.encode()], [source], 0, asker)
            except OSError:
                continue  # the address was removed just now: nobody answers for it


def ask(address: str, port: int, seconds: float) -> list[list[object]]:
    """Ask for `seconds`; see the module for the result."""
    asked: list[list[object]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        began = due = time.monotonic()
        while time.monotonic() < began + seconds + PATIENCE:
            if due < began + seconds and time.monotonic() >= due:
                number = struct.pack("=I", len(asked))
                asked.append([time.monotonic(), None, None])
                try:
                    sock.sendto(number, (address, port))
                except OSError:
                    pass  # no route, or an ICMP error of an earlier one: it counts as lost
                due += PERIOD
            wait = max(0.0, due - time.monotonic()) if due < began + seconds else PERIOD
            if not select.select([sock], [], [], wait)[0]:
                continue
            try:
                reply = sock.recv(64)
            except OSError:
                continue
            (number_back,) = struct.unpack("=I", reply[:4])
            asked[number_back][1:] = [time.monotonic(), reply[4:].decode()]
    return asked


if __name__ == "__main__":
    if sys.argv[1] == "answer":
        answer(sys.argv[2], int(sys.argv[3]))
    else:
        print(json.dumps(ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))
