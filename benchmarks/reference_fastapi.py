"""A plain FastAPI server on uvicorn over ONNX Runtime, without batching: JSON rows, and image files by Pillow."""

from __future__ import annotations

import argparse
import io
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from pydantic import BaseModel

from benchmarks.session import open_session

DTYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}


class Rows(BaseModel):
    """The row format of TensorFlow Serving's REST API."""

    instances: list[Any]


class Predictions(BaseModel):
    """One list of scores per row."""

    predictions: list[list[float]]


class Class(BaseModel):
    """A class of the model and how probable it is."""

    index: int
    probability: float


class Classes(BaseModel):
    """The five best ones."""

    classes: list[Class]


def make_app(onnx_file: Path, name: str) -> FastAPI:
    """The application for one model, one input and one output."""
    session = open_session(onnx_file)
    model_input = session.get_inputs()[0]
    outputs = [session.get_outputs()[0].name]
    dtype = DTYPES[model_input.type]
    height, width, *channels = model_input.shape[1:]
    mode = "RGB" if channels else "L"
    app = FastAPI()

    @app.post(f"/v1/models/{name}:predict")
    async def predict(rows: Rows) -> Predictions:
        values = np.asarray(rows.instances, dtype=dtype)
        return Predictions(predictions=session.run(outputs, {model_input.name: values})[0].tolist())

    @app.post(f"/v1/models/{name}:classify")
    async def classify(request: Request) -> Classes:
        with Image.open(io.BytesIO(await request.body())) as image:
            pixels = image.convert(mode).resize((width, height), Image.Resampling.BILINEAR)
        scores = session.run(outputs, {model_input.name: np.asarray(pixels, dtype)[np.newaxis]})[0][0]
        best = np.argsort(scores)[:-6:-1]
        return Classes(classes=[Class(index=int(index), probability=float(scores[index])) for index in best])

    return app


def main() -> None:
    """Reads the command line and serves; prints its port as one line of JSON when listening."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--onnx-file", type=Path, required=True)
    parser.add_argument("--name", required=True, help="the model's name in the path")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    options = parser.parse_args()
    server = uvicorn.Server(
        uvicorn.Config(make_app(options.onnx_file, options.name), log_level="warning", access_log=False)
    )
    with socket.create_server(("127.0.0.1", options.port), backlog=2048) as listener:
        print(json.dumps({"rest_port": listener.getsockname()[1]}), flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
