"""The model that is asked, found out from the server itself."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from loadtest.errors import TargetError, UsageError
from serving.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, DTYPES, TensorSpec

_TIMEOUT_S = 10.0
_MAX_TEXT = 300
_UNKNOWN_AUTHORITY = {18, 19, 20, 21}
"""OpenSSL's `X509_V_ERR_…` for certificates of nobody known: self-signed, an issuer that is not at hand."""
_DTYPE_OF_TENSORFLOW = {dtype.tensorflow_name: dtype.name for dtype in DTYPES.values()}


@dataclass(frozen=True)
class Target:
    """A model's `serving_default` with one numeric input and one numeric output, both with a batch dimension.

    `is_classifier`: the model has a signature for TensorFlow Serving's Classify, so its scores are probabilities.
    `takes_images`: it has the signature `image_bytes`.
    """

    model: str
    input: TensorSpec
    output: TensorSpec
    outputs: int = 1
    is_classifier: bool = False
    takes_images: bool = False


def find_target(rest_url: str, model: str, ca_file: Path | None = None) -> Target:
    """Asks the server for the model's signatures.

    Raises:
        TargetError: nothing answers, no such model, or a signature that this test has no requests for.
        UsageError: `ca_file` cannot be read.
    """
    url = f"{rest_url.rstrip('/')}/v1/models/{quote(model, safe='')}/metadata"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S, context=tls_context(ca_file)) as response:  # noqa: S310 -- the user's own address
            signatures = json.load(response)["metadata"]["signature_def"]["signature_def"]
        signature = signatures.get(DEFAULT_SIGNATURE, {"inputs": {}, "outputs": {}})
        inputs, outputs = ([_spec(*tensor) for tensor in signature[kind].items()] for kind in ("inputs", "outputs"))
        methods = {one.get("method_name") for one in signatures.values()}
    except urllib.error.HTTPError as error:
        text = error.read(_MAX_TEXT).decode("utf-8", "replace").strip()
        served = _served(rest_url, ca_file) if error.code == HTTPStatus.NOT_FOUND else ""
        raise TargetError(f"{url} answers {error.code}: {text}{served}") from error
    except urllib.error.URLError as error:
        raise TargetError(f"no model server answers at {url}: {connection_trouble(error.reason, url)}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TargetError(f"no model server answers at {url}: {connection_trouble(error, url)}") from error
    scores = [spec for spec in outputs if not spec.element.is_string]
    if len(inputs) != 1 or len(scores) != 1 or inputs[0].element.is_string:
        raise TargetError(
            f"model {model}: expected one numeric input and one numeric output, "
            f"received {_written(inputs)} and {_written(outputs)}"
        )
    return Target(
        model, inputs[0], scores[0], len(outputs), CLASSIFY_METHOD in methods, takes_images="image_bytes" in signatures
    )


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Trusts what the system trusts, or only the authorities in a PEM file.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"--ca-file {ca_file}: expected a PEM file, received something else: {error}") from error


def _served(rest_url: str, ca_file: Path | None) -> str:
    """What --model may name, where the server lists its models, as Atelier does; else nothing."""
    url = f"{rest_url.rstrip('/')}/v1/models"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S, context=tls_context(ca_file)) as response:  # noqa: S310 -- as above
            names = [model["name"] for model in json.load(response)["models"]]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f"; --model may be one of: {', '.join(names)}" if names else "; no model is served"


def connection_trouble(error: object, url: str) -> str:
    """Why nothing answers as expected, with what to do where TLS is the reason."""
    match error:
        case ssl.SSLCertVerificationError():
            what_to_do = "; name its authority with --ca-file" if error.verify_code in _UNKNOWN_AUTHORITY else ""
            return f"its certificate is not trusted ({error.verify_message.rstrip('.')}){what_to_do}"
        case ssl.SSLError() if url.startswith("https:"):
            return "it does not speak TLS as expected; if it speaks none, use http:// in the URL"
        case ConnectionResetError() if url.startswith("http:"):
            return "it closes the connection; if it speaks TLS, use https:// in the URL"
        case TimeoutError():
            return f"nothing came within {_TIMEOUT_S:g} s"
        case OSError():
            return error.strerror or str(error) or type(error).__name__
        case _:
            return f"expected a model's signatures, received something else ({error})"


def _spec(name: str, info: dict[str, Any]) -> TensorSpec:
    dtype = _DTYPE_OF_TENSORFLOW.get(info["dtype"])
    if dtype is None:
        raise TargetError(f"{name}: no requests can be made of dtype {info['dtype']}")
    sizes = [int(dim["size"]) for dim in info["tensor_shape"]["dim"]]
    return TensorSpec(name, dtype, tuple(None if size < 0 else size for size in sizes))


def _written(specs: list[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} of {spec.dtype}" for spec in specs) or "none"
