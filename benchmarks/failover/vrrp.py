"""keepalived: one VRRP instance for each node's share of the addresses."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.failover.network import INTERFACE
from benchmarks.failover.programs import Program, homes

IN_ADVERTISEMENT = 20  # addresses; VRRP has room for no more, the others are "excluded"
PRIORITIES = (150, 100, 50, 40, 30)
FIRST_ROUTER = 51


class Keepalived(Program):
    """As Debian has it, VRRP version 2, an advertisement per second.

    :cvar version: of VRRP.
    :cvar interval: seconds between advertisements.
    """

    needs = ("keepalived",)
    version = 2
    interval = "1"

    def configure(self) -> None:
        for node in range(len(self.network.nodes)):
            (self.directory / f"{self.name(node)}.conf").write_text(self.configuration(node))

    def configuration(self, node: int) -> str:
        """The file of a node."""
        count, nodes = len(self.addresses), len(self.network.nodes)
        shares: dict[tuple[int, ...], list[str]] = {}
        for number, address in enumerate(self.addresses):
            shares.setdefault(tuple(homes(count, nodes, number)), []).append(address)
        text = f"global_defs {{\n    router_id {self.name(node)}\n"
        text += f"    vrrp_version {self.version}\n}}\n"
        for number, (order, share) in enumerate(shares.items()):
            rank = order.index(node)
            text += f"vrrp_instance share{number + 1} {{\n"
            text += f"    state {'BACKUP' if rank else 'MASTER'}\n"
            text += f"    interface {INTERFACE}\n"
            text += f"    virtual_router_id {FIRST_ROUTER + number}\n"
            text += f"    priority {PRIORITIES[rank]}\n"
            text += f"    advert_int {self.interval}\n"
            for block, part in (
                ("virtual_ipaddress", share[:IN_ADVERTISEMENT]),
                ("virtual_ipaddress_excluded", share[IN_ADVERTISEMENT:]),
            ):
                if part:
                    lines = "".join(f"        {address}/32\n" for address in part)
                    text += f"    {block} {{\n{lines}    }}\n"
            text += "}\n"
        return text

    def command(self, node: int) -> Sequence[str]:
        base = self.directory / self.name(node)
        pids = [f"--pid={base}.pid", f"--vrrp_pid={base}.vrrp.pid"]
        # --vrrp: without the process that checks real servers of a load balancer.
        return [
            "keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp",
            f"--use-file={base}.conf", *pids,
        ]  # fmt: skip


class FastKeepalived(Keepalived):
    """VRRP version 3, ten advertisements per second."""

    version = 3
    interval = "0.1"
