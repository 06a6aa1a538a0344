"""The labels of a model's versions: `labels.json` beside them, such as {"stable": 3, "canary": 4}.

A label is a name for a version that clients may ask for instead of its number. It may name a version that is not there
yet. Whoever changes the file replaces it as a whole. (`assets/labels.txt` inside of a version is another thing: the
names of its classes.)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from serving.errors import BundleError
from serving.validation import first_problem

VERSION_LABELS = "labels.json"

_Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
_LABEL = TypeAdapter(_Label)
_Version = Annotated[int, Field(ge=1, lt=2**63, strict=True)]
_LABELS = TypeAdapter(dict[_Label, _Version])


def is_label(text: str) -> bool:
    """Whether a version can be called so."""
    try:
        _LABEL.validate_python(text)
    except ValidationError:
        return False
    return True


def read_version_labels(model_dir: Path) -> Mapping[str, int]:
    """The version that each label names; none where there is no such file.

    Raises:
        BundleError: the file is there, but holds something else.
    """
    try:
        content = (model_dir / VERSION_LABELS).read_bytes()
    except FileNotFoundError:
        return {}
    return parse_version_labels(content)


def parse_version_labels(content: bytes) -> Mapping[str, int]:
    """What such a file's content says.

    Raises:
        BundleError: it is something else.
    """
    try:
        return _LABELS.validate_json(content)
    except ValidationError as error:
        raise BundleError(f"{VERSION_LABELS} is not valid: {first_problem(error)}") from error
