"""Requests from greenlets: none blocks the others, and what goes wrong is put in few kinds."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc

ROOT = Path(__file__).parents[2]
AT_ONCE = 24
PATIENCE_S = 120.0


@contextlib.contextmanager
def grpc_server(answer: Any) -> Iterator[str]:
    """Answers every call with what `answer(context)` gives; yields its address."""

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, _: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda _, context: answer(context))

    server = grpc.server(ThreadPoolExecutor(AT_ONCE), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def rest_server(answer: Any) -> Iterator[str]:
    """Answers every POST with the status and body that `answer()` gives, or hangs up at None; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            said = answer()
            if said is None:
                self.close_connection = True
                return
            self.send_response(said[0])
            self.send_header("content-length", str(len(said[1])))
            self.end_headers()
            self.wfile.write(said[1])

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 2 * AT_ONCE

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def send(
    api: str, *, url: str = "http://127.0.0.1:1", address: str = "127.0.0.1:1", count: int = 1, timeout_s: float = 60.0
) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "tests/support/greenlets.py", url, address, api, str(count), str(timeout_s)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_no_grpc_call_blocks_the_others() -> None:
    """The server answers only once all calls are there; the first would wait for ever if it kept the others back."""
    everyone = threading.Barrier(AT_ONCE)

    def answer(_: Any) -> bytes:
        everyone.wait(PATIENCE_S)
        return b"answer"

    with grpc_server(answer) as address:
        assert send("grpc-predict", address=address, count=AT_ONCE) == ["6"] * AT_ONCE


def test_no_rest_request_blocks_the_others() -> None:
    everyone = threading.Barrier(AT_ONCE)

    def answer() -> tuple[int, bytes]:
        everyone.wait(PATIENCE_S)
        return 200, b"answer"

    with rest_server(answer) as url:
        assert send("rest-predict", url=url, count=AT_ONCE) == ["6"] * AT_ONCE


def test_a_refusal_over_rest_has_its_status_and_its_text() -> None:
    with rest_server(lambda: (503, b'{"error": "busy"}')) as url:
        assert send("rest-predict", url=url) == ['HTTP 503: status 503: {"error": "busy"}']


def test_a_refusal_over_grpc_has_its_code_and_its_text() -> None:
    with grpc_server(lambda context: context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")) as address:
        assert send("grpc-predict", address=address) == ["gRPC RESOURCE_EXHAUSTED: RESOURCE_EXHAUSTED: busy"]


def test_a_server_that_hangs_up_or_is_not_there_is_told_apart() -> None:
    with rest_server(lambda: None) as url:
        (said,) = send("rest-predict", url=url)
    assert said.startswith("connection closed: ")
    assert send("rest-predict") == ["not connected: no connection: Connection refused"]
    (said,) = send("grpc-predict")
    assert said.startswith("gRPC UNAVAILABLE: UNAVAILABLE: ")


def test_an_answer_that_does_not_come_in_time_is_a_time_out() -> None:
    over = threading.Event()

    def answer_grpc(_: Any) -> bytes:
        over.wait(PATIENCE_S)
        return b""

    def answer_rest() -> tuple[int, bytes]:
        over.wait(PATIENCE_S)
        return 200, b""

    with grpc_server(answer_grpc) as address, rest_server(answer_rest) as url:
        try:
            (grpc_said,) = send("grpc-predict", address=address, timeout_s=0.3)
            (rest_said,) = send("rest-predict", url=url, timeout_s=0.3)
        finally:
            over.set()
    assert grpc_said.startswith("timed out: an answer did not come in time: ")
    assert rest_said == "timed out: an answer did not come in time"
