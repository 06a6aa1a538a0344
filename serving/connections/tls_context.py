"""What TLS is spoken with: files that are read again when they change."""

from __future__ import annotations

import logging
import ssl

from serving.tls_files import TlsFiles, TlsFilesError

_PROTOCOLS = ("h2", "http/1.1")

log = logging.getLogger("atelier.tls")


class TlsContext:
    """What connections that come now are spoken to with."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises:
        TlsFilesError: they cannot be used.
        """
        self._files = files
        self._seen = files.stamps()
        self.context = _context(files)

    def renew(self) -> None:
        """To be called once a second; files that cannot be used change nothing, and are told of once."""
        seen = self._files.stamps()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.context = _context(self._files)
        except TlsFilesError as error:
            log.error("%s; connections are taken with what was there before", error)  # noqa: TRY400 -- it is in the text
        else:
            log.info("TLS: the files have changed and are used from now on")


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = files.load()
    context.set_alpn_protocols(_PROTOCOLS)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    if files.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
