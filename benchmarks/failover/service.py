"""A small web service, and a client that asks it all the time: what the health check is about.

``serve NAME FILE`` answers every GET with its name; while the file exists, with 503.
``ask URL SECONDS`` asks by new connections, `ASKING` at once, and writes a line per
request: when it was sent, the status (0: none in time), and who answered.
"""

from __future__ import annotations

import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 8080
ASKING = 4  # threads
PAUSE = 0.01  # seconds between two requests of one of them
PATIENCE = 0.5  # seconds


def serve(name: str, broken: Path) -> None:
    """Answer for ever."""

    class Answer(BaseHTTPRequestHandler):
        """Well, or as one that is broken."""

        def do_GET(self) -> None:
            body = name.encode()
            self.send_response(503 if broken.exists() else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the client writes down what it sees."""

    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer(("", PORT), Answer).serve_forever()


def ask(url: str, seconds: float) -> None:
    """Ask until the time is over."""
    end = time.monotonic() + seconds
    lock = threading.Lock()

    def one() -> None:
        while (at := time.monotonic()) < end:
            status, who = _get(url)
            with lock:
                print(f"{at:.6f} {status} {who}", flush=True)
            time.sleep(PAUSE)

    threads = [threading.Thread(target=one) for _ in range(ASKING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, "-"


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], Path(sys.argv[3]))
    else:
        ask(sys.argv[2], float(sys.argv[3]))
