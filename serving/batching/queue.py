"""The order in which requests wait: two classes, and within a class no client before its turn.

Within a class this is start-time fair queueing (Goyal, Vin and Cheng, 1996): every client has a clock that its own
rows move on, and the client whose clock is furthest behind goes next, its requests in the order in which they came.
A single client's requests thus leave first come, first served. Nothing here knows of time or of the event loop.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence

from serving.batching.entry import Entry
from serving.batching.terms import Priority, Terms

_REMEMBERED_CLIENTS = 1024
_LOW = Priority.LOW


class _Flow:
    """One client's requests; `clock` counts the rows that it had, from where the others were when it came."""

    __slots__ = ("clock", "entries", "rows", "turns")

    def __init__(self, turns: _Class) -> None:
        self.turns = turns
        self.clock = 0
        self.entries: deque[Entry] = deque()
        self.rows = 0


class _Class:
    """The clients of one class. `_heap` holds those that stand in line, by their clocks."""

    def __init__(self) -> None:
        self.rows = 0
        self._now = 0
        self._latest = 0
        self._arrivals = 0
        self._flows: dict[str, _Flow] = {}
        self._heap: list[tuple[int, int, _Flow]] = []

    @property
    def clients(self) -> int:
        """How many stand in line."""
        return len(self._heap)

    def rows_of(self, client: str) -> int:
        """How many rows of this client wait."""
        flow = self._flows.get(client)
        return flow.rows if flow is not None else 0

    def longest(self) -> _Flow | None:
        """The flow with the most rows."""
        return max((flow for _, _, flow in self._heap), key=lambda flow: flow.rows, default=None)

    def push(self, entry: Entry) -> None:
        flow = self._flows.get(entry.terms.client)
        if flow is None:
            if len(self._flows) > _REMEMBERED_CLIENTS + 2 * len(self._heap):
                self._flows = {client: flow for client, flow in self._flows.items() if flow.entries}
            flow = self._flows[entry.terms.client] = _Flow(self)
        if not flow.entries:
            self._arrivals += 1
            flow.clock = max(flow.clock, self._now)
            heapq.heappush(self._heap, (flow.clock, self._arrivals, flow))
        flow.entries.append(entry)
        rows = entry.rows
        flow.rows += rows
        self.rows += rows
        entry.flow = flow

    def head(self) -> Entry | None:
        """Who goes next; those whom nobody waits for any more are dropped on the way."""
        while self._heap:
            entries = self._heap[0][2].entries
            while entries:
                if not entries[0].answer.done():
                    return entries[0]
                entries.popleft()
            heapq.heappop(self._heap)
        self._now = self._latest  # nobody stands in line, so nobody is ahead of anybody
        return None

    def take(self, batch: list[Entry], room: int, most: int) -> int:
        """Moves up to `most` entries into the batch, as far as they fit and share its key; returns their rows."""
        heap = self._heap
        taken = 0
        while most and heap:
            flow = heap[0][2]
            entries = flow.entries
            until = most if len(heap) == 1 else 1  # a client that stands alone in line keeps its turn
            rows = 0
            while until and entries:
                entry = entries[0]
                if not entry.answer.done():
                    if batch and (entry.rows > room - rows or entry.key != batch[0].key):
                        most = until = 0
                        break
                    entry.waiting = False
                    batch.append(entry)
                    self._now = flow.clock + rows
                    rows += entry.rows
                    until -= 1
                    most -= 1
                entries.popleft()
            flow.clock += rows
            flow.rows -= rows
            room -= rows
            taken += rows
            self._latest = max(self._latest, flow.clock)
            if entries:
                self._arrivals += 1
                heapq.heapreplace(heap, (flow.clock, self._arrivals, flow))
            else:
                heapq.heappop(heap)
        if not heap:
            self._now = self._latest
        self.rows -= taken
        return taken


