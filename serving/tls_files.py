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

    def check(self) -> None:
        """Raises:
        TlsFilesError: Envoy could not use them, and would not say so before a client comes.
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


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM").replace("_", " ").lower().replace("pem", "PEM")
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
