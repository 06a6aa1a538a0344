"""The gRPC services of the gateway, described for clients that ask a server what it speaks (reflection).

Our decoding messages declare packed numbers as bytes, so that they reach numpy without a loop, and examples, which are
passed on as they are. Here every such field gets back the type that a client has to write, and every message the
package of its protocol, by which an `Any` names it, such as the signatures of GetModelMetadata; the names and numbers
of fields stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import Message

from serving.wire import atelier_health_pb2 as health
from serving.wire import atelier_oip_pb2 as oip
from serving.wire import atelier_reflection_pb2 as reflection
from serving.wire import atelier_rpc_pb2 as rpc
from serving.wire import atelier_tfs_pb2 as tfs

DECLARED_AS_BYTES: Mapping[str, FieldDescriptorProto.Type.ValueType | type[Message]] = MappingProxyType(
    {
        "atelier.wire.tfs.Tensor.float_val": FieldDescriptorProto.TYPE_FLOAT,
        "atelier.wire.tfs.Tensor.double_val": FieldDescriptorProto.TYPE_DOUBLE,
        "atelier.wire.tfs.Tensor.scomplex_val": FieldDescriptorProto.TYPE_FLOAT,
        "atelier.wire.tfs.Tensor.dcomplex_val": FieldDescriptorProto.TYPE_DOUBLE,
        "atelier.wire.tfs.FloatList.value": FieldDescriptorProto.TYPE_FLOAT,
        "atelier.wire.tfs.ExampleList.examples": tfs.Example,
        "atelier.wire.tfs.ExampleListWithContext.examples": tfs.Example,
        "atelier.wire.tfs.ExampleListWithContext.context": tfs.Example,
        "atelier.wire.oip.InferTensorContents.fp32_contents": FieldDescriptorProto.TYPE_FLOAT,
        "atelier.wire.oip.InferTensorContents.fp64_contents": FieldDescriptorProto.TYPE_DOUBLE,
    }
)
"""Fields that our messages declare as bytes, with the numbers or messages that they really hold."""

_PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "atelier.wire.tfs": "tensorflow.serving",
        "atelier.wire.oip": "inference",
        "atelier.wire.health": "grpc.health.v1",
        "atelier.wire.reflection": "grpc.reflection.v1",
        "atelier.wire.rpc": "google.rpc",
    }
)
"""What our packages are called in their protocols; others keep their names."""


def published(full_name: str) -> str:
    """What reflection calls it: `atelier.wire.oip.ModelInferRequest` is in the package `inference`."""
    ours = next((package for package in _PACKAGES if full_name.startswith(f"{package}.")), None)
    return full_name if ours is None else _PACKAGES[ours] + full_name.removeprefix(ours)


@dataclass(frozen=True)
class Method:
    """What a method takes and gives."""

    request: type[Message]
    response: type[Message]
    client_streams: bool = False
    server_streams: bool = False


_REFLECTION = Method(reflection.ServerReflectionRequest, reflection.ServerReflectionResponse, True, True)
SERVICES: Mapping[str, Mapping[str, Method]] = MappingProxyType(
    {
        "tensorflow.serving.PredictionService": {
            "Predict": Method(tfs.PredictRequest, tfs.PredictResponse),
            "Classify": Method(tfs.ExamplesRequest, tfs.ClassificationResponse),
            "Regress": Method(tfs.ExamplesRequest, tfs.RegressionResponse),
            "MultiInference": Method(tfs.MultiInferenceRequest, tfs.MultiInferenceResponse),
            "GetModelMetadata": Method(tfs.GetModelMetadataRequest, tfs.GetModelMetadataResponse),
        },
        "tensorflow.serving.ModelService": {
            "GetModelStatus": Method(tfs.GetModelStatusRequest, tfs.GetModelStatusResponse),
            "HandleReloadConfigRequest": Method(tfs.ReloadConfigRequest, tfs.ReloadConfigResponse),
        },
        "inference.GRPCInferenceService": {
            "ServerLive": Method(oip.ServerRequest, oip.ServerLiveResponse),
            "ServerReady": Method(oip.ServerRequest, oip.ServerReadyResponse),
            "ServerMetadata": Method(oip.ServerRequest, oip.ServerMetadataResponse),
            "ModelReady": Method(oip.ModelRequest, oip.ModelReadyResponse),
            "ModelMetadata": Method(oip.ModelRequest, oip.ModelMetadataResponse),
            "ModelInfer": Method(oip.ModelInferRequest, oip.ModelInferResponse),
            "ModelStreamInfer": Method(oip.ModelInferRequest, oip.ModelStreamInferResponse, True, True),
            "ModelConfig": Method(oip.ModelRequest, oip.ModelConfigResponse),
            "ModelStatistics": Method(oip.ModelRequest, oip.ModelStatisticsResponse),
            "RepositoryIndex": Method(oip.RepositoryIndexRequest, oip.RepositoryIndexResponse),
        },
        "grpc.health.v1.Health": {
            "Check": Method(health.HealthCheckRequest, health.HealthCheckResponse),
            "List": Method(health.HealthListRequest, health.HealthListResponse),
            "Watch": Method(health.HealthCheckRequest, health.HealthCheckResponse, server_streams=True),
        },
        "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo": _REFLECTION},
        "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": _REFLECTION},
    }
)
"""Every service by its full name, with its methods."""


class Descriptions:
    """The files that describe the services, by their names and by the symbols in them."""

    def __init__(self, services: Mapping[str, Mapping[str, Method]] = SERVICES) -> None:
        self.services = tuple(sorted(services))
        self._files: dict[str, FileDescriptorProto] = {}
        self._file_of_symbol: dict[str, str] = {}
        for name, methods in services.items():
            for method in methods.values():
                for message in (method.request, method.response):
                    self._take(message.DESCRIPTOR.file)
            self._add(_service_file(name, methods))
        self._take(rpc.DESCRIPTOR)  # which `grpc-status-details-bin` holds

    def by_name(self, name: str) -> list[bytes] | None:
        """The file and all that it imports, each serialized; None where there is none of that name."""
        if name not in self._files:
            return None
        names: dict[str, None] = {}
        self._with_imports(name, names)
        return [self._files[one].SerializeToString(deterministic=True) for one in names]

    def by_symbol(self, symbol: str) -> list[bytes] | None:
        """The file that declares a service, method, message, field or enum by that full name, and its imports."""
        name = self._file_of_symbol.get(symbol)
        return None if name is None else self.by_name(name)

    def _with_imports(self, name: str, names: dict[str, None]) -> None:
        if name not in names:
            names[name] = None
            for imported in self._files[name].dependency:
                self._with_imports(imported, names)

    def _take(self, file: Any) -> None:
        if file.name in self._files:
            return
        description = FileDescriptorProto()
        file.CopyToProto(description)
        for message in description.message_type:
            _publish(f"{description.package}.{message.name}", message)
        description.package = _PACKAGES.get(description.package, description.package)
        self._add(description)
        for imported in file.dependencies:
            self._take(imported)

    def _add(self, file: FileDescriptorProto) -> None:
        self._files[file.name] = file
        self._file_of_symbol |= dict.fromkeys(_symbols(file), file.name)


def _service_file(name: str, methods: Mapping[str, Method]) -> FileDescriptorProto:
    package, _, short_name = name.rpartition(".")
    file = FileDescriptorProto(name=f"{name.replace('.', '/')}.proto", package=package, syntax="proto3")
    service = file.service.add(name=short_name)
    for method_name, method in methods.items():
        service.method.add(
            name=method_name,
            input_type=_type_name(method.request),
            output_type=_type_name(method.response),
            client_streaming=method.client_streams,
            server_streaming=method.server_streams,
        )
    messages = [message for method in methods.values() for message in (method.request, method.response)]
    file.dependency.extend(sorted({message.DESCRIPTOR.file.name for message in messages}))
    return file


def _type_name(message: type[Message]) -> str:
    return f".{published(message.DESCRIPTOR.full_name)}"


def _publish(full_name: str, message: DescriptorProto) -> None:
    for field in message.field:
        held = DECLARED_AS_BYTES.get(f"{full_name}.{field.name}")
        if isinstance(held, type):
            field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, _type_name(held)
        elif held is not None:
            field.type = held
        elif field.type_name:
            field.type_name = f".{published(field.type_name.removeprefix('.'))}"
    for nested in message.nested_type:
        _publish(f"{full_name}.{nested.name}", nested)


def _symbols(file: FileDescriptorProto) -> Iterator[str]:
    for service in file.service:
        name = f"{file.package}.{service.name}"
        yield name
        yield from (f"{name}.{method.name}" for method in service.method)
    yield from _message_symbols(file.package, file.message_type)
    yield from (f"{file.package}.{enum.name}" for enum in file.enum_type)


def _message_symbols(scope: str, messages: Iterable[DescriptorProto]) -> Iterator[str]:
    for message in messages:
        name = f"{scope}.{message.name}"
        yield name
        yield from (f"{name}.{field.name}" for field in message.field)
        yield from (f"{name}.{enum.name}" for enum in message.enum_type)
        yield from _message_symbols(name, message.nested_type)
