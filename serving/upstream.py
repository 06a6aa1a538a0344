"""Where another server answers for a model: the `upstream` of its configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s/:\[\]]+):([0-9]{1,5})")
_HIGHEST_PORT = 65535


def _check_address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None or not 1 <= int(found[2]) <= _HIGHEST_PORT:
        raise ValueError("expected HOST:PORT or [IPV6]:PORT")
    return text


UpstreamAddress = Annotated[str, AfterValidator(_check_address)]
"""HOST:PORT or [IPV6]:PORT; a name that resolves to several addresses stands for all of them."""


class UpstreamTls(BaseModel):
    """TLS to the upstream; without a CA of its own, the system's are trusted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca_file: Path | None = None
    """Certificates (PEM) that sign the servers'."""
    certificate_file: Path | None = None
    """What the gateway shows to the servers (PEM), where they ask for it."""
    key_file: Path | None = None
    server_name: str | None = None
    """The name in the servers' certificates, where it is not the one in their addresses."""

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together, received only one of them")
        return self


class Upstream(BaseModel):
    """TensorFlow Serving servers that all serve the model alike."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    addresses: tuple[UpstreamAddress, ...] = Field(min_length=1)
    tls: UpstreamTls | None = None
    labels: tuple[str, ...] = ("stable", "canary")
    """Labels of the servers that clients of the gateway may ask for; a server does not list its labels."""
    timeout_s: float = Field(30.0, gt=0)
    """How long a batch may take whose requests have no deadline."""
    patience_s: float = Field(5.0, ge=0)
    """How long a batch is tried again while no server can be reached, within its deadline."""
    status_timeout_s: float = Field(2.0, gt=0)
    """How long a server may take to say which versions it has; a second silence in a row, and it counts as down."""
