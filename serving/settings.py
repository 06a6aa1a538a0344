"""The gateway's settings: flags, then `ATELIER_…` variables, then `[serve]` in `atelier.toml`, then these defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from serving.bundle_files import Precision
from serving.tls_files import TlsFiles
from serving.upstream import Upstream, UpstreamAddress, UpstreamTls

OWN_FILE = "atelier.toml"
"""In the working directory: `[serve]` is read here, `[models.NAME]` in repository/atelier_toml.py."""
MEBIBYTE = 1024 * 1024
MIN_TOKEN_CHARACTERS = 16
"""Shorter ones could be guessed."""

Rows = Annotated[int, Field(ge=1)]

BackendName = Literal["onnx", "tensorflow", "tfserving"]

Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^\s/?#]+)$")]
"""What browsers send as `Origin`: scheme, host and port, without a path."""


def _as_text(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _split_at_commas(value: object) -> object:
    """In a variable, a list is written with commas."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


Location = Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]
"""A path, or an address in an object store."""


def _check_token(token: SecretStr | None) -> SecretStr | None:
    """An empty one is none."""
    if token is None or not token.get_secret_value():
        return None
    if len(token) < MIN_TOKEN_CHARACTERS:
        raise ValueError(f"expected at least {MIN_TOKEN_CHARACTERS} characters, received fewer")
    return token


