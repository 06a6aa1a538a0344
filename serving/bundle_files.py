"""What the files of a model bundle are called, for those who need no more of it; what is in them: serving/bundle.py."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

MANIFEST = "manifest.json"
ONNX_MODEL = "model.onnx"
ONNX_INT8_MODEL = "model.int8.onnx"
TFLITE_MODEL = "model.tflite"
PARITY_REPORT = "parity.md"
SAVED_MODEL = "saved_model.pb"
LABELS = "assets/labels.txt"
WARM_UP = "assets.extra/tf_serving_warmup_requests"

Precision = Literal["float32", "int8"]
"""Of the numbers that an ONNX model computes with."""
ONNX_FILES: Mapping[Precision, str] = MappingProxyType({"float32": ONNX_MODEL, "int8": ONNX_INT8_MODEL})
