"""Heads that are remembered: few, short, and none that is refused."""

from __future__ import annotations

from serving.http.known_heads import _MOST_BYTES, _MOST_HEADERS, _MOST_HEADS, KnownHeads
from serving.http1.heads import HeadReader
from tests.serving.http1.stand import WHO, head


def kept(*blocks: bytes) -> list[bool]:
    """Whether each of these is known when all have come."""
    known = KnownHeads[int]()
    reader = HeadReader(WHO, b"http")
    for number, block in enumerate(blocks):
        known.keep(block, reader.read(block).head, number)
    found = [known.get(block) for block in blocks]
    assert all(one is None or one == number for number, one in enumerate(found))
    return [one is not None for one in found]


def test_few_heads_are_kept_and_others_take_the_place_of_all() -> None:
    blocks = [head(b"x: %d" % number) for number in range(_MOST_HEADS + 1)]
    assert kept(*blocks[:-1]) == [True] * _MOST_HEADS
    assert kept(*blocks) == [False] * _MOST_HEADS + [True]


def test_a_long_head_is_not_kept() -> None:
    longest = head(b"x: " + b"y" * (_MOST_BYTES - len(head(b"x: "))))
    assert kept(longest, longest.replace(b"x:", b"xx:")) == [True, False]


def test_a_head_of_many_headers_is_not_kept() -> None:
    assert kept(*(head(*[b"x: y"] * (_MOST_HEADERS - less)) for less in (1, 0))) == [True, False]


def test_a_head_that_is_refused_is_not_kept() -> None:
    assert kept(head(first=b"GET /%FF HTTP/1.1"), head()) == [False, True]
