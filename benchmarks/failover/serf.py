"""serf, and the event handler that an operator would write for addresses."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence

from benchmarks.failover.network import INTERFACE, NET
from benchmarks.failover.programs import Program, homes

EVENTS = "member-join,member-leave,member-failed,member-reap"
# An address goes to the first of its servers that is alive. One handler at a time;
# `ip -batch`, and all announcements at once, or a thousand addresses take minutes.
HANDLER = """#!/bin/sh
exec 9>"$1.lock"; flock 9
me=$SERF_SELF_NAME
have=$(ip -4 -o addr show dev {interface} to {net} | awk '{{ sub("/.*", "", $4); print $4 }}')
alive=$(serf members -status=alive | awk '{{ print $1 }}') || exit 1
printf '%s\\n' "$alive" - "$have" - | cat - {plan} | awk -v me="$me" '
    $1 == "-" {{ part++; next }}
    part == 0 {{ alive[$1] }}
    part == 1 {{ have[$1] }}
    part == 2 {{
        for (i = 2; i <= NF; i++) if ($i in alive) break
        if ($i == me && !($1 in have)) print "add", $1
        if ($i != me && $1 in have) print "del", $1
    }}' > "$1.changes"
awk '{{ print "addr", $1, $2 "/32 dev {interface}" }}' "$1.changes" | ip -force -batch -
awk '$1 == "add" {{ print $2 }}' "$1.changes" |
    xargs -r -P 0 -n 1 arping -q -U -c 2 -I {interface} > /dev/null 2>&1 9>&- &
"""


class Serf(Program):
    """As Debian has it, with the timing of its `lan` profile."""

    needs = ("serf", "arping", "flock")

    def configure(self) -> None:
        plan, handler = self.directory / "plan", self.directory / "handler"
        nodes = len(self.network.nodes)
        plan.write_text(
            "".join(
                f"{address} {' '.join(map(self.name, homes(len(self.addresses), nodes, number)))}\n"
                for number, address in enumerate(self.addresses)
            )
        )
        handler.write_text(
            HANDLER.format(interface=INTERFACE, net=NET, plan=shlex.quote(str(plan)))
        )
        handler.chmod(0o755)

    def command(self, node: int) -> Sequence[str]:
        base = self.directory / self.name(node)
        joins = [f"-retry-join={host.address}" for host in self.network.nodes]
        handler = f"{self.directory / 'handler'} {shlex.quote(str(base))}"
        return [
            "serf", "agent", f"-node={self.name(node)}", f"-bind={self.host(node).address}:7946",
            "-profile=lan", "-retry-interval=1s", "-replay=false",
            f"-event-handler={EVENTS}={handler}", *joins,
        ]  # fmt: skip

    def stop(self, node: int) -> None:
        """`serf leave`, and then, as ExecStopPost would, what its addresses are."""
        self.host(node).run("serf", "leave")
        try:
            self.ended(node)
        except subprocess.TimeoutExpired:
            super().stop(node)
        self.network.forget(self.host(node))
