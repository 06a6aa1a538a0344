"""TensorFlow Serving's REST API: predict, status, metadata; and the list of models, which TensorFlow Serving lacks.

Source: https://www.tensorflow.org/tfx/serving/api_rest and tensorflow_serving/model_servers/http_rest_api_handler.cc.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from serving.dataplane import DataPlane, Target
from serving.errors import InvalidInputError, UnsupportedError
from serving.frontends.http import Receive, Scope, Send, read_body, send_body, send_json
from serving.frontends.tfs_grpc import SIGNATURE_DEF
from serving.repository.manager import Manager, VersionStatus
from serving.signatures import DTYPES, Signature, TensorSpec
from serving.wire.json_tensors import decode_inputs, encode_outputs, parse_predict_body

PREFIX = "/v1/"
_API = "tfs_rest"
_MODEL_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d{1,19})|/labels/(?P<label>[^/:]+))?"
    r"(?:(?P<metadata>/metadata)|:(?P<verb>predict|classify|regress))?",
    re.IGNORECASE,
)
_TF_DTYPE_NAMES: Mapping[str, str] = {"float32": "DT_FLOAT", "float64": "DT_DOUBLE", "float16": "DT_HALF"}


class Address(NamedTuple):
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
    match = _MODEL_PATH.fullmatch(path)
    verb = (match["verb"] or "").lower() if match else ""
    if match is None or method not in ({"POST"} if verb else {"GET", "HEAD"}):
        raise InvalidInputError(f"Malformed request: {method} {path}")
    return Address(
        unquote(match["name"]),
        int(match["version"]) if match["version"] else None,
        unquote(match["label"]) if match["label"] else None,
        verb,
        match["metadata"] is not None,
    )


class TfsRest:
    """Answers what `parse_path` understood; images sent to `:classify` go to the front end for people."""

    def __init__(self, plane: DataPlane, manager: Manager, max_json_bytes: int) -> None:
        self._plane = plane
        self._manager = manager
        self._max_json_bytes = max_json_bytes

    async def post(self, address: Address, receive: Receive, send: Send) -> None:
        """`:predict`; Classify and Regress need signatures that no bundle has yet."""
        if address.verb != "predict":
            raise UnsupportedError(
                f"':{address.verb}' with JSON examples is not supported: "
                "use ':predict', or send an image to ':classify'"
            )
        body = parse_predict_body(await read_body(receive, self._max_json_bytes))
        prediction = await self._plane.predict(
            Target(address.name, address.version, address.label, body.signature_name),
            lambda signature: decode_inputs(body, signature),
            api=_API,
        )
        await send_body(send, 200, encode_outputs(prediction.outputs, body.form))

    async def get(self, address: Address, send: Send) -> None:
        """Status or metadata of a model."""
        if address.metadata:
            await send_json(send, 200, self._metadata(address))
        else:
            statuses = self._manager.statuses(address.name, address.version)
            await send_json(send, 200, {"model_version_status": [_status(status) for status in statuses]})

    async def list_models(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Every model with its task and the states of its versions."""
        models = [
            {
                "name": model.name,
                "task": model.task,
                "model_version_status": [_status(status) for status in model.versions],
            }
            for model in self._manager.models()
        ]
        await send_json(send, 200, {"models": models})

    def _metadata(self, address: Address) -> dict[str, Any]:
        servable = self._manager.resolve(address.name, address.version, address.label)
        signatures = {name: _signature_def(signature) for name, signature in servable.signatures.items()}
        return {
            "model_spec": {"name": servable.name, "signature_name": "", "version": str(servable.version)},
            "metadata": {SIGNATURE_DEF: {SIGNATURE_DEF: signatures}},
        }


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
    }


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    dims = [{"size": "-1" if size is None else str(size), "name": ""} for size in spec.shape]
    return {
        "dtype": _TF_DTYPE_NAMES.get(spec.dtype, f"DT_{DTYPES[spec.dtype].name.upper()}"),
        "tensor_shape": {"dim": dims, "unknown_rank": False},
        "name": spec.name,
    }
