"""TLS at a real port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from socket import create_connection

import pytest
import trustme

from serving.connections.listener import Listener
from serving.connections.ports import listen
from serving.connections.tls_context import TlsContext
from serving.tls_files import TlsFiles, TlsFilesError
from serving.wire import http2 as frames
from tests.serving.connections.test_listener import HOST, LONG_S, Socket, until
from tests.serving.http.stand import PATIENCE, Echo, service_of
from tests.serving.http1.stand import CHUNKED, GET, post, read_answers
from tests.serving.http2.stand import GRPC, request

MIB = 2**20


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> TlsFiles:
    files = TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key")
    issue(authority, files)
    return files


def issue(authority: trustme.CA, files: TlsFiles) -> bytes:
    """A new certificate in the place of the old one, as DER."""
    leaf = authority.issue_cert(HOST)
    for path, content in (
        (files.key, leaf.private_key_pem.bytes()),
        (files.certificate, leaf.cert_chain_pems[0].bytes()),
    ):
        path.with_suffix(".new").write_bytes(content)
        path.with_suffix(".new").replace(path)
    return ssl.PEM_cert_to_DER_cert(files.certificate.read_text())


class Stand:
    """A listener, and clients that trust its authority."""

    def __init__(self, listener: Listener, tls: TlsContext, port: int, authority: trustme.CA) -> None:
        self.listener = listener
        self.tls = tls
        self.port = port
        self.trusting = ssl.create_default_context()
        authority.configure_trust(self.trusting)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(HOST, self.port, ssl=self.trusting)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def shown(self) -> bytes | None:
        """The certificate that a new connection sees."""
        async with self.connected() as (_, writer):
            tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
            return tls.getpeercert(binary_form=True)


@contextlib.asynccontextmanager
async def listening(
    files: TlsFiles, authority: trustme.CA, max_connections: int = 100, request_timeout_s: float = 120.0
) -> AsyncIterator[Stand]:
    tls = TlsContext(files)
    patience = PATIENCE._replace(request_timeout_s=request_timeout_s)
    listener = Listener(service_of(Echo(), patience, b"https"), max_connections, tls)
    socket = listen(HOST, 0)
    stand = Stand(listener, tls, socket.getsockname()[1], authority)
    listener.open([socket])
    try:
        yield stand
    finally:
        await listener.close()


async def test_both_versions_of_http_are_answered(files: TlsFiles, authority: trustme.CA) -> None:
    async with listening(files, authority) as stand, stand.connected() as first, stand.connected() as second:
        http2 = Socket(*second)
        http2.say(frames.CONNECTION_BEGINS, request(1, b"call", GRPC))
        assert await http2.answer(1) == b"call"
        reader, writer = first
        writer.write(post(b"one"))
        writer.write(post(b"two", b"connection: close"))
        answers = read_answers(await asyncio.wait_for(reader.read(), LONG_S), has_ended=True)
        assert [answer.body for answer in answers] == [b"one", b"two"]


async def test_large_bodies_go_both_ways(files: TlsFiles, authority: trustme.CA) -> None:
    sent = bytes(range(256)) * (32 * MIB // 256)
    async with listening(files, authority) as stand:
        said = await asyncio.to_thread(heard_by_a_blocking_client, stand, post(sent, b"connection: close"))
    (answer,) = read_answers(said, has_ended=True)
    assert (answer.body == sent, answer.is_whole) == (True, True)


def heard_by_a_blocking_client(stand: Stand, said: bytes) -> bytes:
    """To the end; asyncio's own may miss what comes just before that when it reads slowly."""
    with create_connection((HOST, stand.port)) as plain, stand.trusting.wrap_socket(plain, server_hostname=HOST) as tls:
        tls.sendall(said)
        return b"".join(iter(lambda: tls.recv(MIB), b""))


async def test_what_a_client_has_not_taken_is_known(files: TlsFiles, authority: trustme.CA) -> None:
    """So that a drain waits for it, and it is cut off in time."""
    async with listening(files, authority) as stand, stand.connected() as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(post(bytes(32 * MIB), b"connection: close"))
        await until(lambda: stand.listener.traffic().requests)
        (connection,) = stand.listener._connections
        await until(connection._transport.get_write_buffer_size)  # type: ignore[attr-defined]
        assert connection.is_writing_paused  # type: ignore[attr-defined]
        assert stand.listener.traffic().in_flight == 1
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        while await asyncio.wait_for(reader.read(MIB), LONG_S):
            pass
        await until(lambda: not stand.listener.traffic().in_flight)


