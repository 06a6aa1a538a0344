"""Which batching settings make sense, and whose win."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from serving.batching.parameters_file import gateway_batching
from serving.batching.settings import BatchSettings
from serving.settings import ServingSettings


def test_without_anything_a_model_is_batched_by_the_gateways_defaults() -> None:
    assert gateway_batching(ServingSettings()) == BatchSettings()


def test_the_gateways_flags_reach_every_model() -> None:
    settings = gateway_batching(ServingSettings(max_batch_size=8, batch_timeout_ms=1.5, max_queue_rows=99))
    assert (settings.max_batch_size, settings.batch_timeout_ms, settings.max_queue_rows) == (8, 1.5, 99)


def test_a_models_own_settings_win_and_leave_the_others_alone() -> None:
    gateway = BatchSettings(max_batch_size=16, max_queue_rows=100)
    own = BatchSettings(max_queue_rows=7)

    assert gateway.changed_by(own) == BatchSettings(max_batch_size=16, max_queue_rows=7)
    assert gateway.changed_by(None) == gateway


def test_settings_that_make_no_sense_together_are_refused() -> None:
    gateway = BatchSettings(allowed_batch_sizes=(1, 8, 16))
    with pytest.raises(
        ValueError, match=r"expected rising sizes that end with max_batch_size \(4\), received 1, 8, 16"
    ):
        gateway.changed_by(BatchSettings(max_batch_size=4))


def test_the_largest_allowed_size_is_the_maximum() -> None:
    assert BatchSettings(allowed_batch_sizes=(1, 8, 32)).max_batch_size == 32


def test_a_model_of_a_fixed_size_gets_no_larger_batches() -> None:
    settings = BatchSettings(allowed_batch_sizes=(1, 8, 32))

    assert settings.at_most(None) is settings
    assert settings.at_most(64) is settings
    assert settings.at_most(10).allowed_batch_sizes == (1, 8, 10)
    assert settings.at_most(1) == BatchSettings(max_batch_size=1)


@pytest.mark.parametrize(
    "values",
    [
        {"allowed_batch_sizes": (8, 1)},
        {"allowed_batch_sizes": (1, 1)},
        {"allowed_batch_sizes": (0, 1)},
        {"allowed_batch_sizes": (1, 8), "max_batch_size": 16},
        {"max_batch_size": 0},
        {"instances": 0},
        {"slo_ms": 0},
        {"max_queue_wait_ms": float("nan")},
        {"low_priority_share": 1.5},
        {"max_batchsize": 8},
    ],
)
def test_a_value_out_of_range_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BatchSettings(**values)
