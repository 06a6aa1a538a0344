"""Gateways that are configured by files: models.config, atelier.toml, labels.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.bundles import damage, write_bundle
from tests.support.cli import atelier
from tests.support.files import replace_text
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.load import steady_load
from tests.support.tfs import predict_request
from tests.support.waiting import wait_until

PIXELS = np.array([[[10, 20], [30, 40]]], np.uint8)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def served(gateway: RunningGateway, model: str, choice: str = "") -> str:
    document = gateway.rest.get(f"/v1/models/{model}{choice}/metadata").json()
    return str(document["model_spec"]["version"]) if "model_spec" in document else str(document["error"])


def label(model: Path, **labels: int) -> None:
    replace_text(model / "labels.json", json.dumps(labels))


def test_a_file_that_is_broken_and_mended_is_followed_and_its_fault_is_seen(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_bundle(tmp_path / "models" / name / "1")
    file = tmp_path / "models.config"
    entry = 'config {{ name: "{0}" base_path: "models/{0}" }}'
    file.write_text(f"model_config_list {{ {entry.format('a')} }}")
    with running_gateway(None, model_config_file=file) as gateway:
        assert served(gateway, "a") == "1"
        replace_text(file, "model_config_list { config { name: 'a' basepath: 'x' } }")
        wait_until(lambda: gateway.rest.get("/v1/models").json()["problems"])
        (problem,) = gateway.rest.get("/v1/models").json()["problems"]
        assert problem.startswith('models.config: line 1, column 40: Message type "ModelConfig" has no field named')
        assert 'atelier_configuration_error{file="models.config"} 1.0' in gateway.rest.get("/metrics").text
        assert served(gateway, "a") == "1"
        replace_text(file, f"model_config_list {{ {entry.format('a')} {entry.format('b')} }}")
        wait_until(lambda: served(gateway, "b") == "1")
        assert gateway.rest.get("/v1/models").json()["problems"] == []
        assert 'atelier_configuration_error{file="models.config"} 0.0' in gateway.rest.get("/metrics").text


def test_tables_of_the_own_file_configure_scanned_models_and_follow_changes(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        write_bundle(tmp_path / "models" / "a" / str(version))
    own = tmp_path / "atelier.toml"
    own.write_text("[models.a]\nversion_policy = {latest = 2}\nversion_labels = {stable = 2}\n")
    with running_gateway(tmp_path / "models") as gateway:
        assert [served(gateway, "a", choice) for choice in ("", "/versions/2", "/labels/stable")] == ["3", "2", "2"]
        assert served(gateway, "a", "/versions/1") == "Servable not found for request: Specific(a, 1)"
        replace_text(own, "[models.a]\nversion_policy = {specific = [1]}\n")
        wait_until(lambda: served(gateway, "a") == "1")


async def test_labels_move_under_load_without_a_failed_request(tmp_path: Path) -> None:
    model = tmp_path / "models" / "a"
    for version in (1, 2, 3):
        write_bundle(model / str(version), scale=version)
    label(model, stable=1)
    with running_gateway(tmp_path / "models") as gateway:
        request = predict_request("a", label="stable", pixels=PIXELS)
        async with steady_load(gateway.grpc_address, request, 8) as tally:
            for version in (1, 2, 1, 3):
                label(model, stable=version)
                await tally.seen(version, times=50)
        assert tally.failures == []


def test_readiness_waits_for_every_configured_model(tmp_path: Path) -> None:
    write_bundle(tmp_path / "models" / "a" / "1")
    (tmp_path / "models" / "b").mkdir()
    file = tmp_path / "models.config"
    file.write_text(
        "model_config_list {"
        + "".join(f'config {{ name: "{name}" base_path: "models/{name}" }}' for name in ("a", "b"))
        + "}"
    )
    with running_gateway(None, model_config_file=file) as gateway:
        answer = gateway.rest.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == ["b: no version folder (a plain number) was found"]
        write_bundle(tmp_path / "models" / "b" / "1")
        wait_until(lambda: gateway.rest.get("/readyz").status_code == 200)


def test_a_start_with_a_broken_configuration_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "models.config").write_text("model_config_list { config { name: 'a' } ")
    refused = atelier("serve", "--model-config-file", "models.config")
    assert refused.returncode == 2
    assert refused.stderr.startswith("atelier: models.config: ")
    (tmp_path / "models").mkdir()
    both = atelier("serve", "--model-config-file", "models.config", "--models", "models")
    assert (both.returncode, both.stderr) == (
        2,
        "atelier: expected either models or model_config_file, received both\n",
    )


def test_labels_are_listed_with_the_versions(tmp_path: Path) -> None:
    model = tmp_path / "models" / "a"
    for version in (1, 2):
        write_bundle(model / str(version))
    damage(write_bundle(model / "3"))
    label(model, stable=1, next=3)
    with running_gateway(tmp_path / "models") as gateway:
        (listed,) = gateway.rest.get("/v1/models").json()["models"]
        assert listed["version_labels"] == {"stable": "1"}
        (shown,) = json.loads(atelier("models", "--url", gateway.rest_url, "--json").stdout)
        assert shown["version_labels"] == {"stable": "1"}
        assert " stable " in atelier("models", "--url", gateway.rest_url).stdout
