"""When a connection is to end, and how it is said: GOAWAY, and a ping by whose answer it is sure to be heard.

Source: RFC 9113, section 6.8: the first GOAWAY refuses nothing; what was on its way by then is answered.
"""

from __future__ import annotations

from serving.client_limits import HEADERS_TIMEOUT_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_TIMEOUT_S
from serving.http2.outbox import Outbox
from serving.wire.http2 import LAST_STREAM, NO_ERROR, PING, frame_head, goaway_frame

_HEARD_TIMEOUT_S = 5.0
"""For a client without requests to say that it has heard the first GOAWAY; some read only while they wait."""
_LEAVES_AFTER_S = 1.0
_LINGER_S = 1.0
"""A client that still talks is heard for so long after its last word; one that was told of its fault, no longer."""
_ARE_YOU_THERE = b"are you?"
_HAVE_YOU_HEARD = b"go away?"


class Farewell:
    """Of one connection. Times are the event loop's."""

    def __init__(self, outbox: Outbox, now_s: float, *, leaves: bool) -> None:
        self._outbox = outbox
        self.leaves = leaves
        """It is to be said as soon as the first requests are answered, or none came."""
        self.is_over = False
        """New streams are not looked at; the connection ends with the last one that is open."""
        self.is_lost = False
        """The client is gone without a word."""
        self.fault = ""
        """What the client has failed to send in time."""
        self._opened_at_s = self._heard_at_s = self._rests_since_s = now_s
        self._asked_at_s: float | None = None
        self._said_at_s: float | None = None
        self._ends_since_s = now_s
        self._ends_by_fault = False

    def say(self, now_s: float) -> None:
        """Tells the client to use another connection."""
        if self._said_at_s is None:
            self._said_at_s = now_s
            ping = frame_head(PING, 0, 0, len(_HAVE_YOU_HEARD)) + _HAVE_YOU_HEARD
            self._outbox.write(goaway_frame(LAST_STREAM, NO_ERROR), ping)

    def heard(self, now_s: float) -> None:
        """Something came: whoever was asked whether it is there has answered, whatever that says."""
        self._heard_at_s = now_s
        self._asked_at_s = None

    def rest(self, now_s: float) -> None:
        """The last request has ended."""
        self._rests_since_s = now_s
        if self.leaves:
            self.say(now_s)

    def take_answer(self, payload: bytes, last_stream: int) -> None:
        """The answer to a ping."""
        if payload == _HAVE_YOU_HEARD and self._said_at_s is not None and not self.is_over:
            self.is_over = True
            self._outbox.write(goaway_frame(last_stream, NO_ERROR))

    def look(self, now_s: float, idle_timeout_s: float, max_age_s: float, *, in_flight: int) -> None:
        """Once a second."""
        if in_flight:
            self._rests_since_s = now_s
        rests_s = now_s - self._rests_since_s
        is_old = max_age_s > 0 and now_s - self._opened_at_s > max_age_s
        if is_old or rests_s > idle_timeout_s or (self.leaves and rests_s >= _LEAVES_AFTER_S):
            self.say(now_s)
        if self._said_at_s is not None and min(now_s - self._said_at_s, rests_s) >= _HEARD_TIMEOUT_S:
            self.is_over = True
        self._look_whether_it_lives(now_s)

    def wait_for_headers(self, waited_s: float, request_timeout_s: float) -> None:
        """Headers have begun to come, and not ended."""
        if waited_s > min(HEADERS_TIMEOUT_S, request_timeout_s):
            self.fault = "headers that did not come to an end"

    def begin_end(self, now_s: float, *, by_fault: bool) -> None:
        """Nothing more is taken; what is on its way still goes."""
        self._ends_since_s = self._heard_at_s = now_s
        self._ends_by_fault = by_fault

    def is_overdue(self, now_s: float, request_timeout_s: float, *, has_unsent: bool) -> bool:
        """Whether the client has had its time to take that, and to close its own end.

        What it still says is dropped: the system would cut off who says something then, with what lies there for it.
        """
        waits_s = now_s - self._ends_since_s
        if has_unsent or waits_s > request_timeout_s:
            return waits_s > request_timeout_s
        return (waits_s if self._ends_by_fault else now_s - self._heard_at_s) > _LINGER_S

    def _look_whether_it_lives(self, now_s: float) -> None:
        if self._asked_at_s is not None:
            self.is_lost = now_s - self._asked_at_s > KEEPALIVE_TIMEOUT_S
        elif now_s - self._heard_at_s > KEEPALIVE_INTERVAL_S:
            self._asked_at_s = now_s
            self._outbox.write(frame_head(PING, 0, 0, len(_ARE_YOU_THERE)) + _ARE_YOU_THERE)
