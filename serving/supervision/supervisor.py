"""Starts the workers, starts those again that crash, tells each of the others, and drains them together."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from pathlib import Path

from serving.control import messages
from serving.control.messages import Message, Traffic
from serving.control.pulse import LOOKS
from serving.control.readiness import Report
from serving.observability.figures import Family
from serving.open_files import connections_that_fit
from serving.repository.trials import fatal_trials
from serving.settings import ServingSettings
from serving.supervision.documents import Documents
from serving.supervision.restarts import crashes_in_a_row, restart_delay_s
from serving.supervision.slot import Slot
from serving.supervision.worker_process import WorkerEndedError, WorkerProcess

_QUIET_S = 0.5

log = logging.getLogger("atelier.supervisor")


class Supervisor:
    """Keeps the workers, which all take connections at the same two ports; used on one event loop."""

    def __init__(self, settings: ServingSettings, folder: Path) -> None:
        """The settings say an address and ports that are held; `folder` is there for all workers."""
        max_connections = connections_that_fit(settings.max_connections)
        if max_connections < settings.max_connections and "max_connections" in settings.model_fields_set:
            log.warning(
                "max_connections: this system's limit for open files (ulimit -Hn) is enough for %d, not for %d",
                *(max_connections, settings.max_connections),
            )
        self._settings = settings.model_copy(update={"max_connections": max_connections})
        self._folder = folder
        self._slots = [Slot(number) for number in range(1, settings.workers + 1)]
        self._documents = Documents(self._slots, os.getpid())
        self._keepers: list[asyncio.Task[None]] = []
        self._answers: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> list[int]:
        """The processes of the workers that take connections."""
        return [process.pid for process in self._serving()]

    async def start(self) -> None:
        """Returns once all workers take connections and know of each other, and watches them from then on.

        Raises:
            WorkerEndedError: one of them ended instead.
        """
        loop = asyncio.get_running_loop()
        self._keepers = [loop.create_task(self._bring_up_first(slot)) for slot in self._slots]
        await asyncio.gather(*self._keepers)
        await self._collect()
        self._keepers = [loop.create_task(self._keep(slot)) for slot in self._slots]
        if self._settings.hang_timeout_s:
            self._keepers.append(loop.create_task(self._end_hung(self._settings.hang_timeout_s)))

    async def drain(self) -> None:
        """Sends clients elsewhere, says "not ready", closes the ports, waits for requests in flight; then all end."""
        self._let_go()
        self._documents.draining = True
        serving = self._serving()
        starting = [slot.process for slot in self._slots if slot.process is not None and slot.serving is None]
        await asyncio.gather(*(process.kill() for process in starting))  # which would open the ports again
        for process in serving:
            process.channel.send(messages.DRAIN)
        await asyncio.sleep(self._settings.drain_grace_s)
        for process in serving:
            process.stop_taking()
        timeout_s, quiet_s = self._settings.drain_timeout_s, min(_QUIET_S, self._settings.drain_grace_s)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(process.drained(quiet_s) for process in serving))
        except TimeoutError:
            log.warning("%g s after the ports were closed, requests are still in flight; they are cut off", timeout_s)
        await self.kill()

    async def kill(self) -> None:
        """Ends all workers now."""
        self._let_go()
        await asyncio.gather(*(slot.process.kill() for slot in self._slots if slot.process is not None))

    def _serving(self) -> list[WorkerProcess]:
        return [slot.serving for slot in self._slots if slot.serving is not None]

    async def _bring_up(self, slot: Slot) -> None:
        """Starts a worker's process and returns once it takes connections; raises WorkerEndedError."""
        process = await WorkerProcess.start(slot.number, self._settings, self._folder)
        slot.take_start(process, asyncio.get_running_loop().create_task(self._listen_to(slot, process)))
        await slot.heard.wait()
        if slot.report is None:
            raise WorkerEndedError(f"worker {slot.number} {await process.ended()} before it took connections")
        process.take_first_report()
        slot.has_served = True
        log.info("worker %d (process %d) takes connections", slot.number, process.pid)
        self._tell_workers()

    async def _bring_up_first(self, slot: Slot) -> None:
        """As `_bring_up`; a worker that a version has ended is started again, and sets that version aside."""
        while True:
            fatal = fatal_trials(self._folder)
            try:
                return await self._bring_up(slot)
            except WorkerEndedError as error:
                if slot.conversation is not None:
                    await slot.conversation
                if fatal_trials(self._folder) == fatal:
                    raise
                log.error("%s, by a version that it was loading; it is started again without that", error)  # noqa: TRY400 -- it is in the text

    async def _keep(self, slot: Slot) -> None:
        """Starts a worker again whenever its process ends."""
        while slot.process is not None:
            how = await slot.process.ended()
            if slot.conversation is not None:
                await slot.conversation
            self._tell_workers()
            served_s = slot.process.served_s
            slot.crashes_in_a_row = crashes_in_a_row(slot.crashes_in_a_row, served_s)
            delay_s = restart_delay_s(slot.crashes_in_a_row, random.random())  # noqa: S311 -- no secret
            log.error(
                "worker %d (process %d) %s after taking connections for %.1f s; it is started again in %.1f s",
                *(slot.number, slot.process.pid, how, served_s, delay_s),
            )
            await asyncio.sleep(delay_s)
            slot.restarts += 1
            try:
                await self._bring_up(slot)
            except WorkerEndedError:
                continue  # the next round says how
            except OSError:
                log.exception("worker %d cannot be started now", slot.number)

    async def _end_hung(self, timeout_s: float) -> None:
        """Kills workers that have shown no sign of life for so long; whoever keeps them starts them again."""
        while True:
            await asyncio.sleep(timeout_s / LOOKS)
            for slot in self._slots:
                if slot.process is not None and slot.pulse.is_lost():
                    log.error(
                        "worker %d (process %d) hangs: no sign of life for %g s; it is killed",
                        *(slot.number, slot.process.pid, timeout_s),
                    )
                    slot.process.kill_hung()

    async def _listen_to(self, slot: Slot, process: WorkerProcess) -> None:
        """Until the process' end, and all that it said before is heard."""
        while (message := await process.channel.receive()) is not None:
            slot.pulse.heard()
            match message:
                case Message(messages.REPORT, content):
                    slot.take_report(Report.read(content))
                    self._tell_workers()
                case Message(messages.FIGURES, content):
                    slot.take_figures([Family.read(family) for family in content])
                case Message(messages.LOOK):
                    for other in self._slots:
                        if other is not slot and other.process is not None:
                            other.process.channel.send(messages.LOOK)
                case Message(messages.TRAFFIC, content):
                    process.take_traffic(Traffic(*content))
                case Message(messages.ASK, (number, document)):
                    answer = asyncio.get_running_loop().create_task(self._answer(process, number, document))
                    self._answers.add(answer)
                    answer.add_done_callback(self._answers.discard)
        process.channel.close()
        slot.take_end()

    async def _answer(self, process: WorkerProcess, number: int, document: str) -> None:
        await self._collect()
        process.channel.send(messages.ANSWER, [number, self._documents.make(document)])

    async def _collect(self) -> None:
        """Renews the figures of all workers; each has heeded by then all that it was told before."""
        await asyncio.gather(*(slot.collect() for slot in self._slots))

    def _tell_workers(self) -> None:
        """Tells every worker of the others."""
        reports = self._documents.reports()
        for slot in self._slots:
            if slot.process is not None:
                others = {number: report for number, report in reports.items() if number != slot.number}
                slot.process.channel.send(messages.PEERS, others)

    def _let_go(self) -> None:
        """Ends all watching: from now on, a worker that ends has ended."""
        for task in self._keepers:
            task.cancel()
