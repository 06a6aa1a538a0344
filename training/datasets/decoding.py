"""Image files become arrays of pixels, several at a time, by the function that serving uses too."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from serving.errors import InvalidInputError
from serving.images import FORMATS, ImageSpec, decode_image, load_decoders
from training.datasets.base import NAMES_IN_MESSAGES, LoadOptions, Split
from training.datasets.image_files import shown
from training.datasets.layout import LabelledFiles, SplitFolder
from training.datasets.storage import choose_storage
from training.errors import DatasetError, UsageError

FOLDER_FORMATS = (*FORMATS, "TIFF", "PPM", "JPEG2000", "AVIF")
"""The gateway's, and what else Pillow decodes by itself and knows by the first bytes, which TGA's do not tell."""
IN_FLIGHT_PER_WORKER = 4
"""Files read ahead of each decoding thread; no more of the encoded images are in memory at once."""


@dataclass(frozen=True)
class Unreadable:
    """A file that is no image, damaged, or cannot be read."""

    position: int
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


def decode_splits(splits: Mapping[SplitFolder, LabelledFiles], options: LoadOptions) -> dict[SplitFolder, Split]:
    """Decodes all images of all splits to the size and colour in the options.

    More than `max_memory_bytes` of pixels, over all splits, go to disk. Unreadable images are left out, and the
    options' `warn` is told once, at the end, how many there were.

    Returns:
        For each split the pixels, uint8 `[N, *options.image.shape]`, in the order of the paths, and the classes.

    Raises:
        UsageError: the options name no image size.
        DatasetError: an image is unreadable and the options are strict, all images of a class are, or there is no room
            on disk.
    """
    if options.image is None:
        raise UsageError("these are images, but the recipe expects numbers")
    count = sum(map(len, splits.values()))
    allocate = choose_storage(count * math.prod(options.image.shape), options.max_memory_bytes)
    decoded: dict[SplitFolder, Split] = {}
    unreadable: list[Unreadable] = []
    for name, labelled in splits.items():
        pixels = allocate((len(labelled), *options.image.shape))
        bad = _decode_into(pixels, labelled, options.image, strict=options.strict)
        readable = np.ones(len(labelled), dtype=bool)
        readable[[image.position for image in bad]] = False
        # A part that was held out may be so small that a class loses all of it.
        if name == "train" or labelled.whole or not readable.any():
            _require_every_class(labelled, readable, bad)
        decoded[name] = Split(_close_ranks(pixels, readable), labelled.targets[readable])
        unreadable += bad
    if unreadable:
        first, more = unreadable[:NAMES_IN_MESSAGES], len(unreadable) > NAMES_IN_MESSAGES
        options.warn(
            f"left out {len(unreadable):,} of {count:,} images that cannot be decoded: "
            f"{', '.join(map(str, first))}{' and others' if more else ''}"
        )
    return decoded


def _decode_into(pixels: np.ndarray, labelled: LabelledFiles, spec: ImageSpec, *, strict: bool) -> list[Unreadable]:
    """Fills the rows of `pixels` in the order of the paths, and gives what stays unfilled, in that order too."""
    unreadable = []
    for bad in _decode_in_threads(pixels, labelled, spec):
        if strict:
            raise DatasetError(f"{labelled.files.name}: {bad.name} cannot be decoded: {bad.reason}")
        unreadable.append(bad)
    return sorted(unreadable, key=lambda bad: bad.position)


def _decode_in_threads(pixels: np.ndarray, labelled: LabelledFiles, spec: ImageSpec) -> Iterator[Unreadable]:
    load_decoders()
    positions = {path: position for position, path in enumerate(labelled.paths)}
    workers = len(os.sched_getaffinity(0))

    def decode(position: int, read: Callable[[], bytes]) -> Unreadable | None:
        try:
            pixels[position] = decode_image(read(), spec, formats=FOLDER_FORMATS)
        except InvalidInputError as error:
            return Unreadable(position, shown(labelled.paths[position]), str(error))
        except OSError as error:
            return Unreadable(position, shown(labelled.paths[position]), os.strerror(error.errno or 0))
        return None

    pending: deque[Future[Unreadable | None]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        for path, read in labelled.files.contents(labelled.paths):
            pending.append(pool.submit(decode, positions[path], read))
            if len(pending) >= workers * IN_FLIGHT_PER_WORKER and (bad := pending.popleft().result()):
                yield bad
        for future in pending:
            if bad := future.result():
                yield bad


def _require_every_class(labelled: LabelledFiles, readable: np.ndarray, unreadable: list[Unreadable]) -> None:
    left = set(labelled.targets[readable].tolist())
    for bad in unreadable:
        target = int(labelled.targets[bad.position])
        if target not in left:
            raise DatasetError(
                f"{labelled.files.name}: not one image of class {labelled.labels[target]} can be decoded; such as {bad}"
            )


def _close_ranks(pixels: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Moves the kept rows up within the array, which may be too large to have twice; a view of its beginning."""
    positions = np.flatnonzero(kept)
    for target, position in enumerate(positions):
        if target != position:
            pixels[target] = pixels[position]
    return pixels[: len(positions)]
