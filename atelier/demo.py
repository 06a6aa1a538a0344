"""`atelier demo`: the whole path on real data, with the commands that anybody would use."""

from __future__ import annotations

import contextlib
import datetime
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from atelier.console import FAILED, WRONG_USE, fail, needs_extra, plain_console, sentences
from atelier.options import MAX_SEED

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from serving.server import Addresses
    from training.datasets import Dataset

RECIPE = "fashion-mnist-dense"
OFFLINE_RECIPE = "digits-dense"
PICTURE = "predictions.png"
_SIGNATURE = "serving_default"
_CLEAN_UP_S = 10.0


class Answer(NamedTuple):
    """What the gateway said of one image: class scores `[n_labels]`, and how long each protocol took."""

    scores: np.ndarray
    grpc_ms: float
    rest_ms: float


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the run, the models and the pictures.")] = Path("demo-output"),
    data: Annotated[Path | None, typer.Option(help="Folder with the data set's files.")] = None,
    images: Annotated[int, typer.Option(min=1, max=48, help="Test images to ask about.")] = 12,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Chooses the images and the training's randomness.")
    ] = 0,
    keep_serving: Annotated[
        bool, typer.Option("--keep-serving", help="Leave the gateway running until Ctrl-C.")
    ] = False,
) -> None:
    """Train, export and serve a real classifier, then ask it over gRPC and REST."""
    console = plain_console()
    started = time.perf_counter()
    console.print("Looking for Fashion-MNIST…")
    with needs_extra("training,export,serving"):
        from serving.server import StartError, stop_signals
        from training.environment import quiet_tensorflow

        quiet_tensorflow()
    with sentences({StartError: FAILED}, interrupted="interrupted"), stop_signals():
        recipe, dataset = _choose(console, data)
        _train_and_export(console, recipe, out, data, seed)
        files = _serve_and_ask(console, recipe, dataset, out, images, seed, keep_serving=keep_serving)
    console.rule(f"Done in {time.perf_counter() - started:.0f} s", align="left")
    _print_next_steps(console, out, dataset.name, files[0])


def _choose(console: Console, data: Path | None) -> tuple[str, Dataset]:
    from training.datasets import LoadOptions, load_dataset
    from training.errors import DatasetUnavailableError, TrainingError, UsageError

    try:
        return RECIPE, load_dataset("fashion-mnist", LoadOptions(data_dir=data))
    except DatasetUnavailableError as error:
        console.print(
            "Fashion-MNIST is not to be had: this demo uses scikit-learn's built-in digits instead.",
            style="yellow",
            soft_wrap=True,
        )
        console.print(str(error), style="dim", soft_wrap=True)
        return OFFLINE_RECIPE, load_dataset("digits")
    except UsageError as error:
        fail(str(error), WRONG_USE)
    except TrainingError as error:
        fail(str(error), FAILED)


def _train_and_export(console: Console, recipe: str, out: Path, data: Path | None, seed: int) -> None:
    run = out / "runs" / f"{recipe}-{datetime.datetime.now().astimezone():%Y%m%d-%H%M%S}"
    found = ["--data", str(data)] if data else []
    _command(console, "1. Train", ["train", recipe, "--out", str(run), "--seed", str(seed), *found])
    _command(console, "2. Export, prove equal, publish", ["export", str(run), "--models", str(out / "models"), *found])


def _serve_and_ask(
    console: Console, recipe: str, dataset: Dataset, out: Path, images: int, seed: int, *, keep_serving: bool
) -> list[Path]:
    from serving.server import start
    from serving.settings import ServingSettings

    console.rule("3. Serve", align="left")
    settings = ServingSettings(models=out / "models", host="127.0.0.1", grpc_port=0, rest_port=0, drain_grace_s=0.2)
    files: list[Path] = []
    with start(settings) as gateway:
        where = gateway.addresses
        console.print(f"gRPC on port {where.grpc_port}, REST on port {where.rest_port}, until the demo ends")
        console.rule("4. Ask, over gRPC with TensorFlow Serving's own client, and over REST", align="left")
        chosen = _choose_images(dataset, images, seed)
        answers = _ask(where, dataset.name, dataset.evaluation[1].inputs[chosen])
        _print_answers(console, dataset, chosen, answers)
        _draw(out / PICTURE, dataset, chosen, answers, recipe)
        files += _write_images(out / "images", dataset, chosen)
        if keep_serving:
            page = f"http://{where.host}:{where.rest_port}/"
            console.print(f"Serving until Ctrl-C, with a page to play with: {page}", soft_wrap=True)
            gateway.wait()
    if not files:  # an interrupt ended the block above before it was done
        raise KeyboardInterrupt
    console.print("The gateway has answered everything and stopped.")
    return files


