"""The state of an unfinished training: everything that the next epoch depends on, in one file.

Data order and augmentation follow from the seed and the epoch's number, so what is left is the model's variables (those
of dropout's random generators included), the optimizer's, and the history.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.errors import RunError
from training.run import History

if TYPE_CHECKING:
    import keras

CHECKPOINT = "checkpoint.npz"
_HISTORY, _STATE, _BEST = "history", "state", "best"


@dataclass(frozen=True)
class Checkpoint:
    """After `len(history.epochs)` epochs.

    `state` holds the values of all variables of the model and then of the optimizer, `best` those of the model after
    its best epoch, where training may stop early.
    """

    history: History
    state: Sequence[np.ndarray]
    best: Sequence[np.ndarray]


def values(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Copies of what the variables hold."""
    return [np.array(variable.numpy()) for variable in variables]


def assign(variables: Sequence[keras.Variable], held: Sequence[np.ndarray]) -> None:
    """Puts values back.

    Raises:
        RunError: they are those of another model.
    """
    shapes, expected = [value.shape for value in held], [tuple(variable.shape) for variable in variables]
    if shapes != expected:
        raise RunError("the checkpoint is of another model: its variables have other shapes")
    for variable, value in zip(variables, held, strict=True):
        variable.assign(value)


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replaces the folder's checkpoint, so that at every moment there is a whole one."""
    arrays = {_HISTORY: np.array(checkpoint.history.model_dump_json())}
    for name, group in ((_STATE, checkpoint.state), (_BEST, checkpoint.best)):
        arrays |= {f"{name}/{index}": value for index, value in enumerate(group)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    fresh = folder / f"{CHECKPOINT}.new"
    with fresh.open("wb") as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / CHECKPOINT)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The folder's checkpoint, or None where no epoch was finished.

    Raises:
        RunError: it is damaged.
    """
    path = folder / CHECKPOINT
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return Checkpoint(
            History.model_validate_json(str(arrays[_HISTORY])), _group(arrays, _STATE), _group(arrays, _BEST)
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged: {error}") from error


def _group(arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}/") for key in arrays)
    return [arrays[f"{name}/{index}"] for index in range(count)]
