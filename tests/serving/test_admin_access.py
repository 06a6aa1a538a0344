"""Where the admin API's token comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.admin_access import AdminTokenError, read_admin_token
from serving.settings import ServingSettings

TOKEN = "correct-horse-battery-staple"


def test_the_file_wins_over_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_ADMIN_TOKEN", "another-token-altogether")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert read_admin_token(ServingSettings()) == "another-token-altogether"
    assert read_admin_token(ServingSettings(admin_token_file=tmp_path / "token")) == TOKEN


def test_without_either_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATELIER_ADMIN_TOKEN", raising=False)
    assert read_admin_token(ServingSettings()) is None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"short", "admin token file: expected at least 16 characters, received fewer"),
        (b"", "admin token file: expected at least 16 characters, received fewer"),
        (b"\xff" * 20, "admin token file: it cannot be read: expected plain text"),
        (None, "admin token file: it cannot be read: No such file or directory"),
    ],
)
def test_a_file_without_a_token_is_named_and_its_content_is_not(
    content: bytes | None, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AdminTokenError) as caught:
        read_admin_token(ServingSettings(admin_token_file=path))
    assert str(caught.value) == text
