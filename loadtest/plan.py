"""What a load test does: one frozen value, from Locust's options or from `atelier loadtest`'s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from loadtest import rates
from loadtest.apis import API_NAMES
from loadtest.arrivals import Spacing, arrivals, read_trace
from loadtest.errors import UsageError
from loadtest.rates import Rates

MAX_RATE = 200_000.0
"""More requests a second than any generator here sends."""
MAX_WINDOWS = 600
"""A recording has no more windows than this, however long it takes."""

Shape = Literal["constant", "steps", "ramp", "spike", "soak", "replay"]
Rate = Annotated[float, Field(gt=0, le=MAX_RATE, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=30 * 86400, allow_inf_nan=False)]


class LoadPlan(BaseModel):
    """What is sent where, and when. Rates are in requests a second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field("http://localhost:8501", description="the server's REST address; https:// for TLS")
    grpc_address: str = Field("", description="HOST:PORT for gRPC; the URL's own if not given")
    ca_file: Path | None = Field(None, description="PEM file with the authority of the server's certificate")
    model: str = Field("fashion-mnist", min_length=1, description="the served model's name")
    api: str = Field(
        "grpc-predict", description=f"what is called: {', '.join(API_NAMES)}; several with weights: A=8,B=2"
    )
    rows: int = Field(1, ge=1, le=4096, description="images in one request")
    data: str = Field(
        "",
        description="images: a data set in $ATELIER_DATA, a folder, digits or random; the model's own if not given",
    )
    connections: int = Field(64, ge=1, le=800, description="most connections over REST; gRPC shares up to 8")
    timeout_s: Seconds = Field(10.0, description="seconds from the intended send time after which a request has failed")
    shape: Shape = Field("constant", description="how the rate changes: constant, steps, ramp, spike, soak, replay")
    rate: Rate = Field(100.0, description="requests a second, at the end of steps and ramp")
    duration_s: Seconds = Field(60.0, description="seconds of load, without the warm-up")
    from_rate: Rate = Field(1.0, description="requests a second at the begin of steps and ramp")
    steps: int = Field(5, ge=1, le=1000, description="how many rates steps has")
    spike_rate: Rate | None = Field(
        None, description="requests a second in the spike; five times the rate if not given"
    )
    spike_for_s: Seconds | None = Field(None, description="seconds of the spike; a fifth of the duration if not given")
    trace: Path | None = Field(None, description="CSV of arrival times in seconds, for replay")
    speed: float = Field(1.0, gt=0, le=1000, description="how much faster than recorded a trace is replayed")
    spacing: Spacing = Field("poisson", description="poisson: at random, as from many people; even: like a clock")
    seed: int = Field(0, ge=0, description="of the arrivals and of random images")
    warm_up_s: float = Field(
        2.0, ge=0, le=3600, allow_inf_nan=False, description="seconds of load before, which no figure counts"
    )

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("expected http://HOST:PORT or https://HOST:PORT")
        _ = parts.port  # raises for what is no port
        return url.rstrip("/")

    @field_validator("grpc_address")
    @classmethod
    def _is_host_and_port(cls, address: str) -> str:
        host, _, port = address.rpartition(":")
        if address and not (host and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError("expected HOST:PORT")
        return address

    @field_validator("api")
    @classmethod
    def _is_mix(cls, text: str) -> str:
        parse_mix(text)
        return text

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.spike_for_s is not None and self.spike_for_s >= self.duration_s:
            raise ValueError(f"--spike-for: expected less than the duration of {self.duration_s:g} s")
        if (self.shape == "replay") != (self.trace is not None):
            raise ValueError("--trace: expected with the shape replay, and only there")
        return self

    @cached_property
    def mix(self) -> Mapping[str, float]:
        """The APIs that are called, each with its share of the requests, 0..1."""
        return parse_mix(self.api)

    @property
    def grpc_target(self) -> str:
        """HOST:PORT for gRPC."""
        parts = urlsplit(self.url)
        return self.grpc_address or f"{parts.hostname}:{parts.port or (443 if self.is_tls else 80)}"

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.url.startswith("https:")

    @cached_property
    def rates(self) -> Rates | None:
        """The rate over time; None for a trace."""
        match self.shape:
            case "constant" | "soak":
                return rates.constant(self.rate, self.duration_s)
            case "steps":
                return rates.steps(self.from_rate, self.rate, self.steps, self.duration_s)
            case "ramp":
                return rates.ramp(self.from_rate, self.rate, self.duration_s)
            case "spike":
                high = self.spike_rate or min(5 * self.rate, MAX_RATE)
                return rates.spike(self.rate, high, self.spike_for_s or self.duration_s / 5, self.duration_s)
            case "replay":
                return None

    @property
    def window_s(self) -> int:
        """Whole seconds that are counted together: one, more in a test that takes long."""
        return max(1, -int(-self.duration_s // MAX_WINDOWS))

    def times(self) -> Iterator[float]:
        """Seconds of all arrivals, ascending; those of the warm-up are negative.

        Raises:
            UsageError: the trace cannot be read.
        """
        if self.warm_up_s:
            first = self.rates.at(0.0) if self.rates else min(self.rate, MAX_RATE)
            yield from arrivals(
                rates.constant(first, self.warm_up_s), self.spacing, self.seed + 1, begin_s=-self.warm_up_s
            )
        if self.rates:
            yield from arrivals(self.rates, self.spacing, self.seed)
        else:
            yield from self.trace_times()

    def trace_times(self) -> list[float]:
        """Seconds of the trace's arrivals, as far as the duration goes."""
        if self.trace is None:
            return []
        times = read_trace(self.trace, speed=self.speed)
        return [float(time) for time in times[times < self.duration_s]]

    def options(self) -> list[str]:
        """The command line options that say the same."""
        given = self.model_dump(mode="json", exclude_none=True, exclude={"url"})
        return [f"--host={self.url}", *(f"{option(name)}={value}" for name, value in given.items() if value != "")]


def option(name: str) -> str:
    """A field's command line option: seconds are what options take."""
    return f"--{name.removesuffix('_s').replace('_', '-')}"


def plan_of(options: Mapping[str, Any]) -> LoadPlan:
    """A plan of options by name; what is None or empty is as if it were not given.

    Raises:
        UsageError: the first option that cannot be.
    """
    given = {name: value for name, value in options.items() if value is not None and value != ""}
    try:
        return LoadPlan.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise UsageError(message) from error
        message = message[0].lower() + message[1:]
        raise UsageError(f"{option(str(first['loc'][0]))}: {message}, received {first['input']!r}") from error


def parse_mix(text: str) -> Mapping[str, float]:
    """`grpc-predict=8,rest-image=2` as shares of one: `{"grpc-predict": 0.8, "rest-image": 0.2}`.

    Raises:
        ValueError: an unknown API, or a weight that is not a positive number.
    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = (piece.strip() for piece in part.partition("="))
        if name not in API_NAMES or name in weights:
            raise ValueError(f"expected APIs of {', '.join(API_NAMES)}, each once")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            weights[name] = 0.0
        if not 0 < weights[name] < float("inf"):
            raise ValueError(f"expected a positive weight for {name}")
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
