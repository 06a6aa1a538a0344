"""TensorFlow Serving's PredictionService and ModelService.

Behaviour and message texts follow tensorflow_serving/servables/tensorflow/*.cc and model_servers/*.cc.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from serving.batching.terms import Terms
from serving.control.model_states import ModelStates
from serving.dataplane import DataPlane, Inputs, Prediction, Target
from serving.errors import InvalidInputError
from serving.frontends.grpc_transport import Handler
from serving.frontends.tfs_examples import INPUTS, ExampleMethods, Examples, Task
from serving.offload.answer_writer import AnswerWriter
from serving.offload.message_reader import MessageForm, MessageReader, check_short
from serving.repository.manager import Manager
from serving.repository.records import VersionStatus
from serving.repository.reload import Reload
from serving.repository.tfserving_config import listed_models
from serving.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, REGRESS_METHOD, Signature
from serving.wire.atelier_tfs_pb2 import (
    ExamplesRequest,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelSpec,
    MultiInferenceRequest,
    PredictRequest,
    PredictResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
    SignatureDefMap,
)
from serving.wire.example_results import encode_classification, encode_regression
from serving.wire.examples import array_of, decode_request
from serving.wire.grpc_codes import UNKNOWN
from serving.wire.predict_messages import (
    SeenRequests,
    decode_inputs,
    decode_message,
    encode_outputs,
    written_one_by_one,
)
from serving.wire.protobuf_fields import bytes_field, bytes_field_head
from serving.wire.tensors import encode_tensor_info, has_many_strings

SIGNATURE_DEF = "signature_def"
_SIGNATURE_DEF_URL = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
_API = "tfs_grpc"
_KNOWN_SIGNATURES = 1024
_PREDICT = MessageForm(PredictRequest.FromString, {1, 3}, {2: {2: dict.fromkeys((4, 5, 6, 8, 9, 12, 18))}})
"""Pieces of a tensor are `tensor_content`, floats but half ones, complex numbers and long strings."""
_INPUT = {2: {1: {1: None}, 2: {1: None, 2: None}}}
"""Serialized examples, and their context."""
_EXAMPLES = MessageForm(ExamplesRequest.FromString, {1}, _INPUT)
_SEVERAL = MessageForm(MultiInferenceRequest.FromString, {1}, _INPUT)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a Predict request says besides its tensors."""

    target: Target
    output_filter: tuple[str, ...]


