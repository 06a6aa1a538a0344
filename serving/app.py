"""The ASGI application: from method and path to a front end."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from serving.admin_access import ADMIN_PREFIX
from serving.batching.terms import Terms
from serving.errors import ServingError
from serving.frontends.admin import Admin
from serving.frontends.bodies import Bodies, Hold, InflightBytes, check_size
from serving.frontends.gateway_pages import GatewayPages
from serving.frontends.grpc_health import GrpcHealth
from serving.frontends.grpc_streams import serve_stream
from serving.frontends.grpc_transport import OVERLOAD_CODE, UNIMPLEMENTED, UnaryCalls, is_grpc, send_status
from serving.frontends.health import Health
from serving.frontends.http import (
    OVERLOAD_STATUS,
    ClientGoneError,
    Receive,
    Scope,
    Send,
    WholeAnswer,
    header_of,
    refuse_method,
    send_json,
    send_whole,
    whole_body,
    whole_error,
)
from serving.frontends.images import Images
from serving.frontends.oip_grpc import OipGrpc
from serving.frontends.oip_rest import PREFIX as OIP_PREFIX
from serving.frontends.oip_rest import OipRest
from serving.frontends.openapi.pages import OpenApi
from serving.frontends.page import send_page
from serving.frontends.reflection import Reflection
from serving.frontends.request_terms import TermsReader
from serving.frontends.tfs_grpc import TfsGrpc
from serving.frontends.tfs_rest import PREFIX, Address, TfsRest, parse_path

log = logging.getLogger("atelier.http")

_INTERNAL_ERROR = b'{"error":"internal error; the gateway\'s log has the details"}'
_KNOWN_TERMS, _KNOWN_WORK = "atelier.terms", "atelier.work"
"""In a scope that requests share: what was found out for the first of them."""


class App:
    """Every request of both ports comes in here."""

    def __init__(
        self,
        grpc: TfsGrpc,
        rest: TfsRest,
        oip_grpc: OipGrpc,
        oip_rest: OipRest,
        images: Images,
        openapi: OpenApi,
        health: Health,
        gateway: GatewayPages,
        grpc_health: GrpcHealth,
        reflection: Reflection,
        admin: Admin,
        terms: TermsReader,
        bodies: Bodies,
        inflight: InflightBytes,
        max_request_bytes: int,
        overload_status: str,
    ) -> None:
        self._methods = {**grpc.methods, **oip_grpc.methods, **grpc_health.methods}
        self._streams = {**oip_grpc.streams, **grpc_health.streams, **reflection.streams}
        self._rest = rest
        self._oip_rest = oip_rest
        self._images = images
        self._admin = admin
        self._bodies = bodies
        self._unary = UnaryCalls(max_request_bytes, bodies, terms, OVERLOAD_CODE[overload_status])
        self._terms = terms
        self._inflight = inflight
        self._max_request_bytes = max_request_bytes
        self._overload_status = OVERLOAD_STATUS[overload_status]
        self._pages: Mapping[str, Callable[[Send], Awaitable[None]]] = {
            "/": send_page,
            "/docs": openapi.page,
            "/openapi.json": openapi.document,
            "/healthz": health.live,
            "/readyz": health.ready,
            "/in-service": health.in_service,
            "/status": gateway.status,
            "/metrics": gateway.metrics,
            "/monitoring/prometheus/metrics": gateway.tfserving_metrics,
            "/v1/models": rest.list_models,
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answers one HTTP request; never raises for what a client sent."""
        method = self._methods.get(scope["path"])
        if method is not None:
            return self._unary.serve(scope, receive, send, method)
        if is_grpc(scope):
            return self._serve_other_grpc(scope, receive, send)
        return self._serve_http(scope, receive, send)

    def answer_call(self, scope: Scope, body: bytes) -> Callable[[], Awaitable[WholeAnswer]] | None:
        """What answers a unary gRPC call that is there already; None for any other call, see `__call__`."""
        method = self._methods.get(scope["path"])
        return None if method is None else partial(self._unary.serve_whole, scope, body, method)

    def answer_post(self, scope: Scope, body: bytes) -> Callable[[], Awaitable[WholeAnswer]] | None:
        """What answers a POST of TensorFlow Serving's REST API, or of images, that is there already."""
        path = scope["path"]
        return partial(self._answer_rest, scope, body) if _is_rest(path) and path not in self._pages else None

    async def _serve_other_grpc(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        stream = self._streams.get(path)
        if stream is not None:
            await serve_stream(scope, receive, send, stream, Hold(self._inflight), self._max_request_bytes)
        else:
            text = f"unknown gRPC method {path}; {_known_calls(path, [*self._methods, *self._streams])}"
            await send_status(send, UNIMPLEMENTED, text)

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._route(scope, receive, send)
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001 -- it is logged
            await send_whole(send, self._failed(scope, error))

    async def _answer_rest(self, scope: Scope, body: bytes) -> WholeAnswer:
        try:
            work: _Work = scope.get(_KNOWN_WORK) or self._work(scope, _address(scope))
            if work.is_encoded:
                body = await self._bodies.content_of(scope, body, work.max_bytes)
            check_size(len(body), work.max_bytes)
            return await work.answer(body)
        except Exception as error:  # noqa: BLE001 -- it is logged
            return self._failed(scope, error)

    def _failed(self, scope: Scope, error: Exception) -> WholeAnswer:
        if isinstance(error, ServingError):
            return whole_error(error, self._overload_status)
        log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
        return whole_body(_INTERNAL_ERROR, status=500)

    def _work(self, scope: Scope, address: Address) -> _Work:
        terms = self._read_terms(scope)
        is_encoded = b"content-encoding" in terms.headers
        if address.verb == "classify":
            answer = partial(
                self._images.answer, header_of(scope, b"content-type"), scope["query_string"], address, terms
            )
            work = _Work(self._images.max_bytes, is_encoded, answer)
        else:
            work = _Work(self._rest.max_bytes, is_encoded, partial(self._rest.answer, address, terms))
        if terms.deadline is None:
            scope[_KNOWN_WORK] = work
        return work

    def _read_terms(self, scope: Scope) -> Terms:
        """A request's terms, remembered for those that share the scope."""
        known: Terms | None = scope.get(_KNOWN_TERMS)
        if known is None:
            known = self._terms.read(scope, dict(scope["headers"]))
            if known.deadline is None:
                scope[_KNOWN_TERMS] = known
        return known

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        page = self._pages.get(path)
        if page is not None:
            if method in {"GET", "HEAD"}:
                await page(send)
            else:
                await refuse_method(send, method, path, "GET")
        elif _is_rest(path):
            address = _address(scope)
            if not address.verb:
                await self._rest.get(address, send)
            else:
                work = self._work(scope, address)
                body = await self._bodies.read_content(scope, receive, work.max_bytes)
                await send_whole(send, await work.answer(body))
        elif path == OIP_PREFIX or path.startswith(f"{OIP_PREFIX}/"):
            await self._oip_rest.serve(scope, self._read_terms(scope), receive, send)
        elif path.startswith(ADMIN_PREFIX):
            await self._admin.serve(scope, receive, send)
        else:
            known = ", ".join([*self._pages, "/v1/models/NAME", OIP_PREFIX])
            await send_json(send, 404, {"error": f"Not found: {method} {path}; known: {known}"})


@dataclass(slots=True)
class _Work:
    """What is to be done for a request once its body is there."""

    max_bytes: int
    """Of the body, also inflated."""
    is_encoded: bool
    answer: Callable[[bytes], Awaitable[WholeAnswer]]


def _is_rest(path: str) -> bool:
    return path[: len(PREFIX)].lower() == PREFIX


def _address(scope: Scope) -> Address:
    return parse_path(scope["method"], scope["raw_path"].decode("ascii", "replace").partition("?")[0])


def _known_calls(path: str, known: Iterable[str]) -> str:
    """The methods of the service that was meant, or else the services."""
    meant = path.rpartition("/")[0]
    methods = sorted(one.rpartition("/")[2] for one in known if one.rpartition("/")[0] == meant)
    if methods:
        return f"the service's methods: {', '.join(methods)}"
    return f"known services: {', '.join(sorted({one.split('/')[1] for one in known}))}"
