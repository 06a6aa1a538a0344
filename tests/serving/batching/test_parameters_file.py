"""TensorFlow Serving's batching parameters file, as its own documentation and our exports write it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from export.repository_files import batching_config
from serving.batching.parameters_file import ParametersFileError, gateway_batching, read_parameters_file
from serving.batching.settings import BatchSettings
from serving.settings import ServingSettings

GUIDE = """
max_batch_size { value: 128 }
batch_timeout_micros { value: 1500 }
max_enqueued_batches { value: 10 }
num_batch_threads { value: 8 }
allowed_batch_sizes: [1, 32, 128]
"""


def read(tmp_path: Path, text: str) -> BatchSettings:
    file = tmp_path / "batching.config"
    file.write_text(text)
    return read_parameters_file(file)


def test_every_parameter_finds_its_setting(tmp_path: Path) -> None:
    assert read(tmp_path, GUIDE) == BatchSettings(
        max_batch_size=128,
        batch_timeout_ms=1.5,
        max_queue_rows=1280,
        instances=8,
        allowed_batch_sizes=(1, 32, 128),
    )


def test_what_an_export_writes_is_understood(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = read(tmp_path, batching_config())
    assert (settings.max_batch_size, settings.batch_timeout_ms, settings.max_queue_rows) == (64, 0.0, 6400)
    assert not [record for record in caplog.records if record.name == "atelier.batching"]


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert BatchSettings(max_batch_size=7).changed_by(read(tmp_path, "# nothing\n")) == BatchSettings(max_batch_size=7)


def test_the_largest_batch_is_the_execution_size_where_large_requests_are_split(tmp_path: Path) -> None:
    text = (
        "max_batch_size { value: 1000 } enable_large_batch_splitting { value: true } "
        "max_execution_batch_size { value: 32 } allowed_batch_sizes: 8 allowed_batch_sizes: 32"
    )
    assert read(tmp_path, text) == BatchSettings(max_batch_size=32, allowed_batch_sizes=(8, 32))


def test_what_means_nothing_here_is_named_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (
        'thread_pool_name { value: "mine" } pad_variable_length_inputs: true '
        "enable_large_batch_splitting { value: false } max_execution_batch_size { value: 4 }"
    )
    with caplog.at_level(logging.WARNING):
        read(tmp_path, text)
    (record,) = (record for record in caplog.records if record.name == "atelier.batching")
    assert record.getMessage() == (
        "batching.config: these parameters change nothing here: thread_pool_name, pad_variable_length_inputs "
        "(requests of different lengths run in batches of their own), enable_large_batch_splitting: false "
        "(large requests are split), max_execution_batch_size (without enable_large_batch_splitting)"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("max_batch_size 8", r"1:16 : "),
        ("max_batchsize { value: 8 }", "has no field named"),
        ("max_batch_size { value: 0 }", r"max_batch_size: Input should be greater than or equal to 1, received 0"),
        ("allowed_batch_sizes: [4, 2]", "expected rising sizes"),
        ("max_enqueued_batches { value: -1 }", "max_queue_rows: Input should be greater than or equal to 1"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ParametersFileError, match=r"batching\.config cannot be used: ") as caught:
        read(tmp_path, text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParametersFileError, match="cannot be read: No such file or directory"):
        read_parameters_file(tmp_path / "nowhere")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"\xff\x00")
    with pytest.raises(ParametersFileError, match="cannot be read: it is no UTF-8 text"):
        read_parameters_file(file)


def test_the_file_wins_over_the_gateways_flags(tmp_path: Path) -> None:
    file = tmp_path / "batching.config"
    file.write_text("max_batch_size { value: 16 }")
    flags = ServingSettings(max_batch_size=32, max_queue_rows=99, batching_parameters_file=file)
    assert gateway_batching(flags) == BatchSettings(max_batch_size=16, max_queue_rows=99)
