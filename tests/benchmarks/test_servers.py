"""What a benchmark waits for, and that a wrong answer is never measured."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import numpy as np
import pytest

from benchmarks.calls import Call, raw_http
from benchmarks.clients import WrongAnswerError
from benchmarks.direct import run_directly
from benchmarks.processes import StartError, started
from benchmarks.random_models import write_random_mlp
from benchmarks.servers import ready, wait_until_right


def a_call(check: Callable[[], None]) -> Call:
    return Call("gRPC", "http://127.0.0.1:1/", b"", "application/grpc", check)


def refuse() -> None:
    raise httpx.ConnectError("connection refused")


def test_a_server_is_asked_until_it_answers() -> None:
    asked = []

    def answers_at_last() -> None:
        asked.append(1)
        if len(asked) < 3:
            refuse()

    wait_until_right(a_call(answers_at_last), time.perf_counter() + 60)
    assert len(asked) == 3


def test_a_server_that_never_answers_is_given_up_with_what_it_said_last() -> None:
    with pytest.raises(StartError, match="no answer in time, at last: connection refused"):
        wait_until_right(a_call(refuse), time.perf_counter())


def test_a_server_that_ends_while_it_is_waited_for_is_not_waited_for_any_longer() -> None:
    with started([sys.executable, "-c", "import sys; sys.exit('port taken')"]) as process:
        process.discard_output()
        with pytest.raises(StartError, match="ended with code 1: port taken"):
            ready(process, a_call(refuse))


def test_wrong_scores_are_no_answer_to_wait_for(tmp_path: Path) -> None:
    class Wrong(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            scores = np.full(10, 0.1, np.float32).tobytes()
            self.send_response(200)
            self.send_header("content-length", str(len(scores)))
            self.end_headers()
            self.wfile.write(scores)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Wrong)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        call = raw_http(f"127.0.0.1:{server.server_port}", write_random_mlp(tmp_path), path="/")
        with pytest.raises(WrongAnswerError, match="scores differ from ONNX Runtime's by"):
            wait_until_right(call, time.perf_counter() + 60)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_loop_without_a_server_counts_the_calls_of_all_its_threads() -> None:
    calls = []
    load = run_directly(lambda: calls.append(1), 4, 0.05, threads=2)
    assert load.requests == len(calls) > 1
    assert load.failed == 0
    assert load.per_second > 0
    assert load.p50_ms <= load.p99_ms
