"""The admin API, under /admin/v1: what is served, by which labels and weights, and how to change that.

For operators and their scripts, not for clients: every request carries a bearer token of its own (RFC 6750), no page of
another site is let in (serving/http/cors.py), and without a token there is no such API.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.admin_access import AdminTokenError
from serving.errors import InvalidInputError
from serving.frontends.bodies import Bodies
from serving.frontends.http import Receive, Scope, Send, header_of, send_body, send_json
from serving.rollout import Rollout
from serving.traffic.settings import TrafficSettings
from serving.validation import first_problem

log = logging.getLogger("atelier.admin")

OFF = (
    "the admin API is off: start the gateway with the variable ATELIER_ADMIN_TOKEN, or with --admin-token-file, "
    "and send that token"
)

_MAX_BODY_BYTES = 64 * 1024
_PATH = re.compile(
    "/admin/v1/models(?:/(?P<name>[^/]+)(?:/(?P<what>traffic|rollback|changes|labels/(?P<label>[^/]+)))?)?"
)
_PATHS = "/admin/v1/models[/NAME[/changes|/labels/LABEL|/traffic|/rollback]]"
_METHODS = {None: ("GET",), "changes": ("GET",), "labels": ("PUT", "DELETE"), "traffic": ("PUT", "DELETE")}

BodyT = TypeVar("BodyT", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str = Field("", max_length=200)
    """Who asks, for the record."""


class LabelBody(_Body):
    """`PUT …/labels/LABEL`: the version it shall name."""

    version: int = Field(ge=1, lt=2**63)
    expected: int | None = None
    """Refused, unless the label names this version now."""
    late: bool = False
    """Also a version that does not answer yet: the label moves when it does."""
    force: bool = False
    """Also a version that is not there yet, or that has failed."""


class TrafficBody(_Body, TrafficSettings):
    """`PUT …/traffic`: how requests are divided; what is left out is as by default."""

    late: bool = False
    """Also targets that do not answer yet."""


class RollbackBody(_Body):
    """`POST …/rollback`: of a label, or of whatever was changed last."""

    label: str | None = None
    expected: int | None = None
    force: bool = False


class Admin:
    """Answers every path under /admin/. `token` is asked for each request, so that it may be replaced while running."""

    def __init__(self, rollout: Rollout, token: Callable[[], str | None], bodies: Bodies) -> None:
        self._rollout = rollout
        self._token = token
        self._bodies = bodies

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request.

        Raises:
            ServingError: every cause of serving/errors.py.
        """
        try:
            token = self._token()
        except AdminTokenError as error:
            log.warning("the admin API is off: %s", error)
            token = None
        if token is None:
            await send_json(send, 403, {"error": OFF})
        elif not _is_bearer(header_of(scope, b"authorization"), token):
            await send_body(
                send,
                401,
                b'{"error":"expected the header \\"authorization: Bearer TOKEN\\" with the admin API\'s token"}',
                headers=((b"www-authenticate", b"Bearer"),),
            )
        else:
            status, document = await self._answer(scope, receive)
            await send_json(send, status, document)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, Any]:
        method, path = scope["method"], scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        match = _PATH.fullmatch(path)
        if match is None:
            return 404, {"error": f"Not found: {method} {path}; known: {_PATHS}"}
        what = match["what"]
        kind = "labels" if match["label"] else what
        expected = ("POST",) if kind == "rollback" else _METHODS[kind]
        if method not in expected:
            return 405, {"error": f"{path}: expected {' or '.join(expected)}, received {method}"}
        body = await self._bodies.read_content(scope, receive, _MAX_BODY_BYTES)
        if match["name"] is None:
            return 200, {"models": await self._rollout.models()}
        name = unquote(match["name"])
        if kind is None:
            return 200, await self._rollout.model(name)
        if kind == "changes":
            return 200, {"changes": await self._rollout.changes(name)}
        return 200, await self._change(kind, method, name, unquote(match["label"] or ""), body)

    async def _change(self, kind: str, method: str, name: str, label: str, body: bytes) -> Any:
        if kind == "rollback":
            back = _parse(body, RollbackBody)
            return await self._rollout.roll_back(name, back.label, by=back.by, expected=back.expected, force=back.force)
        if method == "DELETE":
            by = _parse(body, _Body).by
            if kind == "labels":
                return await self._rollout.remove_label(name, label, by=by)
            return await self._rollout.set_traffic(name, None, by=by)
        if kind == "traffic":
            wanted = _parse(body, TrafficBody)
            traffic = TrafficSettings.model_validate(wanted.model_dump(include=set(TrafficSettings.model_fields)))
            return await self._rollout.set_traffic(name, traffic, by=wanted.by, late=wanted.late)
        move = _parse(body, LabelBody)
        return await self._rollout.move_label(
            name, label, move.version, by=move.by, expected=move.expected, late=move.late, force=move.force
        )


def _is_bearer(header: str, token: str) -> bool:
    """Compares digests, whose lengths and times tell nothing about the token."""
    scheme, _, sent = header.partition(" ")
    digests = (hashlib.sha256(text.encode()).digest() for text in (sent.strip(), token))
    return hmac.compare_digest(*digests) and scheme.lower() == "bearer"


def _parse(body: bytes, shape: type[BodyT]) -> BodyT:
    try:
        return shape.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise InvalidInputError(first_problem(error, "the body")) from error
