"""docs/transcripts.md is what its sessions give today."""

from __future__ import annotations

from tests.support.transcripts import PAGE, run_sessions, without_last_digits

CLIENTS = (
    "tensorflow_serving",
    "tritonclient.grpc",
    "tritonclient.http",
    "InferenceGRPCClient",
    "InferenceRESTClient",
    "grpc_reflection",
    "serving.client",
    "$ curl",
    "$ chromium",
)


def test_the_sessions_give_what_the_page_shows() -> None:
    page = PAGE.read_text()
    now = run_sessions(page)
    assert without_last_digits(now) == without_last_digits(page), (
        "write it anew: .venv/bin/python -m tests.support.transcripts"
    )


def test_every_real_client_has_a_session() -> None:
    page = PAGE.read_text()
    assert [client for client in CLIENTS if client not in page] == []
