"""`atelier predict` and `atelier models`: questions to a running gateway, over its REST API."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import quote

import typer

from atelier.console import FAILED, WRONG_USE, fail, needs_extra, plain_console

if TYPE_CHECKING:
    import httpx
    from pydantic import BaseModel

    from atelier.answers import Classification, Refusal, ServedModel

AnswerT = TypeVar("AnswerT", bound="BaseModel")

Url = Annotated[str, typer.Option(help="The gateway's REST address.", envvar="ATELIER_URL")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

DEFAULT_URL = "http://localhost:8501"


def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="PNG, JPEG, WebP, GIF or BMP files.")],
    url: Url = DEFAULT_URL,
    model: Annotated[str | None, typer.Option(help="The model's name; not needed where one is served.")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to show of each image.")] = 3,
    timeout_s: Annotated[float, typer.Option(min=0.001, help="Seconds to wait for an answer.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Classify image files through a running gateway and print labels with probabilities.

    Exit code 1: an image could not be classified; the others are printed all the same.
    """
    for image in images:
        if not image.is_file():
            fail(f"{image}: expected an image file, {_what_it_is(image)}", WRONG_USE)
    from atelier.answers import Refusal

    with _client(url, timeout_s) as client:
        name = model or _only_model(client)
        answers = [(image, _classify(client, name, image, top_k)) for image in images]
    if as_json:
        typer.echo(json.dumps([{"image": str(image), **found.model_dump()} for image, found in answers]))
    else:
        _print_answers(answers)
    refused = [(image, found) for image, found in answers if isinstance(found, Refusal)]
    for image, refusal in refused:
        typer.secho(f"atelier: {image}: {refusal.error}", err=True, fg=typer.colors.RED)
    if refused:
        raise typer.Exit(FAILED)


def models(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List what a running gateway serves, with the state of every version, and why one failed."""
    with _client(url, timeout_s=10.0) as client:
        found = _models(client)
    if as_json:
        typer.echo(json.dumps([model.model_dump() for model in found]))
        return
    from rich.table import Table

    table = Table("model", "version", "state", "remark", box=None, header_style="bold")
    for model in found:
        for status in model.model_version_status:
            table.add_row(model.name, status.version, status.state, status.status.error_message)
    plain_console().print(table if found else "no model is served")


def _what_it_is(path: Path) -> str:
    if path.is_dir():
        return "received a folder"
    return "it is no regular file" if path.exists() else "it does not exist"


@contextlib.contextmanager
def _client(url: str, timeout_s: float) -> Iterator[httpx.Client]:
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


def _read(response: httpx.Response, shape: type[AnswerT]) -> AnswerT | Refusal:
    from pydantic import ValidationError

    from atelier.answers import Refusal

    try:
        return (Refusal if response.is_error else shape).model_validate_json(response.content)
    except ValidationError:
        fail(f"what answers at {response.url} is no Atelier gateway: status {response.status_code}", FAILED)


def _models(client: httpx.Client) -> tuple[ServedModel, ...]:
    from atelier.answers import Refusal, ServedModels

    found = _read(client.get("/v1/models"), ServedModels)
    if isinstance(found, Refusal):
        fail(f"{client.base_url}: {found.error}", FAILED)
    return found.models


def _only_model(client: httpx.Client) -> str:
    names = [model.name for model in _models(client) if model.is_available]
    if len(names) != 1:
        fail(f"which model? --model is one of: {', '.join(names) or 'none is served'}", WRONG_USE)
    return names[0]


def _classify(client: httpx.Client, name: str, image: Path, top_k: int) -> Classification | Refusal:
    from atelier.answers import Classification, Refusal

    try:
        content = image.read_bytes()
    except OSError as error:
        return Refusal(error=error.strerror or str(error))
    response = client.post(
        f"/v1/models/{quote(name, safe='')}:classify",
        params={"top_k": top_k},
        content=content,
        headers={"content-type": "image/*"},
    )
    return _read(response, Classification)


def _print_answers(answers: Sequence[tuple[Path, Classification | Refusal]]) -> None:
    from rich.table import Table

    from atelier.answers import Refusal

    table = Table(box=None, header_style="bold")
    table.add_column("image", overflow="fold")
    table.add_column("label")
    table.add_column("probability", justify="right")
    table.add_column("model")
    for image, answer in answers:
        if isinstance(answer, Refusal):
            continue
        source = f"{answer.model_spec.name} version {answer.model_spec.version}"
        for rank, found in enumerate(answer.classes):
            shown = "no number" if found.probability is None else f"{found.probability:.1%}"
            if rank == 0:
                table.add_row(str(image), found.label, shown, source, style="bold")
            else:
                table.add_row("", found.label, shown)
    if table.row_count:
        plain_console().print(table)
