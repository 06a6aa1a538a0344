"""GetModelMetadata and GetModelStatus, asked by TensorFlow Serving's own client."""

from __future__ import annotations

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from tests.support.tfs import failure

Stub = prediction_service_pb2_grpc.PredictionServiceStub
Models = model_service_pb2_grpc.ModelServiceStub


def metadata_request(model: str | None, *fields: str) -> get_model_metadata_pb2.GetModelMetadataRequest:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if model is not None:
        request.model_spec.name = model
    return request


def status_request(
    model: str | None, *, version: int | None = None, label: str | None = None
) -> get_model_status_pb2.GetModelStatusRequest:
    request = get_model_status_pb2.GetModelStatusRequest()
    if model is not None:
        request.model_spec.name = model
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    return request


def test_metadata_holds_the_signature(stub: Stub) -> None:
    response = stub.GetModelMetadata(metadata_request("brightness", "signature_def"), timeout=60.0)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    signature = signatures.signature_def["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    assert signature.inputs["pixels"].name == "pixels"
    assert signature.inputs["pixels"].dtype == tf.uint8.as_datatype_enum
    assert [dim.size for dim in signature.inputs["pixels"].tensor_shape.dim] == [-1, 2, 2]
    assert [dim.size for dim in signature.outputs["scores"].tensor_shape.dim] == [-1, 3]
    assert (response.model_spec.name, response.model_spec.version.value) == ("brightness", 4)
    assert response.model_spec.signature_name == ""


def test_status_lists_the_available_version(models: Models) -> None:
    (status,) = models.GetModelStatus(status_request("brightness"), timeout=60.0).model_version_status
    assert (status.version, status.state) == (4, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    assert (status.status.error_code, status.status.error_message) == (0, "")


def test_status_of_one_version(models: Models) -> None:
    (status,) = models.GetModelStatus(status_request("brightness", version=4), timeout=60.0).model_version_status
    assert status.version == 4


def test_status_ignores_a_label(models: Models) -> None:
    response = models.GetModelStatus(status_request("brightness", label="canary"), timeout=60.0)
    assert [status.version for status in response.model_version_status] == [4]


METADATA_REFUSALS = {
    "no model spec": (
        metadata_request(None, "signature_def"),
        grpc.StatusCode.INVALID_ARGUMENT,
        "Missing ModelSpec",
    ),
    "no name": (
        metadata_request("", "signature_def"),
        grpc.StatusCode.INVALID_ARGUMENT,
        "ModelSpec has no name specified.",
    ),
    "no field": (
        metadata_request("brightness"),
        grpc.StatusCode.INVALID_ARGUMENT,
        "GetModelMetadataRequest must specify at least one metadata_field",
    ),
    "another field": (
        metadata_request("brightness", "signature_def", "assets"),
        grpc.StatusCode.INVALID_ARGUMENT,
        "Metadata field assets is not supported",
    ),
    "an unknown model": (
        metadata_request("nobody", "signature_def"),
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Latest(nobody)",
    ),
}


@pytest.mark.parametrize("case", METADATA_REFUSALS)
def test_metadata_is_refused(case: str, stub: Stub) -> None:
    request, code, text = METADATA_REFUSALS[case]
    assert failure(stub.GetModelMetadata, request) == (code, text)


STATUS_REFUSALS = {
    "no model spec": (status_request(None), grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec"),
    "an unknown model": (
        status_request("nobody"),
        grpc.StatusCode.NOT_FOUND,
        "Could not find any versions of model nobody",
    ),
    "an unknown version": (
        status_request("brightness", version=9),
        grpc.StatusCode.NOT_FOUND,
        "Could not find version 9 of model brightness",
    ),
}


@pytest.mark.parametrize("case", STATUS_REFUSALS)
def test_status_is_refused(case: str, models: Models) -> None:
    request, code, text = STATUS_REFUSALS[case]
    assert failure(models.GetModelStatus, request) == (code, text)


def test_a_reload_of_another_kind_of_configuration_is_refused(models: Models) -> None:
    assert failure(models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        (
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        ),
    )


def test_a_method_that_is_not_there_is_unimplemented(channel: grpc.Channel) -> None:
    code, text = failure(channel.unary_unary("/tensorflow.serving.PredictionService/Guess"), b"")
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "unknown gRPC method /tensorflow.serving.PredictionService/Guess" in text
