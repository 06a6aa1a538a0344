"""Odd but legal forms of a message mean to the gateway what they mean to the official classes.

Each is sent as it is, and as the official class writes what it has read of it; both have the same answer.
"""

from __future__ import annotations

import struct
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import classification_pb2, get_model_status_pb2, predict_pb2

from tests.support.wire_forms import BYTES, FIXED64, VARINT, field, tensor_head, unpacked_floats, varint

GROUP_START, GROUP_END = 3, 4


def sub(number: int, *content: bytes) -> bytes:
    """A field that holds a message, a string, or packed numbers."""
    return field(number, BYTES, b"".join(content))


def number(number: int, value: int) -> bytes:
    return field(number, VARINT, varint(value))


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def entry(tensor: bytes) -> bytes:
    """An entry of `inputs`."""
    return sub(2, sub(1, b"x"), sub(2, tensor))


def overlong(content: bytes) -> bytes:
    """A field 2 whose length takes more bytes than it needs."""
    return bytes([0x12, len(content) | 0x80, 0x80, 0x00]) + content


NAME = sub(1, b"echo_float32")
SPEC = sub(1, NAME)
HEAD = tensor_head(1, [1, 2])
CONTENT = sub(4, floats(1, 2))
TENSOR = HEAD + CONTENT
INPUT = entry(TENSOR)
ROW = sub(2, number(1, 1))
UNKNOWN = number(99, 1) + sub(98, b"?") + field(97, FIXED64, bytes(8))

PREDICT = {
    "the input before the model": INPUT + SPEC,
    "a key behind its value": SPEC + sub(2, sub(2, TENSOR), sub(1, b"x")),
    "an entry without a key": SPEC + sub(2, sub(2, TENSOR)),
    "an entry without a value": SPEC + sub(2, sub(1, b"x")),
    "an empty entry": SPEC + sub(2),
    "an input twice": SPEC + INPUT + entry(HEAD + sub(4, floats(3, 4))),
    "a value in two parts": SPEC + sub(2, sub(1, b"x"), sub(2, HEAD), sub(2, CONTENT)),
    "a model in two parts": sub(1, sub(1, b"another")) + INPUT + SPEC + sub(1, sub(3, b"serving_default")),
    "a shape in two parts": SPEC
    + entry(number(1, 1) + sub(2, sub(2, number(1, 1))) + sub(2, sub(2, number(1, 2))) + CONTENT),
    "a dtype twice": SPEC + entry(number(1, 3) + TENSOR),
    "content twice": SPEC + entry(TENSOR + sub(4, floats(8, 9))),
    "content and values": SPEC + entry(TENSOR + sub(5, floats(8, 9))),
    "empty content and values": SPEC + entry(HEAD + sub(4) + sub(5, floats(8, 9))),
    "packed values in pieces": SPEC + entry(HEAD + sub(5, floats(1)) + sub(5) + sub(5, floats(2))),
    "single values": SPEC + entry(HEAD + unpacked_floats(5, [1, 2])),
    "sizes with names": SPEC
    + entry(number(1, 1) + sub(2, sub(2, number(1, 1), sub(2, b"n")), sub(2, number(1, 2))) + CONTENT),
    "a shape that says its rank is unknown": SPEC + entry(TENSOR + sub(2, number(3, 1))),
    "unknown fields": SPEC + UNKNOWN + entry(TENSOR + UNKNOWN) + sub(1, UNKNOWN),
    "an unknown group": SPEC + INPUT + varint(20 << 3 | GROUP_START) + number(1, 1) + varint(20 << 3 | GROUP_END),
    "a length of more bytes than it needs": SPEC + overlong(sub(1, b"x") + sub(2, TENSOR)),
    "defaults that are said": sub(1, NAME, sub(3)) + entry(sub(4) + HEAD + sub(5, floats(0, 0))),
    "version 0": sub(1, NAME, sub(2, number(1, 0))) + INPUT,
    "a version that is not said": sub(1, NAME, sub(2)) + INPUT,
    "a version in two parts": sub(1, NAME, sub(2)) + sub(1, sub(2, number(1, 1))) + INPUT,
    "an empty label": sub(1, NAME, sub(4)) + INPUT,
    "a label, then a version": sub(1, NAME, sub(4, b"stable"), sub(2, number(1, 1))) + INPUT,
    "a version, then a label": sub(1, NAME, sub(2, number(1, 1)), sub(4, b"stable")) + INPUT,
    "no model": INPUT,
    "a model without a name": sub(1) + INPUT,
    "an empty name of an output": SPEC + INPUT + sub(3),
    "an integer of 64 bits for 32": sub(1, sub(1, b"echo_int32"))
    + entry(tensor_head(3, [1, 2]) + sub(7, varint(2**32 + 7), b"\x05")),
    "a boolean of several bytes": sub(1, sub(1, b"echo_bool"))
    + entry(tensor_head(10, [1, 2]) + sub(11, b"\x80\x80\x01\x00")),
}
CLASSIFY_SPEC = sub(1, sub(1, b"brightness"), sub(3, b"classify"))


