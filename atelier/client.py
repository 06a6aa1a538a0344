"""The command line's side of a conversation with a running gateway, over its REST API."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from atelier.console import FAILED, WRONG_USE, fail, needs_extra

if TYPE_CHECKING:
    import httpx
    from pydantic import BaseModel

    from atelier.answers import Refusal, ServedModel

AnswerT = TypeVar("AnswerT", bound="BaseModel")

DEFAULT_URL = "http://localhost:8501"


@contextlib.contextmanager
def connect(url: str, timeout_s: float) -> Iterator[httpx.Client]:
    """A client for the gateway at `url`; whatever keeps it from answering ends the command with a sentence."""
    with needs_extra("serving"):
        import httpx
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        fail(f"--url {url}: {error}", WRONG_USE)
    if address.scheme not in {"http", "https"} or not address.host:
        fail(f"--url {url}: expected an address such as {DEFAULT_URL}", WRONG_USE)
    # A proxy set for the rest of the world cannot reach a gateway on this machine.
    is_local = address.host in {"localhost", "127.0.0.1", "::1"}
    try:
        client = httpx.Client(base_url=address, timeout=timeout_s, trust_env=not is_local)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        reason = str(error).split(". ")[0]  # what follows is advice on httpx' own extras
        fail(f"the proxy that this environment names for {url} cannot be used: {reason}", WRONG_USE)
    try:
        with client:
            yield client
    except httpx.TimeoutException:
        fail(f"the gateway at {url} did not answer within {timeout_s} s", FAILED)
    except httpx.HTTPError as error:
        fail(f"no gateway answers at {url}: {error} (`atelier serve` starts one, --url names another)", FAILED)


def read(response: httpx.Response, shape: type[AnswerT]) -> AnswerT | Refusal:
    """What the gateway said; an answer that no gateway gives ends the command."""
    from pydantic import ValidationError

    from atelier.answers import Refusal

    try:
        return (Refusal if response.is_error else shape).model_validate_json(response.content)
    except ValidationError:
        fail(f"what answers at {response.url} is no Atelier gateway: status {response.status_code}", FAILED)


def served_models(client: httpx.Client) -> tuple[ServedModel, ...]:
    """Every model that the gateway knows."""
    from atelier.answers import Refusal, ServedModels

    found = read(client.get("/v1/models"), ServedModels)
    if isinstance(found, Refusal):
        fail(f"{client.base_url}: {found.error}", FAILED)
    return found.models


def only_model(client: httpx.Client) -> str:
    """The name of the one model that answers; more or fewer end the command with their names."""
    names = [model.name for model in served_models(client) if model.is_available]
    if len(names) != 1:
        fail(f"which model? --model is one of: {', '.join(names) or 'none is served'}", WRONG_USE)
    return names[0]


def post(client: httpx.Client, name: str, verb: str, shape: type[AnswerT], **request: Any) -> AnswerT | Refusal:
    """Asks the model; `request` is what httpx calls the parts of one."""
    return read(client.post(f"/v1/models/{quote(name, safe='')}:{verb}", **request), shape)
