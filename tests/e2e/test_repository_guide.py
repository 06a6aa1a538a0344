"""The examples of docs/repository.md, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from serving.model_config import Specific
from serving.repository.atelier_toml import parse_model_tables
from serving.repository.tfserving_config import parse_models_config
from serving.settings import ServingSettings
from tests.support.bundles import write_bundle
from tests.support.gateway import running_gateway

GUIDE = Path(__file__).parents[2] / "docs" / "repository.md"


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.S | re.M)
    return str(found)


def test_the_list_of_models_is_understood() -> None:
    models = parse_models_config(block("textproto"), Path("/"))

    assert models["clothes"].version_policy == Specific(specific=frozenset({3, 4}))
    assert models["clothes"].version_labels == {"stable": 3, "canary": 4}
    assert models["flowers"].base_path == "s3://bucket/models/flowers"


def test_the_own_file_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("atelier.toml").write_text(block("toml"))
    tables = parse_model_tables(block("toml"), tmp_path)

    assert ServingSettings().models == "models"
    assert tables.keys() == {"fashion-mnist", "flowers"}


def test_the_reload_answers_as_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "models" / "a" / "1")
    write_bundle(tmp_path / "others" / "b" / "1")
    Path("models.config").write_text(
        f'model_config_list {{ config {{ name: "b" base_path: "{tmp_path}/others/b" model_platform: "tensorflow" }} }}'
    )
    with running_gateway(tmp_path / "models") as gateway:
        code = block("python").replace("localhost:8500", gateway.grpc_address)
        exec(compile(code, str(GUIDE), "exec"), {})
        assert gateway.rest.get("/v1/models/b").status_code == 200
    assert capsys.readouterr().out.splitlines() == re.findall(r"^# → (.*)$", code, re.M)


def test_every_flag_that_is_named_is_a_setting() -> None:
    flags = {flag.replace("-", "_") for flag in re.findall(r"`--([a-z-]+)", GUIDE.read_text())}

    assert flags <= ServingSettings.model_fields.keys()