def pixels(feature: bytes) -> bytes:
    """An entry of an example's features."""
    return sub(1, sub(1, b"pixels"), sub(2, feature))


def examples_of(feature: bytes) -> bytes:
    """A request to classify one example."""
    return CLASSIFY_SPEC + sub(2, sub(1, sub(1, sub(1, pixels(feature)))))


PIXELS = pixels(sub(3, sub(1, b"\x01\x02\x03\x04")))
EXAMPLE = sub(1, PIXELS)
CLASSIFY = {
    "a list in two parts": CLASSIFY_SPEC + sub(2, sub(1, sub(1, EXAMPLE))) + sub(2, sub(1, sub(1, EXAMPLE))),
    "a context, then a list without one": CLASSIFY_SPEC + sub(2, sub(2, sub(1, EXAMPLE)), sub(1, sub(1, EXAMPLE))),
    "a list, then one with a context": CLASSIFY_SPEC + sub(2, sub(1, sub(1, EXAMPLE)), sub(2, sub(1, EXAMPLE))),
    "features in two parts": CLASSIFY_SPEC + sub(2, sub(1, sub(1, sub(1), sub(1, PIXELS)))),
    "numbers packed and single": examples_of(sub(3, number(1, 1), sub(1, b"\x02\x03"), number(1, 4))),
    "a feature of two kinds": examples_of(sub(2, sub(1, floats(1))) + sub(3, sub(1, b"\x01\x02\x03\x04"))),
    "no examples": CLASSIFY_SPEC + sub(2, sub(1)),
    "an empty input": CLASSIFY_SPEC + sub(2),
}
STATUS = {
    "no model": b"",
    "a model without a name": sub(1),
    "version 0": sub(1, NAME, sub(2)),
    "a label": sub(1, NAME, sub(4, b"stable")),
    "unknown fields": SPEC + UNKNOWN,
}


def said(channel: grpc.Channel, method: str, answer: Any, message: bytes) -> Any:
    """The answer, or code and text of the refusal."""
    call = channel.unary_unary(f"/tensorflow.serving.{method}", response_deserializer=answer.FromString)
    try:
        return call(message, timeout=60.0)
    except grpc.RpcError as error:
        return error.code(), error.details()


def hold_against_official(channel: grpc.Channel, method: str, question: Any, answer: Any, message: bytes) -> None:
    rewritten = question.FromString(message).SerializeToString()
    assert said(channel, method, answer, message) == said(channel, method, answer, rewritten)


@pytest.mark.parametrize("name", PREDICT)
def test_a_predict_request_means_what_the_official_class_reads(name: str, channel: grpc.Channel) -> None:
    messages = predict_pb2.PredictRequest, predict_pb2.PredictResponse
    hold_against_official(channel, "PredictionService/Predict", *messages, PREDICT[name])


@pytest.mark.parametrize("name", CLASSIFY)
def test_a_classify_request_means_what_the_official_class_reads(name: str, channel: grpc.Channel) -> None:
    messages = classification_pb2.ClassificationRequest, classification_pb2.ClassificationResponse
    hold_against_official(channel, "PredictionService/Classify", *messages, CLASSIFY[name])


@pytest.mark.parametrize("name", STATUS)
def test_a_status_request_means_what_the_official_class_reads(name: str, channel: grpc.Channel) -> None:
    messages = get_model_status_pb2.GetModelStatusRequest, get_model_status_pb2.GetModelStatusResponse
    hold_against_official(channel, "ModelService/GetModelStatus", *messages, STATUS[name])
