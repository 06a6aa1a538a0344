"""The description of the gRPC services, as a client would build it up."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from tensorflow.core.framework import tensor_pb2

from serving.wire.services import PACKED_AS_BYTES, SERVICES, Descriptions

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
        "atelier.wire.tfs.PredictRequest",
        "atelier.wire.tfs.TensorShape.Dim",
        "atelier.wire.tfs.Tensor.float_val",
        "atelier.wire.health.HealthCheckResponse.ServingStatus",
    ):
        files = DESCRIPTIONS.by_symbol(symbol)
        assert files, symbol
    assert DESCRIPTIONS.by_symbol("atelier.wire.tfs.Nothing") is None
    assert DESCRIPTIONS.by_name("nothing.proto") is None


def test_numbers_have_the_types_that_clients_write() -> None:
    tensor = pool_of("atelier.wire.tfs.Tensor").FindMessageTypeByName("atelier.wire.tfs.Tensor")
    official = tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name
    for field in tensor.fields:
        if field.name not in {"dtype", "tensor_shape"}:
            assert (field.number, field.type) == (official[field.name].number, official[field.name].type), field.name


def test_every_field_that_is_given_back_its_type_exists() -> None:
    described = {
        f"{file.package}.{message.name}.{field.name}"
        for symbol in ("atelier.wire.tfs.Tensor", "atelier.wire.oip.InferTensorContents")
        for serialized in DESCRIPTIONS.by_symbol(symbol) or []
        for file in (FileDescriptorProto.FromString(serialized),)
        for message in file.message_type
        for field in message.field
    }
    assert set(PACKED_AS_BYTES) <= described
