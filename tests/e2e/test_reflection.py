"""Server reflection: a client that knows nothing learns the services from the gateway, and can call them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.support.gateway import RunningGateway

PREDICT = "tensorflow.serving.PredictionService"
TIMEOUT_S = 60.0


@pytest.fixture
def channel(gateway: RunningGateway) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield channel


def answers(
    channel: grpc.Channel, version: str, *questions: reflection_pb2.ServerReflectionRequest
) -> list[reflection_pb2.ServerReflectionResponse]:
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return list(call(iter(questions), timeout=TIMEOUT_S))


def ask_in_json(
    channel: grpc.Channel, pool: DescriptorPool, service: ServiceDescriptor, name: str, document: dict[str, Any]
) -> dict[str, Any]:
    """As tools like grpcurl do: JSON in, JSON out, by what was reflected."""
    method = service.FindMethodByName(name)
    call = channel.unary_unary(
        f"/{service.full_name}/{name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    request = json_format.ParseDict(document, GetMessageClass(method.input_type)(), descriptor_pool=pool)
    return json_format.MessageToDict(call(request, timeout=TIMEOUT_S), descriptor_pool=pool)


def test_the_official_client_lists_the_services(channel: grpc.Channel) -> None:
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {PREDICT, "tensorflow.serving.ModelService", "grpc.health.v1.Health"} <= set(services)


def test_a_call_can_be_made_with_nothing_but_what_was_reflected(channel: grpc.Channel) -> None:
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    method = pool.FindServiceByName(PREDICT).FindMethodByName("Predict")
    request_class, response_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    request = request_class()
    request.model_spec.name = "pair"
    for name, values in (("a", [1.0, 2.0]), ("b", [3.0, 5.0])):
        tensor = request.inputs[name]
        tensor.dtype = 1
        tensor.tensor_shape.dim.add(size=2)
        tensor.float_val.extend(values)
    call = channel.unary_unary(
        f"/{PREDICT}/Predict",
        request_serializer=request_class.SerializeToString,
        response_deserializer=response_class.FromString,
    )
    answer = call(request, timeout=TIMEOUT_S)
    assert list(answer.outputs["sum"].float_val) == [4.0, 7.0]


def test_a_request_can_be_written_as_json_with_the_names_of_dtypes_and_states(channel: grpc.Channel) -> None:
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    tensor = {"dtype": "DT_FLOAT", "tensorShape": {"dim": [{"size": "1"}]}, "floatVal": [2.0]}
    service = pool.FindServiceByName(PREDICT)
    answer = ask_in_json(
        channel, pool, service, "Predict", {"modelSpec": {"name": "pair"}, "inputs": {"a": tensor, "b": tensor}}
    )
    assert answer["outputs"]["sum"]["dtype"] == "DT_FLOAT"
    assert answer["outputs"]["sum"]["floatVal"] == [4.0]
    service = pool.FindServiceByName("tensorflow.serving.ModelService")
    answer = ask_in_json(channel, pool, service, "GetModelStatus", {"modelSpec": {"name": "pair"}})
    assert [version["state"] for version in answer["modelVersionStatus"]] == ["AVAILABLE"]


def test_what_answers_hold_as_any_message_can_be_read_with_what_was_reflected(channel: grpc.Channel) -> None:
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    method = pool.FindServiceByName(PREDICT).FindMethodByName("GetModelMetadata")
    request_class, response_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    call = channel.unary_unary(
        f"/{PREDICT}/GetModelMetadata",
        request_serializer=request_class.SerializeToString,
        response_deserializer=response_class.FromString,
    )
    answer = call(request_class(model_spec={"name": "pair"}, metadata_field=["signature_def"]), timeout=TIMEOUT_S)
    signatures = json_format.MessageToDict(answer, descriptor_pool=pool)["metadata"]["signature_def"]["signatureDef"]
    assert signatures["serving_default"]["inputs"].keys() == {"a", "b"}

    with pytest.raises(grpc.RpcError) as caught:
        call(request_class(model_spec={"name": "none"}, metadata_field=["signature_def"]), timeout=TIMEOUT_S)
    (details,) = [value for key, value in caught.value.trailing_metadata() if key == "grpc-status-details-bin"]
    status = GetMessageClass(pool.FindMessageTypeByName("google.rpc.Status")).FromString(details)
    read = json_format.MessageToDict(status, descriptor_pool=pool)
    assert [detail["reason"] for detail in read["details"]] == ["MODEL_NOT_FOUND"]


def test_every_service_and_method_that_is_answered_is_described(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    described = {
        service: {method.name for method in pool.FindServiceByName(service).methods}
        for service in database.get_services()
    }
    answered = refusal(channel, "/no.such.Service/Method").partition("; known services: ")[2].split(", ")
    assert described.keys() == set(answered)
    for service, methods in described.items():
        text = refusal(channel, f"/{service}/NoSuchMethod")
        assert set(text.partition("; the service's methods: ")[2].split(", ")) == methods


def refusal(channel: grpc.Channel, method: str) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(method)(b"", timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    return str(caught.value.details())


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_questions_of_one_call_are_answered_in_order(version: str, channel: grpc.Channel) -> None:
    question = reflection_pb2.ServerReflectionRequest
    listed, unknown, file, empty = answers(
        channel,
        version,
        question(host="here", list_services="*"),
        question(file_containing_symbol="no.such.Symbol"),
        question(file_by_filename="google/protobuf/any.proto"),
        question(),
    )
    assert listed.valid_host == "here"
    assert PREDICT in {service.name for service in listed.list_services_response.service}
    assert (unknown.error_response.error_code, unknown.error_response.error_message) == (5, "not found: no.such.Symbol")
    assert len(file.file_descriptor_response.file_descriptor_proto) == 1
    assert empty.error_response.error_code == 3


def test_what_is_no_question_ends_the_call_with_a_sentence(channel: grpc.Channel) -> None:
    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    with pytest.raises(grpc.RpcError) as caught:
        list(call(iter([b"\xff\xff\xff"]), timeout=TIMEOUT_S))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "not a valid protobuf" in caught.value.details()


def test_a_question_of_megabytes_is_refused(channel: grpc.Channel) -> None:
    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    with pytest.raises(grpc.RpcError) as caught:
        list(call(iter([bytes(2_000_000)]), timeout=TIMEOUT_S))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
