"""The page at `/`: drop an image, see the answer."""

from __future__ import annotations

import functools
from importlib import resources

from serving.frontends.http import Send, send_body


async def send_page(send: Send) -> None:
    """One self-contained HTML file; it asks the same REST API as everybody else."""
    await send_body(send, 200, _page(), b"text/html; charset=utf-8")


@functools.cache
def _page() -> bytes:
    return resources.files("serving.frontends").joinpath("page.html").read_bytes()
