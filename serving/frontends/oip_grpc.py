"""The Open Inference Protocol over gRPC (KServe, Triton): `inference.GRPCInferenceService`.

Source: https://kserve.github.io/website/latest/modelserving/data_plane/v2_protocol/ and Triton's grpc_service.proto.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from google.protobuf.message import Message

from serving.batching.terms import Terms
from serving.dataplane import Inputs
from serving.errors import InvalidInputError, ModelNotFoundError
from serving.frontends.bodies import InflightBytes
from serving.frontends.grpc_streams import Stream
from serving.frontends.grpc_transport import Handler
from serving.frontends.oip_models import OipModels
from serving.frontends.oip_stream import InferStream
from serving.in_thread import in_thread
from serving.offload.answer_writer import AnswerWriter
from serving.offload.message_reader import MAX_READ_HERE_BYTES, MessageForm, MessageReader, check_short
from serving.signatures import Signature, TensorSpec
from serving.wire.atelier_oip_pb2 import (
    ModelConfigResponse,
    ModelInferRequest,
    ModelMetadataResponse,
    ModelReadyResponse,
    ModelRequest,
    ModelStatisticsResponse,
    RepositoryIndexRequest,
    RepositoryIndexResponse,
    ServerLiveResponse,
    ServerMetadataResponse,
    ServerReadyResponse,
)
from serving.wire.field_limits import check_fields
from serving.wire.infer_messages import decode_inputs, decode_message, encode_answer, written_one_by_one
from serving.wire.oip_answers import Answer
from serving.wire.oip_classes import class_count
from serving.wire.oip_parameters import parameters_of, refuse_unsupported
from serving.wire.oip_tensors import check_datatypes, find_outputs
from serving.wire.protobuf_fields import has_field

SERVICE = "inference.GRPCInferenceService"
_API = "oip_grpc"
_TENSORS, _RAW = (5, 6), 7
"""The numbers of `inputs` and `outputs`, which have maps in them, and of `raw_input_contents`."""
_INFER = MessageForm(ModelInferRequest.FromString, {1, 2, 3, 4, 6}, {5: {5: dict.fromkeys((6, 7, 8))}, _RAW: None})
"""Pieces of a tensor's `contents` are `fp32_contents`, `fp64_contents` and long strings."""


class OipGrpc:
    """The methods by their paths, in `methods` and `streams`."""

    def __init__(self, models: OipModels, reader: MessageReader, writer: AnswerWriter, inflight: InflightBytes) -> None:
        self._models = models
        self._reader = reader
        self._writer = writer
        self.methods: Mapping[str, Handler] = MappingProxyType(
            {
                f"/{SERVICE}/ModelInfer": self.model_infer,
                f"/{SERVICE}/ServerLive": _method(lambda _: ServerLiveResponse(live=True)),
                f"/{SERVICE}/ServerReady": _method(lambda _: ServerReadyResponse(ready=models.server_ready())),
                f"/{SERVICE}/ServerMetadata": _method(lambda _: ServerMetadataResponse(**models.server_metadata())),
                f"/{SERVICE}/ModelReady": _method(self._model_ready),
                f"/{SERVICE}/ModelMetadata": _method(self._model_metadata),
                f"/{SERVICE}/ModelConfig": _method(self._model_config),
                f"/{SERVICE}/ModelStatistics": _method(self._model_statistics),
                f"/{SERVICE}/RepositoryIndex": _method(self._repository_index),
            }
        )
        self.streams: Mapping[str, Stream] = MappingProxyType(
            {f"/{SERVICE}/ModelStreamInfer": Stream(InferStream(self.model_infer, inflight))}
        )

    async def model_infer(self, message: bytes, terms: Terms) -> bytes:
        """`ModelInfer`: answers raw when asked raw, and where an output is FP16 or BF16, which have no typed list."""
        check_fields(message, _TENSORS)
        request, is_whole = self._reader.open(_INFER, message)
        is_raw = bool(request.raw_input_contents) or (not is_whole and has_field(message, _RAW))
        name = request.model_name
        if not name:
            raise InvalidInputError("model_name: expected the name of a model, received none")
        parameters = parameters_of(request.parameters)
        wanted: list[TensorSpec] = []

        def decode(signature: Signature) -> Inputs | Awaitable[Inputs]:
            check_datatypes(signature)
            wanted[:] = find_outputs([output.name for output in request.outputs], signature, name)
            if not is_whole:
                return self._reader.decode(decode_message, message, signature)
            if len(message) > MAX_READ_HERE_BYTES and signature.takes_strings:
                return in_thread(None, decode_inputs, request, signature)
            return decode_inputs(request, signature)

        class_counts = {}
        for output in request.outputs:
            if output.parameters:
                asked, where = parameters_of(output.parameters), f'output "{output.name}"'
                refuse_unsupported(asked, where)
                class_counts[output.name] = class_count(asked, where)
        prediction = await self._models.predict(name, request.model_version, decode, parameters, api=_API, terms=terms)
        arrays = {spec.name: prediction.outputs[spec.name] for spec in wanted}
        answer = Answer(prediction.name, prediction.version, request.id, wanted, class_counts, prediction.labels)
        one_by_one = written_one_by_one(arrays, answer, raw=is_raw)
        return await self._writer.write(one_by_one, encode_answer, arrays, answer, raw=is_raw)

    def _model_ready(self, message: bytes) -> Message:
        """An unknown model is one that is not ready, as for Triton: its clients ask until it is."""
        request = ModelRequest.FromString(message)
        try:
            ready = self._models.model_ready(request.name, request.version)
        except ModelNotFoundError:
            ready = False
        return ModelReadyResponse(ready=ready)

    def _model_metadata(self, message: bytes) -> Message:
        request = ModelRequest.FromString(message)
        return ModelMetadataResponse(**self._models.model_metadata(request.name, request.version))

    def _model_config(self, message: bytes) -> Message:
        request = ModelRequest.FromString(message)
        return ModelConfigResponse(config=self._models.model_config(request.name, request.version))

    def _model_statistics(self, message: bytes) -> Message:
        request = ModelRequest.FromString(message)
        return ModelStatisticsResponse(**self._models.statistics(request.name, request.version))

    def _repository_index(self, message: bytes) -> Message:
        request = RepositoryIndexRequest.FromString(message)
        return RepositoryIndexResponse(models=self._models.index(ready=request.ready))


def _method(answer: Callable[[bytes], Message]) -> Handler:
    """A method that has its answer at once."""

    async def handle(message: bytes, terms: Terms) -> bytes:  # noqa: ARG001 -- all handlers have this signature
        check_short(message)
        return answer(message).SerializeToString()

    return handle
