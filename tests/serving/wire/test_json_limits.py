"""JSON that would be dear to read is refused before it is read."""

from __future__ import annotations

import pytest

from serving.errors import PayloadTooLargeError
from serving.wire.json_limits import JsonLimits

LIMITS = JsonLimits(max_json_bytes=100, max_json_lists=10, max_json_objects=5)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b" " * 101, "JSON: expected at most 100 bytes, received more"),
        (b"[" * 11, "JSON: expected at most 10 lists, received 11"),
        (b"{" * 6, "JSON: expected at most 5 objects, received 6"),
    ],
)
def test_a_body_over_a_limit_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(PayloadTooLargeError) as caught:
        LIMITS.check(body)
    assert str(caught.value) == reason


@pytest.mark.parametrize("body", [b"", b" " * 100, b"[" * 10, b"{" * 5, b"[1,2,3,4,5,6,7,8,9,10,11,12,13]"])
def test_a_body_within_the_limits_is_let_through(body: bytes) -> None:
    LIMITS.check(body)
