"""Load from `h2load` and `wrk`, and what they say about it.

`h2load` does not look at `grpc-status`: whoever calls this checks with a real client before and after.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.calls import Call

_IN_TURN = """function request()
  n = n % #paths + 1
  return wrk.format(nil, paths[n])
end
"""
_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}


@dataclass(frozen=True)
class Load:
    """What one run of a load generator saw; milliseconds from sending a request to its answer's end."""

    tool: str
    requests: int
    failed: int
    per_second: float
    mean_ms: float
    p50_ms: float
    p99_ms: float


class LoadError(Exception):
    """The load generator could not do its work."""


def tool_for(*, is_grpc: bool) -> str | None:
    """`h2load` for gRPC; `wrk`, or else `h2load` over HTTP/1.1, for HTTP; None without either."""
    wanted = ("h2load",) if is_grpc else ("wrk", "h2load")
    return next((tool for tool in wanted if shutil.which(tool)), None)


def run_load(call: Call, in_flight: int, seconds: int) -> Load:
    """Sends the call for `seconds`, `in_flight` at a time.

    Raises:
        LoadError: no load generator, or it failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "body").write_bytes(call.body)
        match tool_for(is_grpc=call.is_grpc):
            case "wrk":
                return _wrk(folder, call, in_flight, seconds)
            case "h2load" if call.is_grpc:
                connections = -(-in_flight // (call.streams or in_flight))
                shape = ["-c", str(connections), "-m", str(in_flight // connections), "-H", "te: trailers"]
                return _h2load(folder, call, [*shape, "-D", str(seconds)])
            case "h2load":
                return _h2load(folder, call, ["--h1", "-c", str(in_flight), "-m", "1", "-D", str(seconds)])
            case _:
                raise LoadError("no load generator is installed (Debian: apt-get install nghttp2-client wrk)")


def _h2load(folder: Path, call: Call, shape: list[str]) -> Load:
    log = folder / "log"
    files = ["-d", str(folder / "body"), f"--log-file={log}", "-H", f"content-type: {call.content_type}"]
    (folder / "urls").write_text("\n".join((call.url, *call.others)) + "\n")
    output = _run(["h2load", "-t", "1", *shape, *files, "-i", str(folder / "urls")])
    return read_h2load(output, [int(line.rpartition("\t")[2]) for line in log.read_text().splitlines()])


def read_h2load(output: str, durations_us: Sequence[int]) -> Load:
    """Reads h2load's summary and the durations of its log file (microseconds, one per answered request)."""
    speed = re.search(r"finished in \S+, ([\d.]+) req/s", output)
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    if not speed or not counts or not durations_us:
        raise LoadError(f"h2load got no answer: {output[-500:].strip()}")
    done, succeeded = int(counts[1]), int(counts[2])
    ranked = sorted(durations_us)
    return Load(
        tool="h2load",
        requests=done,
        failed=done - succeeded,
        per_second=float(speed[1]),
        mean_ms=sum(ranked) / len(ranked) / 1e3,
        p50_ms=ranked[len(ranked) // 2] / 1e3,
        p99_ms=ranked[len(ranked) * 99 // 100] / 1e3,
    )


def _wrk(folder: Path, call: Call, in_flight: int, seconds: int) -> Load:
    script = folder / "post.lua"
    body = f'wrk.method = "POST"\nwrk.body = io.open("{folder / "body"}", "rb"):read("*a")\n'
    paths = ", ".join(json.dumps(urlsplit(url).path) for url in (call.url, *call.others))
    in_turn = f"local paths, n = {{{paths}}}, 0\n{_IN_TURN}" if call.others else ""
    script.write_text(f'{body}wrk.headers["content-type"] = "{call.content_type}"\n{in_turn}')
    shape = ["-t", "1", "-c", str(in_flight), "-d", str(seconds)]
    return read_wrk(_run(["wrk", *shape, "--latency", "-s", str(script), call.url]))


def read_wrk(output: str) -> Load:
    """Reads wrk's summary, with `--latency`."""
    speed = re.search(r"Requests/sec:\s+([\d.]+)", output)
    count = re.search(r"(\d+) requests in", output)
    times = [re.search(pattern + r"\s+([\d.]+)(us|ms|s|m)\b", output) for pattern in (r"Latency", r"50%", r"99%")]
    if not speed or not count or count[1] == "0" or None in times:
        raise LoadError(f"wrk got no answer: {output[-500:].strip()}")
    mean_ms, p50_ms, p99_ms = (float(found[1]) * _MS[found[2]] for found in times if found)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    failed = (int(refused[1]) if refused else 0) + (sum(map(int, broken.groups())) if broken else 0)
    return Load("wrk", int(count[1]), failed, float(speed[1]), mean_ms, p50_ms, p99_ms)


def _run(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LoadError(f"{command[0]} ended with {result.returncode}: {result.stderr[-500:].strip()}")
    return result.stdout
