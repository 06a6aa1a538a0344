"""A repository that each test steps by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.repository_stand import RepositoryStand


@pytest.fixture
def stand(tmp_path: Path) -> RepositoryStand:
    return RepositoryStand(tmp_path)
