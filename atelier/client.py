"""The command line's side of a conversation with a running gateway: what keeps it from answering, in a sentence."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from atelier.console import FAILED, WRONG_USE, fail, needs_extra

if TYPE_CHECKING:
    from serving.client import Client
    from serving.errors import ServingError

DEFAULT_URL = "http://localhost:8501"


CA_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE = "ATELIER_CA_FILE", "ATELIER_CERTIFICATE_FILE", "ATELIER_KEY_FILE"
"""Files (PEM) for a gateway on https://: the CA to trust instead of the public ones, and what to show to it."""


def tls_context() -> ssl.SSLContext:
    """Whom the environment says to trust, and what to show; a file that cannot be used ends the command."""
    import httpx

    ca_file, certificate, key = map(os.environ.get, (CA_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE))
    try:
        context = ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context()
        if certificate:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        named = f"{CA_VARIABLE}, {CERTIFICATE_VARIABLE} and {KEY_VARIABLE}"
        fail(f"{named}: expected files that hold PEM certificates and a key: {error}", WRONG_USE)
    return context


@contextlib.contextmanager
def connect(url: str, timeout_s: float) -> Iterator[Client]:
    """A client for the gateway at `url`; whatever keeps it from answering ends the command.

    What the gateway itself refuses stays an error, for the command to say whose it is.
    """
    with needs_extra("client"):
        from serving.client import AddressError, Client, NoAnswerError, UnreachableError, UntrustedError
        from serving.errors import DeadlineExceededError
    try:
        client = Client(url, timeout_s=timeout_s, tls=tls_context())
    except AddressError as error:
        fail(f"--url {error}", WRONG_USE)
    try:
        with client:
            yield client
    except DeadlineExceededError:
        fail(f"the gateway at {url} did not answer within {timeout_s} s", FAILED)
    except UnreachableError as error:
        fail(f"{error} (`atelier serve` starts one, --url names another)", FAILED)
    except UntrustedError as error:
        fail(f"{error} ({CA_VARIABLE} names the CA to trust)", FAILED)
    except NoAnswerError as error:
        fail(str(error), FAILED)


def fail_for_unknown(client: Client, name: str, error: ServingError) -> NoReturn:
    """There is no such model: ends the command with the names of those that answer."""
    names = [model.name for model in client.models() if model.is_available]
    fail(f"{name}: {error}; --model may be one of: {', '.join(names) or 'none is served'}", FAILED)


def only_model(client: Client) -> str:
    """The name of the one model that answers; more or fewer end the command with their names."""
    names = [model.name for model in client.models() if model.is_available]
    if len(names) != 1:
        fail(f"which model? --model is one of: {', '.join(names) or 'none is served'}", WRONG_USE)
    return names[0]
