"""Shares one schedule out to the processes of a Locust test, and writes down what they see."""

from __future__ import annotations

import gc
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gevent
from gevent.event import AsyncResult
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner, Runner, WorkerRunner

from loadtest.apis import Request, WrongAnswerError
from loadtest.arrivals import share
from loadtest.dispatcher import Dispatcher
from loadtest.errors import LoadTestError, TargetError
from loadtest.options import plan_of_options
from loadtest.plan import LoadPlan
from loadtest.preparation import Prepared, prepare
from loadtest.recording import Recorder, write_line
from loadtest.sending import SendError, monotonic_of, open_senders

log = logging.getLogger("atelier.loadtest")

WRONG_USE = 2

_READY, _SHARE, _LINES = "atelier-ready", "atelier-share", "atelier-lines"
_LEAD_S = 0.5
"""From the sharing out to the first request: time for the message to come."""


@dataclass(frozen=True)
class Share:
    """The part of one process: every `count`-th arrival from `index` on; second 0 is at `begin` on the wall clock."""

    index: int
    count: int
    begin: float


class Conductor:
    """Stands beside Locust's runner in every process: alone, as master, or as worker."""

    def __init__(self, environment: Environment, runner: Runner) -> None:
        self._environment = environment
        self._runner = runner
        self._reset()
        if isinstance(runner, MasterRunner):
            runner.register_message(_READY, self._on_ready)
            runner.register_message(_LINES, self._on_lines)
        elif isinstance(runner, WorkerRunner):
            runner.register_message(_SHARE, self._on_share)
            environment.events.test_start.add_listener(self._on_worker_start)
        environment.events.test_stop.add_listener(self._on_stop)
        environment.events.quit.add_listener(self._on_quit)

    def _reset(self) -> None:
        self._plan: LoadPlan | None = None
        self._prepared: Prepared | None = None
        self._share: AsyncResult[Share] = AsyncResult()
        self._dispatcher: Dispatcher | None = None
        self._recorder: Recorder | None = None
        self._ready: dict[str, str] = {}
        self._expected = 1
        self._left = 0
        self._failure = ""
        self._ended = False

    # --- alone or as master: beginning and end ---

    def tick(self) -> tuple[int, float] | None:
        """How many sending processes there are, or None once everything is answered."""
        if self._ended:
            self._reset()
        if self._plan is None:
            try:
                self._prepare()
                if not isinstance(self._runner, WorkerRunner):
                    self._probe()
            except LoadTestError as error:
                self._fail(str(error))
            if isinstance(self._runner, MasterRunner):
                self._expected = max(1, self._runner.worker_count)
            elif not self._failure:
                self._begin(["local"])
        lost = self._lost()
        if self._failure or self._left + lost >= self._expected:
            if lost and not self._failure:
                log.error("%d of %d workers were lost; their requests are missing", lost, self._expected)
            return None
        return self._expected, float(self._expected)

    def _lost(self) -> int:
        if not isinstance(self._runner, MasterRunner):
            return 0
        return sum(client.state == STATE_MISSING for client in self._runner.clients.values())

    def _prepare(self) -> None:
        self._plan = plan_of_options(self._environment.host, self._environment.parsed_options)
        self._prepared = prepare(self._plan)
        if self._plan.trace is not None:
            self._plan.trace_times()

    def _probe(self) -> None:
        """Asks once in each way, so that what is wrong is said once instead of under load."""
        if self._plan is None or self._prepared is None:
            return
        senders = open_senders(self._plan, self._prepared.target)
        try:
            for request in self._prepared.one_of_each_api():
                try:
                    answer = senders[request.api.protocol].send(request, self._plan.timeout_s)
                    request.check(self._prepared.target, answer)
                except SendError as error:
                    where = self._plan.grpc_target if request.api.protocol == "grpc" else self._plan.url
                    hint = _tls_hint(self._plan, error) if request.api.protocol == "grpc" else ""
                    raise TargetError(f"{request.api.name} at {where} fails: {error}{hint}") from error
                except WrongAnswerError as error:
                    raise TargetError(f"{request.api.name} is answered wrong: {error}") from error
        finally:
            for sender in senders.values():
                sender.close()

    def _begin(self, processes: list[str]) -> None:
        """Says when it begins, and to each process what its part is."""
        plan, prepared = self._plan, self._prepared
        if plan is None or prepared is None:
            return
        begin = time.time() + _LEAD_S + plan.warm_up_s
        self._write(
            {
                "kind": "start",
                "generator": "locust",
                "plan": plan.model_dump(mode="json"),
                "processes": len(processes),
                "begin": begin,
                "images": prepared.source,
                "labelled": prepared.labelled,
            }
        )
        for index, process in enumerate(processes):
            part = Share(index, len(processes), begin)
            if isinstance(self._runner, MasterRunner):
                self._runner.send_message(_SHARE, asdict(part), process)
            else:
                self._share.set(part)

    def _on_ready(self, msg: Any, **_: Any) -> None:
        self._ready[msg.node_id] = msg.data["failure"]
        if msg.data["failure"]:
            self._fail(f"worker {msg.node_id}: {msg.data['failure']}")
        elif len(self._ready) == self._expected:
            self._begin(sorted(self._ready))

    def _on_lines(self, msg: Any, **_: Any) -> None:
        for line in msg.data["lines"]:
            self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        self._left += line["kind"] == "left"
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        options: Any = self._environment.parsed_options
        if options.recording:
            write_line(Path(options.recording), line)

    def _fail(self, text: str) -> None:
        self._failure = text
        log.error("%s", text)
        self._environment.process_exit_code = WRONG_USE

    # --- alone or as worker: the work ---

    def _on_worker_start(self, **_: Any) -> None:
        self._reset()
        failure = ""
        try:
            self._prepare()
        except LoadTestError as error:
            failure = str(error)
        self._runner.send_message(_READY, {"failure": failure})

    def _on_share(self, msg: Any, **_: Any) -> None:
        self._share.set(Share(**msg.data))

    def send_share(self) -> None:
        """Sends this process' part of the schedule; returns once it is answered.

        Until then the garbage collector leaves alone what was there before: a look at all of it would hold up every
        request for some 50 ms, and would be taken for the server's.
        """
        part = self._share.get()
        plan, prepared = self._plan, self._prepared
        if plan is None or prepared is None:
            return
        self._recorder = Recorder(plan.window_s)
        senders = open_senders(plan, prepared.target)
        self._dispatcher = Dispatcher(senders, prepared.target, self._recorder, plan.timeout_s, self._report)
        begin = monotonic_of(part.begin)
        ticker = gevent.spawn(self._hand_over_regularly, self._recorder, begin)
        gc.collect()
        gc.freeze()
        try:
            times = share(plan.times(), part.index, part.count)
            self._dispatcher.run(times, prepared.cycle(part.index * 97), begin)
            self._leave(unfinished=0)
        finally:
            gc.unfreeze()
            ticker.kill()
            for sender in senders.values():
                sender.close()

    def _hand_over_regularly(self, recorder: Recorder, begin: float) -> None:
        last_at, last_cpu = time.monotonic(), time.process_time()
        while True:
            gevent.sleep(1.0)
            at, cpu = time.monotonic(), time.process_time()
            recorder.busy(last_at - begin, (cpu - last_cpu) / (at - last_at))
            last_at, last_cpu = at, cpu
            self._hand_over(recorder.take())

    def _hand_over(self, lines: list[dict[str, Any]]) -> None:
        if isinstance(self._runner, WorkerRunner):
            self._runner.send_message(_LINES, {"lines": lines})
        else:
            for line in lines:
                self._take(line)

    def _leave(self, *, unfinished: int) -> None:
        """Hands over what is left, as the last thing."""
        if self._recorder is not None:
            self._hand_over([*self._recorder.take(), {"kind": "left", "unfinished": unfinished}])
            self._recorder = self._dispatcher = None

    def _report(self, request: Request, latency_s: float, length: int, error: Exception | None) -> None:
        self._environment.events.request.fire(
            request_type="gRPC" if request.api.protocol == "grpc" else "POST",
            name=request.api.name,
            response_time=1000 * latency_s,
            response_length=length,
            exception=error,
        )

    # --- the end ---

    def _on_stop(self, **_: Any) -> None:
        if self._dispatcher is not None:
            self._leave(unfinished=self._dispatcher.abandon())
        options: Any = self._environment.parsed_options
        if not options.headless:
            self._end()

    def _on_quit(self, **_: Any) -> None:
        self._end()

    def _end(self) -> None:
        if (self._plan is None and not self._failure) or self._ended or isinstance(self._runner, WorkerRunner):
            return
        self._ended = True
        if self._failure:
            self._write({"kind": "end", "reason": "failed", "text": self._failure})
        elif self._left >= self._expected:
            self._write({"kind": "end", "reason": "finished"})
        elif lost := self._lost():
            text = f"{lost} of {self._expected} workers were lost"
            self._write({"kind": "end", "reason": "lost", "text": text})
        else:
            self._write({"kind": "end", "reason": "interrupted"})


def _tls_hint(plan: LoadPlan, error: SendError) -> str:
    text = str(error).lower()
    if plan.is_tls and ("ssl" in text or "handshake" in text or "certificate" in text):
        return "; does it speak TLS there, with a certificate that --ca-file vouches for?"
    if not plan.is_tls and ("socket closed" in text or "http2" in text or "goaway" in text):
        return "; if it speaks TLS there, use https:// in the URL"
    return ""
