"""What an operator may say about batching, for all models or for one."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from serving.errors import BundleError

Rows = Annotated[int, Field(ge=1)]


class BatchSettings(BaseModel):
    """Bounds of a model's queues and batches; each signature has a queue of its own. docs/batching.md explains them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_batch_size: Rows = 64
    """Rows that one run of the model takes at most."""
    batch_timeout_ms: float = Field(0.0, ge=0)
    """How long an idle model waits for more rows, counted from the first; 0 never waits."""
    allowed_batch_sizes: tuple[Rows, ...] = ()
    """Sizes that batches are padded up to, rising to `max_batch_size`; without any, none is padded."""
    instances: int = Field(1, ge=1)
    """Batches that run at once."""
    max_queue_rows: Rows = 4096
    """Rows that may wait; more are refused at once."""
    max_queue_bytes: int = Field(256 * 1024 * 1024, ge=1)
    """Bytes of inputs that may wait; more are refused at once."""
    max_queue_wait_ms: float = Field(5000.0, gt=0)
    """A request that would wait longer for its run, by what runs have taken so far, is refused at once."""
    slo_ms: float | None = Field(None, gt=0)
    """When set: wait and run take no longer. Batches shrink to keep it, and what could not keep it is refused."""
    low_priority_share: float = Field(0.1, gt=0, le=0.5)
    """The part of a busy model's rows that low-priority requests get at least, so that they wait a bounded time."""
    inline_limit_us: float = Field(500.0, ge=0)
    """Runs predicted to take less CPU time happen on the event loop, longer ones in a thread."""

    @model_validator(mode="before")
    @classmethod
    def _end_at_largest_size(cls, values: Any) -> Any:
        """Who lists the sizes has said which is the largest."""
        if isinstance(values, dict) and values.get("allowed_batch_sizes") and "max_batch_size" not in values:
            return {**values, "max_batch_size": values["allowed_batch_sizes"][-1]}
        return values

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        sizes = self.allowed_batch_sizes
        if sizes and (list(sizes) != sorted(set(sizes)) or sizes[-1] != self.max_batch_size):
            raise ValueError(
                f"allowed_batch_sizes: expected rising sizes that end with max_batch_size ({self.max_batch_size}), "
                f"received {', '.join(map(str, sizes))}"
            )
        return self

    @property
    def warm_up_rows(self) -> tuple[int, ...]:
        """The sizes of batches that a version runs before it answers: all that are padded to, or else both ends."""
        return self.allowed_batch_sizes or tuple(sorted({1, self.max_batch_size}))

    def of_model(self, own: BatchSettings | None) -> BatchSettings:
        """These of the gateway, but as a model says wherever it says something.

        Raises:
            BundleError: together they make no sense.
        """
        try:
            return self.changed_by(own)
        except ValueError as error:
            raise BundleError(f"its batching does not go with the gateway's: {error}") from error

    def changed_by(self, other: BatchSettings | None) -> BatchSettings:
        """These, but as `other` says wherever it says something: a model's own settings over the gateway's.

        Raises:
            ValueError: together they make no sense.
        """
        changes = other.model_dump(exclude_unset=True) if other is not None else {}
        try:
            return BatchSettings.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error

    def at_most(self, rows: int | None) -> BatchSettings:
        """These for a model that takes no more rows at once; None is no bound."""
        if rows is None or rows >= self.max_batch_size:
            return self
        sizes = tuple(size for size in self.allowed_batch_sizes if size < rows)
        changes = {"max_batch_size": rows, "allowed_batch_sizes": (*sizes, rows) if sizes else ()}
        return self.model_copy(update=changes)
