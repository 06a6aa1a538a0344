"""Where a setting comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from serving.settings import ServingSettings


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, and no variables of the machine's."""
    monkeypatch.chdir(tmp_path)
    for name in ServingSettings.model_fields:
        monkeypatch.delenv(f"ATELIER_{name.upper()}", raising=False)


def test_without_anything_the_ports_are_tensorflow_servings() -> None:
    settings = ServingSettings()

    assert (settings.grpc_port, settings.rest_port) == (8500, 8501)
    assert settings.models == "models"


def test_flags_go_before_the_environment_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "atelier.toml").write_text("[serve]\nmax_batch_size = 1\nmax_queue_rows = 10\ngrpc_port = 100\n")
    monkeypatch.setenv("ATELIER_MAX_BATCH_SIZE", "2")
    monkeypatch.setenv("ATELIER_MAX_QUEUE_ROWS", "20")
    settings = ServingSettings(max_batch_size=3)

    assert (settings.max_batch_size, settings.max_queue_rows, settings.grpc_port) == (3, 20, 100)


def test_a_file_for_other_commands_only_changes_nothing(tmp_path: Path) -> None:
    without_a_file = ServingSettings()
    (tmp_path / "atelier.toml").write_text("[train]\nepochs = 5\n")
    assert ServingSettings() == without_a_file


@pytest.mark.parametrize("value", ["inf", "nan"])
def test_a_time_that_is_no_number_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_DRAIN_TIMEOUT_S", value)
    with pytest.raises(ValidationError, match="finite number"):
        ServingSettings()


def test_variables_of_other_parts_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_DATA", "/data")
    monkeypatch.setenv("ATELIER_NOBODY_KNOWS", "1")
    assert ServingSettings().grpc_port == 8500


def test_a_misspelt_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "atelier.toml").write_text("[serve]\nmax_batchsize = 5\n")
    with pytest.raises(ValidationError, match="max_batchsize"):
        ServingSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grpc_port", 65536),
        ("rest_port", -1),
        ("max_batch_size", 0),
        ("max_queue_rows", 0),
        ("batch_timeout_ms", -0.1),
        ("batch_timeout_ms", float("nan")),
        ("poll_interval_s", -1),
        ("max_request_bytes", 0),
        ("max_image_pixels", 0),
        ("drain_timeout_s", "soon"),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        ServingSettings(**{name: value})  # type: ignore[arg-type]


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ServingSettings().grpc_port = 1  # type: ignore[misc]


def test_the_worker_reads_what_its_parent_wrote() -> None:
    settings = ServingSettings(models=Path("/srv/models"), batch_timeout_ms=0.5, grpc_port=0)
    assert ServingSettings.model_validate_json(settings.model_dump_json()) == settings


def test_the_admin_token_is_handed_on_by_its_variable_only(monkeypatch: pytest.MonkeyPatch) -> None:
    token = "correct-horse-battery-staple"
    monkeypatch.setenv("ATELIER_ADMIN_TOKEN", token)
    settings = ServingSettings()
    written = settings.model_dump_json()
    assert token not in f"{written}{settings!r}{settings}"
    found = ServingSettings.model_validate_json(written).admin_token
    assert found is not None
    assert found.get_secret_value() == token
    monkeypatch.setenv("ATELIER_ADMIN_TOKEN", "")
    assert ServingSettings().admin_token is None


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"tls_certificate_file": "a"}, "go together, received only one"),
        ({"tls_key_file": "a"}, "go together, received only one"),
        ({"tls_client_ca_file": "a"}, "tls_client_ca_file: expected tls_certificate_file and tls_key_file too"),
    ],
)
def test_tls_takes_a_certificate_and_its_key(files: dict[str, Path], reason: str) -> None:
    assert ServingSettings().tls is None
    with pytest.raises(ValidationError, match=reason):
        ServingSettings(**files)
