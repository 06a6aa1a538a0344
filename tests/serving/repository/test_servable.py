"""A loaded version: rows of a request, the batch size it allows, and who is still inside."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serving.batching.policy import CostModel
from serving.batching.settings import BatchSettings
from serving.errors import InferenceError, InvalidInputError, SignatureNotFoundError
from serving.observability.exposition import expose
from serving.observability.metrics import Metrics
from serving.repository.servable import Servable
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec
from tests.support.repository_stand import ECHO, EchoBackend
from tests.support.stepping import HandExecutor, turn

TWO = Signature(
    (TensorSpec("a", "float32", (None,)), TensorSpec("b", "float32", (None,))), (TensorSpec("y", "float32", (None,)),)
)
FIXED = Signature((TensorSpec("x", "float32", (4,)),), (TensorSpec("y", "float32", (4,)),))
BATCHED_BY_TWO = Signature((TensorSpec("x", "float32", (None,)),), (TensorSpec("y", "float32", (2,)),))


def servable(*, signature: Signature = ECHO, metrics: Metrics | None = None) -> tuple[Servable, EchoBackend]:
    backend = EchoBackend({DEFAULT_SIGNATURE: signature})
    made = Servable(
        "digits",
        3,
        backend=backend,
        labels=(),
        image=None,
        costs={DEFAULT_SIGNATURE: CostModel()},
        batching=BatchSettings(max_batch_size=8),
        executor=HandExecutor(holds=lambda _: False),
        metrics=metrics or Metrics(),
    )
    return made, backend


async def test_a_request_is_answered_through_its_signatures_batcher() -> None:
    made, _ = servable()
    answer = await made.run(DEFAULT_SIGNATURE, {"x": np.float32([1, 2])})
    assert answer["y"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"a": np.zeros(2), "b": np.zeros(3)}, "expected the same number of rows in every input, received a: 2, b: 3"),
        (
            {"a": np.zeros(2), "b": np.zeros(())},
            "expected the same number of rows in every input, received a: 2, b: a scalar",
        ),
        ({"a": np.zeros(0), "b": np.zeros(0)}, "expected at least one row, received none"),
    ],
)
async def test_rows_that_do_not_fit_together_are_refused(inputs: dict[str, np.ndarray], reason: str) -> None:
    made, _ = servable(signature=TWO)
    with pytest.raises(InvalidInputError) as caught:
        await made.run(DEFAULT_SIGNATURE, inputs)
    assert str(caught.value) == reason


async def test_a_model_with_a_fixed_first_dimension_gets_batches_of_that_size() -> None:
    made, _ = servable(signature=FIXED)
    answers = await asyncio.gather(
        *(made.run(DEFAULT_SIGNATURE, {"x": np.full(4, value, np.float32)}) for value in range(3))
    )
    assert [answer["y"].tolist() for answer in answers] == [[value] * 4 for value in range(3)]


async def test_the_outputs_first_dimension_bounds_the_batch_too() -> None:
    made, _ = servable(signature=BATCHED_BY_TWO)
    answer = await made.run(DEFAULT_SIGNATURE, {"x": np.float32([1, 2, 3])})
    assert answer["y"].tolist() == [1, 2, 3]


async def test_an_unknown_signature_is_named() -> None:
    made, _ = servable()
    with pytest.raises(SignatureNotFoundError) as caught:
        made.signature("classify")
    assert caught.value.signature_name == "classify"


async def test_it_is_drained_when_the_last_request_has_left() -> None:
    made, _ = servable()
    with made:
        with made:
            draining = asyncio.create_task(made.drained())
            await turn()
        await turn()
        assert not draining.done()
    await turn()
    assert draining.done()


async def test_a_request_that_fails_leaves_too() -> None:
    made, backend = servable()
    backend.closed = 1
    with pytest.raises(InferenceError), made:
        await made.run(DEFAULT_SIGNATURE, {"x": np.float32([1])})
    await asyncio.wait_for(made.drained(), 5)


async def test_the_queue_is_shown_by_model_and_version() -> None:
    metrics = Metrics()
    made, _ = servable(metrics=metrics)
    assert made.version == 3
    assert 'atelier_queue_rows{model_name="digits",version="3"} 0.0' in expose(metrics.figures())
    metrics.end_batches("digits", 3)
    assert "atelier_queue_rows{" not in expose(metrics.figures())


async def test_the_size_that_batches_may_have_now_is_shown_by_signature() -> None:
    metrics = Metrics()
    made, _ = servable(metrics=metrics)
    line = 'atelier_batch_size_limit_rows{model_name="digits",signature="serving_default",version="3"}'
    assert f"{line} 8.0" in expose(metrics.figures())
    made.reconfigure(BatchSettings(slo_ms=1e6))
    assert f"{line} 1.0" in expose(metrics.figures()), "an SLO begins with one row"
    await made.run(DEFAULT_SIGNATURE, {"x": np.float32([1])})
    assert f"{line} 2.0" in expose(metrics.figures())
    metrics.end_batches("digits", 3)
    assert line not in expose(metrics.figures())


async def test_requests_from_a_real_pool_keep_their_rows() -> None:
    backend = EchoBackend()
    with ThreadPoolExecutor(2) as executor:
        made = Servable(
            "digits",
            1,
            backend=backend,
            labels=(),
            image=None,
            costs={DEFAULT_SIGNATURE: CostModel()},
            batching=BatchSettings(max_batch_size=8),
            executor=executor,
            metrics=Metrics(),
        )
        answers = await asyncio.gather(
            *(made.run(DEFAULT_SIGNATURE, {"x": np.full(1 + n % 11, n, np.float32)}) for n in range(100))
        )
    assert all(answer["y"].tolist() == [float(n)] * (1 + n % 11) for n, answer in enumerate(answers))


async def test_a_servable_counts_what_it_answered_and_what_it_refused() -> None:
    made, backend = servable()
    await made.run(DEFAULT_SIGNATURE, {"x": np.float32([1, 2])})
    backend.closed = 1  # it fails from here on
    with pytest.raises(InferenceError):
        await made.run(DEFAULT_SIGNATURE, {"x": np.float32([3])})
    usage = made.usage
    assert (usage.answered_requests, usage.answered_rows, usage.failed_requests, usage.batches) == (1, 2, 1, 2)
    assert usage.answered_s > 0
    assert usage.failed_s > 0
    assert usage.waited_s >= 0
    assert usage.last_run_at > 0