class TfsGrpc:
    """The methods by their paths, in `methods`."""

    def __init__(
        self,
        plane: DataPlane,
        manager: Manager,
        states: ModelStates,
        reload: Reload,
        reader: MessageReader,
        writer: AnswerWriter,
        max_tensor_bytes: int,
    ) -> None:
        self._plane = plane
        self._manager = manager
        self._states = states
        self._reload = reload
        self._reader = reader
        self._writer = writer
        self._examples = ExampleMethods(plane, api=_API)
        self._max_tensor_bytes = max_tensor_bytes
        self._seen: SeenRequests[_Asked] = SeenRequests()
        self.methods: Mapping[str, Handler] = MappingProxyType(
            {
                "/tensorflow.serving.PredictionService/Predict": self.predict,
                "/tensorflow.serving.PredictionService/Classify": self.classify,
                "/tensorflow.serving.PredictionService/Regress": self.regress,
                "/tensorflow.serving.PredictionService/MultiInference": self.multi_inference,
                "/tensorflow.serving.PredictionService/GetModelMetadata": self.get_model_metadata,
                "/tensorflow.serving.ModelService/GetModelStatus": self.get_model_status,
                "/tensorflow.serving.ModelService/HandleReloadConfigRequest": self.reload_config,
            }
        )

    async def predict(self, message: bytes, terms: Terms) -> bytes:
        """`PredictionService.Predict`."""
        seen = self._seen.find(message)
        if seen is None:
            request, is_whole = self._reader.open(_PREDICT, message)
            asked = _asked(request)
        else:
            request, is_whole, asked = None, True, seen.meaning

        def decode(signature: Signature) -> Inputs | Awaitable[Inputs]:
            if not is_whole or (request is not None and _has_many_strings(request, signature)):
                return self._reader.decode(decode_message, message, signature, self._max_tensor_bytes)
            known = None if seen is None else seen.decode(message, signature.inputs)
            return self._decode(message, request, asked, signature) if known is None else known

        prediction = await self._plane.predict(
            asked.target, decode, api=_API, output_filter=asked.output_filter, terms=terms
        )
        answered = prediction.outputs
        served_by = _served_by(prediction.name, prediction.version, prediction.signature_name)
        one_by_one = written_one_by_one(answered)
        return await self._writer.write(one_by_one, encode_outputs, answered, prediction.signature.outputs, served_by)

    async def classify(self, message: bytes, terms: Terms) -> bytes:
        """`PredictionService.Classify`."""
        return await self._answer_examples(message, CLASSIFY_METHOD, terms)

    async def regress(self, message: bytes, terms: Terms) -> bytes:
        """`PredictionService.Regress`."""
        return await self._answer_examples(message, REGRESS_METHOD, terms)

    async def multi_inference(self, message: bytes, terms: Terms) -> bytes:
        """`PredictionService.MultiInference`: several signatures of one model on the same examples."""
        request, is_whole = self._reader.open(_SEVERAL, message)
        examples = await self._examples_of(message, request, terms, is_whole=is_whole)
        tasks = [Task(_target(task.model_spec), task.method_name) for task in request.tasks]
        answer = []
        for prediction in await self._examples.run_all(tasks, examples, terms):
            number = 2 if prediction.signature.method == CLASSIFY_METHOD else 3
            result = bytes_field(number, await self._result(prediction))
            answer.append(bytes_field(1, bytes_field(1, _spec(prediction)) + result))
        return b"".join(answer)

    async def get_model_metadata(self, message: bytes, terms: Terms) -> bytes:  # noqa: ARG002 -- all handlers have this signature
        """`PredictionService.GetModelMetadata`: the signatures of a version."""
        check_short(message)
        request = GetModelMetadataRequest.FromString(message)
        if not request.HasField("model_spec"):
            raise InvalidInputError("Missing ModelSpec")
        if not request.metadata_field:
            raise InvalidInputError("GetModelMetadataRequest must specify at least one metadata_field")
        for name in request.metadata_field:
            if name != SIGNATURE_DEF:
                raise InvalidInputError(f"Metadata field {name} is not supported")
        target = _target(request.model_spec)
        servable = self._manager.resolve(target.name, target.version, target.label)
        response = GetModelMetadataResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        packed = response.metadata[SIGNATURE_DEF]
        packed.type_url = _SIGNATURE_DEF_URL
        packed.value = _signature_def_map(servable.signatures).SerializeToString()
        return response.SerializeToString()

    async def get_model_status(self, message: bytes, terms: Terms) -> bytes:  # noqa: ARG002 -- all handlers have this signature
        """`ModelService.GetModelStatus`: the states of all versions, or of one; a label is ignored."""
        check_short(message)
        request = GetModelStatusRequest.FromString(message)
        if not request.HasField("model_spec"):
            raise InvalidInputError("Missing ModelSpec")
        target = _target(request.model_spec)
        response = GetModelStatusResponse()
        for status in self._states.statuses(target.name, target.version):
            _encode_status(response, status)
        return response.SerializeToString()

    async def reload_config(self, message: bytes, terms: Terms) -> bytes:
        """`ModelService.HandleReloadConfigRequest`: replaces the models, and waits for those that are new."""
        check_short(message)
        request = ReloadConfigRequest.FromString(message)
        if not request.config.HasField("model_config_list"):
            raise InvalidInputError(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        await self._reload.replace(listed_models(request.config.model_config_list), terms.deadline)
        response = ReloadConfigResponse()
        response.status.SetInParent()
        return response.SerializeToString()

    async def _answer_examples(self, message: bytes, method: str, terms: Terms) -> bytes:
        """A serialized ClassificationResponse or RegressionResponse."""
        request, is_whole = self._reader.open(_EXAMPLES, message)
        if not request.HasField("model_spec"):
            raise InvalidInputError("Missing ModelSpec")
        examples = await self._examples_of(message, request, terms, is_whole=is_whole)
        prediction = await self._examples.run(_target(request.model_spec), method, examples, terms)
        result = await self._result(prediction)
        return b"".join((bytes_field_head(1, len(result)), result, bytes_field(2, _spec(prediction))))

    async def _examples_of(
        self, message: bytes, request: ExamplesRequest | MultiInferenceRequest, terms: Terms, *, is_whole: bool
    ) -> Examples:
        if is_whole:
            return functools.partial(array_of, request.input)
        inputs = await self._reader.decode(decode_request, message, deadline=terms.deadline)
        return lambda: inputs[INPUTS]

    async def _result(self, prediction: Prediction) -> bytes:
        """A serialized ClassificationResult or RegressionResult."""
        outputs = prediction.outputs
        encode = encode_classification if prediction.signature.method == CLASSIFY_METHOD else encode_regression
        return await self._writer.write(outputs.values(), encode, outputs)

    def _decode(
        self, message: bytes, request: PredictRequest | None, asked: _Asked, signature: Signature
    ) -> dict[str, np.ndarray]:
        request = PredictRequest.FromString(message) if request is None else request
        arrays = decode_inputs(request, signature, self._max_tensor_bytes)
        self._seen.remember(message, request, arrays, asked)
        return arrays


def _asked(request: PredictRequest) -> _Asked:
    if not request.HasField("model_spec"):
        raise InvalidInputError("Missing ModelSpec")
    return _Asked(_target(request.model_spec), tuple(request.output_filter))


def _has_many_strings(request: PredictRequest, signature: Signature) -> bool:
    return signature.takes_strings and any(
        spec.name in request.inputs and has_many_strings(request.inputs[spec.name], spec) for spec in signature.inputs
    )


def _target(spec: ModelSpec) -> Target:
    choice = spec.WhichOneof("version_choice")
    return Target(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
        spec.signature_name or DEFAULT_SIGNATURE,
    )


@functools.lru_cache(maxsize=_KNOWN_SIGNATURES)
def _served_by(name: str, version: int, signature_name: str) -> bytes:
    """The answer's `model_spec`, serialized: it may follow the rest of the message."""
    response = PredictResponse()
    response.model_spec.name = name
    response.model_spec.version.value = version
    response.model_spec.signature_name = signature_name
    return response.SerializeToString()


def _spec(prediction: Prediction) -> bytes:
    spec = ModelSpec(name=prediction.name, signature_name=prediction.signature_name)
    spec.version.value = prediction.version
    return spec.SerializeToString()


def _signature_def_map(signatures: Mapping[str, Signature]) -> SignatureDefMap:
    result = SignatureDefMap()
    for name, signature in signatures.items():
        entry = result.signature_def[name]
        entry.method_name = signature.method
        for spec in signature.inputs:
            encode_tensor_info(entry.inputs[spec.name], spec)
        for spec in signature.outputs:
            encode_tensor_info(entry.outputs[spec.name], spec)
        for key, tensor in signature.defaults.items():
            entry.defaults[key].ParseFromString(tensor)
    return result


def _encode_status(response: GetModelStatusResponse, status: VersionStatus) -> None:
    entry = response.model_version_status.add(version=status.version, state=status.state)
    entry.status.error_code = UNKNOWN if status.error else 0
    entry.status.error_message = status.error or ""
