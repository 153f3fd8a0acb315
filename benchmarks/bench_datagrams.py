"""How many pings a node answers per second: unseal, replay check, decode, merge, encode, seal.

A real node's membership listens on a loopback socket in this process; another
process plays one of the other members and floods it with pings that were sealed
beforehand. The promise is 20,000 answers per second of one core. It is judged by
the processor time that the node spent, so that it holds on a busy machine too;
the answers per second of the wall clock stand beside it.

- idle: the pings carry no updates and show the digest that the node has.
- known: six updates that the node has heard before, as most gossip is.
- new: six updates, each of which changes a member's record and is told on with
  the ack. No cluster changes that often; the row shows what a change costs, and
  the promise is not about it.
"""

from __future__ import annotations

import json
import os
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol

from flip.config import Config, load
from flip.membership.service import Membership
from flip.wire.messages import Ack, Gossip, Ping, Record, Status, Update, decode_datagram, encode
from flip.wire.seal import Channel, Seal

PROMISE = 20_000  # answers per second of one core
PINGS = 20_000
RUNS = 5
WINDOW = 64  # pings on their way; fewer than the smallest socket buffer holds
VARIANTS = {"idle": True, "known": True, "new": False}  # and whether the promise covers it
SERVERS = 8
NODE, SENDER = "node0", "node1"
KEY = bytes(32)
BIRTH = 1_700_000_000_000


def configuration(folder: Path, ports: Iterable[int]) -> Config:
    """Eight servers that share 64 data points; `NODE` is the one that listens."""
    hook = "/bin/true"
    system = {"alive": hook, "down": hook, "type": "shard", "data": [f"d{n}" for n in range(64)]}
    servers = {
        f"node{n}": {"ip": "127.0.0.1", "port": port, "systems": ["s"]}
        for n, port in enumerate(ports)
    }
    path = folder / "flip.json"
    content = {
        "id": NODE,
        "key": "of no importance here",
        "servers": servers,
        "cluster": {"system": {"s": system}},
        "state_dir": str(folder),
        "control": str(folder / "sock"),
    }
    path.write_text(json.dumps(content))
    return load(path)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


class Sender:
    """The process that plays `SENDER`: prepares pings, waits for the word, floods, counts."""

    def __init__(self, port: int, own_port: int, boot: int) -> None:
        self.rng = random.Random(boot)
        self.seal = Seal([KEY], SENDER, boot, [f"node{n}" for n in range(SERVERS)])
        self.birth = BIRTH + boot
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", own_port))
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(5)

    def record(self, id: str, version: int) -> Update:
        """What a node tells of a member that claims nothing and that nobody accuses."""
        birth = self.birth
        record = Record(id, birth, version, Status.ACTIVE, birth, 7, bytes(8))
        return Update(id, record, b"", accused=birth)

    def others(self, version: int) -> tuple[Update, ...]:
        """The records of six members."""
        return tuple(self.record(f"node{n}", version) for n in range(2, SERVERS))

    def send(self, message: Any) -> None:
        """One datagram to the node."""
        self.socket.send(self.seal.seal(encode(message), Channel.UDP))

    def ask(self) -> Ack:
        """Ping the node once and wait for its answer."""
        nonce = self.rng.getrandbits(63)
        self.send(Ping(self.birth, 0, nonce))
        while True:
            message = decode_datagram(self.seal.unseal(self.socket.recv(8192), Channel.UDP).payload)
            if isinstance(message, Ack) and message.nonce == nonce:
                return message

    def run(self, variant: str) -> dict[str, float]:
        """Flood the node; returns how many pings it answered in how many seconds."""
        self.send(Gossip(self.birth, 0, (self.record(SENDER, 0),)))
        self.send(Gossip(self.birth, 0, self.others(0)))
        # The news of these records is told so many times, then the node has no more.
        digest = [self.ask().digest for _ in range(50)][-1]
        nonces = [self.rng.getrandbits(63) for _ in range(PINGS)]
        known = self.others(0) if variant == "known" else ()
        pings = [
            self.seal.seal(
                encode(
                    Ping(
                        self.birth,
                        digest,
                        nonce,
                        self.others(1 + at) if variant == "new" else known,
                    )
                ),
                Channel.UDP,
            )
            for at, nonce in enumerate(nonces)
        ]
        print("begin", flush=True)
        sys.stdin.readline()
        started = time.perf_counter()
        received = self.flood(pings)
        seconds = time.perf_counter() - started
        received += self.rest()
        answered = {
            message.nonce
            for datagram in received
            if isinstance(
                message := decode_datagram(self.seal.unseal(datagram, Channel.UDP).payload), Ack
            )
        }
        return {"answered": len(answered & set(nonces)), "seconds": seconds}

    def flood(self, pings: list[bytes]) -> list[bytes]:
        """Send all pings, `WINDOW` of them ahead of the answers."""
        received: list[bytes] = []
        send, receive = self.socket.send, self.socket.recv
        sent = 0
        while len(received) < len(pings):
            while sent < len(pings) and sent - len(received) < WINDOW:
                send(pings[sent])
                sent += 1
            try:
                received.append(receive(8192))
            except TimeoutError:
                break
        return received

    def rest(self) -> list[bytes]:
        """The answers that are still on their way: probes of the node came in between."""
        self.socket.settimeout(0.2)
        received: list[bytes] = []
        try:
            while True:
                received.append(self.socket.recv(8192))
        except TimeoutError:
            return received


