"""Base64 in JSON, as forgiving as TensorFlow Serving reads it.

Source: absl::Base64Unescape in Abseil's escaping.cc: white space is left out, wherever it is, and padding may be
missing as a whole, so that lines of 76 characters, as `base64` writes them, can be sent as they are.
"""

from __future__ import annotations

import base64
import binascii

_WHITE_SPACE = b" \t\n\v\f\r"
_GROUP = 4


def decode_base64(text: str) -> bytes:
    """What the text encodes.

    Raises:
        ValueError: it is no base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        content = text.encode().translate(None, _WHITE_SPACE)
        missing = b"" if content.endswith(b"=") else b"=" * (-len(content) % _GROUP)
        return base64.b64decode(content + missing, validate=True)
