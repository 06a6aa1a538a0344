"""`python -m serving.healthcheck`, the image's HEALTHCHECK: is the gateway in this container in service?

It asks /in-service where the container's variables say that the gateway listens. Whose certificate the gateway shows
is no matter: nobody else can listen there.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection

_TIMEOUT_S = 4.0
_OK = 200


def why_not_in_service() -> str | None:
    """None where it is in service."""
    port = int(os.environ.get("ATELIER_REST_PORT", "8501"))
    if os.environ.get("ATELIER_TLS_CERTIFICATE_FILE"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: HTTPConnection = HTTPSConnection("127.0.0.1", port, timeout=_TIMEOUT_S, context=context)
    else:
        connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/in-service")
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            return f"no answer from 127.0.0.1:{port}: {str(error) or type(error).__name__}"
    return None if status == _OK else f"/in-service answered with status {status}"


if __name__ == "__main__":
    sys.exit(why_not_in_service())  # a reason: on standard error, with status 1
