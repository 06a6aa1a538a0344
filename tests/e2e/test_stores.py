"""A gateway that serves from S3 (moto's server), into which export's publisher publishes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from export.location import parse_location
from export.publish import stage
from export.store import Store
from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.load import steady_load
from tests.support.s3_server import BUCKET, S3Server, s3_server
from tests.support.tfs import predict_request
from tests.support.waiting import wait_until

PIXELS = np.array([[[10, 20], [30, 40]]], np.uint8)


class Shop:
    """A repository in S3, and a cache for gateways."""

    def __init__(self, s3: S3Server, root: Path, name: str) -> None:
        self.s3 = s3
        self.address = f"s3://{BUCKET}/{name}"
        self.cache = root / "cache"
        self._root = root

    def publish(self, model: str, version: int) -> None:
        bundle = write_bundle(self._root / "built" / model / str(version), scale=float(version))
        with stage(parse_location(self.address), model) as staging:
            shutil.copytree(bundle, staging.bundle, dirs_exist_ok=True)
            staging.publish(version)

    def cached(self) -> list[str]:
        return sorted(path.name for path in self.cache.glob("*/[0-9]") if path.is_dir())


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture
def shop(s3: S3Server, tmp_path: Path, request: pytest.FixtureRequest) -> Shop:
    return Shop(s3, tmp_path, request.node.name)


def served(gateway: RunningGateway, model: str, choice: str = "") -> str:
    document = gateway.rest.get(f"/v1/models/{model}{choice}/metadata").json()
    return str(document.get("model_spec", {}).get("version", document.get("error")))


async def test_new_versions_in_s3_are_fetched_and_swapped_in_under_load(shop: Shop) -> None:
    shop.publish("clothes", 1)
    with running_gateway(shop.address, model_cache_dir=shop.cache, store_poll_interval_s=0.1) as gateway:
        async with steady_load(gateway.grpc_address, predict_request("clothes", pixels=PIXELS), 8) as tally:
            await tally.seen(1, times=50)
            shop.publish("clothes", 2)
            await tally.seen(2, times=50)
        assert tally.failures == []
        wait_until(lambda: shop.cached() == ["2"])
        shop.publish("digits", 7)
        wait_until(lambda: served(gateway, "digits") == "7")
        Store(parse_location(f"{shop.address}/clothes")).write("labels.json", b'{"stable": 2}')
        wait_until(lambda: served(gateway, "clothes", "/labels/stable") == "2")


def test_a_list_of_models_may_name_addresses(shop: Shop, tmp_path: Path) -> None:
    shop.publish("clothes", 3)
    file = tmp_path / "models.config"
    file.write_text(f'model_config_list {{ config {{ name: "apparel" base_path: "{shop.address}/clothes" }} }}')
    with running_gateway(None, model_config_file=file, model_cache_dir=shop.cache) as gateway:
        assert served(gateway, "apparel") == "3"


def test_a_gateway_starts_and_serves_what_it_has_while_the_store_is_gone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.publish("clothes", 1)
    settings = {"model_cache_dir": shop.cache, "store_poll_interval_s": 0.1}
    with running_gateway(shop.address, **settings) as gateway:
        assert served(gateway, "clothes") == "1"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with running_gateway(shop.address, **settings) as gateway:
        assert served(gateway, "clothes") == "1"
        assert gateway.rest.get("/readyz").status_code == 200
    with running_gateway(shop.address, model_cache_dir=shop.cache / "empty") as gateway:
        answer = gateway.rest.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"]) == (503, ["no model was found"])
        (problem,) = gateway.rest.get("/v1/models").json()["problems"]
        assert problem.startswith("the models cannot be listed: the store cannot be used: ")
