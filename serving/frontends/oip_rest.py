"""The Open Inference Protocol over REST (KServe, Triton), under /v2.

Sources: https://kserve.github.io/website/latest/modelserving/data_plane/v2_protocol/, and Triton's extensions "binary
tensor data", "model configuration", "statistics" and "model repository" (its index).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast
from urllib.parse import unquote

from serving.batching.terms import Terms
from serving.dataplane import Decode, Inputs, LateDecode
from serving.errors import InvalidInputError
from serving.frontends.bodies import Bodies
from serving.frontends.http import (
    Receive,
    Scope,
    Send,
    encoding_of,
    header_of,
    refuse_method,
    send_body,
    send_json,
)
from serving.frontends.oip_models import OipModels
from serving.in_thread import in_thread
from serving.offload.answer_writer import AnswerWriter
from serving.offload.json_reader import MAX_READ_HERE_BYTES, JsonForm, JsonReader
from serving.signatures import Signature, TensorSpec
from serving.wire.compression import ENCODINGS
from serving.wire.json_bodies import kind_of, parse_object
from serving.wire.oip_answers import Answer
from serving.wire.oip_json import (
    RAW_BODY,
    decode_inputs,
    decode_raw_body,
    encode_answer,
    parse_infer_body,
    without_data,
    written_one_by_one,
)
from serving.wire.oip_tensors import check_datatypes, find_outputs

PREFIX = "/v2"
_API = "oip_rest"
_HEADER_LENGTH = b"inference-header-content-length"
_BINARY = b"application/octet-stream"
_TENSORS = JsonForm(parse_infer_body, decode_inputs, without_data)
_MAX_DIGITS = 12
_MODEL_PATH = re.compile(
    r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<what>infer|ready|config|stats))?"
)
_PATHS = (
    "/v2, /v2/health/live, /v2/health/ready, /v2/models/stats, /v2/repository/index, "
    "/v2/models/NAME[/versions/N][/infer|/ready|/config|/stats]"
)


class OipRest:
    """Answers every path under /v2."""

    def __init__(
        self,
        models: OipModels,
        bodies: Bodies,
        max_request_bytes: int,
        reader: JsonReader,
        writer: AnswerWriter,
    ) -> None:
        self._models = models
        self._bodies = bodies
        self._max_request_bytes = max_request_bytes
        self._reader = reader
        self._writer = writer
        self._max_json_bytes = min(reader.limits.max_json_bytes, max_request_bytes)
        self._pages: Mapping[str, Callable[[], tuple[int, Any]]] = {
            "/v2": lambda: (200, models.server_metadata()),
            "/v2/health/live": lambda: (200, {"live": True}),
            "/v2/health/ready": self._server_ready,
            "/v2/models/stats": lambda: (200, models.statistics("", "")),
        }
        self._model_pages: Mapping[str | None, Callable[[str, str], tuple[int, Any]]] = {
            None: lambda name, version: (200, models.model_metadata(name, version)),
            "ready": self._model_ready,
            "config": lambda name, version: (200, models.model_config(name, version)),
            "stats": lambda name, version: (200, models.statistics(name, version)),
        }

    async def serve(self, scope: Scope, terms: Terms, receive: Receive, send: Send) -> None:
        """Answers one request.

        Raises:
            ServingError: every cause of serving/errors.py.
        """
        path = scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        match = _MODEL_PATH.fullmatch(path)
        posts = path == "/v2/repository/index" or (match is not None and match["what"] == "infer")
        if scope["method"] not in ({"POST"} if posts else {"GET", "HEAD"}):
            await refuse_method(send, scope["method"], path, "POST" if posts else "GET")
        elif match is not None and match["what"] == "infer":
            await self._infer(unquote(match["name"]), match["version"] or "", scope, terms, receive, send)
        elif path == "/v2/repository/index":
            await self._index(scope, receive, send)
        else:
            status, document = self._get(path, match)
            await send_json(send, status, document)

    def _get(self, path: str, match: re.Match[str] | None) -> tuple[int, Any]:
        page = self._pages.get(path)
        if page is not None:
            return page()
        if match is None:
            return 404, {"error": f"Not found: {path}; known: {_PATHS}"}
        return self._model_pages[match["what"]](unquote(match["name"]), match["version"] or "")

    def _server_ready(self) -> tuple[int, Any]:
        ready = self._models.server_ready()
        return 200 if ready else 503, {"ready": ready}

    def _model_ready(self, name: str, version: str) -> tuple[int, Any]:
        ready = self._models.model_ready(name, version)
        return 200 if ready else 503, {"name": name, "ready": ready}

    async def _infer(self, name: str, version: str, scope: Scope, terms: Terms, receive: Receive, send: Send) -> None:
        body, json_bytes = await self._read(scope, receive)
        answer, header_bytes = await self._answer(name, version, body, json_bytes, terms)
        if header_bytes is None:
            await send_body(send, 200, answer)
        else:
            length = ((_HEADER_LENGTH, str(header_bytes).encode()),)
            await send_body(send, 200, answer, _BINARY, headers=length)

    async def _answer(
        self, name: str, version: str, body: bytes, json_bytes: int | None, terms: Terms
    ) -> tuple[bytes, int | None]:
        """The answer's body, and how many of its bytes are JSON where binary data follows."""
        is_raw = json_bytes == 0
        size = len(body) if json_bytes is None else json_bytes
        has_long_data = size <= MAX_READ_HERE_BYTES < len(body)
        decode_body: LateDecode
        if is_raw:
            request, decode_body = RAW_BODY, partial(decode_raw_body, body)
        else:
            request, decode_body = await self._reader.open(_TENSORS, body, json_bytes=size, deadline=terms.deadline)
        wanted: list[TensorSpec] = []

        def decode(signature: Signature) -> Inputs | Awaitable[Inputs]:
            check_datatypes(signature)
            wanted[:] = find_outputs(request.outputs or (), signature, name)
            if has_long_data and signature.takes_strings:
                return in_thread(None, cast("Decode", decode_body), signature)
            return decode_body(signature)

        prediction = await self._models.predict(name, version, decode, request.parameters, api=_API, terms=terms)
        as_binary = request.outputs or dict.fromkeys((spec.name for spec in wanted), request.binary_outputs)
        arrays = {spec.name: prediction.outputs[spec.name] for spec in wanted}
        answer = Answer(
            prediction.name, prediction.version, request.request_id, wanted, request.class_counts, prediction.labels
        )
        one_by_one = written_one_by_one(arrays, answer, as_binary)
        return await self._writer.write(one_by_one, encode_answer, arrays, answer, as_binary)

    async def _read(self, scope: Scope, receive: Receive) -> tuple[bytes, int | None]:
        """The body, and how many of its bytes are JSON, where the client says that not all of them are."""
        header_length, encoding = header_of(scope, _HEADER_LENGTH), encoding_of(scope)
        if encoding not in {"", "identity", *ENCODINGS}:
            raise InvalidInputError(f"content-encoding: expected gzip or deflate, received {encoding[:20]}")
        limit = self._max_request_bytes if header_length else self._max_json_bytes
        body = await self._bodies.read_content(scope, receive, limit)
        if not header_length:
            return body, None
        if not (header_length.isascii() and header_length.isdigit() and len(header_length) <= _MAX_DIGITS):
            raise InvalidInputError(
                f"Inference-Header-Content-Length: expected a whole number, received {header_length[:20]!r}"
            )
        json_bytes = int(header_length)
        if json_bytes > len(body):
            raise InvalidInputError(
                f"Inference-Header-Content-Length: expected at most the body's {len(body)} bytes, received {json_bytes}"
            )
        return body, json_bytes

    async def _index(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, _ = await self._read(scope, receive)
        document = await self._reader.read(parse_object, body) if body.strip() else {}
        ready = document.get("ready", False)
        if not isinstance(ready, bool):
            raise InvalidInputError(f"ready: expected true or false, received {kind_of(ready)}")
        await send_json(send, 200, self._models.index(ready=ready))
