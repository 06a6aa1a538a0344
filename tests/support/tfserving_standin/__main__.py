"""Serves until it is killed; see the package."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

import grpc
import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tests.support.tfserving_standin.models import Repository, Version, find
from tests.support.tfserving_standin.tensors import array_of, proto_of

_UNBOUNDED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]


class Services(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    """Both services of TensorFlow Serving, but for what the gateway never asks."""

    def __init__(self, repository: Repository, journal: Path | None) -> None:
        self._repository = repository
        self._journal = journal.open("a", buffering=1) if journal else None

    async def Predict(self, request, context):  # noqa: N802 -- the name of the RPC
        number, version = await self._find(request.model_spec, context)
        name = request.model_spec.signature_name or "serving_default"
        if name not in version.signatures:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        wanted = version.signatures[name].inputs
        if set(request.inputs) != set(wanted):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "input size does not match signature")
        inputs = {key: array_of(tensor) for key, tensor in request.inputs.items()}
        if self._journal:
            rows = max((len(array) for array in inputs.values() if array.ndim), default=0)
            line = {"rows": rows, "remaining_s": context.time_remaining(), "version": number, "signature": name}
            self._journal.write(json.dumps(line) + "\n")
        outputs = await self._run(version, name, inputs, context)
        response = predict_pb2.PredictResponse()
        for key in request.output_filter or outputs:
            response.outputs[key].CopyFrom(proto_of(outputs[key], version.signatures[name].outputs[key].dtype))
        _answered_by(response, request, number, name)
        return response

    async def Classify(self, request, context):  # noqa: N802 -- the name of the RPC
        number, name, outputs = await self._run_examples(request, context, "tensorflow/serving/classify")
        response = classification_pb2.ClassificationResponse()
        for labels, scores in zip(outputs["classes"], outputs["scores"], strict=True):
            classes = response.result.classifications.add().classes
            for label, score in zip(labels, scores, strict=True):
                classes.add(label=label, score=score)
        _answered_by(response, request, number, name)
        return response

    async def Regress(self, request, context):  # noqa: N802 -- the name of the RPC
        number, name, outputs = await self._run_examples(request, context, "tensorflow/serving/regress")
        response = regression_pb2.RegressionResponse()
        for value in outputs["outputs"].reshape(-1):
            response.result.regressions.add(value=value)
        _answered_by(response, request, number, name)
        return response

    async def GetModelMetadata(self, request, context):  # noqa: N802 -- the name of the RPC
        number, version = await self._find(request.model_spec, context)
        if list(request.metadata_field) != ["signature_def"]:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Metadata field is not supported")
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=version.signatures)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(signatures)
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = number
        return response

    async def GetModelStatus(self, request, context):  # noqa: N802 -- the name of the RPC
        spec = request.model_spec
        model = self._repository.models.get(spec.name)
        versions = dict(model.versions) if model else {}
        if spec.HasField("version"):
            versions = {number: record for number, record in versions.items() if number == spec.version.value}
        if not versions:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, record in sorted(versions.items(), reverse=True):
            entry = response.model_version_status.add(version=number, state=record.state)
            if record.error:
                entry.status.error_code, entry.status.error_message = 2, record.error
        return response

    async def _find(self, spec, context) -> tuple[int, Version]:
        try:
            return find(self._repository, spec)
        except LookupError as error:
            code, text = error.args
            return await context.abort(grpc.StatusCode[code], text)

    async def _run(self, version: Version, name: str, inputs, context):
        try:
            if version.is_quick:
                return version.run(name, inputs)
            return await asyncio.to_thread(version.run, name, inputs)
        except Exception as error:  # noqa: BLE001 -- whatever a runtime raises
            return await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error).splitlines()[0])

    async def _run_examples(self, request, context, method: str):
        number, version = await self._find(request.model_spec, context)
        name = request.model_spec.signature_name or "serving_default"
        if name not in version.signatures or version.signatures[name].method_name != method:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Expected signature method_name to be {method}")
        serialized = [example.SerializeToString() for example in request.input.example_list.examples]
        inputs = {"inputs": np.array(serialized, dtype=object)}
        return number, name, await self._run(version, name, inputs, context)


def _answered_by(response, request, number: int, signature_name: str) -> None:
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = number
    response.model_spec.signature_name = signature_name


async def serve(arguments: argparse.Namespace) -> None:
    """Loads what is there, listens, says where, and goes on looking for versions."""
    repository = Repository(arguments.model_config_file)
    await asyncio.to_thread(repository.step)
    server = grpc.aio.server(options=_UNBOUNDED)
    services = Services(repository, arguments.journal)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(services, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(services, server)
    address = f"127.0.0.1:{arguments.port}"
    if arguments.tls_key:
        pair = (arguments.tls_key.read_bytes(), arguments.tls_certificate.read_bytes())
        ca = arguments.client_ca.read_bytes() if arguments.client_ca else None
        credentials = grpc.ssl_server_credentials([pair], ca, require_client_auth=ca is not None)
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    await server.start()
    print(json.dumps({"port": port}), flush=True)
    while True:
        await asyncio.sleep(arguments.poll_s)
        await asyncio.to_thread(repository.step)


def main() -> None:
    """Parses the arguments and serves."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-config-file", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--poll-s", type=float, default=0.1)
    parser.add_argument("--journal", type=Path, help="a JSON line for each Predict")
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--tls-certificate", type=Path)
    parser.add_argument("--client-ca", type=Path)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
