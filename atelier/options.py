"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MAX_SEED = 2**32 - 1
GIB = 2**30
DATA_SET = "Data set"

Url = Annotated[str, typer.Option(help="The gateway's REST address.", envvar="ATELIER_URL")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of words and tables.")]
ResultAsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")]
Data = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=DATA_SET,
        help="Folder with the data set, the only place looked into; for `folder` a tar, an npz or tfds:NAME too.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", rich_help_panel=DATA_SET, help="Refuse an image that cannot be decoded; else it is left out."
    ),
]
MaxMemory = Annotated[
    float,
    typer.Option(
        min=0.001,
        max=2**20,
        rich_help_panel=DATA_SET,
        help="Decoded images above so many GiB are read from a file, not from memory.",
    ),
]
