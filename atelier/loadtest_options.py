"""The options that the load-test commands share. None stands for the plan's own default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WHAT, HOW, WHO = "What is asked", "When requests arrive", "What sends them"

Url = Annotated[
    str | None,
    typer.Option(
        help="The server's REST address; https:// for TLS.",
        show_default="http://localhost:8501",
        rich_help_panel=WHAT,
    ),
]
GrpcAddress = Annotated[
    str | None, typer.Option(help="HOST:PORT for gRPC.", show_default="the URL's", rich_help_panel=WHAT)
]
CaFile = Annotated[
    Path | None, typer.Option(help="PEM file with the authority of the server's certificate.", rich_help_panel=WHAT)
]
Model = Annotated[
    str | None, typer.Option(help="The served model's name.", show_default="fashion-mnist", rich_help_panel=WHAT)
]
ApiMix = Annotated[
    str | None,
    typer.Option(
        help="grpc-predict, grpc-image, grpc-oip, rest-predict, rest-image or rest-oip; several with weights: "
        "grpc-predict=8,rest-image=2.",
        show_default="grpc-predict",
        rich_help_panel=WHAT,
    ),
]
Rows = Annotated[int | None, typer.Option(help="Images in one request.", show_default="1", rich_help_panel=WHAT)]
Data = Annotated[
    str | None,
    typer.Option(
        help="Images to send: a data set in $ATELIER_DATA, a folder, digits, or random.",
        show_default="the model's own data set, or else random",
        rich_help_panel=WHAT,
    ),
]
Connections = Annotated[
    int | None,
    typer.Option(help="Most connections over REST; gRPC shares up to 8.", show_default="64", rich_help_panel=WHO),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        help="Seconds from its time after which a request has failed.", show_default="10", rich_help_panel=WHAT
    ),
]
Spacing = Annotated[
    str | None,
    typer.Option(
        help="poisson: at random, as from many people; even: like a clock.",
        show_default="poisson",
        rich_help_panel=HOW,
    ),
]
Seed = Annotated[int | None, typer.Option(help="Of arrivals and random images.", show_default="0", rich_help_panel=HOW)]
WarmUp = Annotated[
    float | None,
    typer.Option(help="Seconds of load before, which no figure counts.", show_default="2", rich_help_panel=HOW),
]
GeneratorName = Annotated[
    str,
    typer.Option(
        "--generator",
        help="locust checks every answer; h2load and wrk send more, and check none.",
        rich_help_panel=WHO,
    ),
]
ProcessCount = Annotated[int, typer.Option(min=0, help="Locust processes on this machine.", rich_help_panel=WHO)]
Report = Annotated[Path, typer.Option("--report", metavar="FOLDER", help="Folder for the report.")]
SLO_HELP = 'What has to hold: "p99<50ms,errors<0.1%"; also p50 … p99.9, mean, max, accuracy (>90%) and rate (>480/s).'
