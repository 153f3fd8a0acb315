"""Asking a running node, from a program that has no reactor."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from flip.errors import ControlUnavailable, RequestRefused

MAX_ANSWER = 64 * 1024 * 1024  # bytes


def request(path: Path, command: str, *, timeout: float = 5.0, **arguments: Any) -> Any:
    """What the node behind the socket answers. Blocks up to `timeout` seconds.

    :raises ControlUnavailable: nobody answers; says why and what to do.
    :raises RequestRefused: the node answers that it cannot.
    """
    line = json.dumps({"command": command, **arguments}).encode() + b"\n"
    try:
        answer = json.loads(_exchange(path, line, timeout))
        if answer["ok"]:
            return answer["result"]
        refusal = answer["error"]
    except FileNotFoundError as error:
        raise ControlUnavailable(
            f"There is no {path}: the node is not running, or it runs with another configuration."
        ) from error
    except ConnectionRefusedError as error:
        raise ControlUnavailable(
            f"Nobody listens on {path}: the node was killed. Its log says more."
        ) from error
    except PermissionError as error:
        raise ControlUnavailable(
            f"{path}: permission denied. Ask as the user that runs the node, or with sudo."
        ) from error
    except TimeoutError as error:
        raise ControlUnavailable(
            f"No answer on {path} within {timeout:g} s: the node hangs or is overloaded. "
            "Its log says more."
        ) from error
    except OSError as error:
        raise ControlUnavailable(f"{path}: {error}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise ControlUnavailable(
            f"What answers on {path} is not flip, or ended just now ({error})."
        ) from error
    raise RequestRefused(refusal)


def _exchange(path: Path, line: bytes, timeout: float) -> bytes:
    deadline = time.monotonic() + timeout
    answer = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.sendall(line)
        while not answer.endswith(b"\n") and len(answer) < MAX_ANSWER:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            chunk = connection.recv(65536)
            if not chunk:
                break
            answer += chunk
    return bytes(answer)