class ServingSettings(BaseSettings):
    """Everything that the gateway reads at start, and nothing later. Units are in the names."""

    model_config = SettingsConfigDict(
        env_prefix="ATELIER_",
        toml_file=OWN_FILE,
        protected_namespaces=(),
        toml_table_header=("serve",),
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
    )

    models: Location = "models"
    """A folder of models, or one model's base path (a folder of numbered versions); also in a store, as s3://…"""
    model_config_file: Path | None = None
    """TensorFlow Serving's `models.config`, which lists the models instead of `models`."""
    host: str = Field("0.0.0.0", min_length=1)  # noqa: S104 -- as TensorFlow Serving; a container has to
    grpc_port: int = Field(8500, ge=0, le=65535)
    rest_port: int = Field(8501, ge=0, le=65535)
    tls_certificate_file: Path | None = None
    """What both ports show to clients (PEM); without it they speak plain text."""
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None
    """Certificates (PEM) of the CA that has to have signed what clients show; without it they need show nothing."""
    workers: int = Field(1, ge=1, le=256)
    """Processes that answer on the same two ports."""
    hang_timeout_s: float = Field(30.0, ge=0)
    """How long a worker may show no sign of life before it is killed and started again; 0 never does that."""
    poll_interval_s: float = Field(1.0, ge=0)
    """How often the models folder is looked at; 0 looks once, at start."""
    store_poll_interval_s: float = Field(10.0, ge=0)
    """How long a look into a store counts; each look is some requests that the store may charge."""
    model_cache_dir: Path | None = None
    """Where versions are fetched to from stores; by default `atelier/models` in `$XDG_CACHE_HOME` or `~/.cache`."""
    max_parallel_loads: int = Field(4, ge=1)
    """Versions that are loaded at once, and as many that come from stores and other servers."""
    label_poll_interval_s: float = Field(0.25, ge=0)
    """How often the files of labels and traffic are looked at; 0 looks as often as at the models folder."""
    max_batch_size: int = Field(64, ge=1)
    """Rows that one run of the model takes at most."""
    batch_timeout_ms: float = Field(0.0, ge=0)
    """How long an idle model waits for more rows, counted from the first; 0 never waits."""
    allowed_batch_sizes: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], NoDecode, BeforeValidator(_split_at_commas)
    ] = ()
    """Sizes that batches are padded up to, rising to `max_batch_size`; without any, none is padded."""
    instances: int = Field(1, ge=1)
    """Batches of one model that run at once."""
    max_queue_rows: int = Field(4096, ge=1)
    """Rows that may wait for one model; more are refused at once."""
    max_queue_bytes: int = Field(256 * MEBIBYTE, ge=1)
    """Bytes of inputs that may wait for one model; more are refused at once."""
    max_queue_wait_ms: float = Field(5000.0, gt=0)
    """Requests that would wait longer for their run are refused at once."""
    slo_ms: float | None = Field(None, gt=0)
    """When set, batches are kept so small and so few requests let in that wait and run together take no longer."""
    low_priority_share: float = Field(0.1, gt=0, le=0.5)
    """The part of a busy model's rows that low-priority requests get at least."""
    overload_status: Literal["resource-exhausted", "unavailable"] = "resource-exhausted"
    """What the refused are told: RESOURCE_EXHAUSTED and 429, or TensorFlow Serving's UNAVAILABLE and 503."""
    client_header: str = ""
    """The header that tells clients apart, who share a busy model fairly; without it, their addresses do."""
    batching_parameters_file: Path | None = None
    """TensorFlow Serving's file; what it says wins over the settings here."""
    inline_limit_us: float = Field(500.0, ge=0)
    """Runs predicted to take less CPU time happen on the event loop, longer ones in a thread."""
    backend: BackendName = "onnx"
    """What runs models that say nothing else; docs/backends.md says which one when."""
    precision: Precision = "float32"
    """Which of a bundle's ONNX models is run, where a model says nothing else."""
    onnx_threads: int = Field(0, ge=0)
    """Threads of one ONNX Runtime session; 0 is one for a quick model, and the worker's cores for others."""
    tensorflow_threads: int = Field(0, ge=0)
    """Threads of one TensorFlow session; 0 leaves it to TensorFlow, which takes one a core for all sessions."""
    tfserving_addresses: Annotated[tuple[UpstreamAddress, ...], NoDecode, BeforeValidator(_split_at_commas)] = ()
    """TensorFlow Serving servers, HOST:PORT, that the `tfserving` back end asks; all of them serve the same models."""
    tfserving_models: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas)] = ()
    """Names of models on those servers, which don't list them; beside those that other settings name."""
    tfserving_tls: bool = False
    """TLS to those servers, with the system's CAs; any file below implies it."""
    tfserving_ca_file: Path | None = None
    """Certificates (PEM) of the CA that has signed the servers'."""
    tfserving_certificate_file: Path | None = None
    """What the gateway shows to the servers (PEM)."""
    tfserving_key_file: Path | None = None
    tfserving_server_name: str | None = None
    """The name in the servers' certificates, where it is not that of the address."""
    max_request_bytes: int = Field(128 * MEBIBYTE, ge=1)
    max_inflight_bytes: int = Field(1024 * MEBIBYTE, ge=1)
    """Of the requests of all clients, from when they are received until they are answered; workers share it."""
    max_json_bytes: int = Field(16 * MEBIBYTE, ge=1)
    """JSON takes far more memory and time than tensors do, so it has a limit of its own."""
    max_json_lists: int = Field(1_000_000, ge=1)
    """Lists that a JSON body may hold; one takes as much memory and time as some fifteen numbers."""
    max_json_objects: int = Field(65_536, ge=1)
    """Objects that a JSON body may hold; a row or an example is one."""
    max_connections: int = Field(10_000, ge=1)
    """Clients' connections that are open at once; more are closed as they come."""
    request_timeout_s: float = Field(120.0, gt=0)
    """How long a request may take to arrive whole, and an answer may wait for its client to take more of it."""
    idle_timeout_s: float = Field(900.0, gt=0)
    """How long a connection is kept open without a request."""
    max_image_pixels: int = Field(50_000_000, ge=1, le=178_956_970)
    """The upper bound is Pillow's own, past which it takes every image for an attack."""
    max_image_cpu_s: float = Field(10.0, gt=0)
    """Processor time that decoding one image may take."""
    max_request_images: int = Field(128, ge=1)
    """Images that one request may hold."""
    max_queue_images: int = Field(1024, ge=1)
    """Images of all requests that may wait to be decoded; more are refused at once."""
    max_connection_age_s: float = Field(0.0, ge=0)
    """How long a client's connection is kept before it is told to open another, so that clients find new gateways;
    0 keeps it."""
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split_at_commas)] = ()
    """Sites whose pages may call the gateway from a browser, such as `https://shop.example`; `*` means any."""
    state_dir: Path | None = None
    """Where labels and traffic are kept that were changed while running; without it, beside each model's versions."""
    admin_token: Annotated[SecretStr | None, AfterValidator(_check_token)] = Field(None, exclude=True)
    """What the admin API asks for; workers read the variable again, so that it is never handed on in writing."""
    admin_token_file: Path | None = None
    """A file with that token; read at each request, so that it may be replaced while running."""
    drain_grace_s: float = Field(1.0, ge=0)
    """After a stop signal: how long new requests are still answered while connections are told to go elsewhere."""
    drain_timeout_s: float = Field(30.0, ge=0)
    """After that: how long requests in flight may take to finish."""

    @model_validator(mode="before")
    @classmethod
    def _end_at_largest_size(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Who lists the batch sizes has said which is the largest."""
        sizes = _split_at_commas(values.get("allowed_batch_sizes"))
        if isinstance(sizes, (tuple, list)) and sizes and str(sizes[-1]).isdecimal() and "max_batch_size" not in values:
            return {**values, "max_batch_size": sizes[-1]}
        return values

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file go together, received only one of them")
        if self.tls_client_ca_file is not None and self.tls_certificate_file is None:
            raise ValueError("tls_client_ca_file: expected tls_certificate_file and tls_key_file too, received neither")
        return self

    @model_validator(mode="after")
    def _check_upstream(self) -> Self:
        if (self.backend == "tfserving" or self.tfserving_models) and not self.tfserving_addresses:
            raise ValueError("tfserving_addresses: expected at least one HOST:PORT, received none")
        if (self.tfserving_certificate_file is None) != (self.tfserving_key_file is None):
            raise ValueError("tfserving_certificate_file and tfserving_key_file go together, received only one of them")
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """What the two ports need to speak TLS."""
        if self.tls_certificate_file is None or self.tls_key_file is None:
            return None
        return TlsFiles(self.tls_certificate_file, self.tls_key_file, self.tls_client_ca_file)

    @property
    def upstream(self) -> Upstream | None:
        """The servers of models on an upstream that name none."""
        if not self.tfserving_addresses:
            return None
        files = (self.tfserving_ca_file, self.tfserving_certificate_file, self.tfserving_key_file)
        tls = None
        if self.tfserving_tls or any(files):
            ca, certificate, key = files
            name = self.tfserving_server_name
            tls = UpstreamTls(ca_file=ca, certificate_file=certificate, key_file=key, server_name=name)
        return Upstream(addresses=self.tfserving_addresses, tls=tls)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags > environment > file > default."""
        return init_settings, env_settings, _OurTable(settings_cls)


class _OurTable(TomlConfigSettingsSource):
    """`[serve]` of the file; a file that is there for other commands only has no such table."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        try:
            super().__init__(settings_cls)
        except KeyError:
            super().__init__(settings_cls, toml_file=None)
        except AttributeError as error:  # pydantic takes whatever stands there for a table
            raise ValueError("expected a table [serve]") from error
