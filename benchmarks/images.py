"""The image files of the benchmark, and what the model says about them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from benchmarks.model import SEED, Model
from serving.bundle import read_manifest
from serving.images import ImageSpec, decode_image

PHOTO_SIZE = (640, 480)


@dataclass(frozen=True)
class ImageFile:
    """A file, and the class that the model finds to be the best."""

    content: bytes
    content_type: str
    best: int


def image_spec(model: Model) -> ImageSpec:
    """How the gateway makes an image the model's input.

    Raises:
        OSError: the model's manifest says nothing of images.
    """
    manifest = read_manifest(model.onnx_file.parent)
    if manifest is None or manifest.image is None:
        raise OSError(f"{model.name} has no image preprocessing in its manifest")
    return manifest.image


def small_png(model: Model) -> ImageFile:
    """An image of the model's own size, without loss."""
    return _image_file(model, Image.fromarray(model.inputs(1)[0]), "PNG")


def photo_jpeg(model: Model) -> ImageFile:
    """640 x 480 pixels in colour with about a photograph's detail: some 100 kB."""
    random = np.random.default_rng(SEED)
    coarse = Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize(PHOTO_SIZE, Image.Resampling.BICUBIC), dtype=np.float32)
    grain = random.normal(0, 6, smooth.shape)
    return _image_file(model, Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)), "JPEG")


def open_plainly(content: bytes, spec: ImageSpec) -> np.ndarray:
    """A file's pixels as a few lines of Pillow give them."""
    mode = "L" if spec.colour == "grayscale" else "RGB"
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert(mode).resize((spec.width, spec.height), Image.Resampling.BILINEAR))


def _image_file(model: Model, image: Image.Image, kind: str) -> ImageFile:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=90)
    content = buffer.getvalue()
    pixels = decode_image(content, image_spec(model))
    return ImageFile(content, f"image/{kind.lower()}", int(model.expected(pixels[np.newaxis])[0].argmax()))
