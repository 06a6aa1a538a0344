"""One TensorFlow Serving server: how it is asked, and what is known of it."""

from __future__ import annotations

import ssl

from serving.backends.tfserving.balance import Standing
from serving.backends.tfserving.channel import Channel
from serving.upstream import UpstreamTls


class Server:
    """Made, used and closed on one event loop."""

    def __init__(self, address: str, tls: ssl.SSLContext | None, server_name: str | None) -> None:
        self.address = address
        self.channel = Channel(address, tls, server_name)
        self.standing = Standing()
        self.silences = 0
        """Looks at it in a row that ended without an answer."""

    def is_up(self) -> bool:
        """Whether nothing has failed since it last answered."""
        return self.standing.failures == 0


def tls_context(tls: UpstreamTls | None) -> ssl.SSLContext | None:
    """The settings as Python's ssl has them; None is plain text.

    Raises:
        OSError: a file cannot be read.
    """
    if tls is None:
        return None
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.set_alpn_protocols(["h2"])
    if tls.certificate_file is not None:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    return context
