"""TensorFlow Serving's batching parameters file: text of its `BatchingParameters` message."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.batching.settings import BatchSettings
from serving.settings import ServingSettings

if TYPE_CHECKING:
    from serving.wire.atelier_batching_pb2 import BatchingParameters

log = logging.getLogger("atelier.batching")


class ParametersFileError(ValueError):
    """The file cannot be used; the text says why."""


def gateway_batching(settings: ServingSettings) -> BatchSettings:
    """How models are batched that have no settings of their own: by the flags, and the file wins over them.

    Raises:
        ParametersFileError: a file that cannot be read or used.
        ValueError: settings that make no sense together.
    """
    names = BatchSettings.model_fields.keys() & ServingSettings.model_fields.keys()
    flags = BatchSettings.model_validate({name: getattr(settings, name) for name in names})
    if settings.batching_parameters_file is None:
        return flags
    return flags.changed_by(read_parameters_file(settings.batching_parameters_file))


def read_parameters_file(path: Path) -> BatchSettings:
    """What the file says; the parameters that mean nothing here are named in one line of the log.

    `max_enqueued_batches` bounds rows here, so many times the largest batch. A request over the maximum is always
    split, so the largest batch is `max_execution_batch_size` where that is smaller.

    Raises:
        ParametersFileError: it cannot be read, is no such text, or its values make no sense.
    """
    from google.protobuf import text_format  # what starts the workers does without, unless there is a file

    from serving.wire.atelier_batching_pb2 import BatchingParameters

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is no UTF-8 text"
        raise ParametersFileError(f"the batching parameters file {path} cannot be read: {reason}") from error
    try:
        parameters = text_format.Parse(text, BatchingParameters())
        settings = BatchSettings.model_validate(_settings_of(parameters))
    except (text_format.ParseError, ValueError) as error:
        raise ParametersFileError(f"the batching parameters file {path} cannot be used: {_reason(error)}") from error
    without_meaning = _without_meaning(parameters)
    if without_meaning:
        log.warning("%s: these parameters change nothing here: %s", path.name, ", ".join(without_meaning))
    return settings


def _settings_of(parameters: BatchingParameters) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if parameters.HasField("max_batch_size"):
        values["max_batch_size"] = parameters.max_batch_size.value
    if parameters.HasField("max_execution_batch_size") and parameters.enable_large_batch_splitting.value:
        values["max_batch_size"] = parameters.max_execution_batch_size.value
    if parameters.HasField("batch_timeout_micros"):
        values["batch_timeout_ms"] = parameters.batch_timeout_micros.value / 1e3
    if parameters.HasField("num_batch_threads"):
        values["instances"] = parameters.num_batch_threads.value
    if parameters.allowed_batch_sizes:
        values["allowed_batch_sizes"] = tuple(parameters.allowed_batch_sizes)
    if parameters.HasField("max_enqueued_batches"):
        largest = BatchSettings.model_validate(values).max_batch_size
        values["max_queue_rows"] = parameters.max_enqueued_batches.value * largest
    return values


def _without_meaning(parameters: BatchingParameters) -> list[str]:
    found = []
    if parameters.HasField("thread_pool_name"):
        found.append("thread_pool_name")
    if parameters.pad_variable_length_inputs:
        found.append("pad_variable_length_inputs (requests of different lengths run in batches of their own)")
    if parameters.HasField("enable_large_batch_splitting") and not parameters.enable_large_batch_splitting.value:
        found.append("enable_large_batch_splitting: false (large requests are split)")
    if parameters.HasField("max_execution_batch_size") and not parameters.enable_large_batch_splitting.value:
        found.append("max_execution_batch_size (without enable_large_batch_splitting)")
    return found


def _reason(error: Exception) -> str:
    """One line: pydantic's own first sentence, or the parser's with its line and column."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        return f"{where}{first['msg']}, received {first['input']!r}" if where else first["msg"]
    return str(error).splitlines()[0]
