"""`grpc-status-details-bin`: why a call failed, for programs; the text is for people.

Source: google/rpc/status.proto and error_details.proto, and gRPC's "richer error model".
"""

from __future__ import annotations

import base64

from google.protobuf.message import Message

from serving.wire.atelier_rpc_pb2 import ErrorInfo, RetryInfo, Status

DOMAIN = "atelier"
_TYPE_URL = "type.googleapis.com/google.rpc."


def encode_details(code: int, text: str, reason: str, retry_after_s: float | None = None) -> bytes:
    """The header's value: a `google.rpc.Status` with an ErrorInfo of this reason, and when to come back.

    `code` and `text` have to be those of the call's status, or clients take neither.
    """
    status = Status(code=code, message=text)
    _add(status, ErrorInfo(reason=reason, domain=DOMAIN))
    if retry_after_s is not None:
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(round(retry_after_s * 1000))
        _add(status, retry)
    return base64.b64encode(status.SerializeToString()).rstrip(b"=")


def _add(status: Status, detail: Message) -> None:
    status.details.add(type_url=_TYPE_URL + detail.DESCRIPTOR.name, value=detail.SerializeToString())
