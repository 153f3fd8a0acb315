"""How long a node is busy at once when others' data points become its own: the longest turn.

Three nodes in the simulator, the real classes of production on virtual time. One is killed, and
the two others share what it had; then it comes back, and they hand over. Each call that a
reactor would make is a turn; while one lasts no probe is answered. It is judged by the processor
time, which a busy machine does not blur, with the collection of garbage apart: one process
has the objects of three nodes here.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flip.simulation.world import World

PROMISE = 0.020  # seconds
COUNTS = (50, 1000)  # data points
SETTLED, AFTER = 15.0, 15.0  # seconds before the kill, and looked at after it, and after the start
PROVIDED = {"provider": "address", "config": {"interface": "eth0", "kernel_lease": 3000}}
HOOKS = {"alive": "ip_up", "down": "ip_down"}


def description(count: int, system: dict[str, Any]) -> dict[str, Any]:
    """A cluster of three, with so many data points."""
    data = [f"10.{9 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}" for n in range(count)]
    return {
        "key": "secret",
        "servers": {
            f"n{n}": {"ip": f"10.0.0.{n + 1}", "port": 2200, "systems": ["ip"]} for n in range(3)
        },
        "cluster": {"system": {"ip": {"type": "shard", "data": data, **system}}},
    }


@contextmanager
def without_collection() -> Iterator[None]:
    """Collect no garbage meanwhile."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def longest(world: World, seconds: float) -> float:
    """The longest turn of the next `seconds`, in seconds of the processor."""
    end, most = world.now + seconds, 0.0
    while True:
        began = time.process_time()
        if not world.agenda.step(end):
            return most
        most = max(most, time.process_time() - began)


def main() -> int:
    """Print the longest turns; 1 if one is longer than promised."""
    print(f"longest turn, ms of CPU; promised {1e3 * PROMISE:.0f}")
    print(f"{'data points':>11} {'of':>10} {'takeover':>9} {'return':>7}")
    worst = 0.0
    for title, system in (("addresses", PROVIDED), ("hooks", HOOKS)):
        for count in COUNTS:
            world = World(description(count, system), checked=False)
            world.start()
            world.run(SETTLED)
            with without_collection():
                world.machines["n2"].kill()
                takeover = longest(world, AFTER)
                world.machines["n2"].start()
                back = longest(world, AFTER)
            world.close()
            worst = max(worst, takeover, back)
            print(f"{count:>11} {title:>10} {1e3 * takeover:>9.1f} {1e3 * back:>7.1f}", flush=True)
    return int(worst > PROMISE)


if __name__ == "__main__":
    sys.exit(main())
