"""The description of the gRPC services, as a client would build it up."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from tensorflow.core.example import feature_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import input_pb2
from tritonclient.grpc import service_pb2

from serving.wire.services import DECLARED_AS_BYTES, SERVICES, Descriptions, published

DESCRIPTIONS = Descriptions()


def pool_of(symbol: str) -> DescriptorPool:
    pool = DescriptorPool()
    for serialized in reversed(DESCRIPTIONS.by_symbol(symbol) or []):  # imports first
        pool.AddSerializedFile(serialized)
    return pool


def test_every_service_builds_up_from_its_own_answer_alone() -> None:
    for name, methods in SERVICES.items():
        service = pool_of(name).FindServiceByName(name)
        assert [method.name for method in service.methods] == list(methods)


def test_services_methods_messages_fields_and_enums_are_found_by_name() -> None:
    for symbol in (
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.PredictionService.Predict",
        "tensorflow.serving.PredictRequest",
        "tensorflow.serving.TensorShape.Dim",
        "tensorflow.serving.Tensor.float_val",
        "grpc.health.v1.HealthCheckResponse.ServingStatus",
        "google.rpc.ErrorInfo",
    ):
        files = DESCRIPTIONS.by_symbol(symbol)
        assert files, symbol
    assert DESCRIPTIONS.by_symbol("tensorflow.serving.Nothing") is None
    assert DESCRIPTIONS.by_name("nothing.proto") is None


@pytest.mark.parametrize(
    ("name", "official"),
    [
        ("tensorflow.serving.Tensor", tensor_pb2.TensorProto),
        ("tensorflow.serving.FloatList", feature_pb2.FloatList),
        ("tensorflow.serving.ExampleList", input_pb2.ExampleList),
        ("tensorflow.serving.ExampleListWithContext", input_pb2.ExampleListWithContext),
        ("inference.InferTensorContents", service_pb2.InferTensorContents),
    ],
)
def test_fields_have_the_types_that_clients_write(name: str, official: type[Message]) -> None:
    expected = {field.name: field for field in official.DESCRIPTOR.fields}
    for field in pool_of(name).FindMessageTypeByName(name).fields:
        if field.name == "dtype":  # an enumeration there, its number here
            continue
        assert (field.number, field.type) == (expected[field.name].number, expected[field.name].type), field.name


def test_every_field_that_is_given_back_its_type_exists() -> None:
    assert all(DESCRIPTIONS.by_symbol(published(field)) for field in DECLARED_AS_BYTES)
