"""What the gateway's processes take of the machine, by worker, under Prometheus' standard names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from serving.observability.figures import Family, Sample


def process_figures(processes: Mapping[str, int]) -> Iterator[Family]:
    """Memory, processor time, open files and start time of each process; its name goes into the label `worker`."""
    from prometheus_client import ProcessCollector  # 0.1 s, and needed at the first scrape only

    for worker, pid in processes.items():
        for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            (sample,) = metric.samples
            yield Family(name, metric.documentation, metric.type, [Sample(name, {"worker": worker}, sample.value)])
