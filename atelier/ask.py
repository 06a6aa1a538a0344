"""`atelier predict` and `atelier models`: questions to a running gateway, through the Python client."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.client import DEFAULT_URL, connect, fail_for_unknown, only_model
from atelier.console import FAILED, WRONG_USE, fail, plain_console
from atelier.options import AsJson, Url

if TYPE_CHECKING:
    from serving.client import Classification, Client

NO_NUMBER = "no number"


def predict(
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="[IMAGE…]", help="PNG, JPEG, WebP, GIF or BMP files.")
    ] = None,
    values: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="For a regression, instead of images: numbers such as 100,37.5."),
    ] = None,
    url: Url = DEFAULT_URL,
    model: Annotated[str | None, typer.Option(help="The model's name; not needed where one is served.")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to show of each image.")] = 3,
    timeout_s: Annotated[float, typer.Option(min=0.001, help="Seconds to wait for an answer.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Ask a running gateway: image files for labels with probabilities, or numbers for a regression's predictions.

    Exit code 1: an image could not be classified, while the others are printed all the same, or the model takes no
    numbers.
    """
    if images and values is None:
        _classify_files(images, url, model, top_k, timeout_s, as_json=as_json)
    elif values is not None and not images:
        _predict_numbers(_numbers(values), url, model, timeout_s, as_json=as_json)
    else:
        received = "both" if images else "neither"
        fail(f"predict: expected image files, or numbers as --values 100,37.5; received {received}", WRONG_USE)


def models(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List what a running gateway serves: each model's task, the state of every version, and why one failed."""
    from serving.errors import ServingError

    with connect(url, timeout_s=10.0) as client:
        try:
            found = client.models()
        except ServingError as error:
            fail(f"{url}: {error}", FAILED)
    if as_json:
        typer.echo(json.dumps([model.model_dump() for model in found]))
        return
    from rich.table import Table

    table = Table("model", "task", "version", "labels", "state", box=None, header_style="bold")
    failures = []
    for model in found:
        for status in model.model_version_status:
            labels = ", ".join(label for label, version in model.version_labels.items() if version == status.version)
            table.add_row(model.name, model.task or "unknown", status.version, labels, status.state)
            if status.status.error_message:
                failures.append(f"{model.name} version {status.version}: {status.status.error_message}")
    plain_console().print(table if found else "no model is served")
    for failure in failures:  # too long for a column
        typer.echo(failure)


def _classify_files(
    images: Sequence[Path], url: str, model: str | None, top_k: int, timeout_s: float, *, as_json: bool
) -> None:
    for image in images:
        if not image.is_file():
            fail(f"{image}: expected an image file, {_what_it_is(image)}", WRONG_USE)
    with connect(url, timeout_s) as client:
        name = model or only_model(client)
        answers = [(image, _classify(client, name, image, top_k)) for image in images]
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {"image": str(image), **({"error": found} if isinstance(found, str) else found.model_dump())}
                    for image, found in answers
                ]
            )
        )
    else:
        _print_answers(answers)
    refused = [(image, found) for image, found in answers if isinstance(found, str)]
    for image, reason in refused:
        typer.secho(f"atelier: {image}: {reason}", err=True, fg=typer.colors.RED)
    if refused:
        raise typer.Exit(FAILED)


def _predict_numbers(values: Sequence[float], url: str, model: str | None, timeout_s: float, *, as_json: bool) -> None:
    import numpy as np

    from serving.errors import DeadlineExceededError, ModelNotFoundError, ServingError

    with connect(url, timeout_s) as client:
        name = model or only_model(client)
        try:
            answer = client.predict(name, [[value] for value in values])
        except DeadlineExceededError:
            raise
        except ModelNotFoundError as error:
            fail_for_unknown(client, name, error)
        except ServingError as error:
            classifies = any(model.name == name and model.task == "classification" for model in client.models())
            hint = " classifies images and takes no --values" if classifies else ""
            fail(f"{name}{hint}: {error}", FAILED)
    outputs = list(answer.outputs.values())
    if len(outputs) != 1 or outputs[0].size != len(values) or outputs[0].dtype.kind not in "fiu":
        fail(f"{name}: expected one number for each value, as a regression answers, received something else", FAILED)
    numbers = [float(number) if np.isfinite(number) else None for number in outputs[0].ravel()]
    found = list(zip(values, numbers, strict=True))
    if as_json:
        typer.echo(json.dumps([{"value": value, "prediction": prediction} for value, prediction in found]))
        return
    from rich.table import Table

    table = Table("model", box=None, header_style="bold")
    for heading in ("value", "prediction"):
        table.add_column(heading, justify="right")
    for value, prediction in found:
        table.add_row(name, f"{value:g}", NO_NUMBER if prediction is None else f"{prediction:.6g}")
    plain_console().print(table)


def _numbers(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or not all(map(math.isfinite, values)):
        fail(f"--values: expected numbers with commas between them, such as 100,37.5; received {text!r}", WRONG_USE)
    return values


def _what_it_is(path: Path) -> str:
    if path.is_dir():
        return "received a folder"
    return "it is no regular file" if path.exists() else "it does not exist"


def _classify(client: Client, name: str, image: Path, top_k: int) -> Classification | str:
    """The answer, or why there is none for this image."""
    from serving.errors import DeadlineExceededError, ModelNotFoundError, ServingError

    try:
        return client.classify(name, image, top_k=top_k)
    except DeadlineExceededError:
        raise
    except ModelNotFoundError as error:
        fail_for_unknown(client, name, error)
    except ServingError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)


def _print_answers(answers: Sequence[tuple[Path, Classification | str]]) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("image", overflow="fold")
    table.add_column("label")
    table.add_column("probability", justify="right")
    table.add_column("model")
    for image, answer in answers:
        if isinstance(answer, str):
            continue
        source = f"{answer.model_spec.name} version {answer.model_spec.version}"
        for rank, found in enumerate(answer.classes):
            shown = NO_NUMBER if found.probability is None else f"{found.probability:.1%}"
            if rank == 0:
                table.add_row(str(image), found.label, shown, source, style="bold")
            else:
                table.add_row("", found.label, shown)
    if table.row_count:
        plain_console().print(table)
