"""flip, with the settings that are compared."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.failover.network import INTERFACE
from benchmarks.failover.programs import Program

ROOT = Path(__file__).parents[2]
PORT = 2200
KEY = "the lab's key, which is no secret to anybody"


class Flip(Program):
    """As the README has it.

    :cvar interval: `gossip_interval`, milliseconds.
    :cvar timeout: `ping_timeout`, milliseconds.
    :cvar system: settings of the system beside its data.
    """

    interval = 1000
    timeout = 1500
    system: ClassVar[dict[str, Any]] = {
        "alive": "ip_up",
        "down": "ip_down",
        "config": {"interface": INTERFACE},
    }

    def configure(self) -> None:
        path = self.directory / "flip.json"
        path.write_text(json.dumps(self.configuration(), indent=2))

    def configuration(self) -> dict[str, Any]:
        """The file of all nodes."""
        servers = {
            self.name(number): {"ip": host.address, "port": PORT, "systems": ["ip"]}
            for number, host in enumerate(self.network.nodes)
        }
        base = str(self.directory / "{id}")
        return {
            "id": self.name(0),
            "key": KEY,
            "gossip_interval": self.interval,
            "ping_timeout": self.timeout,
            "state_dir": base,
            "control": f"{base}.sock",
            "servers": servers,
            "cluster": {
                "system": {"ip": {"type": "shard", **self.system, "data": list(self.addresses)}}
            },
        }

    def command(self, node: int) -> Sequence[str]:
        # The flip that this lab belongs to, however the environment is set up.
        twistd = Path(sys.executable).with_name("twistd")
        return [
            "env", f"PYTHONPATH={ROOT}", "PYTHONDONTWRITEBYTECODE=1",
            f"PATH={twistd.parent}{os.pathsep}{os.environ['PATH']}",
            str(twistd), "-n", "--pidfile=", "flip",
            "-c", str(self.directory / "flip.json"), "--id", self.name(node),
        ]  # fmt: skip


class HookedFlip(Flip):
    """The same with hooks in place of the provider."""


class FastFlip(Flip):
    """At the detection traffic of ten advertisements per second."""

    interval = 100
    timeout = 200
