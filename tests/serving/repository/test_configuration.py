"""The gateway's models from files that change, break, and are mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import InvalidInputError
from serving.model_config import ModelConfig
from serving.repository.catalogue import ScannedFolder
from serving.repository.configuration import Configuration


class Stand:
    def __init__(self, root: Path, *, listed: bool) -> None:
        self.models, self.shared = root / "models", root / "shared"
        self.models_config, self.own = root / "models.config", root / "atelier.toml"
        self.shared.mkdir()
        self.listed = listed
        self.configuration = self.another()

    def another(self) -> Configuration:
        """Another worker's."""
        return Configuration(
            ScannedFolder(self.models), self.models_config if self.listed else None, self.own, self.shared
        )

    def list(self, *names: str) -> None:
        entries = "".join(f'config {{ name: "{name}" base_path: "/{name}" }}\n' for name in names)
        self.models_config.write_text(f"model_config_list {{\n{entries}}}")

    def names(self) -> list[str]:
        return list(self.configuration.read())

    def problems(self) -> dict[str, str]:
        self.configuration.read()
        return dict(self.configuration.problems())


@pytest.fixture
def listed(tmp_path: Path) -> Stand:
    return Stand(tmp_path, listed=True)


@pytest.fixture
def scanned(tmp_path: Path) -> Stand:
    return Stand(tmp_path, listed=False)


def test_the_models_are_those_of_the_file_as_it_is_now(listed: Stand) -> None:
    listed.list("a", "b")
    assert listed.names() == ["a", "b"]
    listed.list("b", "c")
    assert listed.names() == ["b", "c"]


def test_a_file_that_breaks_leaves_the_models_and_says_what_is_wrong(listed: Stand) -> None:
    listed.list("a")
    listed.names()
    listed.models_config.write_text("model_config_list { config { nam: 'b' } }")

    assert listed.names() == ["a"]
    assert 'Message type "ModelConfig" has no field named "nam"' in listed.problems()["models.config"]
    listed.list("b")
    assert (listed.names(), listed.problems()) == (["b"], {})


def test_a_file_that_is_gone_leaves_the_models(listed: Stand) -> None:
    listed.list("a")
    listed.names()
    listed.models_config.unlink()

    assert listed.names() == ["a"]
    assert listed.problems() == {"models.config": "models.config is not there"}


def test_a_worker_that_starts_while_the_file_is_broken_takes_what_was_last_good(listed: Stand) -> None:
    listed.list("a")
    listed.names()
    listed.models_config.write_text("{")

    other = listed.another()
    assert list(other.read()) == ["a"]
    assert other.problems().keys() == {"models.config"}


def test_a_start_with_a_broken_file_is_refused(listed: Stand) -> None:
    listed.models_config.write_text("model_config_list {")
    with pytest.raises(InvalidInputError, match=r"^models\.config: "):
        listed.configuration.check()


def test_a_start_without_the_file_is_refused(listed: Stand) -> None:
    with pytest.raises(InvalidInputError, match=r"^models\.config is not there$"):
        listed.configuration.check()


def test_a_file_that_is_not_text_is_a_problem_like_any_other(listed: Stand) -> None:
    listed.models_config.write_bytes(b"\xff")
    assert listed.problems() == {"models.config": "models.config: expected UTF-8 text, received other bytes"}


def test_tables_add_to_the_scanned_folder_and_follow_changes(scanned: Stand) -> None:
    (scanned.models / "a" / "1").mkdir(parents=True)
    scanned.own.write_text('[models.b]\nbase_path = "/b"\n[models.a]\nversion_policy = "all"\n')
    models = scanned.configuration.read()
    assert (models["a"].version_policy, models["b"].base_path) == ("all", "/b")
    scanned.own.write_text("[models.a]\nversion_policy = 'some'\n")
    assert scanned.configuration.read() == models
    assert scanned.problems()["atelier.toml"].startswith("atelier.toml: models.a.version_policy: expected {latest = N}")
    scanned.own.unlink()

    assert scanned.names() == ["a"]


def test_who_describes_models_in_tables_needs_no_models_folder(scanned: Stand) -> None:
    with pytest.raises(FileNotFoundError):
        scanned.configuration.read()
    scanned.own.write_text('[models.b]\nbase_path = "/b"\n')

    assert scanned.names() == ["b"]


def test_a_models_folder_that_was_there_is_missed_though_tables_describe_models(scanned: Stand) -> None:
    (scanned.models / "a" / "1").mkdir(parents=True)
    scanned.own.write_text('[models.b]\nbase_path = "/b"\n')
    assert scanned.names() == ["a", "b"]
    scanned.models.rename(scanned.models.with_name("gone"))

    with pytest.raises(FileNotFoundError):
        scanned.configuration.read()


def test_a_reload_replaces_the_models_for_every_worker_until_the_file_changes(listed: Stand) -> None:
    listed.list("a")
    listed.names()
    other = listed.another()
    other.read()
    listed.configuration.replace({"c": ModelConfig(base_path="/c", version_labels={"x": 3})})

    assert listed.configuration.read() == other.read() == {"c": ModelConfig(base_path="/c", version_labels={"x": 3})}
    assert listed.another().read().keys() == {"c"}, "a worker that is started again"
    listed.list("a", "b")
    assert listed.names() == list(other.read()) == ["a", "b"]


def test_a_reload_replaces_the_scanned_folder_too(scanned: Stand) -> None:
    (scanned.models / "a" / "1").mkdir(parents=True)
    scanned.own.write_text('[models.b]\nbase_path = "/b"\n[models.c]\nversion_policy = "all"\n')
    scanned.names()
    scanned.configuration.replace({"c": ModelConfig(base_path="/c")})

    assert scanned.configuration.read() == {"c": ModelConfig(base_path="/c", version_policy="all")}
