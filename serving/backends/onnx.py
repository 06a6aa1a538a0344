"""The default back end: ONNX Runtime, embedded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from serving.backends.onnx_bfloat16 import run_with_bfloat16
from serving.bundle import Manifest
from serving.bundle_files import ONNX_FILES, SAVED_MODEL, Precision
from serving.errors import BundleError, InferenceError, InvalidInputError
from serving.signatures import DEFAULT_SIGNATURE, DTYPES, Signature, Tensors, TensorSpec
from serving.wire.atelier_onnx_pb2 import Model

_DTYPE_OF_ONNX = {dtype.onnx: dtype.name for dtype in DTYPES.values()}
_WIDE_INTEGERS = {dtype.name: dtype for dtype in (np.dtype(np.int64), np.dtype(np.uint64))}
"""numpy has two types of these; ONNX Runtime gives those of C's `long long`, whose scalars orjson does not know."""


class OnnxBackend:
    """A version's `model.onnx`, or its `model.int8.onnx`, in one session."""

    platform = "onnxruntime_onnx"

    def __init__(self, session: onnxruntime.InferenceSession, signature: Signature) -> None:
        self._session: onnxruntime.InferenceSession | None = session
        self._output_names = [spec.name for spec in signature.outputs]
        dtypes = {spec.dtype for spec in (*signature.inputs, *signature.outputs)}
        self._has_strings = "string" in dtypes
        self._has_wide_integers = any(spec.dtype in _WIDE_INTEGERS for spec in signature.outputs)
        self._run = run_with_bfloat16 if "bfloat16" in dtypes else onnxruntime.InferenceSession.run
        self.signatures: Mapping[str, Signature] = {DEFAULT_SIGNATURE: signature}

    @classmethod
    def load(
        cls, version_dir: Path, manifest: Manifest | None, *, threads: int, precision: Precision = "float32"
    ) -> OnnxBackend:
        """Opens the session; the signature is the model's own, which the manifest has to agree with.

        Raises:
            BundleError: no such file, one that ONNX Runtime cannot read, or one that differs from the manifest.
        """
        name = ONNX_FILES[precision]
        path = version_dir / name
        if not path.is_file():
            raise BundleError(f"the onnx back end expects {name}, the version has {_what_is_there(version_dir)}")
        try:
            session = onnxruntime.InferenceSession(str(path), _options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has one exception class per cause, and no common one
            reason = _first_line(error).replace(f"{version_dir}/", "").replace(f"{version_dir.resolve()}/", "")
            raise BundleError(f"{name} cannot be loaded by ONNX Runtime: {reason}") from error
        signature = _signature_of(session, path)
        declared = manifest.signatures.get(DEFAULT_SIGNATURE) if manifest else None
        if declared and (declared.inputs, declared.outputs) != (signature.inputs, signature.outputs):
            raise BundleError(f"{name} has the signature {signature}, but the manifest declares {declared}")
        return cls(session, signature)

    def run(self, signature_name: str, inputs: Tensors) -> dict[str, np.ndarray]:
        """One run of the session; see `Backend.run`."""
        if self._session is None:
            raise InferenceError(f"the model is closed, signature {signature_name} cannot run")
        given = {name: _to_text(name, array) for name, array in inputs.items()} if self._has_strings else inputs
        try:
            outputs = self._run(self._session, self._output_names, given)
        except Exception as error:  # as above
            raise InferenceError(f"ONNX Runtime failed: {_first_line(error)}") from error
        if self._has_strings:
            outputs = [_to_bytes(array) for array in outputs]
        if self._has_wide_integers:
            outputs = [array.view(_WIDE_INTEGERS.get(array.dtype.name, array.dtype)) for array in outputs]
        return dict(zip(self._output_names, outputs, strict=True))

    def close(self) -> None:
        """Drops the session; ONNX Runtime frees its memory with it."""
        self._session = None


def _options(threads: int) -> onnxruntime.SessionOptions:
    """Set on purpose; docs/backends.md has what was measured."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = False  # it plans memory for each shape anew: as many plans as there are batch sizes
    options.intra_op_num_threads = threads
    # Threads that spin while they wait would take the cores from the requests being decoded.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    return options


def _what_is_there(version_dir: Path) -> str:
    """The models that the version has instead, for a sentence."""
    there = [name for name in ONNX_FILES.values() if (version_dir / name).is_file()]
    there += ["a SavedModel"] if (version_dir / SAVED_MODEL).is_file() else []
    return f"{' and '.join(there)} only" if there else "neither that nor a SavedModel"


def _signature_of(session: onnxruntime.InferenceSession, path: Path) -> Signature:
    nodes = [*session.get_inputs(), *session.get_outputs()]
    any_rank = frozenset() if all(node.shape for node in nodes) else _names_of_any_rank(path)
    signature = Signature(
        inputs=tuple(_spec_of(node, path.name, any_rank) for node in session.get_inputs()),
        outputs=tuple(_spec_of(node, path.name, any_rank) for node in session.get_outputs()),
    )
    if not signature.inputs:
        raise BundleError(f"{path.name} takes no inputs, so there is nothing to ask it")
    return signature


def _names_of_any_rank(path: Path) -> frozenset[str]:
    """The tensors whose shape the file does not give; ONNX Runtime shows them as it shows scalars."""
    graph = Model.FromString(path.read_bytes()).graph
    return frozenset(info.name for info in (*graph.input, *graph.output) if not info.type.tensor_type.HasField("shape"))


def _spec_of(node: onnxruntime.NodeArg, file_name: str, any_rank: Collection[str]) -> TensorSpec:
    if node.type not in _DTYPE_OF_ONNX:
        raise BundleError(
            f"{file_name}: {node.name} has type {node.type}, which has no TensorFlow Serving equivalent here"
        )
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return TensorSpec(node.name, _DTYPE_OF_ONNX[node.type], shape, any_rank=not shape and node.name in any_rank)


def _to_text(name: str, array: np.ndarray) -> np.ndarray:
    """ONNX Runtime takes strings as `str` and would pass bytes on as their Python notation."""
    if array.dtype != object:
        return array
    text = np.empty(array.size, dtype=object)
    try:
        text[:] = [value.decode() for value in array.ravel()]
    except UnicodeDecodeError as error:
        raise InvalidInputError(f'input "{name}": expected UTF-8 strings, received other bytes') from error
    return text.reshape(array.shape)


def _to_bytes(array: np.ndarray) -> np.ndarray:
    if array.dtype != object:
        return array
    content = np.empty(array.size, dtype=object)
    content[:] = [value.encode() for value in array.ravel()]
    return content.reshape(array.shape)


def _first_line(error: Exception) -> str:
    """ONNX Runtime's own words; its later lines hold build paths of its source."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
