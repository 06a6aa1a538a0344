"""Locust users for REST and gRPC.

    locust -f loadtest/locustfile.py --host http://localhost:8501 --model fashion-mnist

Choose a protocol by its class name at the end of the command (`RestUser` or `GrpcUser`); without one, both are used.
Every answer is checked, not only its status.
"""

from __future__ import annotations

import logging
import time
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.experimental.gevent as grpc_gevent
from locust import FastHttpUser, User, events, task
from locust.env import Environment

from loadtest.target import Target, TargetError, find_target

log = logging.getLogger("atelier.loadtest")

PREDICT = "/tensorflow.serving.PredictionService/Predict"

# Without this, one waiting gRPC call would stop every other user of the process.
grpc_gevent.init_gevent()


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    """What is asked; Locust adds its own options."""
    group = parser.add_argument_group("What is asked")
    group.add_argument("--model", default="fashion-mnist", help="the served model's name")
    group.add_argument("--grpc-port", type=int, default=8500, help="the gateway's gRPC port, on --host's machine")
    group.add_argument("--rows", type=int, default=1, help="images in one request")
    group.add_argument("--timeout-s", type=float, default=10.0, help="seconds after which an answer is a failure")


@events.test_start.add_listener
def find_out_target(environment: Environment, **_: Any) -> None:
    """Reads the model's signature once, before the users start."""
    options: Any = environment.parsed_options
    try:
        target = find_target(environment.host or "http://localhost:8501", options.model)
    except TargetError as error:
        log.error("%s", error)  # noqa: TRY400 -- the sentence says it all
        environment.process_exit_code = 2
        if environment.runner is not None:
            environment.runner.quit()
        return
    rows = target.rows(options.rows, seed=0)
    RestUser.target = GrpcUser.target = target
    RestUser.request, GrpcUser.request = target.rest_request(rows), target.grpc_request(rows)
    RestUser.network_timeout = options.timeout_s


class RestUser(FastHttpUser):
    """Asks `:predict` with rows, again as soon as it has the answer."""

    target: Target
    request: str

    @task
    def predict(self) -> None:
        """One request."""
        options: Any = self.environment.parsed_options
        path = f"/v1/models/{self.target.model}:predict"
        with self.client.post(path, data=self.request, name="REST predict", catch_response=True) as answer:
            if answer.status_code != 200:  # noqa: PLR2004
                answer.failure(f"status {answer.status_code}: {answer.text}")
            elif wrong := self.target.check_rest(answer.content or b"", options.rows):
                answer.failure(wrong)


class GrpcUser(User):
    """Asks `Predict`, again as soon as it has the answer; every user has a connection of its own."""

    target: Target
    request: bytes

    def on_start(self) -> None:
        """Connects."""
        options: Any = self.environment.parsed_options
        address = f"{urlsplit(self.host or '').hostname or 'localhost'}:{options.grpc_port}"
        self._channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._call = self._channel.unary_unary(PREDICT)

    def on_stop(self) -> None:
        """Hangs up."""
        self._channel.close()

    @task
    def predict(self) -> None:
        """One request."""
        options: Any = self.environment.parsed_options
        failure: Exception | None = None
        size = 0
        started_at = time.perf_counter()
        try:
            answer = self._call(self.request, timeout=options.timeout_s)
        except grpc.RpcError as error:
            failure = error
        milliseconds = 1000 * (time.perf_counter() - started_at)
        if failure is None:
            size = len(answer)
            wrong = self.target.check_grpc(answer, options.rows)
            failure = ValueError(wrong) if wrong else None
        self.environment.events.request.fire(
            request_type="gRPC", name="Predict", response_time=milliseconds, response_length=size, exception=failure
        )
