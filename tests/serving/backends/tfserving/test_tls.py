"""TLS to the servers: their certificate is checked, and the gateway shows its own where they want one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from prometheus_client import CollectorRegistry

from serving.backends.tfserving.pool import Pool
from serving.errors import UnavailableError
from serving.observability.upstream_metrics import UpstreamMetrics
from serving.upstream import Upstream, UpstreamTls
from tests.support.tfserving import IS_REAL, TfServing, running_tfserving

pytestmark = pytest.mark.skipif(IS_REAL, reason="the stand-in's options for TLS are its own")


@dataclass
class Keys:
    """Files of a CA, and of a certificate for the gateway that it has signed."""

    ca: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name in ("server", "gateway"):
        certificate = ca.issue_cert("upstream.example")
        certificate.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
    return Keys(folder / "ca.pem", folder / "gateway.pem", folder / "gateway.key")


@pytest.fixture(scope="module")
def server(keys: Keys, configuration: Path) -> Iterator[TfServing]:
    """Wants a client's certificate; its own is for `upstream.example`."""
    folder = keys.ca.parent
    arguments = ("--tls-key", folder / "server.key", "--tls-certificate", folder / "server.pem", "--client-ca", keys.ca)
    with running_tfserving(configuration, *map(str, arguments)) as (running,):
        yield running


async def versions(address: str, tls: UpstreamTls | None) -> set[int]:
    pool = Pool(
        Upstream(addresses=(address,), tls=tls, patience_s=0.0, status_timeout_s=20.0),
        UpstreamMetrics(CollectorRegistry()),
    )
    try:
        return set(await pool.look("brightness"))
    finally:
        await pool.close()


def tls(keys: Keys, **changes: object) -> UpstreamTls:
    settings = {"ca_file": keys.ca, "certificate_file": keys.certificate, "key_file": keys.key}
    return UpstreamTls(**{**settings, "server_name": "upstream.example", **changes})  # type: ignore[arg-type]


async def test_both_sides_show_their_certificates(server: TfServing, keys: Keys) -> None:
    assert await versions(server.address, tls(keys)) == {3, 4}


@pytest.mark.parametrize(
    "changes",
    [{"server_name": "other.example"}, {"certificate_file": None, "key_file": None}, {"ca_file": None}],
    ids=["another name", "no certificate of ours", "a CA that the system does not know"],
)
async def test_without_the_right_certificates_there_is_no_connection(
    server: TfServing, keys: Keys, changes: dict[str, object]
) -> None:
    with pytest.raises(UnavailableError):
        await versions(server.address, tls(keys, **changes))


async def test_plain_text_is_not_understood(server: TfServing) -> None:
    with pytest.raises(UnavailableError):
        await versions(server.address, None)
