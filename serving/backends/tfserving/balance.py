"""Which server is asked next, and which are left alone for a while. Pure: the time is an argument.

A server that fails is left alone (its circuit is open), twice as long each time, then asked once (half open): an answer
brings it back, a failure leaves it alone again. Any answer to a look at its versions brings it back too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

FIRST_REST_S, LONGEST_REST_S = 0.25, 8.0
_MOST_DOUBLINGS = 10


@dataclass(slots=True)
class Standing:
    """What is known of one server: RPCs it is answering now, failures in a row, and until when it is left alone."""

    in_flight: int = 0
    failures: int = 0
    rests_until: float = 0.0
    is_on_trial: bool = False

    def may_be_asked(self, now: float) -> bool:
        """Whether its circuit is closed, or half open with nobody trying yet."""
        return self.failures == 0 or (now >= self.rests_until and not self.is_on_trial)

    def asked(self) -> None:
        """An RPC begins."""
        self.in_flight += 1
        self.is_on_trial = self.failures > 0

    def ended(self) -> None:
        """An RPC ended, however; one that was cancelled leaves the trial to another."""
        self.in_flight -= 1
        self.is_on_trial = False

    def answered(self) -> None:
        """It is well."""
        self.failures = 0
        self.is_on_trial = False

    def failed(self, now: float) -> None:
        """It could not be reached; failures of RPCs that were sent together count once."""
        if self.failures == 0 or self.is_on_trial or now >= self.rests_until:
            rest_s = FIRST_REST_S * 2.0 ** min(self.failures, _MOST_DOUBLINGS)
            self.failures += 1
            self.rests_until = now + min(rest_s, LONGEST_REST_S)
        self.is_on_trial = False


def choose(
    standings: Sequence[Standing], suitable: Collection[int], failed_before: Collection[int], turn: int, now: float
) -> int | None:
    """The index of the server to ask: of those `suitable`, the one with the fewest RPCs in flight.

    Servers that this batch has failed on come last, and those whose circuit is open only when there is no other:
    a batch that waits gains nothing by not trying. Equals take turns, by `turn`.
    """
    count = len(standings)
    order = ((turn + step) % count for step in range(count))
    return min(
        (index for index in order if index in suitable),
        key=lambda index: (
            index in failed_before,
            not standings[index].may_be_asked(now),
            standings[index].in_flight,
        ),
        default=None,
    )
