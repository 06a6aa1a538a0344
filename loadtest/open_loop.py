"""Locust with an open loop: requests arrive on a schedule, and do not wait for the answers to those before.

    locust -f loadtest/open_loop.py --host http://localhost:8501 --model fashion-mnist --rate 500

`atelier loadtest` runs this without the web page. With `--master` and `--worker`, each worker sends its share of one
schedule. In Locust's own figures too, response times count from the intended send times.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, ClassVar

from gevent.event import Event
from locust import LoadTestShape, User, events, task
from locust.env import Environment
from locust.runners import Runner

from loadtest.conductor import Conductor
from loadtest.options import RECORDING, add_plan_options


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    """The plan's options; Locust adds its own."""
    add_plan_options(parser)
    parser.add_argument(RECORDING, default="", help="file to write what is seen to, for `atelier loadtest report`")


@events.init.add_listener
def begin(environment: Environment, runner: Runner | None, **_: Any) -> None:
    """Puts a conductor beside the runner."""
    if runner is not None:
        Arrivals.conductor = Schedule.conductor = Conductor(environment, runner)


class Schedule(LoadTestShape):
    """Lasts until everything on the schedule is answered; one `Arrivals` in each process."""

    conductor: ClassVar[Conductor]

    def tick(self) -> tuple[int, float] | None:
        """How many `Arrivals` there shall be, or None at the end."""
        return self.conductor.tick()


class Arrivals(User):
    """No single user, but all who come to one process: sends its share of the schedule."""

    conductor: ClassVar[Conductor]

    @task
    def send_all(self) -> None:
        """The whole test."""
        self.conductor.send_share()
        Event().wait()  # until Locust ends the test
