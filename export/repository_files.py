"""What other servers want beside the versions, so that the same folder runs there unchanged.

models/models.config        TensorFlow Serving: --model_config_file
models/batching.config      TensorFlow Serving: --enable_batching --batching_parameters_file
models/monitoring.config    TensorFlow Serving: --monitoring_config_file
models/NAME/config.pbtxt    Triton, its onnxruntime back end

Each carries a checksum of what was written. One that was edited belongs to its editor and is left as it is.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from export.errors import ExportError
from export.location import is_remote, store_sentences
from export.versions import published_versions
from serving.bundle import Manifest
from serving.bundle_files import ONNX_MODEL, SAVED_MODEL
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec

MODELS_CONFIG = "models.config"
BATCHING_CONFIG = "batching.config"
MONITORING_CONFIG = "monitoring.config"
TRITON_CONFIG = "config.pbtxt"
MAX_BATCH_SIZE = 64
"""The gateway's own default, and the largest batch of the warm-up."""
METRICS_PATH = "/monitoring/prometheus/metrics"
_SEAL = "# Written by `atelier export`, and again by the next one unless you edit it. Content: sha256 "
_ATTEMPTS = 10


def write_repository_files(models_dir: Path, manifest: Manifest, scratch: Path) -> tuple[str, ...]:
    """Brings the files up to date with what is published; `manifest` is of the newest version.

    Args:
        models_dir: the repository's root.
        manifest: of the version that was published last.
        scratch: a folder of this machine to write in, on the repository's file system where that is a folder.

    Returns:
        A sentence about each file that was not written, because it was edited or because it cannot be written. The
        version is published already, so that this is nothing to fail for.
    """
    files: dict[Path, Callable[[], str]] = {
        models_dir / MODELS_CONFIG: lambda: models_config(_base_paths(models_dir)),
        models_dir / BATCHING_CONFIG: batching_config,
        models_dir / MONITORING_CONFIG: monitoring_config,
    }
    if ONNX_MODEL in manifest.files:
        signature = manifest.signatures[DEFAULT_SIGNATURE]
        files[models_dir / manifest.name / TRITON_CONFIG] = lambda: triton_config(signature)
    notes = (_bring_up_to_date(path, content, scratch) for path, content in files.items())
    return tuple(note for note in notes if note is not None)


def models_config(base_paths: Mapping[str, str]) -> str:
    """TensorFlow Serving's ModelServerConfig, of models by name; it wants absolute paths or addresses."""
    entries = [
        f'  config {{ name: {_quoted(name)} base_path: {_quoted(path)} model_platform: "tensorflow" }}\n'
        for name, path in sorted(base_paths.items())
    ]
    return f"model_config_list {{\n{''.join(entries)}}}\n"


def batching_config() -> str:
    """TensorFlow Serving's BatchingParameters: what waits goes at once, up to the largest warmed batch.

    As many batches run at once as the machine has cores, which is the server's default.
    """
    return (
        f"max_batch_size {{ value: {MAX_BATCH_SIZE} }}\n"
        "batch_timeout_micros { value: 0 }\n"
        "max_enqueued_batches { value: 100 }\n"
    )


def monitoring_config() -> str:
    """TensorFlow Serving's MonitoringConfig: metrics for Prometheus on the REST port."""
    return f'prometheus_config {{\n  enable: true\n  path: "{METRICS_PATH}"\n}}\n'


def triton_config(signature: Signature) -> str:
    """Triton's ModelConfig of a folder `<version>/model.onnx`; the model's name is the folder's.

    Triton batches where every tensor has a free first dimension, which it then leaves out.
    """
    tensors = (*signature.inputs, *signature.outputs)
    batched = all(spec.shape[:1] == (None,) for spec in tensors)
    blocks = [
        *(_triton_tensor("input", spec, batched=batched) for spec in signature.inputs),
        *(_triton_tensor("output", spec, batched=batched) for spec in signature.outputs),
    ]
    head = f'backend: "onnxruntime"\nmax_batch_size: {MAX_BATCH_SIZE if batched else 0}\n'
    return head + "".join(blocks) + ("dynamic_batching { }\n" if batched else "")


def sealed(content: str) -> str:
    """The content below a line that says whose it is."""
    return f"{_SEAL}{_checksum(content)}\n{content}"


def is_unedited(text: str) -> bool:
    """Whether a file's text is as `sealed` gave it."""
    first, _, content = text.partition("\n")
    return first == f"{_SEAL}{_checksum(content)}"


def _triton_tensor(kind: str, spec: TensorSpec, *, batched: bool) -> str:
    sizes = spec.shape[1:] if batched else spec.shape
    dims = ", ".join("-1" if size is None else str(size) for size in sizes)
    dtype = "TYPE_STRING" if spec.element.is_string else f"TYPE_{spec.element.oip}"
    return f"{kind} {{\n  name: {_quoted(spec.name)}\n  data_type: {dtype}\n  dims: [ {dims} ]\n}}\n"


def _quoted(text: str) -> str:
    """A string of protobuf's text format."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _checksum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _base_paths(models_dir: Path) -> dict[str, str]:
    """Where the models are that have a version which TensorFlow Serving loads, by name."""
    root = models_dir if is_remote(models_dir) else models_dir.absolute()
    return {
        folder.name: str(folder)
        for folder in root.iterdir()
        if any((folder / str(number) / SAVED_MODEL).is_file() for number in published_versions(folder))
    }


def _bring_up_to_date(path: Path, content: Callable[[], str], scratch: Path) -> str | None:
    """Writes until the file says what is there: another publisher may have added to it meanwhile."""
    try:
        with store_sentences(path):
            for _ in range(_ATTEMPTS):
                wanted, found = sealed(content()), _read(path)
                if found == wanted:
                    return None
                if found is not None and not is_unedited(found):
                    return f"{path} was edited and is left as it is; delete it to have it written again"
                _replace(path, wanted, scratch)
    except (OSError, ExportError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return f"{path} was not written: {reason}"
    return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""  # nothing of ours


def _replace(path: Path, text: str, scratch: Path) -> None:
    """In one moment; a store replaces objects so by itself."""
    if is_remote(path):
        path.write_text(text, encoding="utf-8")
        return
    descriptor, written = tempfile.mkstemp(dir=scratch)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(written).chmod(0o644)
    Path(written).replace(path)
