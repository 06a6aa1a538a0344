"""The OpenAPI document against a gateway process: every answer is a documented one, every documented request is taken.

`make test` tries three hundred cases, `make fuzz` two thousand more; they are the same ones each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.bundles import write_bundle, write_regression
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.image_files import file_of, gradient
from tests.support.onnx_models import write_identity_model, write_two_input_model


def as_documented(context: Any, response: Any, case: Any) -> None:
    """The answer's form; bare NaN and Infinity, as TensorFlow Serving writes them, are no JSON and in no schema."""
    if b"Infinity" not in response.content and b"NaN" not in response.content:
        response_schema_conformance(context, response, case)


DOCUMENTED = [
    as_documented,
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
]
HALVES = [150, pytest.param(1_000, marks=pytest.mark.fuzz)]
BEYOND_SCHEMAS = (
    "received decimals",  # JSON Schema takes 1.0 for an integer, TensorFlow Serving does not
    "expected the same number of rows in every input",
    "whole number",  # 2.0, as above
    "values for shape",  # as many rows in the data as the shape says
    "Deadline exceeded",  # a timeout of a microsecond
    "deadline",
    "asked for twice",
    "expected text, received half of a surrogate pair",
    "expected UTF-8 strings, received other bytes",
    "expected float_list, received int64_list",  # decimals without a fraction
    "one kind of them, received a decimal and an integer",
)
IMAGES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Serves an image classifier, a regression, two inputs and outputs, strings, scalars, and a fixed batch size."""
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "4", scale=1 / 255)
    write_regression(models / "same" / "1")
    write_two_input_model(models / "pair" / "1")
    write_identity_model(models / "text" / "1", TensorProto.STRING, ["N"])
    write_identity_model(models / "long" / "1", TensorProto.INT64, ["N", 3])
    write_identity_model(models / "half" / "1", TensorProto.FLOAT16, ["N"])
    write_identity_model(models / "truth" / "1", TensorProto.BOOL, [2, 2])
    write_identity_model(models / "odd name%{}" / "1", TensorProto.UINT8, ["N"])
    with running_gateway(models, max_request_images=5) as running:
        yield running


@pytest.fixture(scope="module")
def schema(gateway: RunningGateway) -> Any:
    for kind in IMAGES:
        file = file_of(gradient(), kind.removeprefix("image/").upper())
        schemathesis.openapi.media_type(kind, st.sampled_from([file, file[:20], b""]))
    return schemathesis.openapi.from_url(f"{gateway.rest_url}/openapi.json", timeout=60.0)


def operations(schema: Any) -> list[Any]:
    found = [result.ok() for result in schema.get_all_operations()]
    assert len(found) > 20
    return found


def run_cases(operation: Any, strategy: st.SearchStrategy[Any], count: int, checks: list[Any], base_url: str) -> int:
    """Sends up to `count` different cases of the operation, fewer where there are no more; returns how many."""
    sent = 0

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def send(case: Any) -> None:
        nonlocal sent
        sent += 1
        case.call_and_validate(base_url=base_url, checks=checks, timeout=60.0)

    send()
    return sent


def taken(_: Any, response: Any, case: Any) -> None:
    """What the schema allows is answered, but for what no schema can say."""
    if response.status_code != 200 and not (case.media_type or "").startswith(("image/", "multipart/")):
        error = response.json()["error"]
        assert any(text in error for text in BEYOND_SCHEMAS) or "not an image" in error, error


def run_all(schema: Any, gateway: RunningGateway, mode: Any, total: int) -> int:
    """Spreads the cases over the operations that take a body; the others get as many as there are."""
    is_positive = mode is schemathesis.GenerationMode.POSITIVE
    found = operations(schema)
    with_body = [operation for operation in found if operation.body]
    per_operation = -(-total // len(with_body)) * 2  # some operations have fewer different cases
    checks = [*DOCUMENTED, taken] if is_positive else DOCUMENTED
    return sum(
        run_cases(operation, operation.as_strategy(mode), per_operation, checks, gateway.rest_url)
        for operation in (found if is_positive else with_body)
    )


def test_the_document_is_openapi(schema: Any) -> None:
    schema.validate()


@pytest.mark.parametrize("cases", HALVES)
def test_requests_as_documented_are_answered_as_documented(cases: int, schema: Any, gateway: RunningGateway) -> None:
    assert run_all(schema, gateway, schemathesis.GenerationMode.POSITIVE, cases) >= cases


@pytest.mark.parametrize("cases", HALVES)
def test_other_requests_are_refused_as_documented(cases: int, schema: Any, gateway: RunningGateway) -> None:
    assert run_all(schema, gateway, schemathesis.GenerationMode.NEGATIVE, cases) >= cases
