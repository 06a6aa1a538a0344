"""What limit of open files is enough for how many connections; each in a process of its own, whose limit it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = """
import resource, sys
from serving.open_files import connections_that_fit
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(connections_that_fit(wanted), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "fit", "soft_then"),
    [
        pytest.param(2000, 2000, 1000, 1000, 2000, id="just enough"),
        pytest.param(1500, 4500, 1000, 1000, 2000, id="raised"),
        pytest.param(1500, 2000, 3000, 1000, 2000, id="raised as far as it may be"),
        pytest.param(600, 600, 1000, 1, 600, id="hardly any"),
    ],
)
def test_the_limit_is_raised_for_as_many_as_fit(soft: int, hard: int, wanted: int, fit: int, soft_then: int) -> None:
    command = [sys.executable, "-c", ASK, *map(str, (soft, hard, wanted))]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert told == [str(fit), str(soft_then)]