def _command(console: Console, title: str, arguments: Sequence[str]) -> None:
    console.rule(title, align="left")
    console.print(f"$ atelier {shlex.join(arguments)}", style="bold", soft_wrap=True)
    process = subprocess.Popen([sys.executable, "-m", "atelier", *arguments])  # noqa: S603 -- a module of ours
    try:
        status = process.wait()
    except KeyboardInterrupt:
        # Ctrl-C reached the command too: it cleans up and says so itself.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_CLEAN_UP_S)
        process.terminate()
        raise
    if status:
        raise typer.Exit(status)


def _choose_images(dataset: Dataset, count: int, seed: int) -> np.ndarray:
    import numpy as np

    return np.sort(np.random.default_rng(seed).choice(len(dataset.evaluation[1]), count, replace=False))


def _ask(where: Addresses, model: str, images: np.ndarray) -> list[Answer]:
    import grpc
    import httpx
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    answers = []
    with (
        # The gateway is on this machine: a proxy set for the rest of the world would only be in the way.
        grpc.insecure_channel(f"{where.host}:{where.grpc_port}", options=[("grpc.enable_http_proxy", 0)]) as channel,
        httpx.Client(base_url=f"http://{where.host}:{where.rest_port}", timeout=30.0, trust_env=False) as client,
    ):
        grpc.channel_ready_future(channel).result(timeout=10.0)
        client.get("/healthz")
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for image in images:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model
            request.model_spec.signature_name = _SIGNATURE
            request.inputs["pixels"].CopyFrom(tf.make_tensor_proto(image[np.newaxis]))
            asked = time.perf_counter()
            over_grpc = tf.make_ndarray(stub.Predict(request, timeout=10.0).outputs["scores"])[0]
            answered = time.perf_counter()
            response = client.post(f"/v1/models/{model}:predict", json={"instances": [image.tolist()]})
            over_rest = np.float32(response.raise_for_status().json()["predictions"][0])
            done = time.perf_counter()
            if not np.array_equal(over_grpc, over_rest):
                fail(f"gRPC and REST answer differently: {over_grpc} and {over_rest}", FAILED)
            answers.append(Answer(over_grpc, 1000 * (answered - asked), 1000 * (done - answered)))
    return answers


def _print_answers(console: Console, dataset: Dataset, chosen: np.ndarray, answers: Sequence[Answer]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("test image", "true label", "predicted label", "", box=None, header_style="bold")
    for name in ("probability", "gRPC ms", "REST ms"):
        table.add_column(name, justify="right")
    right = 0
    for index, answer in zip(chosen, answers, strict=True):
        truth, guess = int(dataset.evaluation[1].targets[index]), int(answer.scores.argmax())
        right += truth == guess
        table.add_row(
            str(index),
            dataset.labels[truth],
            dataset.labels[guess],
            Text("right", "blue") if truth == guess else Text("wrong", "red"),
            f"{answer.scores[guess]:.1%}",
            f"{answer.grpc_ms:.2f}",
            f"{answer.rest_ms:.2f}",
        )
    console.print(table)
    console.print(f"{right} of {len(answers)} right; gRPC and REST gave the same numbers for every image.")


def _write_images(folder: Path, dataset: Dataset, chosen: np.ndarray) -> list[Path]:
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for index in chosen:
        label = dataset.labels[int(dataset.evaluation[1].targets[index])].lower().replace("/", "-").replace(" ", "-")
        files.append(folder / f"{label}-{index}.png")
        Image.fromarray(dataset.evaluation[1].inputs[index]).save(files[-1])
    return files


def _draw(path: Path, dataset: Dataset, chosen: np.ndarray, answers: Sequence[Answer], recipe: str) -> None:
    import numpy as np

    from training.pictures import draw_predictions

    scores = np.stack([answer.scores for answer in answers])
    draw_predictions(
        dataset.evaluation[1].take(chosen), scores, dataset.labels, f"{recipe}, answered by the gateway", path
    )


def _print_next_steps(console: Console, out: Path, model: str, image: Path) -> None:
    atelier = ".venv/bin/atelier" if Path(".venv/bin/atelier").exists() else "atelier"
    classify = f"http://localhost:8501/v1/models/{model}:classify"
    console.print(
        f"Picture: {out / PICTURE}\n\nGo on with:\n"
        f"  {atelier} serve --models {out / 'models'}          then open http://localhost:8501/\n"
        f"  {atelier} predict {image}\n"
        f"  curl http://localhost:8501/v1/models/{model}\n"
        f"  curl -H 'content-type: image/png' --data-binary @{image} {classify}\n"
        f"  {atelier} inspect {out / 'models' / model}",
        soft_wrap=True,
    )
