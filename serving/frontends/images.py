"""For people: image files in, labels with probabilities out."""

from __future__ import annotations

from concurrent.futures import Executor
from urllib.parse import parse_qs

from serving.batching.terms import Terms
from serving.dataplane import DataPlane, Target
from serving.errors import InvalidInputError
from serving.frontends.http import WholeAnswer, whole_body
from serving.frontends.tfs_rest import Address, TfsRest
from serving.images import ImageFile
from serving.in_thread import in_thread
from serving.offload.answer_writer import AnswerWriter
from serving.offload.json_reader import JsonReader
from serving.wire.image_answers import ImagesAnswer, encode_answer
from serving.wire.image_bodies import has_images, is_image, is_multipart, parse_json, parse_multipart

DEFAULT_TOP_K = 5
_API = "image"
_MAX_DIGITS = 9


def parse_top_k(query: bytes) -> int:
    """`top_k` of the query string, 5 without one.

    Raises:
        InvalidInputError: not a whole number from 1.
    """
    if not query:
        return DEFAULT_TOP_K
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("top_k")
    if values is None:
        return DEFAULT_TOP_K
    text = values[-1]
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text) >= 1):
        raise InvalidInputError(f"top_k: expected a whole number from 1, received {text[:20]!r}")
    return int(text)


class Images:
    """`POST /v1/models/NAME…:classify` with images; the same address with JSON `examples` is TensorFlow Serving's."""

    def __init__(
        self,
        plane: DataPlane,
        rest: TfsRest,
        executor: Executor,
        max_request_bytes: int,
        reader: JsonReader,
        writer: AnswerWriter,
        max_images: int,
    ) -> None:
        self._plane = plane
        self._rest = rest
        self._executor = executor
        self.max_bytes = max_request_bytes
        """Of a body, also inflated."""
        self._reader = reader
        self._writer = writer
        self._max_images = max_images

    async def answer(self, content_type: str, query: bytes, address: Address, terms: Terms, body: bytes) -> WholeAnswer:
        """Tells by the body's type, or by what it holds, whether it is one image, a form of several, or JSON.

        Raises:
            ServingError: every cause of serving/errors.py.
        """
        is_single = is_image(content_type, body)
        if is_single:
            files = [ImageFile(body)]
        elif is_multipart(content_type):
            # In a thread: a body of many megabytes takes longer than others should wait.
            files = await in_thread(self._executor, parse_multipart, content_type, body, self._max_images)
        else:
            self._reader.limits.check_size(len(body))
            if not has_images(body):
                return await self._rest.answer(address, terms, body)
            files, is_single = await self._reader.read(parse_json, body, self._max_images, deadline=terms.deadline)
        top_k = parse_top_k(query)
        target = Target(address.name, address.version, address.label)
        prediction = await self._plane.classify_images(target, files, api=_API, terms=terms)
        scores = prediction.outputs
        answer = ImagesAnswer(prediction.name, prediction.version, prediction.labels, top_k, is_single)
        return whole_body(await self._writer.write(scores.values(), encode_answer, scores, answer))
