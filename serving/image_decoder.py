"""Image files to a model's pixels: how many may wait is bounded, and an error says which file is meant.

They are decoded in threads, but for those that take less time than going to a thread and back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np

from serving.errors import InvalidInputError, OverloadedError
from serving.images import ImageFile, ImageSpec, decode_image
from serving.in_thread import in_thread
from serving.plain_png import is_small_png


class ImageDecoder:
    """Decodes in `executor`; `max_pixels` and `max_cpu_s` bound each file, `max_waiting` the files of all requests."""

    def __init__(self, executor: Executor, *, max_pixels: int, max_cpu_s: float, max_waiting: int) -> None:
        self._executor = executor
        self._decode = partial(decode_image, max_pixels=max_pixels, max_cpu_s=max_cpu_s)
        self._max_waiting = max_waiting
        self._waiting = 0

    async def decode(self, files: Sequence[ImageFile], spec: ImageSpec) -> np.ndarray:
        """uint8 pixels of shape `[files, *spec.shape]`, in the order of the files.

        Raises:
            InvalidInputError: naming every file that is no image within the limits, and why.
            OverloadedError: too many files wait to be decoded.
        """
        if self._waiting + len(files) > self._max_waiting:
            waiting = f"{self._waiting} of {self._max_waiting} wait to be decoded"
            raise OverloadedError(f"too many images: {waiting}, {len(files)} more were sent")
        if len(files) == 1:
            return (await self._decode_only(files[0], spec))[np.newaxis]
        found = await asyncio.gather(*(self._decode_one(file, spec) for file in files))
        refused = [pixels for pixels in found if isinstance(pixels, InvalidInputError)]
        if refused:
            raise InvalidInputError("; ".join(map(str, refused)))
        return np.stack([pixels for pixels in found if isinstance(pixels, np.ndarray)])

    async def _decode_only(self, file: ImageFile, spec: ImageSpec) -> np.ndarray:
        if is_small_png(file.data):
            try:
                return self._decode(file.data, spec)
            except InvalidInputError as error:
                raise _named(error, file) from error
        pixels = await self._decode_one(file, spec)
        if isinstance(pixels, InvalidInputError):
            try:
                raise pixels
            finally:
                del pixels  # else an error and this frame hold each other, and the file
        return pixels

    async def _decode_one(self, file: ImageFile, spec: ImageSpec) -> np.ndarray | InvalidInputError:
        self._waiting += 1
        try:
            return await in_thread(self._executor, self._decode, file.data, spec)
        except InvalidInputError as error:
            return _named(error, file)
        finally:
            self._waiting -= 1


def _named(error: InvalidInputError, file: ImageFile) -> InvalidInputError:
    return InvalidInputError(f"{file.name}: {error}") if file.name else error
