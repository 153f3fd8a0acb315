"""Clusters at random, small ones, with what their configuration may say."""

from __future__ import annotations

import random
from typing import Any

SIZES = [(3, 1, 2), (3, 1, 2), (3, 1, 2), (3, 0, 2), (3, 0, 2), (4, 0, 3), (5, 0, 4)]
ADDRESSES = 0.35  # of the clusters of ordinary systems: flip sets addresses, not hooks
EXCLUSIVE_ADDRESSES = 0.25  # of the others, whose leases are long then
CHECKS = 0.3  # of the clusters of ordinary systems
PAIRS = 0.1  # of them: two servers and a witness
SHAPES = 0.2  # of them: groups, weights, preferences, or all data on one server
INTERFACE = "eth0"
WITNESS = "10.0.0.254"

Settings = dict[str, Any]


def cluster(rng: random.Random, *, exclusive: bool) -> Settings:
    """Three servers of which one is an arbiter, three alike, four, five, or two with a
    witness; often with other settings than the defaults."""
    count, arbiters, data = rng.choice(SIZES)
    pair = not exclusive and rng.random() < PAIRS
    if pair:
        count, arbiters = 2, 0
    servers: Settings = {}
    for number in range(count):
        server: Settings = {"ip": f"10.0.0.{number + 1}", "port": 2200}
        if number < count - arbiters:
            server["systems"] = ["s"]
        servers[f"n{number}"] = server
    servers["n1"]["priority"] = 1
    system: Settings = {"type": "shard", "retry_after": 5000}
    config: Settings = {
        "key": "secret",
        "servers": servers,
        "cluster": {"system": {"s": system}},
    }
    addresses = rng.random() < (EXCLUSIVE_ADDRESSES if exclusive else ADDRESSES)
    if pair:
        config["witness"] = {"ping": [WITNESS]}
    if addresses:
        _address(rng, system, data, exclusive=exclusive)
    else:
        system |= {"alive": "ip_up", "down": "ip_down"}
        system["data"] = [f"d{number}" for number in range(data)]
    if exclusive:
        _exclusive(rng, config, system, addresses=addresses)
    else:
        _ordinary(rng, config, system, addresses=addresses)
    if rng.random() < 0.4:
        system |= {
            "remove_on_start": rng.choice([True, False]),
            "delay": rng.choice([0, 50, 1000]),
        }
        if not addresses:
            system["hook_concurrency"] = rng.choice([1, 4])
    return config


def _address(rng: random.Random, system: Settings, data: int, *, exclusive: bool) -> None:
    """Addresses, IPv6 among them, most with a lease in the kernel."""
    texts = [f"192.0.2.{number + 1}" for number in range(data)]
    if rng.random() < 0.3:
        texts[-1] = "2001:db8::1"
    config: Settings = {"interface": INTERFACE}
    if not exclusive and rng.random() < 0.7:
        config["kernel_lease"] = rng.choice([2000, 3000, 5000])
        config["wait_for_lease"] = rng.random() < 0.6
    if rng.random() < 0.2:
        config["on_conflict"] = rng.choice(["take", "wait"])
    system |= {"provider": "address", "config": config, "data": texts}


def _exclusive(rng: random.Random, config: Settings, system: Settings, *, addresses: bool) -> None:
    patience = rng.choice([500, 1000])
    system["exclusive"] = True
    config["ping_timeout"] = patience
    if addresses:
        system["lease"] = rng.choice([4000, 4000, 5000])
        return
    timeout = rng.choice([300, 600])
    shortest = patience + 2 * timeout
    system["hook_timeout"] = timeout
    system["lease"] = rng.choice([shortest, shortest, shortest, 2 * shortest, 6000])


def _ordinary(rng: random.Random, config: Settings, system: Settings, *, addresses: bool) -> None:
    if rng.random() < 0.4:
        system |= {
            "type": rng.choice(["shard", "shard", "replicate"]),
            "on_isolation": rng.choice(["hold", "release"]),
        }
        if not addresses:
            system["hook_timeout"] = rng.choice([500, 2000])
    if rng.random() < CHECKS:
        system["check"] = {
            "tcp": "127.0.0.1:5432",
            "interval": rng.choice([300, 1000]),
            "timeout": rng.choice([200, 500]),
            "rise": rng.choice([1, 2]),
            "fall": rng.choice([1, 2, 3]),
        }
        system["failback"] = rng.choice(["auto", "auto", "manual", {"after": 2000}])
        system["all_unfit"] = rng.choice(["stay", "stay", "divide", "release"])
    if rng.random() < SHAPES:
        _shape(rng, config["servers"], system)


def _shape(rng: random.Random, servers: Settings, system: Settings) -> None:
    """Groups, weights, preferences, or all of it on one server."""
    holders = [id for id, server in servers.items() if "systems" in server]
    data: list[Any] = system["data"]
    if rng.random() < 0.5:
        data.append([_more(data[0], number) for number in range(2)])
    if rng.random() < 0.4 and system["type"] == "shard":
        data[0] = {"id": data[0], "prefer": rng.choice(holders)}
    if rng.random() < 0.3:
        servers[rng.choice(holders)]["weight"] = rng.choice([2, 3])
    if rng.random() < 0.3:
        system["type"] = "failover"
        data[:] = [one["id"] if isinstance(one, dict) else one for one in data]


def _more(text: str, number: int) -> str:
    """Another data point like one."""
    return f"192.0.2.{number + 101}" if "." in text or ":" in text else f"g{number}"
