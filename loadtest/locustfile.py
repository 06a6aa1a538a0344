"""Locust users for REST and gRPC.

    locust -f loadtest/locustfile.py --host http://localhost:8501 --model fashion-mnist

Each user asks again as soon as it has its answer, in a closed loop; in `open_loop.py` requests arrive on a schedule.
Users are chosen by class name at the end of the command (`RestUser`, `GrpcUser`), what they ask by `--tags` (single,
batch, image, oip). Every answer is checked, not only its status.
"""

from __future__ import annotations

import itertools
import logging
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gevent
from gevent.event import Event
from locust import User, events, tag, task
from locust.env import Environment

from loadtest.apis import APIS, Request, WrongAnswerError, make_requests
from loadtest.errors import LoadTestError, TargetError
from loadtest.images import find_images
from loadtest.options import add_plan_options, plan_of_options
from loadtest.plan import LoadPlan
from loadtest.sending import Sender, SendError, grpc_sender, rest_sender
from loadtest.target import Target, find_target

log = logging.getLogger("atelier.loadtest")

# gevent's clock stood still during the imports above; Locust's --run-time would begin before them.
gevent.get_hub().loop.update_now()

_OPTIONS = ("grpc_address", "ca_file", "model", "data", "timeout_s", "seed")
_REQUESTS = 64


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    """What is asked; Locust adds its own options."""
    add_plan_options(parser, _OPTIONS)
    parser.add_argument("--batch-rows", type=int, default=16, help="images in one request of the tag batch")


@events.test_start.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    """Makes the requests once, before the users start."""
    options: Any = environment.parsed_options
    try:
        plan = plan_of_options(environment.host, options)
        target = find_target(plan.url, plan.model, plan.ca_file)
        images = find_images(target.input, data=plan.data, model=plan.model, seed=plan.seed)
    except LoadTestError as error:
        log.error("%s", error)  # noqa: TRY400 -- the sentence says it all
        environment.process_exit_code = 2
        if environment.runner is not None:
            gevent.spawn(environment.runner.quit if options.headless else environment.runner.stop)
        AskingUser.requests = {}
        return
    requests: dict[tuple[str, int], Iterator[Request]] = {}
    for name, rows in itertools.product(APIS, (1, options.batch_rows)):
        try:
            requests[name, rows] = itertools.cycle(make_requests(APIS[name], target, images, rows, _REQUESTS))
        except TargetError as error:
            log.info("%s", error)  # such a task asks with pixels instead
    AskingUser.plan, AskingUser.target, AskingUser.requests = plan, target, requests


class AskingUser(User):
    """Has a connection of its own, asks, checks the answer, and says what came of it."""

    abstract = True
    protocol: ClassVar[str]
    plan: ClassVar[LoadPlan]
    target: ClassVar[Target]
    requests: ClassVar[Mapping[tuple[str, int], Iterator[Request]]]
    sender: Sender

    def on_start(self) -> None:
        """Connects with the first request."""
        if not self.requests:
            Event().wait()  # until Locust ends the test
        open_one = rest_sender if self.protocol == "rest" else grpc_sender
        self.sender = open_one(self.plan, self.target, connections=1)

    def on_stop(self) -> None:
        """Hangs up."""
        if self.requests:
            self.sender.close()

    @tag("single")
    @task(8)
    def predict_one(self) -> None:
        """One image as pixels."""
        self._ask("predict", 1)

    @tag("batch")
    @task(1)
    def predict_batch(self) -> None:
        """Several images as pixels."""
        options: Any = self.environment.parsed_options
        self._ask("predict", options.batch_rows)

    @tag("image")
    @task(1)
    def classify_image(self) -> None:
        """One image as a file."""
        self._ask("image", 1)

    @tag("oip")
    @task(1)
    def infer(self) -> None:
        """One image over the Open Inference Protocol."""
        self._ask("oip", 1)

    def _ask(self, kind: str, rows: int) -> None:
        name = f"{self.protocol}-{kind}"
        requests = self.requests.get((name, rows)) or self.requests[f"{self.protocol}-predict", rows]
        request = next(requests)
        failure: Exception | None = None
        length = 0
        started_at = time.perf_counter()
        try:
            answer = self.sender.send(request, self.plan.timeout_s)
            length = len(answer)
        except SendError as error:
            failure = error
        milliseconds = 1000 * (time.perf_counter() - started_at)
        if failure is None:
            try:
                request.check(self.target, answer)
            except WrongAnswerError as error:
                failure = error
        self.environment.events.request.fire(
            request_type="gRPC" if self.protocol == "grpc" else "POST",
            name=request.api.name if rows == 1 else f"{request.api.name} × {rows}",
            response_time=milliseconds,
            response_length=length,
            exception=failure,
        )


class RestUser(AskingUser):
    """Over REST."""

    protocol = "rest"


class GrpcUser(AskingUser):
    """Over gRPC."""

    protocol = "grpc"
