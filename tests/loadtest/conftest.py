"""A gateway with a classifier of digits, whose images come with scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.bundles import write_bundle, write_regression
from tests.support.digits_bundle import write_digits_bundle
from tests.support.gateway import RunningGateway, running_gateway


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Serves `digits`, `doubled` (the same with probabilities that sum to two), `brightness` and `line`."""
    models = tmp_path_factory.mktemp("models")
    write_digits_bundle(models / "digits" / "1")
    write_digits_bundle(models / "doubled" / "1", sums_to=2.0)
    write_bundle(models / "brightness" / "1")
    write_regression(models / "line" / "1")
    with running_gateway(models) as running:
        yield running
