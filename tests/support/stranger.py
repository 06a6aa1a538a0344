"""An HTTP server that is no gateway."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Stranger:
    """Answers everything with this status and body, and remembers what was asked."""

    status: int = 200
    body: bytes = b"<html>It works!</html>"
    url: str = ""
    paths: list[str] = field(default_factory=list)


@contextlib.contextmanager
def stranger(body: bytes = Stranger.body, status: int = 200) -> Iterator[Stranger]:
    """Runs one on a free port of this machine."""
    running = Stranger(status, body)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            running.paths.append(self.path)
            self.send_response(running.status)
            self.send_header("content-length", str(len(running.body)))
            self.end_headers()
            self.wfile.write(running.body)

        do_POST = do_GET  # noqa: N815 -- the standard library's name

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
