"""What a load test saw, second by second, as lines of JSON that are written while it runs.

A sender counts into a `Recorder`; what it takes out are deltas, which add up: several senders' deltas of the same
window, and later ones of the same sender, are merged by whoever reads. So whatever ends a test, what it saw is there.

Lines have a `kind`: `start` says what is done, `window` is a delta, `left` is a sender's last one and says how many
requests it gave up, `end` says why the test ended. Histograms are HdrHistogram's compressed V2 form in base64, in
microseconds.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException
from hdrh.histogram import HdrHistogram

from loadtest.errors import UsageError

LATE_S = 0.010
"""A request that is sent this much after its time is late, and the generator to blame."""

_LONGEST_US = 3_600_000_000
_DIGITS = 3
_MAX_TEXT = 300


def new_histogram() -> HdrHistogram:
    """For 1 µs to 1 h, to three digits."""
    return HdrHistogram(1, _LONGEST_US, _DIGITS)


def count_in(histogram: HdrHistogram, seconds: float) -> None:
    """Counts one value; what is outside of the range counts as its end."""
    histogram.record_value(min(max(round(seconds * 1e6), 1), _LONGEST_US))


@dataclass
class Window:
    """Requests whose intended send time lies in one window of the test; of the warm-up, `index` is negative.

    `latencies` holds right answers, and those that were waited for in vain with the time that was waited. `answered`
    and `cpu` go by the clock instead: right answers that came within the window, and the processor time of the sender
    in it, in cores.
    """

    index: int
    latencies: HdrHistogram = field(default_factory=new_histogram)
    lags: HdrHistogram = field(default_factory=new_histogram)
    due: int = 0
    late: int = 0
    waited: int = 0
    right_answers: int = 0
    answered: int = 0
    in_flight: int = 0
    labelled: int = 0
    classified_right: int = 0
    cpu: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, other: Window) -> None:
        """Takes what another saw of the same window."""
        self.latencies.add(other.latencies)
        self.lags.add(other.lags)
        for name in ("due", "late", "waited", "right_answers", "answered", "labelled", "classified_right"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.in_flight = max(self.in_flight, other.in_flight)
        self.cpu = max(self.cpu, other.cpu)
        self.errors.update(other.errors)
        self.texts = {**other.texts, **self.texts}

    def line(self) -> dict[str, Any]:
        """This as a line's object; what is zero is left out."""
        counts = {name: getattr(self, name) for name in (*_COUNTS, "errors", "texts") if getattr(self, name)}
        histograms = {
            name: getattr(self, name).encode().decode("ascii")
            for name in _HISTOGRAMS
            if getattr(self, name).get_total_count()
        }
        return {"kind": "window", "index": self.index, **counts, **histograms}


_COUNTS = (
    "due", "late", "waited", "right_answers", "answered", "in_flight", "labelled", "classified_right", "cpu",
)  # fmt: skip
_HISTOGRAMS = ("latencies", "lags")
_BROKEN_HISTOGRAM = (
    HdrLengthException, HdrCookieException, HdrHistogramSettingsException, zlib.error, TypeError, AttributeError,
)  # fmt: skip


def read_window(line: Mapping[str, Any]) -> Window:
    """A window of a line's object; raises `ValueError` and others for what is none."""
    window = Window(int(line["index"]))
    for name in _COUNTS:
        setattr(window, name, line.get(name, 0))
    window.errors = Counter(line.get("errors", {}))
    window.texts = dict(line.get("texts", {}))
    for name in _HISTOGRAMS:
        if name in line:
            try:
                getattr(window, name).decode_and_add(line[name].encode("ascii"))
            except _BROKEN_HISTOGRAM as error:
                raise ValueError(f"{name}: no histogram: {error}") from error
    return window


class Recorder:
    """Counts what one sender sees. Times are seconds from the measurement's begin."""

    def __init__(self, window_s: int) -> None:
        self._window_s = window_s
        self._windows: dict[int, Window] = {}

    def sent(self, intended: float, lag_s: float, in_flight: int, *, waits: bool) -> None:
        """A request's turn came `lag_s` after its time; it `waits` where no connection is free for it."""
        window = self._window(intended)
        window.due += 1
        window.in_flight = max(window.in_flight, in_flight)
        window.late += lag_s > LATE_S
        window.waited += waits
        count_in(window.lags, lag_s)

    def answered(self, intended: float, at: float, *, labelled: int, right: int) -> None:
        """A right answer was complete; `right` of its `labelled` images were classified as labelled."""
        window = self._window(intended)
        window.right_answers += 1
        window.labelled += labelled
        window.classified_right += right
        count_in(window.latencies, at - intended)
        self._window(at).answered += 1

    def failed(self, intended: float, kind: str, text: str, *, waited_s: float | None = None) -> None:
        """A request failed; `waited_s` of one that was given up counts as its latency."""
        window = self._window(intended)
        window.errors[kind] += 1
        window.texts.setdefault(kind, text[:_MAX_TEXT])
        if waited_s is not None:
            count_in(window.latencies, waited_s)

    def busy(self, at: float, cores: float) -> None:
        """The sender has just taken so many cores."""
        window = self._window(at)
        window.cpu = max(window.cpu, round(cores, 3))

    def take(self) -> list[dict[str, Any]]:
        """What was counted since the last time, as lines' objects."""
        windows, self._windows = self._windows, {}
        return [window.line() for window in windows.values()]

    def _window(self, at: float) -> Window:
        index = int(at // self._window_s)
        found = self._windows.get(index)
        if found is None:
            found = self._windows[index] = Window(index)
        return found


@dataclass
class Recording:
    """A recording as it was read: its first line, its windows by index, and its last line, {} while there is none.

    `unfinished` requests had no answer yet when the test was ended.
    """

    start: Mapping[str, Any] = field(default_factory=dict)
    windows: dict[int, Window] = field(default_factory=dict)
    unfinished: int = 0
    end: Mapping[str, Any] = field(default_factory=dict)

    def add(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Takes further lines."""
        for line in lines:
            match line["kind"]:
                case "window":
                    window = read_window(line)
                    known = self.windows.get(window.index)
                    if known is None:
                        self.windows[window.index] = window
                    else:
                        known.add(window)
                case "start":
                    self.start, self.windows, self.unfinished, self.end = line, {}, 0, {}
                case "left":
                    self.unfinished += line["unfinished"]
                case "end":
                    self.end = line

    def measured(self) -> list[Window]:
        """The windows after the warm-up, in order."""
        return [self.windows[index] for index in sorted(self.windows) if index >= 0]


def write_line(path: Path, line: Mapping[str, Any]) -> None:
    """Appends one line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")


def read_recording(path: Path) -> Recording:
    """Reads a recording, whole or as far as it was written.

    Raises:
        UsageError: unreadable, or no recording.
    """
    recording = Recording()
    try:
        with path.open(encoding="utf-8") as file:
            recording.add(whole_lines(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"recording {path} cannot be read: {reason}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: expected a recording of a load test, received something else ({error})") from error
    if not recording.start:
        raise UsageError(f"{path}: expected a recording of a load test, received no begin of one")
    return recording


def whole_lines(file: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """The lines' objects; a last line that is still being written is left out."""
    for text in file:
        if text.endswith("\n"):
            yield json.loads(text)
