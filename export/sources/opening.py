"""Which kind of source a path is."""

from __future__ import annotations

from pathlib import Path

from export.description import Description
from export.errors import WrongUseError
from export.onnx_beside import OnnxPolicy
from export.onnx_file import ONNX_SUFFIX
from export.pixels import PixelRange
from export.sources.base import Source
from export.sources.keras_file import KerasFileSource
from export.sources.onnx_file import OnnxFileSource
from export.sources.run import RunSource
from export.sources.saved_model import SavedModelSource
from serving.bundle_files import ONNX_MODEL, SAVED_MODEL
from training.run import CONFIG, MODEL, read_run

KERAS_SUFFIX = ".keras"


def open_source(
    path: Path,
    *,
    given: Description = Description(),  # noqa: B008 - frozen
    pixels: PixelRange | None = None,
    data_dir: Path | None = None,
    with_onnx: bool = True,
) -> Source:
    """The source that lies at the path; nothing is loaded yet.

    Args:
        path: a run folder, a `.keras` file, a SavedModel's folder, or an ONNX file or the folder of a `model.onnx`.
        given: what the user says of a model that does not say it itself.
        pixels: the range of the floats that the model of a `.keras` file takes for pixels.
        data_dir: where to look first for a run's data set.
        with_onnx: whether models of TensorFlow get a `model.onnx`.

    Raises:
        WrongUseError: it is none of them, or something was given that has no meaning for it.
        RunError: it is a run folder, but unfinished or damaged.
    """
    onnx: OnnxPolicy = "wanted" if with_onnx else "unwanted"
    is_run = any((path / name).is_file() for name in (CONFIG, MODEL))
    is_keras = path.is_file() and path.suffix == KERAS_SUFFIX
    is_saved_model = not is_run and (path / SAVED_MODEL).is_file()
    onnx_path = path / ONNX_MODEL if path.is_dir() else path
    for flag, was_given, has_meaning, kind in (
        ("--labels, --image-size, --task", given != Description(), not is_run, "a run, which says it itself"),
        ("--data", data_dir is not None, is_run, "anything but a run"),
        ("--pixels", pixels is not None, is_keras, "anything but a .keras file"),
        ("--no-onnx", not with_onnx, is_keras or is_saved_model, "anything but a SavedModel or a .keras file"),
    ):
        if was_given and not has_meaning:
            raise WrongUseError(f"{flag}: has no meaning for {kind}, received {path}")
    if is_run:
        return RunSource(read_run(path), data_dir)
    if is_keras:
        return KerasFileSource(path, given, pixels=pixels, onnx=onnx)
    if is_saved_model:
        return SavedModelSource(path, given, onnx=onnx)
    if onnx_path.is_file() and onnx_path.suffix == ONNX_SUFFIX:
        return OnnxFileSource(onnx_path, given)
    found = "a folder with none of them" if path.is_dir() else "another file" if path.exists() else "nothing"
    raise WrongUseError(
        f"{path} is no model: expected a run folder, a {KERAS_SUFFIX} file, a SavedModel's folder or an {ONNX_SUFFIX} "
        f"file, found {found}"
    )
