"""The Open Inference Protocol's REST bodies to numpy and back, with tensors in the JSON or as binary data behind it.

Source: the protocol's "Inference" section, and Triton's binary tensor data extension.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from serving.errors import InvalidInputError
from serving.signatures import Signature, TensorSpec, format_shape
from serving.wire.json_bodies import dump, kind_of, parse_object, printable_floats, shorten
from serving.wire.json_tensors import decode_values
from serving.wire.oip_answers import Answer
from serving.wire.oip_classes import class_count
from serving.wire.oip_parameters import Parameters, refuse_unsupported
from serving.wire.oip_tensors import check_names, check_tensor, decode_raw, encode_raw
from serving.wire.tensors import reshape

_MAX_DEPTH = 32
_KINDS: Mapping[type, str] = MappingProxyType({dict: "an object", list: "a list", str: "a string"})


class JsonInput(NamedTuple):
    """An input as it was sent: `raw` where its data is binary, else `data`, nested or flat."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any
    raw: memoryview | None


class InferBody(NamedTuple):
    """A parsed `infer` body.

    `outputs` says which are wanted, and which of those as binary data; None means all. `class_counts` says of how many
    best classes each of them shall consist, 0 for what it is.
    """

    request_id: str | None
    parameters: Parameters
    inputs: list[JsonInput]
    outputs: dict[str, bool] | None
    class_counts: dict[str, int]

    @property
    def binary_outputs(self) -> bool:
        """Whether outputs that do not say so themselves are wanted as binary data."""
        return _flag(self.parameters, "binary_data_output", "the request") or False


RAW_BODY = InferBody(None, {"binary_data_output": True}, [], None, {})
"""What is asked for with a body that is nothing but data: all outputs, as binary data too."""


def parse_infer_body(body: bytes, json_bytes: int) -> InferBody:
    """Takes a body apart, of which the first `json_bytes` are JSON and the rest is binary data, input after input.

    Raises:
        InvalidInputError: not JSON, not of the protocol's form, or not as much binary data as it announces.
        UnsupportedError: a parameter asks for what this gateway does not do.
    """
    document = parse_object(body[:json_bytes])
    request_id = document.get("id")
    if request_id is not None:
        _expect(request_id, str, "id")
    parameters = _parameters(document, "the request")
    sent = _expect(document.get("inputs"), list, "inputs")
    binary = memoryview(body)[json_bytes:]
    inputs = []
    for index, tensor in enumerate(sent):
        entry, binary = _parse_input(tensor, f"inputs[{index}]", binary)
        inputs.append(entry)
    if len(binary):
        raise InvalidInputError(
            f"binary data: expected {len(body) - json_bytes - len(binary)} bytes, as the inputs announce with "
            f"binary_data_size, received {len(body) - json_bytes}"
        )
    parsed = InferBody(request_id, parameters, inputs, None, {})
    outputs, class_counts = _parse_outputs(document, default=parsed.binary_outputs)
    return parsed._replace(outputs=outputs, class_counts=class_counts)


def without_data(body: InferBody) -> InferBody:
    """What has to be known of it before its signature is."""
    return body._replace(inputs=[])


def decode_inputs(body: InferBody, signature: Signature) -> dict[str, np.ndarray]:
    """The inputs as arrays of the signature's dtypes and shapes.

    Raises:
        InvalidInputError: names, datatypes, shapes or values do not fit the signature.
    """
    check_names([tensor.name for tensor in body.inputs], signature)
    by_name = {tensor.name: tensor for tensor in body.inputs}
    return {spec.name: _decode_input(by_name[spec.name], spec) for spec in signature.inputs}


def decode_raw_body(body: bytes, signature: Signature) -> dict[str, np.ndarray]:
    """A body that is nothing but the data of a model's only input; its shape follows from its size.

    A string is the whole body. With several free sizes the first, the batch dimension, is 1.

    Raises:
        InvalidInputError: the model has several inputs, or the shape cannot be known.
    """
    if len(signature.inputs) != 1:
        names = ", ".join(spec.name for spec in signature.inputs)
        raise InvalidInputError(f"a raw body: expected a model with 1 input, it has {len(signature.inputs)}: {names}")
    spec = signature.inputs[0]
    if spec.element.is_string:
        if any(size not in {None, 1} for size in spec.shape):
            raise InvalidInputError(
                f'input "{spec.name}": a raw body is one string, expected {format_shape(spec.shape)}'
            )
        array = np.empty(1, object)
        array[0] = body
        return {spec.name: array.reshape([1] * len(spec.shape))}
    return {spec.name: decode_raw(body, spec, _deduce_shape(spec, len(body)))}


def written_one_by_one(
    arrays: Mapping[str, np.ndarray], answer: Answer, as_binary: Mapping[str, bool]
) -> list[np.ndarray]:
    """The outputs that `encode_answer` writes value by value, the others being copied."""
    return [array for name, array in arrays.items() if not as_binary[name] or answer.is_written_one_by_one(name, array)]


