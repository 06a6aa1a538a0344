"""Who is asked: a model, and one of its versions by number or by label, or whichever the gateway chooses."""

from __future__ import annotations

from typing import NamedTuple, Self
from urllib.parse import quote

from serving.errors import InvalidInputError


class Choice(NamedTuple):
    """See `of`."""

    model: str
    version: int | None
    label: str | None

    @classmethod
    def of(cls, model: str, version: int | None = None, label: str | None = None) -> Self:
        """What a caller has named.

        Raises:
            InvalidInputError: the model's or the label's name is empty, or both a version and a label are given.
        """
        if not model:
            raise InvalidInputError("model: expected the name of a model, received an empty one")
        if label == "":
            raise InvalidInputError("label: expected the name of a label, received an empty one")
        if version is not None and label is not None:
            raise InvalidInputError(f"expected either a version or a label, received both: {version} and {label!r}")
        return cls(model, version, label)

    @property
    def path(self) -> str:
        """Its address in TensorFlow Serving's API."""
        by_label = "" if self.label is None else f"/labels/{quote(self.label, safe='')}"
        return f"/v1{self._numbered}{by_label}"

    @property
    def infer_path(self) -> str:
        """Where the Open Inference Protocol asks it; that has no address for a label."""
        return f"/v2{self._numbered}/infer"

    @property
    def _numbered(self) -> str:
        return f"/models/{quote(self.model, safe='')}" + ("" if self.version is None else f"/versions/{self.version}")