async def test_a_client_that_is_refused_in_the_middle_of_its_body_hears_why(
    files: TlsFiles, authority: trustme.CA
) -> None:
    async with listening(files, authority) as stand, stand.connected() as (reader, writer):
        writer.write(CHUNKED + b"5\r\nhello\r\nzz\r\n")
        writer.write(bytes(MIB))
        (answer,) = read_answers(await asyncio.wait_for(reader.read(), LONG_S), has_ended=True)
        assert (answer.status, answer.closes) == (400, True)


async def test_a_renewed_certificate_is_shown_to_who_comes_then(files: TlsFiles, authority: trustme.CA) -> None:
    async with listening(files, authority) as stand, stand.connected() as (reader, writer):
        before = await stand.shown()
        renewed = issue(authority, files)
        stand.tls.renew()
        assert await stand.shown() == renewed != before
        writer.write(post(b"still here"))
        assert b"still here" in await asyncio.wait_for(reader.read(MIB), LONG_S)


async def test_files_that_cannot_be_used_change_nothing_and_are_told_of_once(
    files: TlsFiles, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(files, authority) as stand:
        before = await stand.shown()
        for spoil in (lambda: files.key.write_text("no key"), files.certificate.unlink):
            caplog.clear()
            spoil()
            for _ in range(3):
                stand.tls.renew()
            (told,) = caplog.records
            assert told.levelno == logging.ERROR
            assert str(files.key) in told.message
            assert await stand.shown() == before
        renewed = issue(authority, files)
        stand.tls.renew()
        assert await stand.shown() == renewed


async def test_a_certificate_whose_key_comes_later_is_used_then(
    files: TlsFiles, authority: trustme.CA, tmp_path: Path
) -> None:
    async with listening(files, authority) as stand:
        other = TlsFiles(tmp_path / "other.crt", tmp_path / "other.key")
        renewed = issue(authority, other)
        for new, old in ((other.certificate, files.certificate), (other.key, files.key)):
            shutil.copy(new, old)
            stand.tls.renew()
        assert await stand.shown() == renewed


async def test_who_speaks_no_tls_is_closed_and_forgotten(files: TlsFiles, authority: trustme.CA) -> None:
    async with listening(files, authority) as stand:
        reader, writer = await asyncio.open_connection(HOST, stand.port)
        writer.write(GET)
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in await asyncio.wait_for(reader.read(), LONG_S)
        writer.close()
        await until(lambda: not stand.listener.traffic().connections)
        assert await stand.shown()


async def test_what_cannot_be_deciphered_ends_the_connection_and_what_came_with_it_is_not_looked_at(
    files: TlsFiles, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    async with listening(files, authority) as stand:
        tls = stand.trusting.wrap_bio(came, goes, server_hostname=HOST)
        reader, writer = await asyncio.open_connection(HOST, stand.port)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(goes.read())
                came.write(await reader.read(MIB))
        tls.write(post(b"one"))
        good = goes.read()
        tls.write(GET)
        writer.write(good + goes.read()[:-1] + b"\0")
        while heard := await asyncio.wait_for(reader.read(MIB), LONG_S):
            came.write(heard)
        with pytest.raises(ssl.SSLError, match="ALERT"):
            tls.read(MIB)
        writer.close()
        await until(lambda: not stand.listener.traffic().connections)
        assert stand.listener.traffic().requests == 0
    assert caplog.records == []


async def test_who_does_not_finish_the_handshake_is_counted_and_closed(files: TlsFiles, authority: trustme.CA) -> None:
    async with listening(files, authority, max_connections=1, request_timeout_s=0.2) as stand:
        reader, writer = await asyncio.open_connection(HOST, stand.port)
        await until(lambda: stand.listener.traffic().connections)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await stand.shown()
        assert await asyncio.wait_for(reader.read(), LONG_S) == b""
        writer.close()
        await until(lambda: not stand.listener.traffic().connections)
        assert await stand.shown()


async def test_a_handshake_in_the_middle_ends_with_the_listener(files: TlsFiles, authority: trustme.CA) -> None:
    async with listening(files, authority) as stand:
        reader, writer = await asyncio.open_connection(HOST, stand.port)
        await until(lambda: stand.listener.traffic().connections)
        await stand.listener.close()
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), LONG_S) == b""
        writer.close()
        await until(lambda: not stand.listener.traffic().connections)


def test_files_that_cannot_be_used_are_an_error_at_first(files: TlsFiles) -> None:
    files.key.unlink()
    with pytest.raises(TlsFilesError, match="No such file"):
        TlsContext(files)
