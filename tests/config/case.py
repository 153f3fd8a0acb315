"""A good configuration to make wrong in one place at a time."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from flip.config import Config, load
from flip.errors import ConfigError

# The story's, with a key, an interface and addresses that nothing is wrong with.
GOOD: dict[str, Any] = {
    "id": "flip",
    "quorum": 2,
    "gossip_interval": 1000,
    "key": "correct horse battery staple",
    "ping_per_interval": 3,
    "ping_timeout": 1500,
    "log_level": "info",
    "servers": {
        "flip": {"ip": "127.0.0.1", "port": 2200, "systems": ["ip"]},
        "flip1": {"priority": 1, "ip": "127.0.0.1", "port": 2201, "systems": ["ip"]},
        "flip2": {"ip": "127.0.0.1", "port": 2202},
    },
    "cluster": {
        "config": {},
        "system": {
            "ip": {
                "alive": "ip_up",
                "down": "ip_down",
                "type": "shard",
                "config": {"dev": "lo"},
                "data": ["192.168.0.2", "192.168.0.1"],
            }
        },
    },
}
ENVIRON = {"HOME": "/home/op"}


class ConfigurationCase(SynchronousTestCase):
    """`description` is a good configuration; a test changes it and loads it."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.mode = 0o600
        self.description = copy.deepcopy(GOOD)
        self.servers: dict[str, Any] = self.description["servers"]
        self.systems: dict[str, Any] = self.description["cluster"]["system"]

    def load(self, id: str | None = None, **environ: str) -> Config:
        """What `load` makes of the description."""
        self.path.write_text(json.dumps(self.description))
        self.path.chmod(self.mode)
        return load(self.path, id=id, environ=ENVIRON | environ)

    def problems(self, id: str | None = None, **environ: str) -> list[str]:
        """Everything that is wrong with the description."""
        try:
            self.load(id, **environ)
        except ConfigError as error:
            return [str(problem) for problem in error.problems]
        return []

    def warnings(self) -> list[str]:
        """Everything that is doubtful in the description."""
        return [str(warning) for warning in self.load().warnings]
