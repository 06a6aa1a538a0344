"""What an operator may say about a model's traffic: weights, who stays with one version, and a shadow."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MAX_TURNS = 10_000
"""The most turns after which a split repeats itself."""

NEWEST = "the newest version"
"""Who answers where no traffic is set."""

TargetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
"""A label, or a version's number: what is nothing but digits is a number."""

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]*$", max_length=128)]


def _check_weights(weights: Mapping[str, int]) -> Mapping[str, int]:
    total = sum(weights.values())
    if weights and not total:
        raise ValueError("expected at least one weight above 0")
    if total > MAX_TURNS * gcd(*weights.values()):
        raise ValueError(f"expected weights that add up to at most {MAX_TURNS} (as 95 and 5 do), received {total}")
    return weights


Weights = Annotated[Mapping[TargetName, Annotated[int, Field(ge=0, strict=True)]], AfterValidator(_check_weights)]
"""Whole numbers by label or version; {"stable": 95, "canary": 5} is the same as {"stable": 19, "canary": 1}."""


class ShadowSettings(BaseModel):
    """A version that gets copies of requests, whose answers are compared and thrown away."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    target: TargetName
    """The label, or the number of the version."""
    share: float = Field(1.0, gt=0, le=1)
    """The part of the requests that other versions answer."""
    tolerance: float = Field(1e-3, ge=0)
    """How far a regression's numbers may differ, absolutely, and still agree."""
    max_busy: float = Field(0.1, gt=0, le=1)
    """The part of its time that the shadow may run at most, so that it takes little from those who wait."""


class TrafficSettings(BaseModel):
    """How requests that name neither a version nor a label find theirs. Empty: the newest version answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    traffic: Weights = {}
    sticky_header: HeaderName = ""
    """Requests with equal values of this header (in gRPC: metadata) are answered by the same version."""
    shadow: ShadowSettings | None = None

    @model_validator(mode="after")
    def _check_header(self) -> Self:
        if self.sticky_header and not self.traffic:
            raise ValueError("sticky_header: expected weights in traffic beside it, received none")
        return self

    def __str__(self) -> str:
        weights = ", ".join(f"{target}={weight}" for target, weight in self.traffic.items())
        sticky = f"sticky by {self.sticky_header}" if self.sticky_header else ""
        shadow = f"{self.shadow.share:.0%} copied to {self.shadow.target}" if self.shadow is not None else ""
        return "; ".join(filter(None, [weights, sticky, shadow])) or NEWEST

    @property
    def targets(self) -> frozenset[str]:
        """The labels and versions that are spoken of; those of weight 0 may come back any time."""
        return frozenset(self.traffic) | ({self.shadow.target} if self.shadow is not None else frozenset())


def version_of(target: str, labels: Mapping[str, int]) -> int | None:
    """The version that a label or number means; None for a label that means none."""
    return int(target) if target.isdigit() else labels.get(target)
