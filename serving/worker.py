"""The composition root inside Envoy: an ASGI application that builds the gateway when its event loop starts.

The parent process (serving/server.py) hands over the settings in an environment variable and holds the other end of a
socket (serving/handover.py): what it writes there begins the drain, and its end (the parent died, however) ends this
process too.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from serving.admin_access import read_admin_token
from serving.app import App
from serving.batching.parameters_file import gateway_batching
from serving.dataplane import DataPlane
from serving.frontends.admin import Admin
from serving.frontends.departures import Departures
from serving.frontends.grpc_health import GrpcHealth
from serving.frontends.health import Health
from serving.frontends.http import Receive, Scope, Send
from serving.frontends.images import Images
from serving.frontends.oip_grpc import OipGrpc
from serving.frontends.oip_models import OipModels
from serving.frontends.oip_rest import OipRest
from serving.frontends.openapi.pages import OpenApi
from serving.frontends.reflection import Reflection
from serving.frontends.request_terms import TermsReader
from serving.frontends.tfs_grpc import TfsGrpc
from serving.frontends.tfs_rest import TfsRest
from serving.handover import CONTROL_VARIABLE, DRAIN, SETTINGS_VARIABLE, SHARED_FOLDER_VARIABLE
from serving.image_decoder import ImageDecoder
from serving.images import load_decoders
from serving.metrics import Metrics
from serving.model_config import ModelConfig
from serving.repository.configuration import Configuration
from serving.repository.loader import Loaded, LoadOptions, load_origin
from serving.repository.manager import Manager
from serving.repository.model_cache import ModelCache
from serving.repository.reload import Reload
from serving.repository.servable import Servable
from serving.repository.sources import Sources
from serving.repository.stored import StoredFiles
from serving.rollout import Rollout
from serving.settings import ServingSettings
from serving.traffic.comparison import Sample
from serving.wire.json_limits import JsonLimits
from serving.wire.services import Descriptions


class Worker:
    """One running gateway: the application and what lives as long as it."""

    def __init__(self, settings: ServingSettings, shared: Path) -> None:
        self._settings = settings
        self._batching = gateway_batching(settings)
        self._metrics = Metrics()
        # Loads get threads of their own, so that no request waits for a model that is being opened.
        self._load_executor = ThreadPoolExecutor(settings.max_parallel_loads, thread_name_prefix="load")
        self._files_executor = ThreadPoolExecutor(1, thread_name_prefix="files")
        # What waits for a network, which may be gone.
        self._slow_executor = ThreadPoolExecutor(8, thread_name_prefix="stores")
        self._run_executor = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="run")
        self._image_executor = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="image")
        cache = ModelCache.at(settings.model_cache_dir)
        configuration = Configuration.of(settings, shared, cache)
        stored_files = StoredFiles(settings.state_dir)
        self._sources = Sources(asyncio.get_running_loop(), cache, settings.store_poll_interval_s)
        self.manager = Manager(
            configuration,
            open_source=self._sources.open,
            load=partial(load_origin, options=_load_options(settings), cache=cache),
            serve=self._serve,
            executor=self._load_executor,
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
        self.health = Health(self.manager, self._metrics)
        descriptions = Descriptions()
        oip = OipModels(plane, self.manager, self.health)
        limit = settings.max_request_bytes
        departures = Departures()
        json_limits = JsonLimits(settings.max_json_bytes, settings.max_json_lists, settings.max_json_objects)
        rest = TfsRest(plane, self.manager, departures, json_limits)
        self.app = App(
            TfsGrpc(plane, self.manager, Reload(configuration, self.manager, self._files_executor), limit),
            rest,
            OipGrpc(oip),
            OipRest(oip, departures, limit, json_limits),
            Images(
                plane,
                rest,
                departures,
                self._image_executor,
                limit,
                json_limits,
                settings.max_request_images,
            ),
            OpenApi(self.manager, settings.max_request_images),
            self.health,
            GrpcHealth(self.health, self.manager, descriptions.services),
            Reflection(descriptions),
            Admin(
                Rollout(self.manager, stored_files, self._files_executor, self._own_figures),
                partial(read_admin_token, settings),
            ),
            departures,
            TermsReader(settings.client_header),
            limit,
            settings.overload_status,
        )
        self._watching: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Loads what is there, then goes on watching; the ports open after this."""
        self._image_executor.submit(load_decoders)
        await self.manager.step()
        await self.manager.settle()
        if self._settings.poll_interval_s:
            self._watching = asyncio.get_running_loop().create_task(self.manager.watch(self._settings.poll_interval_s))
        if self._settings.label_poll_interval_s:
            self._following = asyncio.get_running_loop().create_task(
                self.manager.follow_labels(self._settings.label_poll_interval_s)
            )

    async def stop(self) -> None:
        """Ends the watch and gives everything back."""
        for task in (self._watching, self._following):
            if task is not None:
                task.cancel()
        await self.manager.settle()
        self._slow_executor.shutdown(wait=False, cancel_futures=True)
        await self._sources.close()
        await asyncio.to_thread(self._load_executor.shutdown)  # its threads may wait for this loop
        for executor in (self._files_executor, self._run_executor, self._image_executor):
            executor.shutdown(wait=True)
        self.manager.close()

    async def _own_figures(self) -> list[Sample]:
        return [sample for family in self._metrics.registry.collect() for sample in family.samples]

    def _serve(self, name: str, version: int, loaded: Loaded, config: ModelConfig) -> Servable:
        return Servable(
            name,
            version,
            backend=loaded.backend,
            labels=loaded.labels,
            image=loaded.image,
            costs=loaded.costs,
            batching=self._batching.changed_by(config.batching),
            executor=self._run_executor,
            metrics=self._metrics,
            task=loaded.task,
            derivations=loaded.derivations,
            lease=loaded.lease,
        )


class Application:
    """What Envoy calls: the lifespan builds the worker, everything else goes to its app."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI 3 application."""
        if self._worker is not None and scope["type"] == "http":
            await self._worker.app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        worker = Worker(
            ServingSettings.model_validate_json(os.environ[SETTINGS_VARIABLE]), Path(os.environ[SHARED_FOLDER_VARIABLE])
        )
        await worker.start()
        _listen_to_parent(worker)
        _calm_garbage_collector()
        self._worker = worker
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await worker.stop()
        await send({"type": "lifespan.shutdown.complete"})


application = Application()


def _load_options(settings: ServingSettings) -> LoadOptions:
    return LoadOptions((1, settings.max_batch_size), settings.onnx_threads, settings.tensorflow_threads)


def _calm_garbage_collector() -> None:
    """A large JSON body makes millions of objects that are no garbage; looking for some all the while takes longer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _listen_to_parent(worker: Worker) -> None:
    control = socket.socket(fileno=int(os.environ[CONTROL_VARIABLE]))
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if control.recv(len(DRAIN)):
            worker.health.drain()
        else:
            loop.remove_reader(control)
            os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(control, readable)
