"""Which images are decoded in a thread, and which where they stand."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
from PIL import Image

from serving.errors import InvalidInputError
from serving.image_decoder import ImageDecoder
from serving.images import ImageFile, ImageSpec
from tests.support.stepping import HandExecutor, turn

SPEC = ImageSpec(28, 28, "grayscale")


def image(kind: str, side: int = 28) -> tuple[bytes, np.ndarray]:
    pixels = np.arange(side * side).reshape(side, side).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue(), pixels


def decoder(executor: HandExecutor) -> ImageDecoder:
    return ImageDecoder(executor, max_pixels=10_000, max_cpu_s=60.0, max_waiting=8)


async def test_a_small_png_needs_no_thread() -> None:
    executor = HandExecutor()
    data, pixels = image("PNG")
    found = await decoder(executor).decode([ImageFile(data)], SPEC)
    np.testing.assert_array_equal(found, pixels[np.newaxis])
    assert executor.kept == 0


@pytest.mark.parametrize(("kind", "side", "count"), [("PNG", 65, 1), ("BMP", 28, 1), ("JPEG", 28, 1), ("PNG", 28, 2)])
async def test_others_do(kind: str, side: int, count: int) -> None:
    executor = HandExecutor()
    data, _ = image(kind, side)
    decoding = asyncio.create_task(decoder(executor).decode([ImageFile(data)] * count, SPEC))
    await turn()
    assert executor.kept == count
    for _ in range(count):
        executor.run_next()
    assert (await decoding).shape == (count, 28, 28)


async def test_a_damaged_small_png_is_named() -> None:
    data, _ = image("PNG")
    with pytest.raises(InvalidInputError, match=r"^digit\.png: the image is damaged"):
        await decoder(HandExecutor()).decode([ImageFile(data[:60], "digit.png")], SPEC)
