"""TensorFlow Serving's REST API, and the list of models, which TensorFlow Serving lacks.

Source: https://www.tensorflow.org/tfx/serving/api_rest and tensorflow_serving/model_servers/http_rest_api_handler.cc.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import unquote

from serving.batching.terms import Terms
from serving.control.model_states import ModelStates
from serving.dataplane import DataPlane, Target
from serving.errors import InvalidInputError
from serving.frontends.http import Send, WholeAnswer, send_json, whole_body
from serving.frontends.tfs_examples import ExampleMethods
from serving.frontends.tfs_grpc import SIGNATURE_DEF
from serving.offload.answer_writer import AnswerWriter
from serving.offload.json_reader import JsonForm, JsonReader
from serving.repository.manager import Manager
from serving.repository.records import VersionStatus
from serving.signatures import CLASSIFY_METHOD, REGRESS_METHOD, Signature, TensorSpec
from serving.wire.atelier_tfs_pb2 import Input, Tensor, UnpackedTensor
from serving.wire.examples import array_of
from serving.wire.json_examples import encode_classification, encode_regression, parse_examples_body
from serving.wire.json_tensors import decode_inputs, encode_outputs, parse_predict_body, without_data

PREFIX = "/v1/"
_API = "tfs_rest"
_VERSION_HEADER = b"x-atelier-version"
"""Which version has answered: the bodies have no place for it."""
_NAME = "/(?P<name>[^/:]+)"
_CHOICE = "(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_GET_PATH = re.compile(f"/v1/models(?:{_NAME})?{_CHOICE}(?P<metadata>/metadata)?", re.IGNORECASE)
_POST_PATH = re.compile(f"/v1/models{_NAME}{_CHOICE}:(?P<verb>predict|classify|regress)", re.IGNORECASE)
_ROWS_OR_COLUMNS = JsonForm(parse_predict_body, decode_inputs, without_data)
_MAX_VERSION = 2**63 - 1
_MAX_DIGITS = 40
"""More are not looked at: turning them into a number would take its time."""
_MAX_KNOWN_PATH = 256


@dataclass(frozen=True, slots=True)
class Address:
    """What a path under /v1/models/ names; `verb` is empty for GET."""

    name: str
    version: int | None
    label: str | None
    verb: str
    metadata: bool


def parse_path(method: str, path: str) -> Address:
    """Takes a path under /v1/ apart.

    Raises:
        InvalidInputError: not one of the API's paths, or not with this method.
    """
    return _parse_known_path(method, path) if len(path) <= _MAX_KNOWN_PATH else _parse_path(method, path)


def _parse_path(method: str, path: str) -> Address:
    match = (_POST_PATH if method == "POST" else _GET_PATH).fullmatch(path)
    if match is None or method not in {"POST", "GET", "HEAD"}:
        raise InvalidInputError(f"Malformed request: {method} {path}")
    parts = match.groupdict()
    if not parts["name"]:
        raise InvalidInputError("Missing model name in request.")
    version = int(parts["version"][:_MAX_DIGITS]) if parts["version"] else None
    if version is not None and version > _MAX_VERSION:
        raise InvalidInputError(f"Failed to convert version: {parts['version'][:_MAX_DIGITS]} to numeric.")
    return Address(
        unquote(parts["name"]),
        version,
        unquote(parts["label"]) if parts["label"] else None,
        (parts.get("verb") or "").lower(),
        parts.get("metadata") is not None,
    )


_parse_known_path = lru_cache(maxsize=1024)(_parse_path)
"""Clients ask for few paths, and taking one apart is a thirtieth of a short request."""


class TfsRest:
    """Answers what `parse_path` understood; images sent to `:classify` go to the front end for people."""

    def __init__(
        self,
        plane: DataPlane,
        manager: Manager,
        states: ModelStates,
        reader: JsonReader,
        writer: AnswerWriter,
    ) -> None:
        self._plane = plane
        self._manager = manager
        self._states = states
        self._examples = ExampleMethods(plane, api=_API)
        self._reader = reader
        self._writer = writer

    @property
    def max_bytes(self) -> int:
        """Of a body, also inflated."""
        return self._reader.limits.max_json_bytes

    def answer(self, address: Address, terms: Terms, body: bytes) -> Awaitable[WholeAnswer]:
        """`:predict`, and `:classify` and `:regress` of JSON examples.

        Raises:
            ServingError: every cause of serving/errors.py.
        """
        answer = self._predict if address.verb == "predict" else self._run_examples
        return answer(address, terms, body)

    async def _predict(self, address: Address, terms: Terms, body: bytes) -> WholeAnswer:
        request, decode = await self._reader.open(_ROWS_OR_COLUMNS, body, deadline=terms.deadline)
        prediction = await self._plane.predict(
            Target(address.name, address.version, address.label, request.signature_name),
            decode,
            api=_API,
            terms=terms,
        )
        outputs = prediction.outputs
        content = await self._writer.write(outputs.values(), encode_outputs, outputs, request.form)
        return _answer(content, prediction.version)

    async def _run_examples(self, address: Address, terms: Terms, body: bytes) -> WholeAnswer:
        request = await self._reader.read(parse_examples_body, body, deadline=terms.deadline)
        target = Target(address.name, address.version, address.label, request.signature_name)
        method = REGRESS_METHOD if address.verb == "regress" else CLASSIFY_METHOD
        examples = partial(array_of, Input.FromString(request.input))
        prediction = await self._examples.run(target, method, examples, terms)
        encode = encode_regression if method == REGRESS_METHOD else encode_classification
        outputs = prediction.outputs
        return _answer(await self._writer.write(outputs.values(), encode, outputs), prediction.version)

    async def get(self, address: Address, send: Send) -> None:
        """Status or metadata of a model."""
        if address.metadata:
            await send_json(send, 200, self._metadata(address))
        else:
            statuses = self._states.statuses(address.name, address.version)
            await send_json(send, 200, {"model_version_status": [_status(status) for status in statuses]})

    async def list_models(self, send: Send) -> None:
        """Every model with its task, versions and labels; and what is wrong with the configuration."""
        models = [
            {
                "name": model.name,
                "task": model.task,
                "model_version_status": [_status(status) for status in model.versions],
                "version_labels": {label: str(version) for label, version in model.labels.items()},
            }
            for model in self._states.models()
        ]
        await send_json(send, 200, {"models": models, "problems": self._manager.all_problems()})

    def _metadata(self, address: Address) -> dict[str, Any]:
        servable = self._manager.resolve(address.name, address.version, address.label)
        signatures = {name: _signature_def(signature) for name, signature in servable.signatures.items()}
        return {
            "model_spec": {"name": servable.name, "signature_name": "", "version": str(servable.version)},
            "metadata": {SIGNATURE_DEF: {SIGNATURE_DEF: signatures}},
        }


def _answer(content: bytes, version: int) -> WholeAnswer:
    return whole_body(content, headers=((_VERSION_HEADER, b"%d" % version),))


def _status(status: VersionStatus) -> dict[str, Any]:
    code = "UNKNOWN" if status.error else "OK"
    return {
        "version": str(status.version),
        "state": status.state.name,
        "status": {"error_code": code, "error_message": status.error or ""},
    }


def _signature_def(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": {spec.name: _tensor_info(spec) for spec in signature.inputs},
        "outputs": {spec.name: _tensor_info(spec) for spec in signature.outputs},
        "method_name": signature.method,
        "defaults": {name: _tensor(tensor) for name, tensor in signature.defaults.items()},
    }


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    dims = [{"size": "-1" if size is None else str(size), "name": ""} for size in spec.shape]
    return {
        "dtype": spec.element.tensorflow_name,
        "tensor_shape": {"dim": dims, "unknown_rank": spec.any_rank},
        "name": spec.name,
    }


def _tensor(content: bytes) -> dict[str, Any]:
    """A serialized TensorProto as protobuf's JSON has it; what `Tensor` declares as bytes is numbers there."""
    from google.protobuf.json_format import MessageToDict

    write = partial(MessageToDict, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return {**write(Tensor.FromString(content)), **write(UnpackedTensor.FromString(content))}
