"""A well-behaved client that asks steadily, in a process of its own, and says how long it waited for each answer.

`python -m tests.support.hostile.steady HOST PORT` asks every ten milliseconds until its input ends, then prints its
latencies in milliseconds as one line of JSON; it ends with a traceback where an answer is not the right one. Where it
may, it gets the processor as soon as it wants it, so that what it sees is the server's doing: a client has a machine of
its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from tests.support.hostile.raw import Address

_EVERY_S = 0.01
_BODY = b'{"instances":[[[10,20],[30,40]]]}'
_ANSWER = b'{"predictions":[[25.0,10.0,40.0]]}'
_PATH = "/v1/models/brightness:predict"


class Steady:
    """What the client has seen, once the block has ended."""

    def __init__(self) -> None:
        self.latencies_ms: list[float] = []

    def p99_ms(self) -> float:
        """What 99 of 100 answers took at most."""
        return sorted(self.latencies_ms)[int(len(self.latencies_ms) * 0.99)]


@contextlib.contextmanager
def steady_client(address: Address) -> Iterator[Steady]:
    """Asks while the block runs.

    Raises:
        AssertionError: an answer was wrong, or none came.
    """
    command = [sys.executable, "-m", "tests.support.hostile.steady", address.host, str(address.port)]
    seen = Steady()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()  # the first answer
        try:
            yield seen
        finally:
            process.stdin.close()
        lines = process.stdout.read()
        assert process.wait() == 0, "the steady client was not answered as it should be; its words are above"
    seen.latencies_ms = json.loads(lines)


def main(host: str, port: str) -> None:
    """The client's process."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    client = http.client.HTTPConnection(host, int(port), timeout=60.0)
    latencies_ms: list[float] = []
    while not stopped.is_set():
        started_at = time.perf_counter()
        client.request("POST", _PATH, _BODY)
        response = client.getresponse()
        content = response.read()
        assert (response.status, content) == (200, _ANSWER), (response.status, content)
        latencies_ms.append((time.perf_counter() - started_at) * 1000)
        if len(latencies_ms) == 1:
            sys.stdout.write("asking\n")
            sys.stdout.flush()
        time.sleep(_EVERY_S)
    sys.stdout.write(json.dumps(latencies_ms))


if __name__ == "__main__":
    main(*sys.argv[1:])
