"""Our messages and TensorFlow Serving's official ones read each other's bytes, whatever fields are set."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.wire import atelier_tfs_pb2 as ours
from serving.wire.services import DECLARED_AS_BYTES

PAIRS: dict[str, tuple[type[Message], type[Message]]] = {
    "PredictRequest": (ours.PredictRequest, predict_pb2.PredictRequest),
    "PredictResponse": (ours.PredictResponse, predict_pb2.PredictResponse),
    "ClassificationRequest": (ours.ExamplesRequest, classification_pb2.ClassificationRequest),
    "ClassificationResponse": (ours.ClassificationResponse, classification_pb2.ClassificationResponse),
    "RegressionRequest": (ours.ExamplesRequest, regression_pb2.RegressionRequest),
    "RegressionResponse": (ours.RegressionResponse, regression_pb2.RegressionResponse),
    "MultiInferenceRequest": (ours.MultiInferenceRequest, inference_pb2.MultiInferenceRequest),
    "MultiInferenceResponse": (ours.MultiInferenceResponse, inference_pb2.MultiInferenceResponse),
    "GetModelMetadataRequest": (ours.GetModelMetadataRequest, get_model_metadata_pb2.GetModelMetadataRequest),
    "GetModelMetadataResponse": (ours.GetModelMetadataResponse, get_model_metadata_pb2.GetModelMetadataResponse),
    "SignatureDefMap": (ours.SignatureDefMap, get_model_metadata_pb2.SignatureDefMap),
    "GetModelStatusRequest": (ours.GetModelStatusRequest, get_model_status_pb2.GetModelStatusRequest),
    "GetModelStatusResponse": (ours.GetModelStatusResponse, get_model_status_pb2.GetModelStatusResponse),
    "ReloadConfigRequest": (ours.ReloadConfigRequest, model_management_pb2.ReloadConfigRequest),
    "ReloadConfigResponse": (ours.ReloadConfigResponse, model_management_pb2.ReloadConfigResponse),
    "Example": (ours.Example, example_pb2.Example),
}
EVERY_PAIR = pytest.mark.parametrize("name", PAIRS)
FEW = settings(max_examples=20, deadline=None)
MAX_DEPTH = 6
MAX_FIELDS = 4
INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32, allow_nan=False),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(allow_nan=False),
}


def value(draw: Any, field: FieldDescriptor, depth: int) -> Any:
    held = DECLARED_AS_BYTES.get(field.full_name)
    if isinstance(held, type):
        return filled(draw, held, depth + 1).SerializeToString()
    if held is not None:
        return draw(st.binary(min_size=8, max_size=8))
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return draw(st.sampled_from([known.number for known in field.enum_type.values]))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return draw(st.binary(max_size=4))
    if field.type == FieldDescriptor.TYPE_STRING:
        return draw(st.text(max_size=4))
    return draw(INTEGERS[field.cpp_type])


def filled(draw: Any, kind: type[Message], depth: int = 0) -> Any:
    message = kind()
    fill(draw, message, depth)
    return message


def fill(draw: Any, message: Any, depth: int) -> None:
    """Sets any of the fields; of a oneof, the last one stays."""
    fields = list(message.DESCRIPTOR.fields)
    # Fewer the deeper they are, or a message of messages would never end.
    some = st.lists(st.sampled_from(fields), unique_by=lambda field: field.number, max_size=max(1, MAX_FIELDS - depth))
    for field in draw(some) if fields else []:
        is_message = field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE
        if is_message and depth >= MAX_DEPTH:
            continue
        here = getattr(message, field.name)
        # Packed numbers may come in pieces; whoever writes them again writes one.
        times = 1 if field.full_name in DECLARED_AS_BYTES else draw(st.integers(1, 2 if depth < 2 else 1))
        if is_message and field.message_type.GetOptions().map_entry:
            for _ in range(times):
                fill_entry(draw, here, field.message_type, depth)
        elif is_message and field.is_repeated:
            for _ in range(times):
                fill(draw, here.add(), depth + 1)
        elif is_message:
            here.SetInParent()
            fill(draw, here, depth + 1)
        elif field.is_repeated:
            here.extend(value(draw, field, depth) for _ in range(times))
        else:
            setattr(message, field.name, value(draw, field, depth))


def fill_entry(draw: Any, entries: Any, entry: Descriptor, depth: int) -> None:
    """One more entry of a map, unless it is there."""
    key, content = entry.fields_by_number[1], entry.fields_by_number[2]
    name = value(draw, key, depth)
    if content.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
        entries[name] = value(draw, content, depth)
    elif name not in entries:
        fill(draw, entries[name], depth + 1)


@EVERY_PAIR
@FEW
@given(data=st.data())
def test_ours_survive_the_official_class(name: str, data: st.DataObject) -> None:
    our_class, official_class = PAIRS[name]
    sent = filled(data.draw, our_class)
    official = official_class.FromString(sent.SerializeToString())

    assert our_class.FromString(official.SerializeToString()) == sent


@EVERY_PAIR
@FEW
@given(data=st.data())
def test_official_ones_survive_our_class_with_fields_that_we_do_not_know(name: str, data: st.DataObject) -> None:
    our_class, official_class = PAIRS[name]
    sent = filled(data.draw, official_class)
    received = our_class.FromString(sent.SerializeToString())

    assert official_class.FromString(received.SerializeToString()) == sent


@EVERY_PAIR
def test_every_field_of_ours_is_an_official_one(name: str) -> None:
    our_class, official_class = PAIRS[name]
    compare(our_class.DESCRIPTOR, official_class.DESCRIPTOR, set())


def compare(our_kind: Descriptor, official_kind: Descriptor, seen: set[str]) -> None:
    """Numbers, names, repetition and types of all fields, and of the messages in them."""
    if our_kind.full_name in seen:
        return
    seen.add(our_kind.full_name)
    for field in our_kind.fields:
        official = official_kind.fields_by_number[field.number]
        assert (field.name, field.is_repeated) == (official.name, official.is_repeated), field.full_name
        held = DECLARED_AS_BYTES.get(field.full_name)
        if isinstance(held, type):
            compare(held.DESCRIPTOR, official.message_type, seen)
        elif held is not None:
            assert held == official.type, field.full_name
        elif field.message_type is not None:
            compare(field.message_type, official.message_type, seen)
        else:
            enum_as_number = official.type == FieldDescriptor.TYPE_ENUM and field.type == FieldDescriptor.TYPE_INT32
            assert field.type == official.type or enum_as_number, field.full_name
