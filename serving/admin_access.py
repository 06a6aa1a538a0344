"""Where the admin API is, and who may use it: whoever has the token.

That comes from a variable, or from a file that may be replaced while the gateway runs.
"""

from __future__ import annotations

from pathlib import Path

from serving.settings import MIN_TOKEN_CHARACTERS, ServingSettings

ADMIN_PREFIX = "/admin/"


class AdminTokenError(Exception):
    """There is no usable token where one should be; the text never holds it."""


def read_admin_token(settings: ServingSettings) -> str | None:
    """What the admin API asks for now; None where it is off.

    Raises:
        AdminTokenError: the file cannot be read, or holds none.
    """
    if settings.admin_token_file is not None:
        return _from_file(settings.admin_token_file)
    return settings.admin_token.get_secret_value() if settings.admin_token is not None else None


def _from_file(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "expected plain text"
        raise AdminTokenError(f"admin token file: it cannot be read: {reason}") from error
    if len(token) < MIN_TOKEN_CHARACTERS:
        raise AdminTokenError(f"admin token file: expected at least {MIN_TOKEN_CHARACTERS} characters, received fewer")
    return token