class FairQueue:
    """Entries that wait. While both classes wait, LOW gets `low_share` of the rows, and HIGH goes first otherwise."""

    def __init__(self, low_share: float) -> None:
        self.share(low_share)
        self.rows = 0
        self.size_bytes = 0
        self._high = _Class()
        self._low = _Class()
        self._owed_to_low = 0.0
        self._alone: deque[Entry] = deque()

    def share(self, low_share: float) -> None:
        """Gives LOW this part of the rows from now on."""
        self._low_rows_for_each_high = low_share / (1 - low_share)

    def push(self, entry: Entry) -> None:
        """The entry waits from now on."""
        entry.waiting = True
        self.rows += entry.rows
        self.size_bytes += entry.size_bytes
        (self._low if entry.terms.priority is _LOW else self._high).push(entry)

    def push_alone(self, entries: Sequence[Entry]) -> None:
        """These run next, each in a batch of its own."""
        for entry in entries:
            entry.key = entry  # like nobody else's
            entry.flow = None
            entry.waiting = True
            self.rows += entry.rows
            self.size_bytes += entry.size_bytes
            self._alone.append(entry)

    def leave(self, entry: Entry) -> None:
        """The entry waits no more, because it runs or because nobody waits for it."""
        if entry.waiting:
            entry.waiting = False
            self.rows -= entry.rows
            self.size_bytes -= entry.size_bytes
            if entry.flow is not None:
                entry.flow.rows -= entry.rows
                entry.flow.turns.rows -= entry.rows

    def head(self) -> Entry | None:
        """Who goes next."""
        while self._alone:
            if not self._alone[0].answer.done():
                return self._alone[0]
            self._alone.popleft()
        turn = self._turn()
        return None if turn is None else turn.head()

    def take(self, max_rows: int) -> list[Entry]:
        """The next batch: from the head as many as share a key and fit; a larger head is taken alone."""
        while self._alone:
            entry = self._alone.popleft()
            if not entry.answer.done():
                self.leave(entry)
                return [entry]
        batch: list[Entry] = []
        rows = 0
        while self._low.rows and (turn := self._turn()) is not None:
            taken = turn.take(batch, max_rows - rows, 1)
            if not taken:
                break
            rows += taken
            self._settle(turn, taken)
        else:
            rows += self._high.take(batch, max_rows - rows, max_rows)
        self.rows -= rows
        self.size_bytes -= sum([entry.size_bytes for entry in batch])
        return batch

    def rows_ahead(self, priority: Priority) -> int:
        """How many rows run before a new request of that class, if all clients' that wait now do."""
        return self._with_other_class(priority, self._class(priority).rows)

    def rows_ahead_of(self, terms: Terms, rows: int) -> int:
        """As `rows_ahead`, but of each other client no more than this one's turns let through."""
        own = self._class(terms.priority)
        mine = own.rows_of(terms.client)
        others = own.clients - (1 if mine else 0)
        return self._with_other_class(terms.priority, min(own.rows, mine + (mine + rows) * others))

    def giving_way(
        self, terms: Terms, rows: int, is_enough: Callable[[int, int], bool], *, among_equals: bool = False
    ) -> list[Entry]:
        """Who should leave so that a new request finds room: the newest of the client with the most rows.

        LOW gives way to HIGH, unless room is sought `among_equals`; within a class, nobody gives way to a client that
        would then have more rows waiting. `is_enough` is asked with the rows and the bytes that would leave. Empty
        where nobody can give enough.
        """
        own = self._class(terms.priority)
        if own is self._high and self._low.rows and not among_equals:
            victim, floor = self._low.longest(), 0
        else:
            victim, floor = own.longest(), own.rows_of(terms.client) + rows
        leaving: list[Entry] = []
        left_rows = left_bytes = 0
        for entry in reversed(victim.entries) if victim is not None else ():
            if not entry.waiting:
                continue
            left_rows += entry.rows
            left_bytes += entry.size_bytes
            if victim is None or victim.rows - left_rows < floor:
                break
            leaving.append(entry)
            if is_enough(left_rows, left_bytes):
                return leaving
        return []

    def _class(self, priority: Priority) -> _Class:
        return self._low if priority is _LOW else self._high

    def _with_other_class(self, priority: Priority, rows: int) -> int:
        """The rows of the other class that run meanwhile."""
        if priority is _LOW:
            return rows + self._high.rows
        return rows + min(self._low.rows, int(rows * self._low_rows_for_each_high))

    def _turn(self) -> _Class | None:
        """The class that the next entry comes from."""
        if not self._low.rows:
            return self._high if self._high.head() is not None else None
        low = self._low.head()
        if low is None:
            return self._high if self._high.head() is not None else None
        if self._owed_to_low >= low.rows or self._high.head() is None:
            return self._low
        return self._high

    def _settle(self, turn: _Class, rows: int) -> None:
        if turn is self._low:
            self._owed_to_low = max(0.0, self._owed_to_low - rows)
        else:
            self._owed_to_low += rows * self._low_rows_for_each_high
