"""Who is let in. Decided before a request waits, so that what is refused costs little and is refused at once."""

from __future__ import annotations

from typing import NamedTuple

from serving.batching.entry import Entry
from serving.batching.pace import Pace
from serving.batching.queue import FairQueue
from serving.batching.settings import BatchSettings
from serving.batching.terms import Priority, Terms
from serving.errors import InvalidInputError, OverloadedError, PayloadTooLargeError

_SHORTEST_HINT_S, _LONGEST_HINT_S, _HINT_WITHOUT_MEASURE_S = 0.001, 60.0, 1.0


class Moment(NamedTuple):
    """What the model is doing: until its next batch can start, `free_in_s`; when nothing runs or waits, `is_idle`."""

    now: float
    batch_size: int
    free_in_s: float
    is_idle: bool


class Door:
    """Holds the bounds of a queue: its rows, its bytes, and the time that it takes."""

    def __init__(self, queue: FairQueue, pace: Pace, settings: BatchSettings) -> None:
        self._queue = queue
        self._pace = pace
        self.reconfigure(settings)

    def reconfigure(self, settings: BatchSettings) -> None:
        """Goes by other bounds from now on."""
        self.max_rows = settings.max_queue_rows
        self._max_bytes = settings.max_queue_bytes
        self._longest_wait_s = settings.max_queue_wait_ms / 1e3
        self._promised_s = None if settings.slo_ms is None else settings.slo_ms / 1e3

    def admits_at_once(self, terms: Terms, rows: int, size_bytes: int, batch_size: int) -> bool:
        """Whether a request needs no closer look: it has no deadline, and fits into the next batch."""
        queue = self._queue
        return (
            terms.deadline is None
            and queue.rows + rows <= batch_size <= self.max_rows
            and queue.size_bytes + size_bytes <= self._max_bytes
            and self._promised_s is None
        )

    def make_room(self, moment: Moment, terms: Terms, rows: int, size_bytes: int) -> list[Entry]:
        """Lets a request in; returns those that have to leave for it, mostly nobody.

        A client with fewer rows in the queue than another does not pay for that one's greed, nor HIGH for LOW's.

        Raises:
            InvalidInputError, PayloadTooLargeError: more than the queue could ever hold.
            OverloadedError: the queue is full or too slow, and nobody gives way.
        """
        self._check_size(rows, size_bytes)
        self._check_deadline(moment, terms, rows)
        leaving = self._check_bounds(moment, terms, rows, size_bytes)
        return leaving or self._check_wait(moment, terms, rows)

    def retry_after_s(self, moment: Moment) -> float:
        """How long what waits now will take."""
        seconds = moment.free_in_s + self._pace.wait_s(self._queue.rows, moment.batch_size)
        return min(max(seconds, _SHORTEST_HINT_S), _LONGEST_HINT_S) if seconds else _HINT_WITHOUT_MEASURE_S

    def _check_size(self, rows: int, size_bytes: int) -> None:
        if rows > self.max_rows:
            raise InvalidInputError(f"expected at most {self.max_rows} rows in a request, received {rows}")
        if size_bytes > self._max_bytes:
            raise PayloadTooLargeError(f"expected at most {self._max_bytes:,} bytes of inputs, received {size_bytes:,}")

    def _check_deadline(self, moment: Moment, terms: Terms, rows: int) -> None:
        """An idle model is always asked: what is believed of its speed may be wrong, and nothing else would tell."""
        if terms.deadline is None or moment.is_idle:
            return
        total = self._queue.rows_ahead_of(terms, rows) + rows
        last = (total - 1) % moment.batch_size + 1
        needed_s = self._wait_s(moment, total - last) + self._pace.run_s(last)
        if moment.now < terms.deadline < moment.now + needed_s:
            left_s = terms.deadline - moment.now
            text = f"the deadline is in {_ms(left_s)}, the answer would take about {_ms(needed_s)}"
            raise OverloadedError(text, self.retry_after_s(moment))

    def _check_bounds(self, moment: Moment, terms: Terms, rows: int, size_bytes: int) -> list[Entry]:
        queue = self._queue
        excess_rows = queue.rows + rows - self.max_rows
        excess_bytes = queue.size_bytes + size_bytes - self._max_bytes
        if excess_rows <= 0 and excess_bytes <= 0:
            return []
        leaving = queue.giving_way(terms, rows, lambda left, size: left >= excess_rows and size >= excess_bytes)
        if leaving:
            return leaving
        if excess_rows > 0:
            text = f"{queue.rows} of {self.max_rows} rows wait, {rows} more were sent"
        else:
            text = f"{queue.size_bytes:,} of {self._max_bytes:,} bytes wait, {size_bytes:,} more were sent"
        raise OverloadedError(f"the queue is full: {text}", self.retry_after_s(moment))

    def _check_wait(self, moment: Moment, terms: Terms, rows: int) -> list[Entry]:
        """What fits into the next batch is let in whatever it takes, unless a promise (`slo_ms`) could not be kept.

        With nothing to wait for, it is let in even then: what is believed of the model's speed may be wrong.
        """
        slo_s = self._slo_s(terms.priority)
        limit_s = self._wait_limit_s(moment, terms.priority)
        ahead = self._queue.rows_ahead(terms.priority)

        def is_short(rows_ahead: int) -> bool:
            total = rows_ahead + rows
            if total <= moment.batch_size:
                wait_s = moment.free_in_s
                return slo_s is None or wait_s == 0 or wait_s + self._pace.run_s(total) <= slo_s
            return self._wait_s(moment, rows_ahead) <= limit_s

        if is_short(ahead):
            return []
        leaving = self._queue.giving_way(terms, rows, lambda left, _: is_short(ahead - left), among_equals=True)
        if not leaving:
            text = f"a request would wait about {_ms(self._wait_s(moment, ahead))}, at most {_ms(limit_s)} are allowed"
            raise OverloadedError(text, self.retry_after_s(moment))
        return leaving

    def _wait_limit_s(self, moment: Moment, priority: Priority) -> float:
        slo_s = self._slo_s(priority)
        if slo_s is None:
            return self._longest_wait_s
        return max(0.0, min(self._longest_wait_s, slo_s - self._pace.run_s(moment.batch_size)))

    def _slo_s(self, priority: Priority) -> float | None:
        """What HIGH is promised; LOW waits for its share."""
        return None if priority is Priority.LOW else self._promised_s

    def _wait_s(self, moment: Moment, rows_ahead: int) -> float:
        """How long these rows keep a new request from its batch; the last of them may share it."""
        whole_batches = rows_ahead - rows_ahead % moment.batch_size
        return moment.free_in_s + self._pace.wait_s(whole_batches, moment.batch_size)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"
