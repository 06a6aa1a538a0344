"""TensorFlow Serving's messages, from the client's side: requests as bytes, answers as arrays and states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from serving.errors import BundleError, InferenceError, InvalidInputError
from serving.signatures import Signature, TensorSpec
from serving.wire.atelier_tfs_pb2 import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelSpec,
    PredictRequest,
    PredictResponse,
    SignatureDefMap,
)
from serving.wire.tensors import decode_tensor, decode_tensor_info, encode_content, encode_tensor

_AVAILABLE = 30
_SIGNATURE_DEF = "signature_def"
_MAX_TENSOR_BYTES = 2**31


class VersionState(NamedTuple):
    """A version's state by TensorFlow Serving's number, and its error, if it has one."""

    state: int
    error: str | None

    @property
    def is_available(self) -> bool:
        """Whether it answers."""
        return self.state == _AVAILABLE


def status_request(model: str) -> bytes:
    """Asks for the states of all versions."""
    return GetModelStatusRequest(model_spec=ModelSpec(name=model)).SerializeToString()


def decode_statuses(answer: bytes) -> dict[int, VersionState]:
    """The states by version."""
    response = GetModelStatusResponse.FromString(answer)
    return {
        entry.version: VersionState(entry.state, entry.status.error_message or None)
        for entry in response.model_version_status
    }


def merge_statuses(of_servers: Iterable[Mapping[int, VersionState]]) -> dict[int, VersionState]:
    """A version is in the state of the server where it has got furthest; where it answers, it answers."""
    merged: dict[int, VersionState] = {}
    for statuses in of_servers:
        for version, status in statuses.items():
            known = merged.get(version)
            if known is None or (status.is_available and not known.is_available):
                merged[version] = status
    return merged


def metadata_request(model: str, *, version: int | None = None, label: str | None = None) -> bytes:
    """Asks for the signatures, and for the number of the version that a label names."""
    request = GetModelMetadataRequest(model_spec=ModelSpec(name=model), metadata_field=[_SIGNATURE_DEF])
    if version is not None:
        request.model_spec.version.value = version
    elif label is not None:
        request.model_spec.version_label = label
    return request.SerializeToString()


def decode_version(answer: bytes) -> int:
    """The number of the version that answered a metadata request."""
    return GetModelMetadataResponse.FromString(answer).model_spec.version.value


def decode_signatures(answer: bytes) -> dict[str, Signature]:
    """The signatures in an answer, those left out that take or give what no array can hold, such as sparse tensors.

    Raises:
        BundleError: there is none that can be asked.
    """
    packed = GetModelMetadataResponse.FromString(answer).metadata[_SIGNATURE_DEF]
    signatures = {}
    for name, entry in SignatureDefMap.FromString(packed.value).signature_def.items():
        inputs = [decode_tensor_info(key, entry.inputs[key]) for key in sorted(entry.inputs)]
        outputs = [decode_tensor_info(key, entry.outputs[key]) for key in sorted(entry.outputs)]
        given, made = [spec for spec in inputs if spec], [spec for spec in outputs if spec]
        if inputs and outputs and len(given) == len(inputs) and len(made) == len(outputs):
            defaults = {key: tensor.SerializeToString() for key, tensor in entry.defaults.items()}
            signatures[name] = Signature(tuple(given), tuple(made), entry.method_name).with_defaults(defaults)
    if not signatures:
        raise BundleError("TensorFlow Serving names no signature of dense tensors for it")
    return signatures


class PredictCodec:
    """Requests to one signature of one version, and their answers."""

    def __init__(self, model: str, version: int, signature_name: str, signature: Signature) -> None:
        spec = ModelSpec(name=model, signature_name=signature_name)
        spec.version.value = version
        # Serialized messages that follow one another are merged: what is the same in all requests is made once.
        self._head = PredictRequest(model_spec=spec).SerializeToString()
        self._inputs = {tensor.name: tensor for tensor in signature.inputs}
        self._outputs = signature.outputs

    def encode(self, inputs: Mapping[str, np.ndarray]) -> bytes:
        """The request; numbers travel as raw bytes."""
        request = PredictRequest()
        for name, array in inputs.items():
            element = self._inputs[name].element
            (encode_tensor if element.is_string else encode_content)(request.inputs[name], array, element)
        return self._head + request.SerializeToString()

    def decode(self, answer: bytes) -> dict[str, np.ndarray]:
        """The outputs; read-only where they are views of the message.

        Raises:
            InferenceError: they are not those of the signature.
        """
        try:
            outputs = PredictResponse.FromString(answer).outputs
            return {spec.name: self._decode_output(outputs, spec) for spec in self._outputs}
        except (DecodeError, InvalidInputError) as error:
            raise InferenceError(f"TensorFlow Serving's answer does not fit its signature: {error}") from error

    @staticmethod
    def _decode_output(outputs: Mapping[str, object], spec: TensorSpec) -> np.ndarray:
        if spec.name not in outputs:
            raise InvalidInputError(f'output "{spec.name}" is missing')
        tensor = outputs[spec.name]
        return decode_tensor(tensor, spec, max_bytes=_MAX_TENSOR_BYTES)  # type: ignore[arg-type]
