"""Old versions leave; those that somebody needs stay, whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from export import removal
from export.errors import ExportError, WrongUseError
from export.location import parse_location
from export.protection import needed_versions
from export.prune import OPEN_HERE, plan, prune
from export.publish import stage
from export.store import Store
from export.versions import published_versions
from serving.errors import BundleError
from serving.traffic.files import change
from serving.traffic.ledger import Author, set_label, set_traffic
from serving.traffic.settings import TrafficSettings
from tests.export.publisher import half_written, write_bundle
from tests.support import bundles
from tests.support.gateway import running_gateway
from tests.support.publishers import play

VERSIONS = st.sets(st.integers(1, 60), min_size=1)


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """The model `clothes` with the versions 1 to 5."""
    publish(tmp_path, 5)
    return tmp_path / "clothes"


def publish(models: Path, count: int) -> None:
    for _ in range(count):
        with stage(models, "clothes") as staging:
            write_bundle(staging.bundle)
            staging.publish()


@given(VERSIONS, st.integers(1, 10), st.dictionaries(st.integers(1, 60), st.just(("a label",))))
def test_every_version_is_kept_for_a_reason_or_removed(
    versions: set[int], newest: int, needed: dict[int, tuple[str, ...]]
) -> None:
    pruning = plan(Path("clothes"), versions, newest, needed)

    assert {*pruning.keep, *pruning.remove} == versions
    assert not set(pruning.remove) & {*pruning.keep, *needed}
    assert pruning.keep.keys() >= set(sorted(versions)[-newest:])
    assert all(pruning.keep.values())
    assert len(pruning.keep) <= newest + len(needed)


def test_the_newest_versions_stay(model_dir: Path) -> None:
    pruning = prune(model_dir, 2)

    assert pruning.remove == (1, 2, 3)
    assert pruning.keep == {4: ("among the newest",), 5: ("among the newest",)}
    assert sorted(path.name for path in model_dir.iterdir()) == [".last-version", "4", "5"]


def test_the_numbers_of_removed_versions_are_not_given_again(model_dir: Path) -> None:
    prune(model_dir, 1)
    publish(model_dir.parent, 1)

    assert published_versions(model_dir) == [5, 6]


def test_a_dry_run_removes_nothing(model_dir: Path) -> None:
    assert prune(model_dir, 1, dry_run=True).remove == (1, 2, 3, 4)
    assert published_versions(model_dir) == [1, 2, 3, 4, 5]


def test_versions_that_labels_name_stay(model_dir: Path) -> None:
    (model_dir / "labels.json").write_text('{"stable": 2, "previous": 2, "next": 77}')

    assert prune(model_dir, 1).keep == {
        2: ("label stable in labels.json", "label previous in labels.json"),
        5: ("among the newest",),
    }
    assert published_versions(model_dir) == [2, 5]


def test_versions_that_a_label_would_roll_back_to_and_those_of_traffic_stay(model_dir: Path) -> None:
    author = Author("anne", "2026-01-02T03:04:05+00:00")
    change(model_dir, lambda ledger: set_label(ledger, "stable", 2, author))
    change(model_dir, lambda ledger: set_label(ledger, "stable", 4, author))
    change(model_dir, lambda ledger: set_traffic(ledger, TrafficSettings(traffic={"stable": 9, "3": 1}), author))
    kept = needed_versions(model_dir, range(1, 6))
    assert kept == {
        2: ("label stable rolls back to it",),
        3: ("named in traffic.json",),
        4: ("label stable in labels.json",),
    }


@pytest.mark.parametrize(
    "content", ['{"stable": "2"}', '{"stable": 0}', '["stable"]', "{", '{"a/b": 1}', '{"a": true}']
)
def test_where_the_labels_cannot_be_read_nothing_is_removed(model_dir: Path, content: str) -> None:
    (model_dir / "labels.json").write_text(content)

    with pytest.raises(BundleError, match=r"labels\.json is not valid: "):
        prune(model_dir, 1)
    assert published_versions(model_dir) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ("version_labels { key: 'stable' value: 3 } model_version_policy { latest {} }", {3, 5}),
        ("model_version_policy { specific { versions: 1 versions: 4 versions: 99 } }", {1, 4, 5}),
        ("model_version_policy { latest { num_versions: 3 } }", {3, 4, 5}),
        ("model_version_policy { all {} }", {1, 2, 3, 4, 5}),
        ("", {5}),
    ],
)
@pytest.mark.parametrize("names", ["name: 'clothes'", "name: 'other' base_path: '/srv/models/clothes/'"])
def test_versions_that_tensorflow_serving_is_configured_for_stay(
    model_dir: Path, names: str, config: str, kept: set[int]
) -> None:
    (model_dir.parent / "models.config").write_text(f"model_config_list {{ config {{ {names} {config} }} }}")

    prune(model_dir, 1)

    assert set(published_versions(model_dir)) == kept


def test_a_configuration_that_lies_elsewhere_can_be_named(model_dir: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(
        "model_config_list {"
        "  config { name: 'clothes' version_labels { key: 'old' value: 1 } }"
        "  config { name: 'hats' model_version_policy { all {} } }"
        "}"
    )

    assert set(prune(model_dir, 1, model_config_files=[elsewhere]).keep) == {1, 5}
    with pytest.raises(WrongUseError, match="nowhere is no configuration of TensorFlow Serving that can be read"):
        prune(model_dir, 1, model_config_files=[tmp_path / "nowhere"])


def test_where_a_configuration_cannot_be_understood_nothing_is_removed(model_dir: Path) -> None:
    (model_dir.parent / "models.config").write_text("model_config_list { nonsense }")

    with pytest.raises(ExportError, match=r"models\.config cannot be understood, so what it protects is unknown: 1:"):
        prune(model_dir, 1)
    assert published_versions(model_dir) == [1, 2, 3, 4, 5]


def test_what_a_gateway_on_this_machine_has_loaded_stays_until_it_ends(tmp_path: Path) -> None:
    model_dir = tmp_path / "clothes"
    model_dir.mkdir()
    bundles.write_bundle(model_dir / "1")
    with running_gateway(tmp_path, poll_interval_s=0) as gateway:
        for number in ("2", "3"):
            bundles.write_bundle(model_dir / number)
        dry = prune(model_dir, 1, dry_run=True)
        pruning = prune(model_dir, 1)
        answer = gateway.rest.get("/v1/models/clothes").json()

    assert dry == pruning
    assert (pruning.keep, pruning.remove) == ({1: (OPEN_HERE,), 3: ("among the newest",)}, (2,))
    assert [status["state"] for status in answer["model_version_status"]] == ["AVAILABLE"]
    assert prune(model_dir, 1).remove == (1,)


def test_a_version_that_is_a_link_goes_and_what_it_points_to_stays(model_dir: Path, tmp_path: Path) -> None:
    (model_dir / "1").rename(tmp_path / "kept-elsewhere")
    (model_dir / "1").symlink_to(tmp_path / "kept-elsewhere")

    assert prune(model_dir, 4).remove == (1,)
    assert published_versions(model_dir) == [2, 3, 4, 5]
    assert (tmp_path / "kept-elsewhere" / "manifest.json").is_file()


def test_a_removal_that_another_process_finishes_is_done(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "sync", removal.finish_removals)  # it comes after the folder has got its other name
    prune(model_dir, 1)

    assert published_versions(model_dir) == [5]
    assert not list(model_dir.glob(".removed-*"))


def test_a_folder_without_versions_is_no_models(tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match="is no model's folder: there is no version in it"):
        prune(tmp_path, 1)


def test_a_remover_killed_before_any_of_its_operations_leaves_only_whole_versions(tmp_path: Path) -> None:
    deaths = play("pruning_and_dying", tmp_path)

    assert len(deaths) > 10
    assert [death["killed"] for death in deaths] == [True] * (len(deaths) - 1) + [False]
    assert all(death["damaged"] == [] and 6 in death["versions"] for death in deaths)
    assert (deaths[-1]["versions"], deaths[-1]["entries"]) == ([6], 2)


class DiedError(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


def test_a_remover_may_die_before_any_write_to_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    models = parse_location("memory://prune-dying/models")
    store = Store(models / "clothes")
    publish(models, 2)
    original = {method: getattr(MemoryFileSystem, method) for method in ("pipe_file", "rm_file")}
    for moment in itertools.count():
        left = moment

        def dying(method: str, *arguments: object) -> None:
            nonlocal left
            if not left:
                raise DiedError
            left -= 1
            original[method](*arguments)

        with monkeypatch.context() as patched, contextlib.suppress(DiedError):
            patched.setattr(MemoryFileSystem, "pipe_file", lambda *arguments: dying("pipe_file", *arguments))
            patched.setattr(MemoryFileSystem, "rm_file", lambda *arguments: dying("rm_file", *arguments))
            prune(models / "clothes", 1, served={})
            break
        assert half_written(store.sizes()) == []

    assert moment >= 3
    assert store.children() == [".versions", "2"]
    publish(models, 1)
    assert store.children() == [".versions", "2", "3"]


def test_in_a_store_nobody_can_see_who_serves(tmp_path: Path) -> None:
    models = parse_location("memory://prune-unasked/models")
    publish(models, 3)

    with pytest.raises(
        WrongUseError, match=r"who serves versions from memory://.* name each server with --url, or say"
    ):
        prune(models / "clothes", 1)
    assert prune(models / "clothes", 3).remove == ()
    assert prune(models / "clothes", 1, served={2: ("available at http://x",)}).remove == (1,)
    assert published_versions(models / "clothes") == [2, 3]
