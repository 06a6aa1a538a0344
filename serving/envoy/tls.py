"""TLS on both ports, by Envoy: it reads the files again when their folder says that a new one has come.

Source: Envoy's DownstreamTlsContext, and its secrets from a file (SDS), the only kind that it reads again:
https://www.envoyproxy.io/docs/envoy/latest/configuration/security/secret
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serving.tls_files import TlsFiles

_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
_CERTIFICATE, _CLIENTS = "certificate", "clients"


def transport_socket(tls: TlsFiles, folder: Path) -> dict[str, Any]:
    """What a filter chain needs; `folder` has the files of `write_secrets`."""
    common: dict[str, Any] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [_secret_from(folder, _CERTIFICATE)],
    }
    if tls.client_ca is not None:
        common["validation_context_sds_secret_config"] = _secret_from(folder, _CLIENTS)
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TLS}.DownstreamTlsContext",
            "common_tls_context": common,
            "require_client_certificate": tls.client_ca is not None,
        },
    }


def write_secrets(tls: TlsFiles, folder: Path) -> None:
    """Writes where Envoy finds the certificate and the key, not what is in them."""
    certificate = {
        "certificate_chain": _file(tls.certificate),
        "private_key": _file(tls.key),
        "watched_directory": _folder_of(tls.certificate),
    }
    _write(folder, _CERTIFICATE, {"tls_certificate": certificate})
    if tls.client_ca is not None:
        clients = {"trusted_ca": _file(tls.client_ca), "watched_directory": _folder_of(tls.client_ca)}
        _write(folder, _CLIENTS, {"validation_context": clients})


def _write(folder: Path, name: str, content: dict[str, Any]) -> None:
    secret = {"@type": f"{_TLS}.Secret", "name": name, **content}
    _path_of(folder, name).write_text(json.dumps({"resources": [secret]}), encoding="utf-8")


def _secret_from(folder: Path, name: str) -> dict[str, Any]:
    source = {"path_config_source": {"path": str(_path_of(folder, name))}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}


def _path_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _file(path: Path) -> dict[str, str]:
    return {"filename": str(path.absolute())}


def _folder_of(path: Path) -> dict[str, str]:
    return {"path": str(path.absolute().parent)}
