"""What an RPC's failure means: whether another server may do better, and what a client of the gateway is told."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from serving.errors import (
    DeadlineExceededError,
    InferenceError,
    InvalidInputError,
    ModelNotFoundError,
    OverloadedError,
    ServingError,
    UnavailableError,
    UnsupportedError,
)
from serving.wire.grpc_codes import (
    CANCELLED,
    DEADLINE_EXCEEDED,
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    NOT_FOUND,
    OUT_OF_RANGE,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    UNIMPLEMENTED,
)

_CAUSE_OF_CODE: Mapping[int, type[ServingError]] = MappingProxyType(
    {
        INVALID_ARGUMENT: InvalidInputError,
        FAILED_PRECONDITION: InvalidInputError,
        OUT_OF_RANGE: InvalidInputError,
        DEADLINE_EXCEEDED: DeadlineExceededError,
        NOT_FOUND: ModelNotFoundError,
        RESOURCE_EXHAUSTED: OverloadedError,
        UNIMPLEMENTED: UnsupportedError,
        UNAVAILABLE: UnavailableError,
        CANCELLED: UnavailableError,
    }
)


class Failure(NamedTuple):
    """Another status than OK; `code` is gRPC's number."""

    code: int
    text: str


class RpcError(Exception):
    """An RPC to a server failed."""

    def __init__(self, failure: Failure, address: str) -> None:
        super().__init__(f"{address}: {failure.text}")
        self.code, self.text = failure

    @property
    def is_of_connection(self) -> bool:
        """The server is gone or going. Predictions change nothing, so another one may be asked the same."""
        return self.code in {UNAVAILABLE, CANCELLED}

    @property
    def is_elsewhere(self) -> bool:
        """The server does not have the version (any more); another one may."""
        return self.code == NOT_FOUND

    def cause(self) -> ServingError:
        """As the gateway's clients are told; addresses of servers are for the log."""
        if self.is_of_connection:
            return UnavailableError("TensorFlow Serving cannot be reached")
        return _CAUSE_OF_CODE.get(self.code, InferenceError)(f"TensorFlow Serving: {self.text}")