class Conversation(ProcessProtocol):
    """The node's end of the pipe to a sender: measures processor time from begin to end."""

    def __init__(self) -> None:
        self.result: Deferred[dict[str, float]] = Deferred()
        self._output = b""
        self._started = 0.0

    def outReceived(self, data: bytes) -> None:
        """The sender is ready, or done."""
        self._output += data
        assert self.transport is not None
        if self._output == b"begin\n":
            self._started = time.process_time()
            self.transport.write(b"go\n")
            self._output += b" "
        elif self._output.endswith(b"}\n"):
            spent = time.process_time() - self._started
            result = json.loads(self._output.split(b"\n")[1])
            self.result.callback({**result, "spent": spent})

    def errReceived(self, data: bytes) -> None:
        """Let its tracebacks be seen."""
        sys.stderr.write(data.decode())


def bare(payload: int = 150) -> float:
    """The seconds that one unseal and one seal of a packet take, without anything else."""
    members = [NODE, SENDER]
    sender, node = Seal([KEY], SENDER, 1, members), Seal([KEY], NODE, 2, members)
    packets = [sender.seal(bytes(payload), Channel.UDP) for _ in range(20_000)]
    started = time.process_time()
    for packet in packets:
        node.seal(node.unseal(packet, Channel.UDP).payload, Channel.UDP)
    return (time.process_time() - started) / len(packets)


async def measure(reactor: Any, variant: str, folder: Path) -> dict[str, float]:
    """One run, with a node and a sender of its own."""
    ports = free_ports(SERVERS)
    config = configuration(folder, ports)
    boot = random.getrandbits(40)
    seal = Seal([KEY], NODE, boot + 1, config.servers)
    rng = random.Random(boot)
    membership = Membership(
        config, reactor, rng, seal, birth=BIRTH, boot=boot + 1, raised=lambda incarnation: None
    )
    membership.listen()
    membership.startService()
    conversation = Conversation()
    arguments = [sys.executable, __file__, "--sender", variant, *map(str, (*ports[:2], boot))]
    reactor.spawnProcess(conversation, sys.executable, arguments, env=dict(os.environ))
    result = await conversation.result
    await membership.stopService()
    return result


async def bench(reactor: Any) -> None:
    """Print the table; exit 1 if the promise is broken."""
    reference = statistics.median(bare() for _ in range(RUNS)) * 1e6
    broken = False
    titles = ("answered", "CPU us/ping", "per core second", "per second")
    print(f"{'pings':>8} {titles[0]:>9} {titles[1]:>12} {titles[2]:>16} {titles[3]:>11}")
    with tempfile.TemporaryDirectory() as folder:
        for variant, promised in VARIANTS.items():
            runs = [await measure(reactor, variant, Path(folder)) for _ in range(RUNS)]
            answered = min(run["answered"] for run in runs)
            cost = statistics.median(run["spent"] / run["answered"] for run in runs)
            wall = statistics.median(run["answered"] / run["seconds"] for run in runs)
            print(
                f"{variant:>8} {answered / PINGS:>9.1%} {cost * 1e6:>12.1f} {1 / cost:>16,.0f}"
                f" {wall:>11,.0f}   {cost * 1e6 / reference:.1f} times bare unseal and seal"
            )
            broken = broken or answered < PINGS or (promised and 1 / cost < PROMISE)
    print(f"bare unseal and seal: {reference:.1f} us; the promise: {PROMISE:,} per core second")
    sys.exit(int(broken))


def main() -> None:
    """The node's process, or with --sender the other one."""
    if sys.argv[1:2] == ["--sender"]:
        variant, port, own_port, boot = sys.argv[2:]
        print(json.dumps(Sender(int(port), int(own_port), int(boot)).run(variant)), flush=True)
        return
    from twisted.internet.task import react

    react(lambda reactor: Deferred.fromCoroutine(bench(reactor)))


if __name__ == "__main__":
    main()
