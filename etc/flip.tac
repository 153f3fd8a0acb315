"""``twistd -y etc/flip.tac``: the node that FLIP_CONFIG and FLIP_ID name.

FLIP_CONFIG defaults to the flip.json beside this file.
"""

import os
from pathlib import Path

from twisted.application.service import Application

from flip.tap import makeService

_beside = Path(__file__).resolve().parent / "flip.json"

application = Application("flip")
makeService({"config": os.environ.get("FLIP_CONFIG", str(_beside)), "id": None}).setServiceParent(
    application
)
