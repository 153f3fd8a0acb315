"""``python -m flip.demo.leash``: twistd in a process that ends when its parent does.

Standard input is the leash: a pipe whose other end the parent keeps open. The
kernel closes it however the parent ends, SIGKILL included, so that no node of a
demo can outlive the demo, on any Unix.
"""

from __future__ import annotations

import os
import signal
import threading


def run() -> None:
    """Run twistd with this process's arguments, in a session of its own.

    In the parent's session, Ctrl-C at the terminal would end the nodes as well,
    while the demo is still speaking to them.
    """
    os.setsid()
    threading.Thread(target=_watch, args=(0,), name="leash", daemon=True).start()
    from twisted.scripts import twistd

    twistd.run()


def _watch(leash: int) -> None:
    while os.read(leash, 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    run()
