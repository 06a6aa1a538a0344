"""The composition root of a worker: builds the gateway, on the event loop of serving/worker_main.py.

The supervisor (serving/supervision/) hands over the settings in an environment variable and holds the other end of a
socket (serving/control/).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from serving.admin_access import read_admin_token
from serving.app import App
from serving.batching.parameters_file import gateway_batching
from serving.connections.listener import Listener
from serving.connections.ports import listen
from serving.connections.tls_context import TlsContext
from serving.control.channel import Channel
from serving.control.handover import (
    CONTROL_VARIABLE,
    NUMBER_VARIABLE,
    SETTINGS_VARIABLE,
    SHARED_FOLDER_VARIABLE,
)
from serving.control.model_states import ModelStates
from serving.control.peers import Peers
from serving.control.pulse import LOOKS
from serving.cores import threads_for_each, usable_cores
from serving.dataplane import DataPlane
from serving.frontends.admin import Admin
from serving.frontends.bodies import Bodies, InflightBytes
from serving.frontends.gateway_pages import GatewayPages
from serving.frontends.grpc_health import GrpcHealth
from serving.frontends.health import Health
from serving.frontends.images import Images
from serving.frontends.oip_grpc import OipGrpc
from serving.frontends.oip_models import OipModels
from serving.frontends.oip_rest import OipRest
from serving.frontends.openapi.pages import OpenApi
from serving.frontends.reflection import Reflection
from serving.frontends.request_terms import TermsReader
from serving.frontends.tfs_grpc import TfsGrpc
from serving.frontends.tfs_rest import TfsRest
from serving.http.answering import Answering
from serving.http.cors import Cors
from serving.http.large_answers import Compression
from serving.http.patience import Patience
from serving.http.service import Service, Signature
from serving.image_decoder import ImageDecoder
from serving.images import load_decoders
from serving.lifeline import end_with_parent
from serving.model_config import ModelConfig
from serving.observability.figures import Sample
from serving.observability.loop_lag import watch_loop
from serving.observability.metrics import Metrics
from serving.offload.answer_writer import AnswerWriter
from serving.offload.helper_process import HelperProcess
from serving.offload.json_reader import JsonReader
from serving.offload.message_reader import MessageReader
from serving.repository.configuration import Configuration
from serving.repository.loader import Loaded, LoadOptions, load_origin
from serving.repository.manager import Manager
from serving.repository.model_cache import ModelCache
from serving.repository.reload import Reload
from serving.repository.servable import Servable
from serving.repository.source_opening import Sources
from serving.repository.stored_routing import StoredFiles
from serving.repository.trials import Trials
from serving.rollout import Rollout
from serving.settings import ServingSettings
from serving.short_turns import take_short_turns
from serving.tls_files import TlsFilesError
from serving.wire.json_limits import JsonLimits
from serving.wire.services import Descriptions

log = logging.getLogger("atelier.worker")


class Worker:
    """One process of the gateway: the application and what lives as long as it."""

    def __init__(self, settings: ServingSettings, number: int, channel: Channel, shared: Path) -> None:
        self._settings = settings
        self._batching = gateway_batching(settings)
        self._metrics = Metrics()
        cores = threads_for_each(settings.workers, usable_cores())
        # Loads get threads of their own, so that no request waits for a model that is being opened.
        self._load_executor = ThreadPoolExecutor(settings.max_parallel_loads, thread_name_prefix="load")
        self._files_executor = ThreadPoolExecutor(1, thread_name_prefix="files")
        # What waits for a network, which may be gone: versions that come over it, and looks at what there is.
        self._fetch_executor = ThreadPoolExecutor(settings.max_parallel_loads, thread_name_prefix="fetch")
        self._slow_executor = ThreadPoolExecutor(8, thread_name_prefix="stores")
        self._run_executor = ThreadPoolExecutor(cores, thread_name_prefix="run")
        self._image_executor = ThreadPoolExecutor(cores, thread_name_prefix="image")
        self._compression_executor = ThreadPoolExecutor(cores, thread_name_prefix="gzip")
        cache = ModelCache.at(settings.model_cache_dir)
        configuration = Configuration.of(settings, shared, cache)
        stored_files = StoredFiles(settings.state_dir)
        self._sources = Sources(
            asyncio.get_running_loop(), cache, settings.store_poll_interval_s, self._metrics.upstream
        )
        self.manager = Manager(
            configuration,
            open_source=self._sources.open,
            load=Trials(shared, partial(load_origin, options=self._load_options(cores), cache=cache)),
            serve=self._serve,
            executor=self._load_executor,
            fetch_executor=self._fetch_executor,
            files_executor=self._files_executor,
            slow_executor=self._slow_executor,
            stored_files=stored_files,
            metrics=self._metrics,
        )
        decoder = ImageDecoder(
            self._image_executor,
            max_pixels=settings.max_image_pixels,
            max_cpu_s=settings.max_image_cpu_s,
            max_waiting=settings.max_queue_images,
        )
        plane = DataPlane(self.manager, self._metrics, decoder)
        self._peers = Peers(number, settings.workers, channel, self.manager.changes)
        health = Health(self.manager, self._peers, shared)
        descriptions = Descriptions()
        states = ModelStates(self.manager, self._peers)
        oip = OipModels(plane, self.manager, states, health)
        limit = settings.max_request_bytes
        inflight = InflightBytes(max(settings.max_inflight_bytes // settings.workers, limit))
        bodies = Bodies(inflight)
        json_limits = JsonLimits(settings.max_json_bytes, settings.max_json_lists, settings.max_json_objects)
        self._helper = HelperProcess()
        reader = JsonReader(json_limits, self._helper)
        writer = AnswerWriter(self._helper)
        messages = MessageReader(self._helper)
        rest = TfsRest(plane, self.manager, states, reader, writer)
        reload = Reload(
            configuration,
            self.manager,
            self._files_executor,
            answered_elsewhere=self._peers.answer_for,
            have_others_look=self._peers.have_others_look,
        )
        self.app = App(
            TfsGrpc(plane, self.manager, states, reload, messages, writer, limit),
            rest,
            OipGrpc(oip, messages, writer, inflight),
            OipRest(oip, bodies, limit, reader, writer),
            Images(
                plane,
                rest,
                self._image_executor,
                limit,
                reader,
                writer,
                settings.max_request_images,
            ),
            OpenApi(self.manager, settings.max_request_images),
            health,
            GatewayPages(self._peers, self.manager, states, health),
            GrpcHealth(health, self.manager, descriptions.services),
            Reflection(descriptions),
            Admin(
                Rollout(self.manager, stored_files, self._files_executor, self._all_figures),
                partial(read_admin_token, settings),
                bodies,
            ),
            TermsReader(settings.client_header),
            bodies,
            inflight,
            limit,
            settings.overload_status,
        )
        patience = Patience(settings.request_timeout_s, settings.idle_timeout_s, settings.max_connection_age_s)
        scheme = b"http" if settings.tls is None else b"https"
        app = Cors(self.app, settings.cors_origins) if settings.cors_origins else self.app
        answering = Answering(app, Compression(self._compression_executor))
        tls = None if settings.tls is None else TlsContext(settings.tls)
        self._listener = Listener(Service(answering, patience, scheme, Signature()), settings.max_connections, tls)
        self._health = health
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Loads what is there, opens the ports, and goes on watching."""
        self._go_on(
            self._peers.listen(
                self._drain,
                self._listener.stop_taking,
                self._metrics.figures,
                self.manager.look_soon,
                self._listener.traffic,
            )
        )
        self._image_executor.submit(load_decoders)
        await self.manager.step()
        await self.manager.settle()
        for reason in self.manager.not_ready():
            log.warning("not ready: %s", reason)
        if self._settings.poll_interval_s:
            self._go_on(self.manager.watch(self._settings.poll_interval_s))
        if self._settings.label_poll_interval_s:
            self._go_on(self.manager.follow_labels(self._settings.label_poll_interval_s))
        host = self._settings.host
        self._listener.open(listen(host, port) for port in (self._settings.grpc_port, self._settings.rest_port))
        self._go_on(self._peers.report(self._health.report))
        if self._settings.hang_timeout_s:
            self._go_on(self._peers.beat(self._settings.hang_timeout_s / LOOKS))
        self._go_on(watch_loop(self._metrics.loop_lag))

    async def stop(self) -> None:
        """Ends the watch and gives everything back."""
        await self._listener.close()
        for task in self._tasks:
            task.cancel()
        self.manager.stop_looking()
        await self.manager.settle()
        self._slow_executor.shutdown(wait=False, cancel_futures=True)
        await self._sources.close()
        await self._helper.close()
        for executor in (self._load_executor, self._fetch_executor):  # whose threads may wait for this loop
            await asyncio.to_thread(executor.shutdown)
        for executor in (
            self._files_executor,
            self._run_executor,
            self._image_executor,
            self._compression_executor,
        ):
            executor.shutdown(wait=True)
        self.manager.close()

    def _drain(self) -> None:
        self._health.drain()
        self._listener.drain()

    async def _all_figures(self) -> list[Sample]:
        return [Sample(*sample) for sample in await self._peers.ask("samples")]

    def _load_options(self, cores: int) -> LoadOptions:
        settings = self._settings
        return LoadOptions(self._batching, settings.onnx_threads, settings.tensorflow_threads, cores)

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(_log_failure)
        self._tasks.append(task)

    def _serve(self, name: str, version: int, loaded: Loaded, config: ModelConfig) -> Servable:
        return Servable(
            name,
            version,
            backend=loaded.backend,
            labels=loaded.labels,
            image=loaded.image,
            costs=loaded.costs,
            batching=self._batching,
            own_batching=config.batching,
            executor=self._run_executor,
            metrics=self._metrics,
            task=loaded.task,
            derivations=loaded.derivations,
            lease=loaded.lease,
        )


async def begin() -> Worker:
    """The worker that the supervisor asks for in this process' environment, once its models are loaded."""
    end_with_parent()
    take_short_turns()
    settings = ServingSettings.model_validate_json(os.environ[SETTINGS_VARIABLE])
    number = int(os.environ[NUMBER_VARIABLE])
    _begin_logging(number if settings.workers > 1 else None)
    channel = await Channel.open(socket.socket(fileno=int(os.environ[CONTROL_VARIABLE])))
    try:
        worker = Worker(settings, number, channel, Path(os.environ[SHARED_FOLDER_VARIABLE]))
    except TlsFilesError as error:  # they were right when the gateway was started
        log.critical("the worker cannot start: %s", error)
        sys.exit(1)
    await worker.start()
    return worker


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s has ended", task.get_coro(), exc_info=error)


def _begin_logging(number: int | None) -> None:
    """Each line names the worker, where there are several."""
    who = "" if number is None else f"worker {number} "
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s %(levelname)s {who}%(name)s: %(message)s")
