"""Coverage-guided fuzzing of the gateway's Python with atheris (libFuzzer), in one process.

`python -m tests.fuzz.coverage_guided grpc --seconds 300` starts from good requests and spoils them; what reaches new
lines of `serving` is kept and spoilt further. It ends with a traceback and the input where something is found.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["serving"]):
    from tests.fuzz.application import Application
    from tests.fuzz.seeds import GRPC_PATHS, Request, grpc_requests, rest_requests, write_models

_GRPC_HEADERS = ((), (("grpc-encoding", "gzip"),), (("grpc-encoding", "deflate"),), (("grpc-timeout", "1S"),))
_CONTENT_TYPE = (("content-type", "application/grpc"),)
_MAX_INPUT_BYTES = 4096
_SLOWEST_S = 30
_MEMORY_MIB = 2000  # beyond the peak that the process starts with


class Grpc:
    """An input is a path's number, a number of headers, and a body with its frame."""

    seeds = tuple(grpc_requests())

    def of(self, data: bytes) -> Request:
        """The request that these bytes stand for."""
        head, body = data[:2].ljust(2, b"\0"), data[2:]
        path, headers = GRPC_PATHS[head[0] % len(GRPC_PATHS)], _GRPC_HEADERS[head[1] % len(_GRPC_HEADERS)]
        if head[1] < 128:  # a frame that fits, so that not every input ends there
            body = body[:1] + len(body[5:]).to_bytes(4, "big") + body[5:]
        return Request(path, body, _CONTENT_TYPE + headers)

    def bytes_of(self, seed: Request) -> bytes:
        """The input that stands for a seed."""
        return bytes([GRPC_PATHS.index(seed.path), _GRPC_HEADERS.index(seed.headers)]) + seed.body


class Rest:
    """An input is the number of the seed that gives the path and headers, and a body."""

    seeds = tuple(rest_requests())

    def of(self, data: bytes) -> Request:
        """The request that these bytes stand for."""
        return self.seeds[(data[0] if data else 0) % len(self.seeds)]._replace(body=data[1:])

    def bytes_of(self, seed: Request) -> bytes:
        """The input that stands for a seed."""
        return bytes([self.seeds.index(seed)]) + seed.body


def _peak_mib() -> int:
    """The peak of resident memory so far, which Linux lets a process inherit from the one that started it (MiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Fuzzes until the time is up; never returns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("protocol", choices=["grpc", "rest"])
    parser.add_argument("--seconds", type=int, default=300)
    chosen = parser.parse_args()
    protocol = Grpc() if chosen.protocol == "grpc" else Rest()
    logging.basicConfig(level=logging.ERROR)
    folder = Path(tempfile.mkdtemp(prefix="atelier-fuzz-"))
    for name in ("models", "shared", "corpus"):
        (folder / name).mkdir()
    write_models(folder / "models")
    for number, seed in enumerate(protocol.seeds):
        (folder / "corpus" / str(number)).write_bytes(protocol.bytes_of(seed))
    application = Application(folder / "models", folder / "shared")
    for seed in protocol.seeds:
        application.ask(protocol.of(protocol.bytes_of(seed)))

    options = [
        f"-max_total_time={chosen.seconds}",
        f"-max_len={_MAX_INPUT_BYTES}",
        f"-timeout={_SLOWEST_S}",
        f"-rss_limit_mb={_peak_mib() + _MEMORY_MIB}",
        "-print_final_stats=1",
        f"-artifact_prefix={folder}/",
    ]
    atheris.Setup(
        [sys.argv[0], *options, str(folder / "corpus")], lambda data: application.ask(protocol.of(data)) and None
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
