"""TLS on both ports of a gateway process, with real clients: theirs, ours and plain ones."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import trustme
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from serving.client import Client, UnreachableError
from tests.support.bundles import write_bundle
from tests.support.cli import Serving, atelier, atelier_serve
from tests.support.gateway import one_connection, running_gateway
from tests.support.waiting import wait_until

PREDICT = "/v1/models/brightness:predict"
ROWS = {"instances": [[[10, 20], [30, 40]]]}
PREDICTED = {"predictions": [[25.0, 10.0, 40.0]]}


class Authority:
    """A certificate authority of the test's own, with its files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.folder = folder
        folder.mkdir()
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca_file)

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate and its key for `name`; each file takes its place in one step, as renewers have it."""
        leaf = self._ca.issue_cert(name)
        key, certificate = self.folder / f"{name}.key.pem", self.folder / f"{name}.pem"
        for path, content in (
            (key, leaf.private_key_pem.bytes()),
            (certificate, b"".join(part.bytes() for part in leaf.cert_chain_pems)),
        ):
            path.with_suffix(".new").write_bytes(content)
            path.with_suffix(".new").replace(path)
        return certificate, key

    def trusting(self, shown: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """What a client trusts, and shows."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if shown is not None:
            context.load_cert_chain(*shown)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certificates")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "models" / "brightness" / "1")
    return tmp_path / "models"


def flags(certificate: Path, key: Path) -> list[str]:
    return ["--tls-certificate-file", str(certificate), "--tls-key-file", str(key)]


def rest(serving: Serving) -> str:
    return f"https://localhost:{serving.rest_port}"


def test_both_ports_speak_tls_and_nothing_else(models: Path, authority: Authority) -> None:
    with atelier_serve(models, *flags(*authority.issue("localhost"))) as serving:
        for port in (serving.grpc_port, serving.rest_port):
            answer = httpx.post(
                f"https://localhost:{port}{PREDICT}", json=ROWS, verify=authority.trusting(), timeout=60.0
            )
            assert answer.json() == PREDICTED
        credentials = grpc.ssl_channel_credentials(authority.ca_file.read_bytes())
        with grpc.secure_channel(f"localhost:{serving.grpc_port}", credentials) as channel:
            request = get_model_status_pb2.GetModelStatusRequest()
            request.model_spec.name = "brightness"
            status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=60.0)
            assert [one.version for one in status.model_version_status] == [1]
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://localhost:{serving.rest_port}/readyz", timeout=60.0)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{rest(serving)}/readyz", timeout=60.0)


def test_where_clients_have_to_show_a_certificate_only_those_of_its_authority_are_answered(
    models: Path, authority: Authority, tmp_path: Path
) -> None:
    strangers = Authority(tmp_path / "strangers")
    ours, theirs = authority.issue("client.example"), strangers.issue("client.example")
    client_ca = ["--tls-client-ca-file", str(authority.ca_file)]
    with atelier_serve(models, *flags(*authority.issue("localhost")), *client_ca) as serving:
        image = np.array([[[10, 20], [30, 40]]], np.uint8)
        with Client(rest(serving), tls=authority.trusting(ours)) as client:
            (output,) = client.predict("brightness", image).outputs.values()
            assert output.tolist() == PREDICTED["predictions"]
        for shown in (None, theirs):
            with (
                Client(rest(serving), tls=authority.trusting(shown), retries=0) as client,
                pytest.raises(UnreachableError),
            ):
                client.predict("brightness", image)


def test_commands_find_trust_and_certificate_in_the_environment(models: Path, authority: Authority) -> None:
    certificate, key = authority.issue("localhost")
    client_ca = ["--tls-client-ca-file", str(authority.ca_file)]
    with atelier_serve(models, *flags(certificate, key), *client_ca) as serving:
        named = {"ATELIER_CA_FILE": authority.ca_file, "ATELIER_CERTIFICATE_FILE": certificate, "ATELIER_KEY_FILE": key}
        environment = {**os.environ, **{name: str(path) for name, path in named.items()}}
        status = atelier("status", "--url", rest(serving), environment=environment)
        assert (status.returncode, "brightness" in status.stdout) == (0, True), status
        stranger = atelier("status", "--url", rest(serving))
        assert stranger.returncode == 1
        assert "ATELIER_CA_FILE names the CA to trust" in stranger.stderr
        unusable = atelier("status", "--url", rest(serving), environment={**environment, "ATELIER_CA_FILE": "/nowhere"})
        assert (unusable.returncode, "No such file" in unusable.stderr) == (2, True), unusable


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_renewed_certificate_is_shown_without_a_restart_and_connections_go_on(
    models: Path, authority: Authority, workers: str
) -> None:
    certificate, key = authority.issue("localhost")
    with (
        atelier_serve(models, *flags(certificate, key), "--workers", workers) as serving,
        one_connection(rest(serving), verify=authority.trusting()) as old_connection,
    ):
        assert old_connection.post(PREDICT, json=ROWS).json() == PREDICTED
        before = shown_by(serving)
        assert shown_by(serving) == before
        authority.issue("localhost")
        renewed = ssl.PEM_cert_to_DER_cert(certificate.read_text().split("-----END")[0] + "-----END CERTIFICATE-----")
        assert renewed != before
        wait_until(lambda: all(shown_by(serving) == renewed for _ in range(10)))
        assert old_connection.post(PREDICT, json=ROWS).json() == PREDICTED


def test_a_worker_that_starts_anew_while_the_files_do_not_fit_comes_back_when_they_do(
    models: Path, authority: Authority, capfd: pytest.CaptureFixture[str]
) -> None:
    certificate, key = authority.issue("localhost")
    with running_gateway(models, tls_certificate_file=certificate, tls_key_file=key) as gateway:
        good = key.read_bytes()
        key.write_text("no key")
        (killed,) = gateway.process.worker_pids
        os.kill(killed, signal.SIGKILL)
        said = ""

        def has_said_why() -> bool:
            nonlocal said
            said += capfd.readouterr().err
            return "the worker cannot start: TLS: expected a certificate and its key (PEM)" in said

        wait_until(has_said_why)
        key.write_bytes(good)
        wait_until(lambda: gateway.process.worker_pids not in ([], [killed]))
        url = f"https://localhost:{gateway.process.addresses.rest_port}{PREDICT}"
        assert httpx.post(url, json=ROWS, verify=authority.trusting(), timeout=60.0).json() == PREDICTED
    assert "Traceback" not in said


def shown_by(serving: Serving) -> bytes:
    """The certificate that a new connection sees."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("localhost", serving.rest_port), timeout=60.0))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda certificate, key: certificate.unlink(), "No such file or directory"),
        (lambda certificate, key: shutil.copy(key, certificate), "no PEM"),
        (lambda certificate, key: key.write_text("no key"), "no PEM"),
        (lambda certificate, key: shutil.copy(Authority(key.parent / "other").issue("localhost")[1], key), "mismatch"),
    ],
)
def test_files_that_are_no_certificate_and_its_key_end_the_command_with_a_sentence(
    models: Path, authority: Authority, spoil: Callable[[Path, Path], object], reason: str
) -> None:
    certificate, key = authority.issue("localhost")
    spoil(certificate, key)
    ended = atelier("serve", "--models", str(models), *flags(certificate, key))
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert str(certificate) in ended.stderr
    assert "Traceback" not in ended.stderr
