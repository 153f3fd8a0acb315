"""A small Ethernet of network namespaces: hosts on one bridge, made and removed by a test."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Any

_counter = itertools.count(1)


@cache
def unavailable() -> str | None:
    """Why namespaces cannot be made here, None when they can: the `skip` of a test case."""
    if not hasattr(os, "setns") and not os.path.isdir("/proc/self/ns"):
        return "needs Linux's network namespaces"
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    if shutil.which("ip") is None or shutil.which("bridge") is None:
        return "needs ip and bridge (iproute2)"
    try:
        with Lan(1):
            return None
    except subprocess.CalledProcessError as error:
        return f"cannot make network namespaces here: {error.stderr.strip()}"


@dataclass
class Host:
    """A namespace with one interface on the bridge.

    :ivar namespace: its name for ``ip netns``.
    :ivar port: the bridge's end of its cable, inside the bridge's namespace.
    :ivar address: its IPv4 address, with a /24 on `interface`.
    :ivar address6: its IPv6 address, with a /64.
    """

    namespace: str
    port: str
    address: str
    address6: str
    interface: str = "eth0"
    _started: list[subprocess.Popen[Any]] = field(default_factory=list)

    def command(self, *words: str) -> list[str]:
        """The argument list that runs `words` in this namespace, with no process between."""
        return ["ip", "netns", "exec", self.namespace, *words]

    def run(
        self, *words: str, check: bool = True, timeout: float = 30, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; text comes back in `stdout` and `stderr`.

        :raises subprocess.CalledProcessError: its exit status is not 0, unless `check` is False.
        """
        return subprocess.run(
            self.command(*words),
            check=check,
            timeout=timeout,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            **options,
        )

    def popen(self, *words: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a command; whatever still runs at the end of the LAN is killed."""
        process: subprocess.Popen[Any] = subprocess.Popen(
            self.command(*words), **{"stdin": subprocess.DEVNULL, **options}
        )
        self._started.append(process)
        return process

    def addresses(self, interface: str | None = None) -> list[str]:
        """The addresses on an interface (`interface` by default), each with its prefix length."""
        listing = self.run("ip", "-o", "addr", "show", "dev", interface or self.interface)
        return [line.split()[3] for line in listing.stdout.splitlines()]

    def neighbour(self, address: str) -> str | None:
        """The MAC address that this host remembers for an address."""
        words = self.run("ip", "neigh", "show", address).stdout.split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else None

    def mac(self) -> str:
        """The MAC address of `interface`."""
        words = self.run("ip", "-o", "link", "show", "dev", self.interface).stdout.split()
        return words[words.index("link/ether") + 1]


class Lan:
    """`count` hosts on one bridge; a context manager.

    The hosts have the addresses 10.77.0.1 ... and fd77::1 ..., in order. Everything
    lives inside namespaces whose names hold this process's id: nothing outside of
    them is touched.

    :ivar switch: the namespace of the bridge.
    """

    def __init__(self, count: int) -> None:
        name = f"flip{os.getpid()}x{next(_counter)}"
        self.switch = f"{name}-lan"
        self.hosts = [
            Host(f"{name}-{n}", f"port{n}", f"10.77.0.{n}", f"fd77::{n:x}")
            for n in range(1, count + 1)
        ]

    def __enter__(self) -> Lan:
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill what still runs in the namespaces, and remove them."""
        for host in self.hosts:
            for process in host._started:
                process.kill()
                process.wait()
        for namespace in [host.namespace for host in self.hosts] + [self.switch]:
            if not os.path.exists(f"/run/netns/{namespace}"):
                continue
            for pid in _ip("netns", "pids", namespace).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _ip("netns", "delete", namespace)

    def isolate(self, hosts: Iterable[Host], isolated: bool = True) -> None:
        """Let isolated hosts reach none but the hosts that are not isolated."""
        for host in hosts:
            words = ["link", "set", "dev", host.port, "isolated", "on" if isolated else "off"]
            subprocess.run(
                ["bridge", "-n", self.switch, *words], check=True, text=True, capture_output=True
            )

    def unplug(self, host: Host, unplugged: bool = True) -> None:
        """Take a host's cable out of the bridge, or put it back; its own link stays up."""
        master = ["nomaster"] if unplugged else ["master", "lan"]
        _ip("-n", self.switch, "link", "set", "dev", host.port, *master)

    def split(self, hosts: Iterable[Host], split: bool = True) -> None:
        """Give hosts a bridge of their own, or put them back on that of the others."""
        bridge = "lan2" if split else "lan"
        _batch([["link", "set", "dev", host.port, "master", bridge] for host in hosts], self.switch)

    def _build(self) -> None:
        names = [self.switch, *(host.namespace for host in self.hosts)]
        _batch([["netns", "add", name] for name in names])
        for name in names:
            # Without duplicate address detection an IPv6 address serves at once.
            _in(
                name,
                "for f in all default; do echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad; done",
            )
        lan = []
        for bridge in ("lan", "lan2"):
            lan.append(["link", "add", bridge, "type", "bridge", "mcast_snooping", "0"])
            lan.append(["link", "set", bridge, "up"])
        for host in self.hosts:
            end = [host.interface, "netns", host.namespace]
            lan.append(["link", "add", host.port, "type", "veth", "peer", "name", *end])
            lan.append(["link", "set", host.port, "master", "lan", "up"])
        _batch(lan, self.switch)
        for host in self.hosts:
            _batch(
                [
                    ["link", "set", "lo", "up"],
                    ["link", "set", host.interface, "up"],
                    ["addr", "add", f"{host.address}/24", "dev", host.interface],
                    ["addr", "add", f"{host.address6}/64", "dev", host.interface, "nodad"],
                ],
                host.namespace,
            )


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], check=True, text=True, capture_output=True)
    return done.stdout


def _batch(commands: Sequence[Sequence[str]], namespace: str | None = None) -> None:
    text = "".join(" ".join(words) + "\n" for words in commands)
    where = ["-n", namespace] if namespace else []
    subprocess.run(
        ["ip", *where, "-batch", "-"], input=text, check=True, text=True, capture_output=True
    )


def _in(namespace: str, script: str) -> None:
    subprocess.run(
        ["ip", "netns", "exec", namespace, "sh", "-c", script],
        check=True,
        text=True,
        capture_output=True,
    )
