"""A reload waits for new models, and unloads the others only when all of them answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.errors import DeadlineExceededError, ModelsUnavailableError
from serving.model_config import ModelConfig
from serving.repository.catalogue import ScannedFolder
from serving.repository.configuration import Configuration
from serving.repository.reload import Reload
from tests.support.repository_stand import RepositoryStand
from tests.support.stepping import turn


class Stand(RepositoryStand):
    """A models folder with `digits/1`, which is served."""

    def __init__(self, root: Path) -> None:
        (root / "shared").mkdir()
        configuration = Configuration(ScannedFolder(root / "models"), None, root / "atelier.toml", root / "shared")
        super().__init__(root, configuration)
        self.version("models/digits/1")
        self.reload = Reload(configuration, self.manager, self.executor)

    def begin(self, *names: str, deadline: float | None = None) -> asyncio.Task[None]:
        models = {name: ModelConfig(base_path=str(self.root / "models" / name)) for name in names}
        return asyncio.get_running_loop().create_task(self.reload.replace(models, deadline))


@pytest.fixture
async def stand(tmp_path: Path) -> Stand:
    stand = Stand(tmp_path)
    await stand.step()
    return stand


async def until(condition: Callable[[], object]) -> None:
    """Lets everything go on until that is so."""
    async with asyncio.timeout(60):
        while not condition():
            await turn()


async def loaded(stand: Stand) -> None:
    """One load begins and ends."""
    await until(lambda: stand.executor.kept)
    await stand.load_next()


async def test_a_reload_returns_when_the_new_model_answers_and_the_others_go(stand: Stand) -> None:
    stand.version("models/fashion/1")
    reload = stand.begin("fashion")
    await until(lambda: stand.executor.kept)
    assert (stand.served("digits"), stand.states("fashion")) == (1, {1: "LOADING"})
    assert not reload.done()
    await stand.load_next()
    await reload
    await until(lambda: stand.names() == ["fashion"])

    assert stand.served("fashion") == 1


async def test_a_new_model_that_fails_fails_the_reload_and_the_old_ones_stay(stand: Stand) -> None:
    stand.version("models/fashion/1", broken="model.onnx has 3 bytes")
    reload = stand.begin("fashion")
    await loaded(stand)

    with pytest.raises(
        ModelsUnavailableError,
        match=r"^Some models did not become available: {{name: fashion: version 1: model\.onnx has 3 bytes}, }$",
    ):
        await reload
    assert stand.served("digits") == 1
    (stand.root / "models/fashion/1/broken").unlink()
    reload = stand.begin("fashion")
    await loaded(stand)
    await reload
    await until(lambda: stand.names() == ["fashion"])


async def test_a_new_model_without_versions_fails_the_reload(stand: Stand) -> None:
    with pytest.raises(ModelsUnavailableError, match="nowhere: the base path cannot be looked at: No such file"):
        await stand.begin("nowhere")
    (stand.root / "models" / "empty").mkdir()
    with pytest.raises(ModelsUnavailableError, match="empty: no version folder"):
        await stand.begin("empty")


async def test_a_reload_of_what_is_there_returns_at_once(stand: Stand) -> None:
    await stand.begin("digits")
    assert stand.served("digits") == 1
    assert len(stand.loads.begun) == 1


async def test_an_empty_reload_unloads_everything(stand: Stand) -> None:
    await stand.begin()
    await until(lambda: not stand.names())


async def test_a_new_model_without_a_manifest_is_waited_for_until_it_has_settled(stand: Stand) -> None:
    stand.version("models/fashion/1", manifest=False)
    stand.executor.holds = lambda _: False
    await stand.begin("fashion")

    assert stand.served("fashion") == 1


async def test_the_deadline_ends_the_wait_and_not_the_reload(stand: Stand) -> None:
    stand.version("models/fashion/1")
    with pytest.raises(DeadlineExceededError):
        await stand.begin("fashion", deadline=asyncio.get_running_loop().time())
    await loaded(stand)
    await until(lambda: stand.names() == ["fashion"])

    assert stand.served("fashion") == 1


async def test_a_caller_that_leaves_ends_the_wait_and_not_the_reload(stand: Stand) -> None:
    stand.version("models/fashion/1")
    reload = stand.begin("fashion")
    await until(lambda: stand.executor.kept)
    reload.cancel()
    await loaded(stand)
    await until(lambda: stand.names() == ["fashion"])

    assert reload.cancelled()


async def test_reloads_come_one_after_the_other(stand: Stand) -> None:
    stand.version("models/fashion/1")
    first, second = stand.begin("fashion"), stand.begin("digits")
    await loaded(stand)
    assert not second.done()
    await first
    await loaded(stand)
    await second

    assert stand.served("digits") == 1


async def test_other_workers_that_never_answer_fail_the_reload(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.repository.reload._OTHERS_TIMEOUT_S", 0.0)
    stand.reload = Reload(
        stand.reload._configuration, stand.manager, stand.executor, answered_elsewhere=lambda _: False
    )
    stand.version("models/fashion/1")
    reload = stand.begin("fashion")
    await loaded(stand)
    with pytest.raises(ModelsUnavailableError, match="Not every worker answers for fashion yet"):
        await reload
    assert stand.served("digits") == 1


async def test_a_reload_waits_for_the_other_workers(stand: Stand) -> None:
    others: set[str] = set()
    stand.reload = Reload(
        stand.reload._configuration, stand.manager, stand.executor, answered_elsewhere=others.__contains__
    )
    stand.version("models/fashion/1")
    reload = stand.begin("fashion")
    await loaded(stand)
    assert stand.served("fashion") == stand.served("digits") == 1
    assert not reload.done()
    others.add("fashion")
    stand.manager.changes.announce()
    await reload
