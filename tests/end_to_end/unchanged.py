"""A program that knows nothing of provtel or OpenTelemetry: a sweep with joblib, a pool, a server and a database."""

from __future__ import annotations

import http.server
import sqlite3
import threading
from concurrent.futures import ProcessPoolExecutor

import requests
from joblib import Parallel, delayed


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path[1:].encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def fetch(port: int, number: int) -> int:
    """Ask the server for a number."""
    return int(requests.get(f"http://127.0.0.1:{port}/{number}", timeout=30).text)


def store(number: int) -> int:
    """Put a number into a database of its own, and take it out again."""
    cursor = sqlite3.connect(":memory:").cursor()
    cursor.execute("create table numbers (x int)")
    cursor.execute("insert into numbers values (?)", (number,))
    found: int = cursor.execute("select x from numbers").fetchone()[0]
    return found


def main() -> None:
    """Fetch in processes of joblib, store in a pool of processes."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fetched = Parallel(n_jobs=2)(delayed(fetch)(server.server_port, number) for number in range(4))
    with ProcessPoolExecutor(2) as pool:
        stored = [*pool.map(store, fetched)]
    server.shutdown()
    print(sum(stored))


if __name__ == "__main__":
    main()
