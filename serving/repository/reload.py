"""Replaces the configured models in a running gateway, as TensorFlow Serving's HandleReloadConfigRequest does.

Order and texts follow ServerCore::ReloadConfig in tensorflow_serving/model_servers/server_core.cc: new models are added
to the old ones and waited for; only when all of them answer, the models that are not named are unloaded. When one
fails, the old models stay beside the new ones.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor

from serving.errors import DeadlineExceededError, ModelsUnavailableError
from serving.model_config import ModelConfig
from serving.repository.configuration import Configuration
from serving.repository.manager import Manager

_LOOK_EVERY_S = 0.2
_OTHERS_TIMEOUT_S = 60.0
"""How long after this worker the others may take, which load the same files."""


class Reload:
    """One reload at a time.

    `answered_elsewhere` says whether the gateway's other workers answer for a model, too; `have_others_look` has them
    look at what is configured now.
    """

    def __init__(
        self,
        configuration: Configuration,
        manager: Manager,
        executor: Executor,
        *,
        answered_elsewhere: Callable[[str], bool] = lambda _: True,
        have_others_look: Callable[[], object] = lambda: None,
    ) -> None:
        self._configuration = configuration
        self._manager = manager
        self._executor = executor
        self._answered_elsewhere = answered_elsewhere
        self._have_others_look = have_others_look
        self._one_at_a_time = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()

    async def replace(self, models: Mapping[str, ModelConfig], deadline: float | None) -> None:
        """Returns once every new model answers. It goes on when the caller is cancelled or the deadline passes.

        Raises:
            ModelsUnavailableError: a new model cannot answer.
            DeadlineExceededError: it is not decided yet whether they will.
        """
        work = asyncio.get_running_loop().create_task(self._replace(models))
        self._running.add(work)
        work.add_done_callback(self._running.discard)
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(work)
        except TimeoutError as error:
            work.add_done_callback(_take_notice)
            raise DeadlineExceededError("the deadline passed while models were loading, which goes on") from error
        except asyncio.CancelledError:
            work.add_done_callback(_take_notice)
            raise

    async def _replace(self, models: Mapping[str, ModelConfig]) -> None:
        async with self._one_at_a_time:
            known = self._manager.configs()
            new = models.keys() - known.keys()
            if new:
                await self._install({**known, **models})
                await self._wait_for(new)
            await self._install(models)

    async def _install(self, models: Mapping[str, ModelConfig]) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._configuration.replace, models)
        await self._look()

    async def _wait_for(self, names: Collection[str]) -> None:
        loop = asyncio.get_running_loop()
        others_until = None
        while True:
            change = self._manager.changes.next()
            verdicts = {name: self._manager.verdict(name) for name in sorted(names)}
            if all(verdict is not None for verdict in verdicts.values()):
                failed = {name: verdict for name, verdict in verdicts.items() if verdict}
                if failed:
                    reasons = "".join(f"{{name: {name}: {reason}}}, " for name, reason in failed.items())
                    raise ModelsUnavailableError(f"Some models did not become available: {{{reasons}}}")
                missing = [name for name in sorted(names) if not self._answered_elsewhere(name)]
                if not missing:
                    return
                others_until = others_until or loop.time() + _OTHERS_TIMEOUT_S
                if loop.time() > others_until:
                    raise ModelsUnavailableError(f"Not every worker answers for {', '.join(missing)} yet")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await change.wait()
            await self._look()  # what is copied without a manifest has to look the same twice

    async def _look(self) -> None:
        self._have_others_look()
        await self._manager.look()


def _take_notice(work: asyncio.Task[None]) -> None:
    """Nobody waits for the outcome any more; the manager has logged what failed."""
    if not work.cancelled():
        work.exception()
