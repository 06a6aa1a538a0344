"""What can go wrong before a gateway says what is wrong; what it says comes as the causes of serving/errors.py."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from serving.errors import (
    DeadlineExceededError,
    InferenceError,
    InvalidInputError,
    ModelNotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    ServingError,
    UnavailableError,
    UnsupportedError,
)

CAUSE_OF_STATUS: Mapping[int, type[ServingError]] = MappingProxyType(
    {
        400: InvalidInputError,
        404: ModelNotFoundError,
        413: PayloadTooLargeError,
        429: OverloadedError,
        500: InferenceError,
        501: UnsupportedError,
        503: UnavailableError,
        504: DeadlineExceededError,
    }
)


class AddressError(ValueError):
    """No gateway can have this address, or no proxy leads to it."""


class NoAnswerError(Exception):
    """No gateway has answered; what a gateway refuses is a `ServingError`."""


class UnreachableError(NoAnswerError):
    """Nothing answers at the address, or the connection broke before the answer was whole."""


class UntrustedError(NoAnswerError):
    """What answers at the address shows a certificate that is not trusted, which no other try would change."""


class ForeignAnswerError(NoAnswerError):
    """Something answers at the address, but not as a gateway does."""