def encode_answer(
    arrays: Mapping[str, np.ndarray], answer: Answer, as_binary: Mapping[str, bool]
) -> tuple[bytes, int | None]:
    """The body, and how many of its bytes are JSON where binary data follows; `as_binary` says of which outputs.

    Raises:
        InvalidInputError: a string that is no UTF-8 cannot be JSON; or see `as_classes`.
    """
    entries: list[dict[str, Any]] = []
    binary: list[bytes] = []
    numbers: list[np.ndarray] = []
    for spec, array in answer.outputs(arrays):
        entry: dict[str, Any] = {"name": spec.name, "datatype": spec.element.oip, "shape": array.shape}
        if as_binary[spec.name]:
            binary.append(encode_raw(array))
            entry["parameters"] = {"binary_data_size": len(binary[-1])}
        elif spec.element.is_string:
            entry["data"] = _texts(spec.name, array)
        else:
            numbers.append(array)
            entry["data"] = _numbers(array)
        entries.append(entry)
    document: dict[str, Any] = {"model_name": answer.model_name, "model_version": str(answer.version)}
    if answer.request_id is not None:
        document["id"] = answer.request_id
    document["outputs"] = entries
    header = dump(document, numbers)
    return (b"".join([header, *binary]), len(header)) if binary else (header, None)


def _parse_input(tensor: Any, where: str, binary: memoryview) -> tuple[JsonInput, memoryview]:
    """The input, and what of the binary data is left for those behind it."""
    _expect(tensor, dict, where)
    name = _expect(tensor.get("name"), str, f"{where}.name")
    datatype = _expect(tensor.get("datatype"), str, f"{where}.datatype")
    shape = _expect(tensor.get("shape"), list, f"{where}.shape")
    for axis in shape:
        if type(axis) is not int:
            raise InvalidInputError(f'input "{name}": expected a shape of whole numbers, received {_shown(axis)}')
    size = _parameters(tensor, f'input "{name}"').get("binary_data_size")
    if size is None:
        if "data" not in tensor:
            raise InvalidInputError(f'input "{name}": expected data or binary_data_size, received neither')
        return JsonInput(name, datatype, tuple(shape), tensor["data"], None), binary
    if "data" in tensor:
        raise InvalidInputError(f'input "{name}": expected data or binary_data_size, received both')
    if type(size) is not int or not 0 <= size <= len(binary):
        raise InvalidInputError(
            f'input "{name}": expected {_shown(size)} bytes as binary_data_size says, '
            f"received {len(binary)} bytes of binary data"
        )
    return JsonInput(name, datatype, tuple(shape), None, binary[:size]), binary[size:]


def _parse_outputs(document: Mapping[str, Any], *, default: bool) -> tuple[dict[str, bool] | None, dict[str, int]]:
    if not document.get("outputs"):
        return None, {}
    outputs: dict[str, bool] = {}
    class_counts: dict[str, int] = {}
    for index, output in enumerate(_expect(document["outputs"], list, "outputs")):
        name = _expect(_expect(output, dict, f"outputs[{index}]").get("name"), str, f"outputs[{index}].name")
        where = f'output "{name}"'
        parameters = _parameters(output, where)
        as_binary = _flag(parameters, "binary_data", where)
        outputs[name] = default if as_binary is None else as_binary
        class_counts[name] = class_count(parameters, where)
    return outputs, class_counts


def _decode_input(tensor: JsonInput, spec: TensorSpec) -> np.ndarray:
    check_tensor(spec, tensor.datatype, tensor.shape)
    if tensor.raw is not None:
        return decode_raw(tensor.raw, spec, tensor.shape)
    # Flat or nested in any regular way: only the order and the number of values count, as for Triton and KServe.
    depth, inner = 0, tensor.data
    while isinstance(inner, list):
        depth, inner = depth + 1, inner[0] if inner else None
        if depth > _MAX_DEPTH:
            raise InvalidInputError(f'input "{spec.name}": expected lists at most {_MAX_DEPTH} deep, received more')
    array = decode_values(tensor.data, TensorSpec(spec.name, spec.dtype, (None,) * depth))
    count = math.prod(tensor.shape)
    if array.size != count:
        raise InvalidInputError(
            f'input "{spec.name}": expected {count} values for shape {format_shape(tensor.shape)}, '
            f"received {array.size}"
        )
    return reshape(array, spec, tensor.shape)


def _deduce_shape(spec: TensorSpec, size_bytes: int) -> tuple[int, ...]:
    free = [axis for axis, size in enumerate(spec.shape) if size is None]
    shape = [1 if size is None else size for size in spec.shape]
    if len(free) > 1 and free[0] == 0:
        free.pop(0)
    if len(free) > 1:
        raise InvalidInputError(
            f'input "{spec.name}": the shape of a raw body cannot be deduced, '
            f"{format_shape(spec.shape)} has more than one free size"
        )
    if free:
        unit = spec.element.numpy.itemsize * math.prod(shape)
        shape[free[0]] = -(-size_bytes // unit) if unit else 0
    return tuple(shape)


def _parameters(holder: Mapping[str, Any], where: str) -> Parameters:
    parameters: Parameters = _expect(holder.get("parameters") or {}, dict, f"{where}: parameters")
    refuse_unsupported(parameters, where)
    return parameters


def _flag(parameters: Parameters, name: str, where: str) -> bool | None:
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidInputError(f"{where}: expected true or false for {name}, received {_shown(value)}")
    return value


def _numbers(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(printable_floats(array)).ravel()


def _texts(name: str, array: np.ndarray) -> list[str]:
    try:
        return [value.decode() for value in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f'output "{name}" has strings that are no UTF-8, which JSON cannot hold: ask for it as binary_data'
        ) from error


def _expect(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise InvalidInputError(f"{where}: expected {_KINDS[kind]}, received {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    return shorten(repr(value)) if isinstance(value, str | int | float) else kind_of(value)
