"""A SavedModel in this process. The only module that imports TensorFlow, and only when this back end is chosen.

The graph is run as TensorFlow Serving runs it: in a session, by the tensors that the signatures name. So models of
TensorFlow 1 and 2 are alike, every signature is the graph's own, and what Classify and Regress need is in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from serving.bundle import Manifest
from serving.bundle_files import ONNX_MODEL, SAVED_MODEL
from serving.errors import BundleError, InferenceError, InvalidInputError
from serving.signatures import TENSORFLOW_DTYPES, Signature, Tensors, TensorSpec

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow as tf

tf.get_logger().setLevel("ERROR")  # it warns that loading into a session is the old way: it is, and stays

SERVE = "serve"
_NAME_OF_NUMBER = {dtype.tensorflow: dtype.name for dtype in TENSORFLOW_DTYPES.values()}
_CLIENTS_MISTAKES = (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError, tf.errors.FailedPreconditionError)
_NOT_THE_CAUSE = ("Graph execution error:", "Detected at node", "<stack traces unavailable>", "File ")
"""How lines begin that TensorFlow puts before the cause."""

Run = Callable[..., list[np.ndarray]]


class TensorFlowBackend:
    """A version's SavedModel in one session."""

    platform = "tensorflow_savedmodel"

    def __init__(self, session: Any, signatures: Mapping[str, Signature], runs: Mapping[str, Run]) -> None:
        self._session = session
        self._runs: Mapping[str, Run] = runs
        self.signatures = signatures

    @classmethod
    def load(cls, version_dir: Path, manifest: Manifest | None, *, threads: int) -> TensorFlowBackend:
        """Loads the graph that is tagged for serving; `threads` 0 leaves their number to TensorFlow.

        Raises:
            BundleError: no SavedModel, one that TensorFlow cannot load or that has no signature for arrays, or one
                that differs from the manifest.
        """
        if not (version_dir / SAVED_MODEL).is_file():
            found = f"{ONNX_MODEL} only" if (version_dir / ONNX_MODEL).is_file() else "none"
            raise BundleError(f"the tensorflow back end expects {SAVED_MODEL}, the version has {found}")
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads,
            inter_op_parallelism_threads=threads,
            use_per_session_threads=threads > 0,
        )
        session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with session.graph.as_default():
                graph_def = tf.compat.v1.saved_model.load(session, [SERVE], str(version_dir))
                defined = _dense(graph_def.signature_def)
                signatures = {name: _signature_of(entry) for name, entry in defined.items()}
                runs = {name: _callable(session, entry, signatures[name]) for name, entry in defined.items()}
        except BaseException as error:
            session.close()
            # TensorFlow raises whatever the damaged part of a file leads to.
            if not isinstance(error, Exception) or isinstance(error, BundleError):
                raise
            raise BundleError(f"the SavedModel cannot be loaded: {_first_line(error, version_dir)}") from error
        if not signatures:
            session.close()
            raise BundleError("the SavedModel has no signature of dense tensors, so there is nothing to ask it")
        _check(manifest, signatures)
        return cls(session, signatures, runs)

    def run(self, signature_name: str, inputs: Tensors) -> dict[str, np.ndarray]:
        """One run of the session; see `Backend.run`."""
        if not self._runs:
            raise InferenceError(f"the model is closed, signature {signature_name} cannot run")
        signature = self.signatures[signature_name]
        try:
            outputs = self._runs[signature_name](*(inputs[spec.name] for spec in signature.inputs))
        except _CLIENTS_MISTAKES as error:
            raise InvalidInputError(f"the model does not take this: {_first_line(error)}") from error
        except tf.errors.OpError as error:
            raise InferenceError(f"TensorFlow failed: {_first_line(error)}") from error
        return {spec.name: _array(value) for spec, value in zip(signature.outputs, outputs, strict=True)}

    def close(self) -> None:
        """Closes the session; TensorFlow frees graph and variables with it."""
        self._runs = {}
        if self._session is not None:
            self._session.close()
            self._session = None


def _dense(signature_defs: Mapping[str, Any]) -> dict[str, Any]:
    """The signatures whose tensors all have arrays here: no sparse ones, no resources."""
    return {
        name: entry
        for name, entry in signature_defs.items()
        if entry.inputs
        and entry.outputs
        and all(
            info.WhichOneof("encoding") == "name" and info.dtype in _NAME_OF_NUMBER
            for info in (*entry.inputs.values(), *entry.outputs.values())
        )
    }


def _signature_of(entry: Any) -> Signature:
    signature = Signature(
        tuple(_spec_of(name, entry.inputs[name]) for name in sorted(entry.inputs)),
        tuple(_spec_of(name, entry.outputs[name]) for name in sorted(entry.outputs)),
        entry.method_name,
    )
    return signature.with_defaults({name: tensor.SerializeToString() for name, tensor in entry.defaults.items()})


def _spec_of(name: str, info: Any) -> TensorSpec:
    dtype = _NAME_OF_NUMBER[info.dtype]
    if info.tensor_shape.unknown_rank:
        return TensorSpec(name, dtype, (), any_rank=True)
    return TensorSpec(name, dtype, tuple(dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim))


def _callable(session: Any, entry: Any, signature: Signature) -> Run:
    """A prepared run of the session: it looks nothing up by name any more."""
    run: Run = session.make_callable(
        [entry.outputs[spec.name].name for spec in signature.outputs],
        feed_list=[entry.inputs[spec.name].name for spec in signature.inputs],
    )
    return run


def _array(value: Any) -> np.ndarray:
    """A scalar string comes as bare bytes."""
    if isinstance(value, bytes):
        array = np.empty((), dtype=object)
        array[()] = value
        return array
    return np.asarray(value)


def _check(manifest: Manifest | None, signatures: Mapping[str, Signature]) -> None:
    """Whether the graph has every signature that the manifest declares, of the same tensors."""
    for name, declared in (manifest.signatures if manifest else {}).items():
        found = signatures.get(name)
        if found is None or _tensors(found) != _tensors(declared):
            raise BundleError(f"the SavedModel has the signature {name}: {found}, but the manifest declares {declared}")


def _tensors(signature: Signature) -> tuple[frozenset[TensorSpec], frozenset[TensorSpec]]:
    return frozenset(signature.inputs), frozenset(signature.outputs)


def _first_line(error: Exception, version_dir: Path | None = None) -> str:
    """TensorFlow's own words, without the operations' names and places, and without the server's folders."""
    text = str(getattr(error, "message", "") or error)
    said = (line.split("\t [[", maxsplit=1)[0].strip() for line in text.splitlines())
    line = next((line for line in said if line and not line.startswith(_NOT_THE_CAUSE)), type(error).__name__)
    for folder in (version_dir, version_dir.resolve()) if version_dir else ():
        line = line.replace(f"{folder}/", "").replace(str(folder), "the version's folder")
    return line
