"""The command line's side of the admin API: who asks, with which token, and what keeps it from answering."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from atelier.client import DEFAULT_URL, tls_context
from atelier.console import FAILED, WRONG_USE, fail, needs_extra

if TYPE_CHECKING:
    import httpx

TOKEN_VARIABLE = "ATELIER_ADMIN_TOKEN"  # noqa: S105 -- its name
_TIMEOUT_S = 30.0
_UNAUTHORIZED = 401
_FIRST_ERROR_STATUS = 400

TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        envvar="ATELIER_ADMIN_TOKEN_FILE",
        help=f"File with the admin API's token; or the variable {TOKEN_VARIABLE}.",
    ),
]


class AdminApi:
    """One gateway's admin API; whatever it refuses ends the command with its sentence."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self._url = url

    def model(self, name: str) -> dict[str, Any]:
        """A model's versions, labels and traffic."""
        return self.ask("GET", f"models/{quote(name, safe='')}")

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer's document, to a path under /admin/v1/."""
        import httpx

        try:
            answer = self._client.request(method, f"/admin/v1/{path}", json=body)
        except httpx.TimeoutException:
            fail(f"the gateway at {self._url} did not answer within {_TIMEOUT_S:g} s", FAILED)
        except (httpx.HTTPError, ssl.SSLError) as error:  # TLS 1.3 refuses after the handshake
            fail(f"no gateway answers at {self._url}: {error} (--url names another)", FAILED)
        try:
            document = answer.json()
            text = document["error"] if answer.status_code >= _FIRST_ERROR_STATUS else ""
        except (ValueError, KeyError, TypeError):
            fail(f"what answers at {self._url} is no Atelier gateway: status {answer.status_code}", FAILED)
        if answer.status_code == _UNAUTHORIZED:
            fail(f"the gateway at {self._url} did not take the token", FAILED)
        if answer.status_code >= _FIRST_ERROR_STATUS:
            fail(str(text), FAILED)
        return dict(document)


@contextlib.contextmanager
def admin_api(url: str, token_file: Path | None) -> Iterator[AdminApi]:
    """The admin API at `url`; a token that is missing ends the command."""
    token = _token(token_file)
    with needs_extra("client"):
        import httpx
    try:
        address = httpx.URL(url)
        usable = address.scheme in {"http", "https"} and bool(address.host)
    except httpx.InvalidURL:
        usable = False
    if not usable:
        fail(f"--url: expected an address such as {DEFAULT_URL}, received {url!r}", WRONG_USE)
    client = httpx.Client(
        base_url=url,
        headers={"authorization": f"Bearer {token}"},
        timeout=_TIMEOUT_S,
        trust_env=address.host not in {"localhost", "127.0.0.1", "::1"},  # no proxy reaches this machine's gateway
        verify=tls_context(),
    )
    with client:
        yield AdminApi(client, url)


def change_text(change: dict[str, Any]) -> str:
    """What a change in the record did."""
    from serving.traffic.ledger import Change

    return str(Change.model_validate(change))


def whoami() -> str:
    """Who is on record for a change."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user on this machine, as in many containers
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def _token(token_file: Path | None) -> str:
    if token_file is None:
        token = os.environ.get(TOKEN_VARIABLE, "")
        where = f"set {TOKEN_VARIABLE}, or name a file with --token-file"
    else:
        where = f"--token-file {token_file}: expected a file with the token"
        try:
            token = token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            token = ""
    if not (token and token.isascii() and token.isprintable()):
        fail(f"the admin API wants a token: {where}", WRONG_USE)
    return token
