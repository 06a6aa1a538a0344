"""Versions come and go under a running gateway."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import httpx
import numpy as np

from serving.bundle_files import MANIFEST, ONNX_MODEL
from tests.support.bundles import damage, remove, write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.image_files import file_of, gradient
from tests.support.load import steady_load
from tests.support.tfs import predict_request
from tests.support.waiting import wait_until

PIXELS = np.array([[[10, 20], [30, 40]]], np.uint8)
STATUS = "/v1/models/brightness"


def states(client: httpx.Client) -> dict[str, str]:
    document = client.get(STATUS).json()
    return {status["version"]: status["state"] for status in document.get("model_version_status", [])}


def error_of(client: httpx.Client, version: str) -> str:
    statuses = client.get(STATUS).json()["model_version_status"]
    (error,) = [status["status"]["error_message"] for status in statuses if status["version"] == version]
    return str(error)


def served_version(gateway: RunningGateway) -> str:
    return str(gateway.rest.get(f"{STATUS}/metadata").json()["model_spec"]["version"])


def classifies(gateway: RunningGateway) -> bool:
    image = file_of(gradient("L", 2, 2), "PNG")
    answer = gateway.rest.post(f"{STATUS}:classify", content=image, headers={"content-type": "image/png"})
    return answer.status_code == 200


async def test_new_versions_are_swapped_in_under_load_without_a_failed_request(tmp_path: Path) -> None:
    model = tmp_path / "brightness"
    write_bundle(model / "1")
    with running_gateway(tmp_path) as gateway:
        async with steady_load(gateway.grpc_address, predict_request("brightness", pixels=PIXELS), 16) as tally:
            await tally.seen(1, times=100)
            for version in range(2, 6):
                write_bundle(model / str(version), scale=version)
                await tally.seen(version, times=100)
        assert tally.failures == []
        wait_until(lambda: states(gateway.rest).get("1") == "END")
        assert states(gateway.rest)["5"] == "AVAILABLE"


def test_a_version_with_a_wrong_checksum_is_not_loaded_and_status_says_why(tmp_path: Path) -> None:
    model = tmp_path / "brightness"
    write_bundle(model / "1")
    with running_gateway(tmp_path) as gateway:
        damage(write_bundle(tmp_path / "elsewhere" / "2"))
        (tmp_path / "elsewhere" / "2").rename(model / "2")
        wait_until(lambda: states(gateway.rest).get("2") == "END")
        assert error_of(gateway.rest, "2").startswith("model.onnx has checksum ")
        assert served_version(gateway) == "1"
        assert gateway.rest.get("/readyz").status_code == 200
        assert gateway.rest.post(f"{STATUS}:predict", json={"instances": PIXELS.tolist()}).status_code == 200


def test_a_mended_version_is_loaded_after_all(tmp_path: Path) -> None:
    model = tmp_path / "brightness"
    write_bundle(model / "1")
    broken = write_bundle(tmp_path / "elsewhere" / "2", scale=2)
    manifest = (broken / MANIFEST).read_text()
    (broken / MANIFEST).write_text("{}")
    broken.rename(model / "2")
    with running_gateway(tmp_path) as gateway:
        assert served_version(gateway) == "1"
        assert error_of(gateway.rest, "2").startswith("manifest.json is not valid")
        (model / "2" / MANIFEST).write_text(manifest)
        wait_until(lambda: served_version(gateway) == "2")


async def test_a_version_that_is_copied_by_hand_ends_up_whole_without_a_failed_request(tmp_path: Path) -> None:
    model = tmp_path / "brightness"
    write_bundle(model / "1")
    whole = write_bundle(tmp_path / "elsewhere" / "7", scale=7)
    with running_gateway(tmp_path) as gateway:
        async with steady_load(gateway.grpc_address, predict_request("brightness", pixels=PIXELS), 16) as tally:
            await tally.seen(1, times=20)
            (model / "7").mkdir()
            shutil.copy(whole / ONNX_MODEL, model / "7")
            await tally.seen(7, times=20)  # it looked the same twice, and was taken for a bare model
            shutil.copytree(whole, model / "7", dirs_exist_ok=True)
            await asyncio.to_thread(wait_until, lambda: classifies(gateway))
            await tally.seen(7, times=tally.answers[7] + 20)
        assert tally.failures == []


def test_without_any_good_version_the_gateway_is_not_ready_and_says_why(tmp_path: Path) -> None:
    damage(write_bundle(tmp_path / "brightness" / "1"))
    with running_gateway(tmp_path) as gateway:
        response = gateway.rest.get("/readyz")
        assert response.status_code == 503
        assert response.json()["reasons"][0].startswith("brightness: version 1: model.onnx has checksum ")
        assert gateway.rest.get("/healthz").status_code == 200
        refused = gateway.rest.post(f"{STATUS}:predict", json={"instances": PIXELS.tolist()})
        assert (refused.status_code, refused.json()["error"]) == (
            404,
            "Servable not found for request: Latest(brightness)",
        )


def test_deleting_the_newest_version_rolls_back_to_the_one_before(tmp_path: Path) -> None:
    model = tmp_path / "brightness"
    write_bundle(model / "1")
    write_bundle(model / "2", scale=2)
    with running_gateway(tmp_path) as gateway:
        assert served_version(gateway) == "2"
        remove(model / "2")
        wait_until(lambda: served_version(gateway) == "1")


def test_a_model_that_appears_later_is_served_and_one_that_goes_is_not(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        assert gateway.rest.get("/readyz").json() == {"ready": False, "reasons": ["no model was found"]}
        write_bundle(tmp_path / "brightness" / "1")
        wait_until(lambda: gateway.rest.get("/readyz").status_code == 200)
        remove(tmp_path / "brightness")
        wait_until(lambda: gateway.rest.get(STATUS).status_code == 404)


def test_a_folder_without_versions_hides_none_of_the_others(tmp_path: Path) -> None:
    write_bundle(tmp_path / "brightness" / "00000001")
    (tmp_path / "lost+found").mkdir()
    with running_gateway(tmp_path) as gateway:
        models = gateway.rest.get("/v1/models").json()["models"]
        assert [(model["name"], len(model["model_version_status"])) for model in models] == [
            ("brightness", 1),
            ("lost+found", 0),
        ]
        assert gateway.rest.get("/readyz").status_code == 200
        assert served_version(gateway) == "1"


def test_figures_of_versions_that_are_gone_do_not_pile_up(tmp_path: Path) -> None:
    model = tmp_path / "brightness"
    write_bundle(model / "1")
    with running_gateway(tmp_path) as gateway:
        write_bundle(model / "2")
        wait_until(lambda: states(gateway.rest).get("1") == "END")
        remove(model / "1")
        wait_until(lambda: 'version="1"' not in gateway.rest.get("/metrics").text)
        assert 'version="2"' in gateway.rest.get("/metrics").text


def test_one_model_folder_can_be_served_by_itself(tmp_path: Path) -> None:
    write_bundle(tmp_path / "brightness" / "1")
    with running_gateway(tmp_path / "brightness") as gateway:
        assert served_version(gateway) == "1"
