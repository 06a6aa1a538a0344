"""Sends requests from greenlets, over REST and gRPC, and says what went wrong in few kinds."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import gevent
import grpc
import grpc.experimental.gevent as grpc_gevent
from gevent.lock import BoundedSemaphore
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from loadtest.apis import Request
from loadtest.errors import UsageError
from loadtest.plan import LoadPlan
from loadtest.target import Target

MAX_CHANNELS = 8
"""gRPC sends many requests over one connection; more let them reach several workers of a server."""

_CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),  # a retry would hide a failure
    ("grpc.lb_policy_name", "round_robin"),  # a name may stand for many servers, as that of a headless Service does
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),  # or a server that is back would go unnoticed
    ("grpc.max_receive_message_length", -1),
)
_OK = 200
_MAX_TEXT = 300


class SendError(Exception):
    """No answer, or a refusal. `kind` sums up many; `timed_out`: nothing came in time."""

    def __init__(self, kind: str, text: str, *, timed_out: bool = False) -> None:
        super().__init__(text)
        self.kind = kind
        self.timed_out = timed_out


class Sender(Protocol):
    """Sends requests over one protocol."""

    def has_free_connection(self) -> bool:
        """Whether a request would be sent at once."""

    def send(self, request: Request, timeout_s: float) -> bytes:
        """The answer's body.

        Raises:
            SendError: no answer, or a refusal.
        """

    def close(self) -> None:
        """Hangs up."""


class RestSender:
    """HTTP/1.1 with up to `connections` connections that are kept; further requests wait for one."""

    def __init__(self, url: str, target: Target, *, connections: int, timeout_s: float, ca_file: str | None) -> None:
        self._url, self._target, self._timeout_s = url, target, timeout_s
        self._tls = {"ca_certs": ca_file} if ca_file else {}
        self._turns = BoundedSemaphore(connections)
        self._idle: list[HTTPClient] = []

    def has_free_connection(self) -> bool:
        """Whether a request would be sent at once."""
        return not self._turns.locked()

    def send(self, request: Request, timeout_s: float) -> bytes:
        """The answer's body; raises `SendError`."""
        headers = {"content-type": request.api.content_type}
        with self._connection(timeout_s) as client:
            answer = client.request("POST", request.api.address(self._target), body=request.body, headers=headers)
            body = bytes(answer.read())
            if answer.status_code != _OK:
                text = body[:_MAX_TEXT].decode("utf-8", "replace")
                raise SendError(f"HTTP {answer.status_code}", f"status {answer.status_code}: {text}")
            return body

    def close(self) -> None:
        """Hangs up."""
        while self._idle:
            self._idle.pop().close()

    @contextlib.contextmanager
    def _connection(self, timeout_s: float) -> Iterator[HTTPClient]:
        """A connection of one's own; one on which anything went wrong is not used again."""
        timer = gevent.Timeout.start_new(max(timeout_s, 0.001))
        client: HTTPClient | None = None
        try:
            with self._turns:
                client = self._idle.pop() if self._idle else self._connect()
                try:
                    yield client
                except SendError:
                    self._idle.append(client)
                    raise
                except BaseException:
                    client.close()
                    raise
                self._idle.append(client)
        except gevent.Timeout as error:
            if error is not timer:
                raise
            what = "an answer" if client else "a free connection"
            raise SendError("timed out", f"{what} did not come in time", timed_out=True) from error
        except (HTTPConnectionClosed, ConnectionResetError, BrokenPipeError) as error:
            raise SendError("connection closed", f"the server closed the connection: {error}") from error
        except HTTPParseError as error:
            raise SendError("no HTTP", f"the answer is no HTTP: {error}") from error
        except OSError as error:
            raise SendError("not connected", f"no connection: {error.strerror or error}") from error
        finally:
            timer.close()

    def _connect(self) -> HTTPClient:
        return HTTPClient.from_url(
            self._url,
            concurrency=1,
            connection_timeout=self._timeout_s,
            network_timeout=self._timeout_s,
            ssl_options=self._tls,
        )


class GrpcSender:
    """HTTP/2 with a few connections, over each of which many requests go at once."""

    def __init__(self, address: str, target: Target, *, connections: int, tls: bool, ca_file: Path | None) -> None:
        _let_greenlets_wait()
        self._target = target
        self._channels = [_channel(address, tls=tls, ca_file=ca_file) for _ in range(min(connections, MAX_CHANNELS))]
        self._calls: dict[str, list[Any]] = {}
        self._turn = 0

    def has_free_connection(self) -> bool:
        """Always: connections are shared."""
        return True

    def send(self, request: Request, timeout_s: float) -> bytes:
        """The answer's message, serialized; raises `SendError`."""
        method = request.api.address(self._target)
        calls = self._calls.get(method)
        if calls is None:
            calls = self._calls[method] = [channel.unary_unary(method) for channel in self._channels]
        self._turn = (self._turn + 1) % len(calls)
        try:
            answer: bytes = calls[self._turn](request.body, timeout=max(timeout_s, 0.001))
        except grpc.RpcError as error:
            code, details = error.code(), error.details() or ""
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise SendError("timed out", f"an answer did not come in time: {details}", timed_out=True) from error
            raise SendError(f"gRPC {code.name}", f"{code.name}: {details}") from error
        return answer

    def close(self) -> None:
        """Hangs up."""
        for channel in self._channels:
            channel.close()


def open_senders(plan: LoadPlan, target: Target) -> dict[str, Sender]:
    """A sender for each protocol that the plan uses, by the protocol's name."""
    protocols = {name.partition("-")[0] for name in plan.mix}
    open_one = {"rest": rest_sender, "grpc": grpc_sender}
    return {name: open_one[name](plan, target, connections=plan.connections) for name in sorted(protocols)}


def rest_sender(plan: LoadPlan, target: Target, *, connections: int) -> Sender:
    """To the plan's URL."""
    ca_file = str(plan.ca_file) if plan.ca_file else None
    return RestSender(plan.url, target, connections=connections, timeout_s=plan.timeout_s, ca_file=ca_file)


def grpc_sender(plan: LoadPlan, target: Target, *, connections: int) -> Sender:
    """To the plan's gRPC address."""
    return GrpcSender(plan.grpc_target, target, connections=connections, tls=plan.is_tls, ca_file=plan.ca_file)


def _channel(address: str, *, tls: bool, ca_file: Path | None) -> Any:
    if not tls:
        return grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
    try:
        authority = None if ca_file is None else ca_file.read_bytes()
    except OSError as error:
        raise UsageError(f"--ca-file {ca_file} cannot be read: {error.strerror}") from error
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority), options=_CHANNEL_OPTIONS)


@functools.cache
def _let_greenlets_wait() -> None:
    """Without this, one waiting gRPC call would stop every other greenlet of the process."""
    grpc_gevent.init_gevent()


def monotonic_of(wall_s: float) -> float:
    """A moment of the wall clock, on this process' monotonic one."""
    return time.monotonic() + (wall_s - time.time())
