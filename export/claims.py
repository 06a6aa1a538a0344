"""Who gets a number, where publishers share nothing but an object store.

.versions/7          holds the owner of number 7: made by a creation that the store refuses to all but one
.versions/7.OWNER    in stores that cannot refuse: `wanted` first, `given` once its owner has seen no rival

A claim stays for good, also after its version has been removed, so that no number is given twice.
"""

from __future__ import annotations

import time
from random import SystemRandom

from export.store import Store
from export.versions import is_number

CLAIMS = ".versions"
WANTED = b"wanted"
GIVEN = b"given"
REFUSING = frozenset({"s3", "s3a", "gs", "gcs", "memory"})
"""Stores whose `create` is one conditional request; fsspec's fallback for others looks first and then writes."""
ATTEMPTS = 5
LONGEST_WAIT_S = 0.5


def claimed_numbers(store: Store) -> frozenset[int]:
    """The numbers that have been given or are wanted."""
    numbers = (name.partition(".")[0] for name in store.children(CLAIMS))
    return frozenset(int(number) for number in numbers if is_number(number))


def owner_of(store: Store, number: int) -> str | None:
    """To whom the number has been given; None where it has not."""
    owner = store.read(f"{CLAIMS}/{number}")
    if owner is not None:
        return owner.decode()
    for name in _rivals(store, number):
        if store.read(f"{CLAIMS}/{name}") == GIVEN:
            return name.partition(".")[2]
    return None


def claim(store: Store, number: int, owner: str, *, refuses: bool) -> bool:
    """Asks for the number; of all who ever do, at most one is told True.

    Args:
        store: the model's part of the store.
        number: what to claim.
        owner: a name that nobody else has.
        refuses: what `can_refuse` says of the store.
    """
    if not refuses:
        return _claim_by_looking(store, number, owner)
    # Refused may also be the repetition of a request whose answer was lost.
    return store.create(f"{CLAIMS}/{number}", owner.encode()) or owner_of(store, number) == owner


def can_refuse(store: Store, scratch: str) -> bool:
    """Whether the store keeps a second publisher from creating an object; tried with the name `scratch`.

    There are S3 servers that ignore the condition.
    """
    if not store.protocols & REFUSING:
        return False
    store.create(scratch, b"")
    return not store.create(scratch, b"")


def _claim_by_looking(store: Store, number: int, owner: str) -> bool:
    """Of two that write and then look, the later sees the other; whoever sees another withdraws."""
    mine = f"{number}.{owner}"
    for _ in range(ATTEMPTS):
        store.write(f"{CLAIMS}/{mine}", WANTED)
        rivals = [name for name in _rivals(store, number) if name != mine]
        if not rivals:
            store.write(f"{CLAIMS}/{mine}", GIVEN)
            return True
        store.remove(f"{CLAIMS}/{mine}")
        if owner_of(store, number) is not None:
            return False
        time.sleep(SystemRandom().uniform(0, LONGEST_WAIT_S))
    return False


def _rivals(store: Store, number: int) -> list[str]:
    return [name for name in store.children(CLAIMS) if name.startswith(f"{number}.") or name == str(number)]
