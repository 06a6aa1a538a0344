"""The files with which both ports speak TLS, and what is wrong with them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


class TlsFilesError(Exception):
    """The files cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What the gateway shows, and whose certificates clients have to show, where they have to (all PEM)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def load(self) -> ssl.SSLContext:
        """For a server with these files.

        Raises:
            TlsFilesError: they cannot be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        both = f"{self.certificate} and {self.key}"
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ValueError) as error:
            raise TlsFilesError(f"TLS: expected a certificate and its key (PEM) in {both}: {_why(error)}") from error
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except OSError as error:
                raise TlsFilesError(
                    f"TLS: expected a CA's certificate (PEM) in {self.client_ca}: {_why(error)}"
                ) from error
        return context

    def stamps(self) -> list[tuple[int, ...]]:
        """What tells one content of the files from another without reading them; one that is missing has none."""
        return [_stamp(path) for path in (self.certificate, self.key, self.client_ca) if path is not None]


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM").replace("_", " ").lower().replace("pem", "PEM")
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
