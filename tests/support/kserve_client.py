"""KServe's own clients, run by the Python of their own environment: they need an older protobuf than the gateway.

Takes a REST URL, a gRPC address and a model that answers `x` [N, M] as `y`, unchanged, of one of the datatypes below;
prints what was seen as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

ARRAYS = {
    "FP32": np.array([[1.5, -2.0], [3.25, 0.0]], np.float32),
    "FP16": np.array([[1.5, -2.0], [3.25, 0.0]], np.float16),
    "INT64": np.array([[2**62, -1], [0, 7]], np.int64),
    "UINT8": np.array([[0, 255], [1, 2]], np.uint8),
    "BOOL": np.array([[True, False], [False, True]]),
    "BYTES": np.array([[b"a", b""], [b"\xc3\xbc", b"x" * 300]], object),
}


def request(datatype: str, *, binary: bool) -> InferRequest:
    """A request for the model that answers this datatype unchanged."""
    array = ARRAYS[datatype]
    tensor = InferInput("x", list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return InferRequest(f"echo-{datatype}", [tensor], request_id="42", parameters={"binary_data_output": binary})


def shown(answer: Any) -> dict[str, Any]:
    """An answer as JSON."""
    (output,) = answer.outputs
    values = [value.decode() if isinstance(value, bytes) else value for value in output.as_numpy().ravel().tolist()]
    return {
        "id": answer.id,
        "model": answer.model_name,
        "version": answer.model_version,
        "name": output.name,
        "datatype": output.datatype,
        "shape": list(output.shape),
        "values": values,
    }


async def ask_rest(url: str) -> dict[str, Any]:
    """What the REST client sees."""
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        seen: dict[str, Any] = {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model ready": await client.is_model_ready(url, "echo-FP32"),
            "unknown model ready": await client.is_model_ready(url, "nothing"),
        }
        for datatype in ARRAYS:
            seen[f"{datatype} binary"] = shown(
                await client.infer(url, request(datatype, binary=True), model_name=f"echo-{datatype}")
            )
            if datatype != "FP16":  # which the client refuses to write as JSON
                seen[f"{datatype} in lists"] = shown(
                    await client.infer(url, request(datatype, binary=False), model_name=f"echo-{datatype}")
                )
        try:
            await client.infer(url, request("FP32", binary=True), model_name="nothing")
        except httpx.HTTPStatusError as error:
            seen["unknown model"] = [error.response.status_code, str(error).partition(",")[0]]
    return seen


async def ask_grpc(address: str) -> dict[str, Any]:
    """What the gRPC client sees."""
    async with InferenceGRPCClient(address) as client:
        seen: dict[str, Any] = {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model ready": await client.is_model_ready("echo-FP32"),
            "unknown model ready": await client.is_model_ready("nothing"),
        }
        for datatype in ARRAYS:
            seen[f"{datatype} binary"] = shown(await client.infer(request(datatype, binary=True)))
            if datatype != "FP16":
                seen[f"{datatype} in lists"] = shown(await client.infer(request(datatype, binary=False)))
        unknown = request("FP32", binary=True)
        unknown.model_name = "nothing"
        try:
            await client.infer(unknown)
        except grpc.RpcError as error:
            seen["unknown model"] = [error.code().name, error.details()]
    return seen


async def main(url: str, address: str) -> None:
    """Asks everything of both clients."""
    print(json.dumps({"rest": await ask_rest(url), "grpc": await ask_grpc(address)}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
