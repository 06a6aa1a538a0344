"""gRPC server reflection, v1 and v1alpha: tools such as grpcurl learn the services and messages from the server.

Source: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType

from serving.frontends.grpc_streams import Stream
from serving.offload.message_reader import check_short
from serving.wire.atelier_reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from serving.wire.grpc_codes import INVALID_ARGUMENT, NOT_FOUND
from serving.wire.services import Descriptions

_NO_EXTENSIONS = frozenset({"file_containing_extension", "all_extension_numbers_of_type"})


class Reflection:
    """Answers each question in turn; what is not there is an error in the answer, not of the call."""

    def __init__(self, descriptions: Descriptions) -> None:
        self._descriptions = descriptions
        self.streams: Mapping[str, Stream] = MappingProxyType(
            {
                f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo": Stream(self.answer_all)
                for version in ("v1", "v1alpha")
            }
        )

    async def answer_all(self, messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """`ServerReflectionInfo`."""
        async for message in messages:
            check_short(message)
            yield self.answer(ServerReflectionRequest.FromString(message)).SerializeToString()

    def answer(self, request: ServerReflectionRequest) -> ServerReflectionResponse:
        """One answer."""
        response = ServerReflectionResponse(valid_host=request.host, original_request=request)
        question = request.WhichOneof("message_request")
        files: list[bytes] | None = None
        asked_for = ""
        if question == "list_services":
            for name in self._descriptions.services:
                response.list_services_response.service.add(name=name)
            return response
        if question == "file_by_filename":
            asked_for = request.file_by_filename
            files = self._descriptions.by_name(asked_for)
        elif question == "file_containing_symbol":
            asked_for = request.file_containing_symbol
            files = self._descriptions.by_symbol(asked_for)
        elif question in _NO_EXTENSIONS:
            asked_for = "extensions: these messages have none"
        if files is not None:
            response.file_descriptor_response.file_descriptor_proto.extend(files)
        else:
            response.error_response.error_code = NOT_FOUND if question else INVALID_ARGUMENT
            response.error_response.error_message = f"not found: {asked_for}" if question else "nothing was asked for"
        return response
