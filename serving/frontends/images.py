"""For people: an image file in, labels with probabilities out."""

from __future__ import annotations

from urllib.parse import parse_qs

from serving.dataplane import DataPlane, Target
from serving.errors import InvalidInputError
from serving.frontends.http import Receive, Scope, Send, read_body, send_json
from serving.frontends.tfs_rest import Address

DEFAULT_TOP_K = 5
_API = "image"
_MAX_DIGITS = 9


def is_image(scope: Scope) -> bool:
    """Whether the request's body says that it is an image."""
    return any(name == b"content-type" and value.lower().startswith(b"image/") for name, value in scope["headers"])


def parse_top_k(query: bytes) -> int:
    """`top_k` of the query string, 5 without one.

    Raises:
        InvalidInputError: not a whole number from 1.
    """
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("top_k")
    if values is None:
        return DEFAULT_TOP_K
    text = values[-1]
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text) >= 1):
        raise InvalidInputError(f"top_k: expected a whole number from 1, received {text[:20]!r}")
    return int(text)


class Images:
    """`POST /v1/models/NAME…:classify` with an image body."""

    def __init__(self, plane: DataPlane, max_request_bytes: int) -> None:
        self._plane = plane
        self._max_request_bytes = max_request_bytes

    async def classify(self, address: Address, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers `{"model_spec": …, "classes": [{"index", "label", "probability"}, …]}`, best first."""
        top_k = parse_top_k(scope["query_string"])
        data = await read_body(receive, self._max_request_bytes)
        target = Target(address.name, address.version, address.label)
        answer = await self._plane.classify_image(target, data, top_k, api=_API)
        document = {
            "model_spec": {"name": answer.name, "version": str(answer.version)},
            "classes": answer.classes,
        }
        await send_json(send, 200, document)
