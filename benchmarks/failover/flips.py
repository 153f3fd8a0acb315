"""flip, with the settings that are compared."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.failover.network import INTERFACE, Network
from benchmarks.failover.programs import Program

ROOT = Path(__file__).parents[2]
PORT = 2200
KEY = "the lab's key, which is no secret to anybody"


README = (1000, 1500)  # gossip_interval and ping_timeout, milliseconds
FAST = (100, 200)
HOOKS = {"alive": "ip_up", "down": "ip_down", "config": {"interface": INTERFACE}}


def provided(**settings: Any) -> dict[str, Any]:
    """A system of addresses that flip itself puts and removes.

    :param settings: of its `config`.
    """
    return {"provider": "address", "config": {"interface": INTERFACE, **settings}}


class Flip(Program):
    """One configuration of it.

    :param times: gossip_interval and ping_timeout, milliseconds.
    :param system: the system of addresses, but for its data.
    """

    def __init__(
        self,
        network: Network,
        addresses: Sequence[str],
        directory: Path,
        *,
        times: tuple[int, int] = README,
        system: Mapping[str, Any] = HOOKS,
    ) -> None:
        super().__init__(network, addresses, directory)
        self._times = times
        self._system = system

    def configure(self) -> None:
        self.file.write_text(json.dumps(self.configuration(), indent=2))

    def configuration(self) -> dict[str, Any]:
        """The file of all nodes."""
        servers = {
            self.name(number): {"ip": host.address, "port": PORT, "systems": ["ip"]}
            for number, host in enumerate(self.network.nodes)
        }
        base = str(self.directory / "{id}")
        interval, timeout = self._times
        return {
            "id": self.name(0),
            "key": KEY,
            "gossip_interval": interval,
            "ping_timeout": timeout,
            "state_dir": base,
            "control": f"{base}.sock",
            "servers": servers,
            "cluster": {"system": {"ip": {"type": "shard", **self._system, "data": self.data()}}},
        }

    def data(self) -> Sequence[Any]:
        """The data points."""
        return list(self.addresses)

    def command(self, node: int) -> Sequence[str]:
        # The flip that this lab belongs to, however the environment is set up.
        twistd = Path(sys.executable).with_name("twistd")
        return [
            "env", f"PYTHONPATH={ROOT}", "PYTHONDONTWRITEBYTECODE=1",
            f"PATH={twistd.parent}{os.pathsep}{os.environ['PATH']}",
            str(twistd), "-n", "--pidfile=", "flip",
            "-c", str(self.file), "--id", self.name(node),
        ]  # fmt: skip

    @property
    def file(self) -> Path:
        """The configuration."""
        return self.directory / "flip.json"
