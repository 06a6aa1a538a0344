"""The command line that every peer's server has."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

SHAPE = (28, 28)
"""Of one image, uint8: what the bytes of a request hold where the protocol does not say it."""


def read_options() -> argparse.Namespace:
    """`onnx_file`, `port`, and the settings that are tried: `batch`, the most rows, and `wait_ms` for them.

    Other flags are left to the peer's own parser.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--onnx-file", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", required=True, help="the model's name")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--wait-ms", type=float, default=0.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--fast-queue", action="store_true")
    options, _ = parser.parse_known_args()
    return options


def pixels_of(body: bytes) -> np.ndarray:
    """The images of a body of raw bytes: uint8 `[rows, 28, 28]`, not copied."""
    return np.frombuffer(body, np.uint8).reshape(-1, *SHAPE)
