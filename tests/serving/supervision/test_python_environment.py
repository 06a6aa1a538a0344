"""Where the Python inside Envoy finds its library and its packages."""

from __future__ import annotations

from pyvoy._server import get_envoy_environ

from serving.supervision.worker_process import python_environment


def test_it_is_what_pyvoys_own_server_would_say() -> None:
    assert python_environment() == get_envoy_environ()
