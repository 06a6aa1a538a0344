"""Divides requests among targets by weight: evenly in turns, or by a key, so that its requests stay together. Pure."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from serving.batching.terms import NO_HEADERS

TargetT = TypeVar("TargetT")


_ALL_BITS = 2**64 - 1
_SPARE_BITS = 12
"""52 bits leave a float64 room for a half."""
_STEP = 2.0**-52


def turns(weights: Mapping[str, int]) -> tuple[str, ...]:
    """Whose turn it is, one after the other, until it begins anew: each as often as its weight in lowest terms.

    Smooth weighted round robin: in each turn everyone gains their weight, and whoever has most pays the total. So the
    turns of one are spread evenly, and any few of them hold nearly their share (as nginx's upstream module does it).
    """
    divisor = math.gcd(*weights.values())
    left = {name: weight // divisor for name, weight in weights.items() if weight}
    total = sum(left.values())
    credit = dict.fromkeys(left, 0)
    order = []
    for _ in range(total):
        for name, weight in left.items():
            credit[name] += weight
        first = max(credit, key=credit.__getitem__)
        credit[first] -= total
        order.append(first)
    return tuple(order)


def of_key(key: bytes, weights: Mapping[str, int]) -> str:
    """The target of a key: the same in every process, and for all keys together by weight.

    When one target's weight rises, keys only move to it, and when it falls or the target goes, only away from it
    (weighted rendezvous hashing: https://en.wikipedia.org/wiki/Rendezvous_hashing#Weighted_rendezvous_hash).
    """
    hashed = _hash(key)
    chosen, highest = "", -1.0
    for name, weight in weights.items():
        if weight and (score := -weight / math.log(_uniform(hashed ^ _salt(name)))) > highest:
            chosen, highest = name, score
    return chosen


def _uniform(number: int) -> float:
    """A number between 0 and 1, and neither of them, by the last steps of SplitMix64 (https://prng.di.unimi.it)."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _ALL_BITS
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _ALL_BITS
    return (((number ^ (number >> 31)) >> _SPARE_BITS) + 0.5) * _STEP


def _hash(key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")


@functools.lru_cache(maxsize=256)
def _salt(name: str) -> int:
    return _hash(name.encode())


class Split(Generic[TargetT]):
    """Picks a target for each request, of those that are there; the weights of the others go to these.

    `counter` counts the turns. It outlives a split, so that one which is made anew again and again favours nobody.
    """

    def __init__(
        self,
        weights: Mapping[str, int],
        targets: Mapping[str, TargetT],
        counter: Iterator[int],
        sticky_header: str = "",
    ) -> None:
        self._weights = {name: weight for name, weight in weights.items() if weight and name in targets}
        self._targets = targets
        self._turns = tuple(targets[name] for name in turns(self._weights))
        self._length = len(self._turns)
        self._counter = counter
        self._sticky_header = sticky_header.lower().encode()

    @property
    def heaviest(self) -> TargetT:
        """Who gets most; of equals the first."""
        return self._targets[max(self._weights, key=self._weights.__getitem__)]

    @property
    def shares(self) -> Mapping[str, float]:
        """The part of the requests that each target gets."""
        total = sum(self._weights.values())
        return {name: weight / total for name, weight in self._weights.items()}

    def pick(self, headers: Mapping[bytes, bytes] = NO_HEADERS) -> TargetT:
        """Who answers the request with these headers, by their names in lower case."""
        if self._sticky_header:
            key = headers.get(self._sticky_header)
            if key is not None:
                return self._targets[of_key(key, self._weights)]
        return self._turns[next(self._counter) % self._length]
