"""How long a runtime takes for a batch: for people to read, nothing is decided by it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

from export.runtimes import Answering
from serving.signatures import Tensors

TIMED_ROWS = (1, 32)
REPETITIONS = 15


def latencies_ms(runtime: Answering, batches: Sequence[Tensors]) -> Mapping[int, float]:
    """The median time of one whole batch, by its rows, for those of `TIMED_ROWS` that are among the batches.

    Each has been answered before, so that nothing is measured that happens only once.
    """
    by_rows = {_rows(batch): batch for batch in batches}
    return {rows: _median_ms(runtime, by_rows[rows]) for rows in TIMED_ROWS if rows in by_rows}


def _median_ms(runtime: Answering, batch: Tensors) -> float:
    runtime.run(batch)  # of this size before the first that counts
    seconds = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        runtime.run(batch)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def _rows(batch: Tensors) -> int:
    return max((len(array) for array in batch.values() if array.ndim), default=0)
