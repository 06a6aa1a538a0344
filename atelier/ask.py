"""`atelier predict` and `atelier models`: questions to a running gateway, over its REST API."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atelier.console import FAILED, WRONG_USE, fail, needs_extra

if TYPE_CHECKING:
    import httpx

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
            fail(
                f"{image}: expected an image file, {'received a folder' if image.is_dir() else 'it does not exist'}",
                WRONG_USE,
            )
    with _client(url, timeout_s) as client:
        name = model or _only_model(client)
        answers = [_classify(client, name, image, top_k) for image in images]
    if as_json:
        typer.echo(json.dumps(answers))
    else:
        _print_answers(answers)
    failed = [answer for answer in answers if "error" in answer]
    for answer in failed:
        typer.secho(f"atelier: {answer['image']}: {answer['error']}", err=True, fg=typer.colors.RED)
    if failed:
        raise typer.Exit(FAILED)


def models(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List what a running gateway serves, with the state of every version, and why one failed."""
    with _client(url, timeout_s=10.0) as client:
        found = _get(client, "/v1/models")["models"]
    if as_json:
        typer.echo(json.dumps(found))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "version", "state", "remark", box=None, header_style="bold")
    for model in found:
        for status in model["model_version_status"]:
            table.add_row(model["name"], status["version"], status["state"], status["status"]["error_message"])
    Console().print(table if found else "no model is served")


@contextlib.contextmanager
def _client(url: str, timeout_s: float) -> Iterator[httpx.Client]:
    with needs_extra("serving"):
        import httpx
    try:
        # A proxy set for the rest of the world cannot reach a gateway on this machine.
        is_local = httpx.URL(url).host in {"localhost", "127.0.0.1", "::1"}
        with httpx.Client(base_url=url, timeout=timeout_s, trust_env=not is_local) as client:
            yield client
    except httpx.TimeoutException:
        fail(f"the gateway at {url} did not answer within {timeout_s} s", FAILED)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        fail(f"no gateway answers at {url}: {error} (`atelier serve` starts one, --url names another)", FAILED)


def _get(client: httpx.Client, path: str) -> Any:
    response = client.get(path)
    document = _document(response)
    if response.is_error:
        fail(f"{client.base_url}: {document['error']}", FAILED)
    return document


def _document(response: httpx.Response) -> Any:
    with contextlib.suppress(ValueError):
        document = response.json()
        if isinstance(document, dict) and (response.is_success or "error" in document):
            return document
    return fail(f"what answers at {response.url} is no Atelier gateway: status {response.status_code}", FAILED)


def _only_model(client: httpx.Client) -> str:
    names = [model["name"] for model in _get(client, "/v1/models").get("models", [])]
    if len(names) != 1:
        fail(f"which model? --model is one of: {', '.join(names) or 'none is served'}", WRONG_USE)
    return str(names[0])


def _classify(client: httpx.Client, name: str, image: Path, top_k: int) -> dict[str, Any]:
    try:
        content = image.read_bytes()
    except OSError as error:
        return {"image": str(image), "error": error.strerror}
    response = client.post(
        f"/v1/models/{name}:classify",
        params={"top_k": top_k},
        content=content,
        headers={"content-type": "image/*"},
    )
    return {"image": str(image), **_document(response)}


def _print_answers(answers: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("image", overflow="fold")
    table.add_column("label")
    table.add_column("probability", justify="right")
    table.add_column("model")
    for answer in answers:
        for rank, found in enumerate(answer.get("classes", [])):
            spec = answer["model_spec"]
            first = rank == 0
            table.add_row(
                answer["image"] if first else "",
                found["label"],
                f"{found['probability']:.1%}",
                f"{spec['name']} version {spec['version']}" if first else "",
                style="bold" if first else None,
            )
    if table.row_count:
        Console().print(table)
