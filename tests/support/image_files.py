"""Image files written by hand, for headers that no library would write, and folders of small ones."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def file_of(image: Image.Image, image_format: str, **options: Any) -> bytes:
    """The image as a file of that format."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def gradient(mode: str = "RGB", width: int = 12, height: int = 8) -> Image.Image:
    """Smooth enough to survive lossy formats, different along both axes."""
    y, x = np.mgrid[0:height, 0:width]
    red, green, blue = x * 255 // (width - 1), y * 255 // (height - 1), np.full_like(x, 128)
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8)).convert(mode)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk with its length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(width: int, height: int) -> bytes:
    """A complete 8-bit grayscale PNG of that size, with hardly any pixels in it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 100)) + png_chunk(b"IEND", b"")
    return PNG_SIGNATURE + chunks


def gif_header(width: int, height: int, frame_width: int, frame_height: int) -> bytes:
    """A GIF whose screen and first frame claim these sizes."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, frame_width, frame_height, 0)
    return b"GIF89a" + screen + frame + b"\x02\x02\x44\x01\x00;"


def bmp_header(width: int, height: int) -> bytes:
    """A 24-bit BMP that claims this size and has no pixels."""
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)


def webp_header(width: int, height: int) -> bytes:
    """An extended WebP that claims this canvas and has no frame."""
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sizes
    return b"RIFF" + struct.pack("<I", len(body)) + body


def many_scans_jpeg(side: int, scans: int) -> bytes:
    """A grayscale JPEG of `side` x `side` whose scans say nothing in few bytes, and each time ask for all blocks."""

    def segment(kind: int, content: bytes) -> bytes:
        return bytes([0xFF, kind]) + struct.pack(">H", len(content) + 2) + content

    blocks = (-(-side // 8)) ** 2
    runs = -(-blocks // 32767)
    bits = ("0" + "1" * 14) * runs  # one code each: this and 32,766 more blocks are empty
    bits += "1" * (-len(bits) % 8)
    empty = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xDB, b"\0" + bytes([1] * 64)),
            segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0])),
            segment(0xC4, bytes([0x00, 1] + [0] * 15 + [0x00])),
            segment(0xC4, bytes([0x10, 1] + [0] * 15 + [0xE0])),
            segment(0xDA, bytes([1, 1, 0x00, 0, 0, 0x00])) + bytes(-(-blocks // 8)),
            (segment(0xDA, bytes([1, 1, 0x00, 1, 63, 0x00])) + empty) * scans,
            b"\xff\xd9",
        )
    )


def plain(shade: int, width: int = 6, height: int = 4) -> bytes:
    """A PNG of one shade of grey, which survives resizing: so an image in an array is known again."""
    return file_of(Image.new("L", (width, height), shade), "PNG")


def write_tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Writes the files under the folder by their relative paths; a path that ends with a slash is a folder."""
    for name, content in files.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    """Writes a tar file of these members, in this order; `mode` is tarfile's, such as `w:gz`."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name.rstrip("/"))
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path
