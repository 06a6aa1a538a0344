"""One TensorFlow Serving server: its connection, and what is known of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from serving.backends.tfserving.balance import Standing
from serving.backends.tfserving.failures import UNAVAILABLE, RpcError
from serving.upstream import UpstreamTls

_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),  # the pool does so, on another server
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
)


class Server:
    """A channel; made, used and closed on one event loop."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None, server_name: str | None) -> None:
        self.address = address
        self.standing = Standing()
        self.silences = 0
        """Looks at it in a row that ended without an answer."""
        self._calls: set[Any] = set()
        options = [*_OPTIONS, *([("grpc.ssl_target_name_override", server_name)] if server_name else [])]
        self._channel = (
            grpc.aio.insecure_channel(address, options=options)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials, options=options)
        )
        self._methods: dict[str, Any] = {}

    def is_up(self) -> bool:
        """Whether nothing has failed since it last answered."""
        return self.standing.failures == 0

    async def call(self, method: str, request: bytes, timeout_s: float, *, is_look: bool = False) -> bytes:
        """One RPC; `method` is its path, messages are serialized.

        Raises:
            RpcError: it failed; one that was given up because the server had gone silent is UNAVAILABLE.
        """
        invoke = self._methods.get(method)
        if invoke is None:
            invoke = self._methods[method] = self._channel.unary_unary(method)
        call = invoke(request, timeout=timeout_s)
        if not is_look:
            self._calls.add(call)
        try:
            answer: bytes = await call
        except grpc.aio.AioRpcError as error:
            raise RpcError(error.code().value[0], error.details() or error.code().name, self.address) from error
        except asyncio.CancelledError:
            if call not in self._calls and not is_look:  # by `give_up`, not by whoever waits for the answer
                raise RpcError(UNAVAILABLE, "the server has gone silent", self.address) from None
            raise
        finally:
            self._calls.discard(call)
        return answer

    def give_up(self) -> None:
        """Ends what it is being asked: it has gone silent, and others may answer."""
        calls, self._calls = self._calls, set()
        for call in calls:
            call.cancel()

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()


def credentials_of(tls: UpstreamTls | None) -> grpc.ChannelCredentials | None:
    """gRPC's form of the settings; None is plain text.

    Raises:
        OSError: a file cannot be read.
    """
    if tls is None:
        return None
    return grpc.ssl_channel_credentials(_content(tls.ca_file), _content(tls.key_file), _content(tls.certificate_file))


def _content(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
