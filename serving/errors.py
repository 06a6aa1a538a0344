"""Why a request or a bundle was refused: one tree of causes, without any protocol in it.

Every message says what was wrong, what was expected and what was received. Each front end has one table that maps
these classes to its own codes; nothing else decides a status.
"""

from __future__ import annotations


class ServingError(Exception):
    """The root of all causes; `str(error)` is safe to show to a client."""


class InvalidInputError(ServingError):
    """The request can never succeed as it is: a wrong name, dtype, shape or encoding."""


class PayloadTooLargeError(ServingError):
    """The request's body is over the configured limit."""


class ModelNotFoundError(ServingError):
    """No such model, or no such version of it, is available."""


class VersionGoneError(ServingError):
    """The version was unloaded, by the server that runs it, since it was found; never shown to a client as such."""


class SignatureNotFoundError(ServingError):
    """The model has no signature of that name."""

    def __init__(self, signature_name: str) -> None:
        super().__init__(f'Serving signature key "{signature_name}" not found.')
        self.signature_name = signature_name


class ConflictError(ServingError):
    """What is there now does not allow the change that was asked for."""


class UnsupportedError(ServingError):
    """The request is well formed, but asks for something that this gateway or model cannot do."""


class OverloadedError(ServingError):
    """There is more to do than can be done in time; the client may come back in `retry_after_s` seconds."""

    def __init__(self, text: str, retry_after_s: float = 1.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class DeadlineExceededError(ServingError):
    """The client's deadline passed before the answer was ready."""


class UnavailableError(ServingError):
    """The model is being unloaded or the gateway is stopping."""


class ModelsUnavailableError(ServingError):
    """Models that a new configuration names cannot be loaded."""


class InferenceError(ServingError):
    """The back end failed on input that was valid."""


class BundleError(ServingError):
    """A model version on disk cannot be loaded: damaged, incomplete, or of a kind no back end here reads."""


class UnreachableError(BundleError):
    """Where a version lies cannot be reached now, so that trying again may help."""
