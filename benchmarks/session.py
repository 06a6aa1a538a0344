"""ONNX Runtime as every reference server uses it; in a file of its own, so that they load nothing else."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort


def open_session(onnx_file: Path) -> ort.InferenceSession:
    """A session with one thread: it suits single small images, and is the same in every reference server."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
