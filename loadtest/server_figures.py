"""What the server's own /metrics say during a test, once a second, on the test's clock."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from loadtest.recording import write_line
from loadtest.target import tls_context

_TIMEOUT_S = 5.0
_SUMS = (
    "atelier_batch_rows_sum", "atelier_batch_rows_count", "atelier_batch_run_seconds_sum",
    "atelier_batch_wait_seconds_sum",
)  # fmt: skip
_QUEUE = "atelier_queue_rows"


@dataclass(frozen=True)
class Sample:
    """Totals of one model at a moment: `at` in seconds from the measurement's begin."""

    at: float
    totals: Mapping[str, float]
    queue_rows: float


@dataclass(frozen=True)
class Batches:
    """The batches between two samples: mean rows, and mean milliseconds of a run and of the oldest request's wait."""

    at: float
    per_s: float
    rows: float
    run_ms: float
    wait_ms: float


def read_sample(text: str, model: str, at: float) -> Sample | None:
    """The totals in a Prometheus text; None where it has none of this gateway's figures."""
    totals = dict.fromkeys(_SUMS, 0.0)
    queue_rows, is_known = 0.0, False
    try:
        for family in text_string_to_metric_families(text):
            if not family.name.startswith("atelier_"):
                continue
            for sample in family.samples:
                if sample.labels.get("model_name") != model:
                    continue
                if sample.name in totals:
                    totals[sample.name] += sample.value
                    is_known = True
                elif sample.name == _QUEUE:
                    queue_rows += sample.value
                    is_known = True
    except ValueError:
        return None
    return Sample(at, totals, queue_rows) if is_known else None


def batches(samples: Iterable[Sample]) -> list[Batches]:
    """The batches between each sample and the next; none where none ran, or where the counts began anew."""
    found = []
    last: Sample | None = None
    for sample in samples:
        if last is not None:
            rows, count, run_s, wait_s = (sample.totals[name] - last.totals[name] for name in _SUMS)
            if count > 0 and rows > 0:
                per_s = count / (sample.at - last.at)
                found.append(Batches(sample.at, per_s, rows / count, 1e3 * run_s / count, 1e3 * wait_s / count))
        last = sample
    return found


@dataclass
class ServerWatch:
    """Reads a server's figures in a thread, from `with` on until its end.

    `begin` is the measurement's begin on the wall clock, once it is known.
    """

    url: str
    model: str
    ca_file: Path | None = None
    path: Path | None = None
    interval_s: float = 1.0
    begin: float | None = None
    _samples: list[tuple[float, Sample]] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=2 * _TIMEOUT_S)
        if self.path is not None:
            for sample in self.samples:
                write_line(self.path, {"at": sample.at, "totals": sample.totals, "queue_rows": sample.queue_rows})

    @property
    def samples(self) -> list[Sample]:
        """All since the measurement's begin, on its clock."""
        if self.begin is None:
            return []
        moved = (Sample(at - self.begin, one.totals, one.queue_rows) for at, one in list(self._samples))
        return [sample for sample in moved if sample.at >= -self.interval_s]

    def _watch(self) -> None:
        """Once more at the end, so that a short test has figures of before and after it."""
        is_last = False
        while not is_last:
            is_last = self._stopping.is_set()
            self._look()
            self._stopping.wait(self.interval_s)

    def _look(self) -> None:
        url = f"{self.url}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S, context=tls_context(self.ca_file)) as response:  # noqa: S310 -- the user's own address
                text = response.read().decode("utf-8", "replace")
        except (OSError, ValueError):
            text = ""
        at = time.time()
        if text and (sample := read_sample(text, self.model, at)):
            self._samples.append((at, sample))


def read_samples(lines: Iterable[Mapping[str, Any]]) -> list[Sample]:
    """Samples of the lines that a watch wrote."""
    return [Sample(line["at"], line["totals"], line["queue_rows"]) for line in lines]
