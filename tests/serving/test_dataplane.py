"""The one use case, on small real servables."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from serving.batching.policy import CostModel
from serving.batching.settings import BatchSettings
from serving.dataplane import DataPlane, Target
from serving.errors import (
    InferenceError,
    InvalidInputError,
    ModelNotFoundError,
    OverloadedError,
    SignatureNotFoundError,
    UnsupportedError,
)
from serving.image_decoder import ImageDecoder
from serving.images import ImageFile, ImageSpec
from serving.model_config import ModelConfig
from serving.observability.metrics import Metrics
from serving.repository.catalogue import ScannedFolder
from serving.repository.loader import Loaded
from serving.repository.local_source import LocalSource
from serving.repository.manager import Manager
from serving.repository.servable import Servable
from serving.repository.stored_routing import StoredFiles
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec
from tests.support.image_files import file_of, gradient, plain
from tests.support.stepping import HandExecutor, turn

IMAGE = ImageSpec(2, 2, "grayscale")
PIXELS = TensorSpec("pixels", "uint8", (None, 2, 2))
SCORES = TensorSpec("scores", "float32", (None, 3))
TWO_OUTPUTS = Signature((PIXELS,), (SCORES, TensorSpec("best", "int64", (None,))))


class Back:
    """A back end with one signature and one answer for each row."""

    platform = "answers"

    def __init__(self, signature: Signature, **answers: np.ndarray) -> None:
        self.signatures = {DEFAULT_SIGNATURE: signature}
        self.answers = answers
        self.seen: list[np.ndarray] = []

    def run(self, signature_name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert signature_name == DEFAULT_SIGNATURE
        (array,) = inputs.values()
        self.seen.append(array)
        return {name: np.repeat(answer, len(array), axis=0) for name, answer in self.answers.items()}

    def close(self) -> None:
        pass


def image_decoder(executor: Executor) -> ImageDecoder:
    return ImageDecoder(executor, max_pixels=1_000_000, max_cpu_s=60.0, max_waiting=8)


class Stand:
    """A data plane in front of one model, `digits`, version 7."""

    def __init__(self, root: Path, back: Back, image: ImageSpec | None = IMAGE) -> None:
        (root / "digits" / "7").mkdir(parents=True)
        self.metrics = Metrics()
        self.executor = HandExecutor(holds=lambda _: False)
        self.manager = Manager(
            ScannedFolder(root),
            open_source=lambda _, config: LocalSource(Path(config.base_path)),
            load=lambda *_: Loaded(back, ("cat", "dog"), image, {DEFAULT_SIGNATURE: CostModel()}),
            serve=self._serve,
            executor=self.executor,
            files_executor=self.executor,
            slow_executor=self.executor,
            fetch_executor=self.executor,
            stored_files=StoredFiles(),
            metrics=self.metrics,
        )
        self.plane = DataPlane(self.manager, self.metrics, image_decoder(self.executor))

    def _serve(self, name: str, version: int, loaded: Loaded, config: ModelConfig) -> Servable:
        return Servable(
            name,
            version,
            backend=loaded.backend,
            labels=loaded.labels,
            image=loaded.image,
            costs=loaded.costs,
            batching=BatchSettings(),
            executor=self.executor,
            metrics=self.metrics,
        )

    async def predict(self, target: Target, *output_filter: str, rows: int = 1) -> dict[str, np.ndarray]:
        prediction = await self.plane.predict(
            target, lambda _: {"pixels": np.zeros((rows, 2, 2), np.uint8)}, api="test", output_filter=output_filter
        )
        assert (prediction.name, prediction.version) == ("digits", 7)
        return prediction.outputs

    def outcomes(self) -> dict[tuple[str, str], float]:
        """How many requests ended how, by model name and outcome."""
        return {
            (sample.labels["model_name"], sample.labels["outcome"]): sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "atelier_requests_total"
        }


NewStand = Callable[..., Awaitable[Stand]]


@pytest.fixture
def new_stand(tmp_path: Path) -> NewStand:
    async def make(back: Back, image: ImageSpec | None = IMAGE) -> Stand:
        stand = Stand(tmp_path, back, image)
        await stand.manager.step()
        await stand.manager.settle()
        return stand

    return make


def two_outputs() -> Back:
    return Back(TWO_OUTPUTS, scores=np.float32([[0.1, 0.7, 0.2]]), best=np.int64([1]))


async def test_an_output_filter_gives_what_it_names_in_its_order(new_stand: NewStand) -> None:
    stand = await new_stand(two_outputs())

    assert list(await stand.predict(Target("digits"))) == ["scores", "best"]
    assert list(await stand.predict(Target("digits"), "best")) == ["best"]
    assert list(await stand.predict(Target("digits"), "best", "scores")) == ["best", "scores"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (
            ["scores", "nobody"],
            "output tensor alias not found in signature: nobody Outputs expected to be in the set {best,scores}.",
        ),
        (["best", "best"], "duplicate output tensor alias: best"),
    ],
)
async def test_a_wrong_output_filter_is_refused_before_the_model_runs(
    new_stand: NewStand, names: list[str], reason: str
) -> None:
    back = two_outputs()
    stand = await new_stand(back)
    with pytest.raises(InvalidInputError) as caught:
        await stand.predict(Target("digits"), *names)

    assert str(caught.value) == reason
    assert back.seen == []


async def test_requests_are_counted_by_how_they_ended_and_under_no_name_that_a_client_made_up(
    new_stand: NewStand,
) -> None:
    stand = await new_stand(two_outputs())
    await stand.predict(Target("digits"))
    with pytest.raises(ModelNotFoundError):
        await stand.predict(Target("made-up"))
    with pytest.raises(SignatureNotFoundError, match=r'^Serving signature key "regress" not found\.$'):
        await stand.predict(Target("digits", signature_name="regress"))
    with pytest.raises(InvalidInputError, match="expected at least one row, received none"):
        await stand.predict(Target("digits"), rows=0)

    assert stand.outcomes() == {
        ("digits", "ok"): 1,
        ("", "ModelNotFoundError"): 1,
        ("digits", "SignatureNotFoundError"): 1,
        ("digits", "InvalidInputError"): 1,
    }


async def test_a_cancelled_request_is_not_counted_as_answered(new_stand: NewStand) -> None:
    stand = await new_stand(two_outputs())
    stand.executor.holds = lambda _: True
    task = asyncio.create_task(stand.predict(Target("digits")))
    await turn()
    task.cancel()
    await turn()
    stand.executor.run_next()

    assert stand.outcomes() == {("digits", "CancelledError"): 1}


async def test_images_are_counted_as_any_other_request(new_stand: NewStand) -> None:
    stand = await new_stand(two_outputs())
    data = file_of(gradient("L", 2, 2), "BMP")
    await stand.plane.classify_images(Target("digits"), [ImageFile(data)], api="image")
    with pytest.raises(ModelNotFoundError):
        await stand.plane.classify_images(Target("made-up"), [ImageFile(data)], api="image")
    stand.executor.holds = lambda _: True
    task = asyncio.create_task(stand.plane.classify_images(Target("digits"), [ImageFile(data)], api="image"))
    await turn()
    task.cancel()
    await turn()

    assert stand.outcomes() == {("digits", "ok"): 1, ("", "ModelNotFoundError"): 1, ("digits", "CancelledError"): 1}


async def test_an_image_becomes_the_one_row_that_the_signature_takes(new_stand: NewStand) -> None:
    back = Back(Signature((PIXELS,), (SCORES,)), scores=np.float32([[0.25, 0.75, 0.0]]))
    stand = await new_stand(back)
    data = file_of(gradient("L", 2, 2), "PNG")
    answer = await stand.plane.classify_images(Target("digits"), [ImageFile(data)], api="image")

    assert (answer.name, answer.version, answer.labels) == ("digits", 7, ("cat", "dog"))
    assert {name: scores.tolist() for name, scores in answer.outputs.items()} == {"scores": [[0.25, 0.75, 0.0]]}
    assert back.seen[0].tolist() == [np.asarray(gradient("L", 2, 2)).tolist()]


@pytest.mark.parametrize(
    ("signature", "image", "reason"),
    [
        (Signature((PIXELS,), (SCORES,)), None, "has no image preprocessing in its manifest"),
        (Signature((PIXELS, PIXELS), (SCORES,)), IMAGE, "takes no images: expected one input of uint8 [?, 2, 2]"),
        (
            Signature((TensorSpec("x", "float32", (None, 2, 2)),), (SCORES,)),
            IMAGE,
            'takes no images: expected one input of uint8 [?, 2, 2], its input "x" is float32 [?, 2, 2]',
        ),
        (
            Signature((PIXELS,), (SCORES,)),
            ImageSpec(3, 3, "rgb"),
            'expected one input of uint8 [?, 3, 3, 3], its input "pixels" is uint8 [?, 2, 2]',
        ),
        (
            Signature((PIXELS,), (TensorSpec("y", "float32", (None,)),)),
            IMAGE,
            'gives no class scores: expected numbers of shape [?, classes], its output "y" is float32 [?]',
        ),
        (Signature((PIXELS,), (TensorSpec("y", "string", (None, 3)),)), IMAGE, "gives no class scores"),
    ],
)
async def test_a_model_that_is_no_image_classifier_says_why(
    new_stand: NewStand, signature: Signature, image: ImageSpec | None, reason: str
) -> None:
    back = Back(signature)
    stand = await new_stand(back, image)
    with pytest.raises(UnsupportedError) as caught:
        await stand.plane.classify_images(Target("digits"), [ImageFile(b"not even read")], api="image")

    assert reason in str(caught.value)
    assert back.seen == []


async def test_a_bad_image_is_refused_and_the_version_is_left_free(new_stand: NewStand) -> None:
    stand = await new_stand(two_outputs())
    with pytest.raises(InvalidInputError, match="not an image"):
        await stand.plane.classify_images(Target("digits"), [ImageFile(b"text")], api="image")

    await asyncio.wait_for(stand.manager.resolve("digits").drained(), 5)
    assert stand.outcomes() == {("digits", "InvalidInputError"): 1}


async def test_several_images_are_one_batch_and_are_answered_in_order(new_stand: NewStand) -> None:
    back = Back(Signature((PIXELS,), (SCORES,)), scores=np.float32([[0.25, 0.75, 0.0]]))
    stand = await new_stand(back)
    files = [ImageFile(plain(shade)) for shade in (7, 0, 255)]
    answer = await stand.plane.classify_images(Target("digits"), files, api="image")

    assert answer.outputs["scores"].tolist() == [[0.25, 0.75, 0.0]] * 3
    assert [pixels[:, 0, 0].tolist() for pixels in back.seen] == [[7, 0, 255]]


async def test_every_bad_image_of_several_is_named(new_stand: NewStand) -> None:
    stand = await new_stand(two_outputs())
    files = [ImageFile(b"text", "image 0"), ImageFile(plain(1), "image 1"), ImageFile(b"", "image 2 ('b.png')")]
    with pytest.raises(InvalidInputError) as caught:
        await stand.plane.classify_images(Target("digits"), files, api="image")
    first, second = str(caught.value).split("; ")
    assert first.startswith("image 0: not an image: expected PNG")
    assert second.startswith("image 2 ('b.png'): not an image: expected PNG")


async def test_images_beyond_those_that_may_wait_are_refused_at_once(new_stand: NewStand) -> None:
    stand = await new_stand(two_outputs())
    stand.executor.holds = lambda _: True
    files = [ImageFile(plain(0))] * 5
    waiting = asyncio.create_task(stand.plane.classify_images(Target("digits"), files, api="image"))
    await turn()
    with pytest.raises(OverloadedError, match=r"5 of 8 wait to be decoded, 5 more were sent"):
        await stand.plane.classify_images(Target("digits"), files, api="image")
    waiting.cancel()
    await turn()
    stand.executor.holds = lambda _: False
    assert len((await stand.plane.classify_images(Target("digits"), files, api="image")).outputs["scores"]) == 5


async def test_a_real_executor_decodes_beside_the_event_loop(new_stand: NewStand) -> None:
    stand = await new_stand(two_outputs())
    with ThreadPoolExecutor(1) as executor:
        plane = DataPlane(stand.manager, stand.metrics, image_decoder(executor))
        answers = await asyncio.gather(
            *(
                plane.classify_images(Target("digits"), [ImageFile(file_of(gradient(), "PNG"))], api="image")
                for _ in range(5)
            )
        )
    assert [answer.outputs["scores"].argmax() for answer in answers] == [1] * 5


async def test_a_model_that_answers_the_wrong_number_of_rows_fails_as_a_model(new_stand: NewStand) -> None:
    back = Back(Signature((PIXELS,), (SCORES,)), scores=np.zeros((2, 3), np.float32))
    stand = await new_stand(back)
    with pytest.raises(InferenceError, match="expected 1 rows from the model"):
        await stand.predict(Target("digits"))
