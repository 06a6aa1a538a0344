from __future__ import annotations

import os
import sys

import pytest

from benchmarks.processes import StartError, process_tree, started, usage
from tests.support.processes import is_alive

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print('{"child": %d}' % child.pid, flush=True)
child.wait()
"""


def test_the_whole_tree_is_seen_and_gone_after_the_block() -> None:
    with started([sys.executable, "-c", PARENT]) as process:
        line = process.first_line("{", 30.0)
        tree = process_tree(process.pid)
        used = usage(process.pid)
    assert len(tree) == 2
    assert f'"child": {tree[1]}' in line
    assert used.resident_bytes > 1e6
    assert not any(map(is_alive, tree))


def test_a_process_that_ends_early_is_an_error_with_its_last_words() -> None:
    with (
        started([sys.executable, "-c", "import sys; sys.exit('no such model')"]) as process,
        pytest.raises(StartError, match="ended with code 1: no such model"),
    ):
        process.first_line("{", 30.0)


def test_usage_of_this_process_counts_its_cpu_time() -> None:
    times = os.times()
    assert usage(os.getpid()).cpu_s >= times.user + times.system - 0.05


def test_more_environment_is_added_to_what_there_is() -> None:
    show = "import os; print('{', 'PATH' in os.environ, os.environ['MORE'])"
    with started([sys.executable, "-c", show], {"MORE": "yes"}) as process:
        assert process.first_line("{", 30.0) == "{ True yes\n"


def test_a_server_that_ended_is_noticed_while_it_is_waited_for() -> None:
    with started([sys.executable, "-c", "import sys; sys.exit('no such port')"]) as process:
        process.discard_output()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(StartError, match="ended with code 1: no such port"):
            process.raise_if_ended()
