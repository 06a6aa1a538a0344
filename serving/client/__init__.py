"""A small client of the gateway: numpy in, numpy or labels out, without TensorFlow. `docs/clients.md` shows it."""

from serving.client.aio import AsyncClient
from serving.client.answers import Classification, Prediction, ScoredClass, ServedModel, VersionStatus
from serving.client.blocking import Client
from serving.client.failures import AddressError, ForeignAnswerError, NoAnswerError, UnreachableError, UntrustedError
from serving.client.gateway_status import GatewayStatus

__all__ = [
    "AddressError",
    "AsyncClient",
    "Classification",
    "Client",
    "ForeignAnswerError",
    "GatewayStatus",
    "NoAnswerError",
    "Prediction",
    "ScoredClass",
    "ServedModel",
    "UnreachableError",
    "UntrustedError",
    "VersionStatus",
]
