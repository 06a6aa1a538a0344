"""Two messages of TensorFlow Serving's configuration that its Python package leaves out.

Fields as in its session_bundle_config.proto and monitoring_config.proto, as far as files of ours may use them.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

_PACKAGE = "atelier.tests"
_Field = descriptor_pb2.FieldDescriptorProto


def batching_parameters() -> Any:
    """An empty BatchingParameters."""
    int64 = wrappers_pb2.Int64Value.DESCRIPTOR.full_name
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    fields = [
        _Field(name=name, number=number, type=_Field.TYPE_MESSAGE, type_name=f".{int64}", label=_Field.LABEL_OPTIONAL)
        for number, name in enumerate(names, start=1)
    ]
    fields.append(
        _Field(name="allowed_batch_sizes", number=6, type=_Field.TYPE_INT64, label=_Field.LABEL_REPEATED),
    )
    return _message("BatchingParameters", [descriptor_pb2.DescriptorProto(name="BatchingParameters", field=fields)])


def monitoring_config_message() -> Any:
    """An empty MonitoringConfig."""
    prometheus = descriptor_pb2.DescriptorProto(
        name="PrometheusConfig",
        field=[
            _Field(name="enable", number=1, type=_Field.TYPE_BOOL, label=_Field.LABEL_OPTIONAL),
            _Field(name="path", number=2, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL),
        ],
    )
    config = _Field(
        name="prometheus_config",
        number=1,
        type=_Field.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.PrometheusConfig",
        label=_Field.LABEL_OPTIONAL,
    )
    return _message(
        "MonitoringConfig", [prometheus, descriptor_pb2.DescriptorProto(name="MonitoringConfig", field=[config])]
    )


def _message(name: str, types: list[descriptor_pb2.DescriptorProto]) -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{name}.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
        message_type=types,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(descriptor_pb2.FileDescriptorProto.FromString(wrappers_pb2.DESCRIPTOR.serialized_pb))
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))()
