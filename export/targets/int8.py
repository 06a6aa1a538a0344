"""`model.int8.onnx`: the ONNX model with 8-bit weights and activations, for CPUs.

Static quantization as ONNX Runtime has it (QDQ: pairs of QuantizeLinear and DequantizeLinear around each operator),
a scale for each output channel of the weights, ranges of activations as training images give them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export.errors import ExportError, WrongUseError, first_line
from export.onnx_model import save_canonical
from export.sources.base import Original
from serving.bundle_files import ONNX_INT8_MODEL, ONNX_MODEL
from serving.signatures import DEFAULT_SIGNATURE
from training.datasets.base import Split
from training.environment import silent_stderr

if TYPE_CHECKING:
    import onnx

CALIBRATION_IMAGES = 512
CALIBRATION_BATCH = 32
CALIBRATION_SEED = 21
WEIGHTED = ("Conv", "MatMul", "Gemm")
QUANTIZED = (
    *WEIGHTED,
    *("Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Add", "Concat", "Pad"),
    *("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten"),
)
"""What computes with 8 bits or passes them on. Scaling pixels and the last activation are cheap and stay float."""


class Int8:
    """Quantizes what a run has trained."""

    progress = "quantizing to 8 bits"

    def check(self, original: Original) -> None:
        """Only a classifier with its training images will do."""
        if original.description.task == "regression":
            raise WrongUseError(
                "--int8 is for classifiers: a regression's prediction has no scale that 256 steps could be spread over"
            )
        if original.examples is None:
            raise WrongUseError("--int8 needs the training images to calibrate with, which only a run folder leads to")

    def write(self, bundle: Path, original: Original) -> None:
        """Quantizes `model.onnx`; the same run gives the same bytes."""
        if original.examples is None:
            raise AssertionError
        (spec,) = original.model.signatures[DEFAULT_SIGNATURE].inputs
        images = calibration_images(original.examples.dataset.train)
        calibration = {"method": "min-max", "images": len(images), "seed": CALIBRATION_SEED}
        save_canonical(
            _quantize(bundle / ONNX_MODEL, spec.name, images),
            bundle / ONNX_INT8_MODEL,
            name=original.title,
            metadata={**original.metadata, "quantization": "int8", "calibration": calibration},
        )


def calibration_images(training: Split) -> np.ndarray:
    """Some of the training images, chosen by chance but always the same, uint8 `[N, …]`."""
    count = min(CALIBRATION_IMAGES, len(training))
    chosen = np.random.default_rng(CALIBRATION_SEED).choice(len(training), count, replace=False)
    return np.asarray(training.inputs[np.sort(chosen)])


def _quantize(source: Path, input_name: str, images: np.ndarray) -> onnx.ModelProto:
    """A net's first convolution and its last layer with weights stay float, see `_kept_float`.

    Weights have 7 bits of their 8, since CPUs without VNNI add two products of 8 bits in 16, which overflow: with 7
    the answers are the same on every machine.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # looked at once, when it is imported
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches: Iterator[np.ndarray] = iter(
                images[start : start + CALIBRATION_BATCH] for start in range(0, len(images), CALIBRATION_BATCH)
            )

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._batches, None)
            return None if batch is None else {input_name: batch}

    with tempfile.TemporaryDirectory(prefix="atelier-int8-") as scratch:
        prepared, quantized = Path(scratch, "prepared.onnx"), Path(scratch, "quantized.onnx")
        try:
            with silent_stderr():
                quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            weighted = [node for node in onnx.load(prepared).graph.node if node.op_type in WEIGHTED]
            kept_float = _kept_float(weighted)
            if len(weighted) > len(kept_float):
                with silent_stderr():
                    quantization.quantize_static(
                        prepared,
                        quantized,
                        Reader(),
                        quant_format=quantization.QuantFormat.QDQ,
                        op_types_to_quantize=list(QUANTIZED),
                        nodes_to_exclude=kept_float,
                        per_channel=True,
                        reduce_range=True,
                        activation_type=quantization.QuantType.QUInt8,
                        weight_type=quantization.QuantType.QInt8,
                        calibrate_method=quantization.CalibrationMethod.MinMax,
                    )
        except Exception as error:  # whatever it stumbles on; it has no error classes of its own
            raise ExportError(f"the model cannot be quantized: {first_line(error)}") from error
        if len(weighted) == len(kept_float):
            raise ExportError("there is nothing to quantize: no layer has weights between the first and the last")
        return onnx.load(quantized)


def _kept_float(weighted: Sequence[onnx.NodeProto]) -> list[str]:
    """The names of layers that lose most in 8 bits and have few weights.

    The last one: in 256 steps near ties would become equal. The first one if it is a convolution: its few weights meet
    the pixels, and every later layer builds on its error; measured on photographs of cats and dogs, scores move by a
    quarter of what they did with it.
    """
    first = [node.name for node in weighted[:1] if node.op_type == "Conv"]
    return list(dict.fromkeys([*first, *(node.name for node in weighted[-1:])]))
