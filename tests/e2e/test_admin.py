"""The admin API of a running gateway: who gets in, what is changed, and that clients notice nothing but the version."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from tests.support.admin import MODEL, TOKEN, Admin, administered
from tests.support.bundles import damage
from tests.support.gateway import RunningGateway
from tests.support.load import steady_load
from tests.support.tfs import predict_request
from tests.support.waiting import wait_until

PIXELS = np.array([[[10, 20], [30, 40]]], np.uint8)
SHOP = "https://shop.example"


def version_of(gateway: RunningGateway) -> int:
    """The version that answers who names none."""
    answer = gateway.rest.get("/v1/models/brightness/metadata")
    return int(answer.json()["model_spec"]["version"])


def test_without_a_token_the_admin_api_is_off_and_says_so(gateway: RunningGateway) -> None:
    answer = gateway.rest.get("/admin/v1/models", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 403
    assert answer.json()["error"].startswith("the admin API is off: start the gateway with the variable ATELIER_ADMIN_")


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer tökén"]
)
def test_who_has_not_the_token_gets_nothing(authorization: str | None, tmp_path: Path, admin: Admin) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode()}
    for method, path in (("GET", "/admin/v1/models"), ("PUT", f"{MODEL}/labels/stable"), ("GET", "/admin/nothing")):
        answer = admin.gateway.rest.request(method, path, headers=headers, json={"version": 2})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "expected the header" in answer.json()["error"]


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Admin]:
    """For tests that leave the labels as they are."""
    with administered(tmp_path_factory.mktemp("admin"), 3, cors_origins=("*",)) as one:
        yield one


def test_no_page_of_another_site_gets_in(admin: Admin) -> None:
    preflight = {"origin": SHOP, "access-control-request-method": "PUT"}
    assert "access-control-allow-origin" in admin.rest.options("/v1/models", headers=preflight).headers
    for answer in (
        admin.rest.options(f"{MODEL}/labels/stable", headers=preflight),
        admin.rest.get(MODEL, headers={"origin": SHOP}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_model_is_shown_with_versions_labels_and_traffic(admin: Admin) -> None:
    (model,) = admin.rest.get("/admin/v1/models").json()["models"]
    assert model == {
        "name": "brightness",
        "versions": [
            {"version": 3, "state": "AVAILABLE", "error": None},
            {"version": 1, "state": "AVAILABLE", "error": None},
        ],
        "labels": {"stable": {"version": 1, "answers": 1, "configured": False}},
        "traffic": {"stable": 1},
        "sticky_header": "",
        "shadow": None,
        "traffic_configured": False,
        "comparisons": [],
        "problem": None,
    }
    assert admin.model() == model


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/admin/v1/models/nobody", None, 404, "Could not find any versions of model nobody"),
        ("GET", "/admin/v2", None, 404, "Not found: GET /admin/v2; known: /admin/v1/models"),
        ("POST", MODEL, None, 405, "expected GET, received POST"),
        ("POST", f"{MODEL}/labels/stable", None, 405, "expected PUT or DELETE, received POST"),
        ("PUT", f"{MODEL}/labels/stable", "{", 400, "the body: Invalid JSON"),
        ("PUT", f"{MODEL}/labels/stable", {}, 400, "version: Field required"),
        ("PUT", f"{MODEL}/labels/stable", {"version": 3, "wait": True}, 400, "wait: Extra inputs are not permitted"),
        ("PUT", f"{MODEL}/labels/7", {"version": 3}, 400, "and no number, received '7'"),
        ("PUT", f"{MODEL}/labels/sta%20ble", {"version": 3}, 400, "received 'sta ble'"),
        (
            "PUT",
            f"{MODEL}/labels/stable",
            {"version": 9},
            409,
            "there is no version 9 of brightness; there are: 1, 2, 3",
        ),
        ("PUT", f"{MODEL}/labels/stable", {"version": 2}, 409, "version 2 of brightness is there, but not loaded"),
        (
            "PUT",
            f"{MODEL}/labels/stable",
            {"version": 3, "expected": 2},
            409,
            "expected it to name version 2, it names",
        ),
        ("DELETE", f"{MODEL}/labels/canary", None, 409, "label canary: there is no such label to remove"),
        ("POST", f"{MODEL}/rollback", {}, 409, "labels and traffic: no change is on record to take back"),
        ("POST", f"{MODEL}/rollback", {"label": "stable"}, 409, "label stable: no change is on record to take back"),
        ("PUT", f"{MODEL}/traffic", {"traffic": {"canary": 1}}, 409, "by the label canary; known: stable"),
        ("PUT", f"{MODEL}/traffic", {"traffic": {"2": 1}}, 409, "traffic: version 2 of brightness is there, but not"),
        ("PUT", f"{MODEL}/traffic", {"traffic": {"stable": -1}}, 400, "traffic.stable: Input should be greater than"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_with_the_reason(
    method: str, path: str, body: Any, status: int, text: str, admin: Admin
) -> None:
    content = body if isinstance(body, str) else json.dumps(body) if body is not None else None
    answer = admin.rest.request(method, path, content=content)
    assert (answer.status_code, text in answer.json()["error"]) == (status, True), answer.text
    assert admin.labels() == {"stable": 1}


def test_labels_move_are_put_on_record_and_roll_back(tmp_path: Path) -> None:
    with administered(tmp_path, 3) as admin:
        moved = admin.put_label("stable", 3, by="anne@desk", expected=1).json()
        assert (moved["change"]["before"], moved["change"]["after"], moved["change"]["by"]) == (1, 3, "anne@desk")
        assert moved["model"]["labels"]["stable"] == {"version": 3, "answers": 3, "configured": False}
        assert json.loads((admin.folder / "labels.json").read_text()) == {"stable": 3}
        assert version_of(admin.gateway) == 3
        assert admin.put_label("stable", 3).json()["change"] is None
        assert admin.put_label("canary", 2, late=True).status_code == 200
        wait_until(lambda: admin.labels() == {"stable": 3, "canary": 2})
        back = admin.roll_back(label="stable").json()
        assert (back["change"]["action"], back["change"]["undoes"]) == ("rollback", 1)
        wait_until(lambda: version_of(admin.gateway) == 1)
        assert [one["label"] for one in admin.rest.get(f"{MODEL}/changes").json()["changes"]] == [
            "stable",
            "canary",
            "stable",
        ]


def test_traffic_is_set_and_taken_back(tmp_path: Path) -> None:
    with administered(tmp_path, 3) as admin:
        answer = admin.rest.put(f"{MODEL}/traffic", json={"traffic": {"stable": 3, "3": 1}, "sticky_header": "x-user"})
        assert answer.json()["model"]["traffic"] == {"stable": 3, "3": 1}
        assert answer.json()["model"]["sticky_header"] == "x-user"
        assert admin.rest.delete(f"{MODEL}/traffic").json()["model"]["traffic"] == {}
        assert version_of(admin.gateway) == 3
        assert admin.roll_back().json()["model"]["traffic"] == {"stable": 3, "3": 1}
        assert admin.roll_back().json()["model"]["traffic"] == {"stable": 1}


def test_a_label_does_not_go_back_to_a_version_that_is_gone_or_broken(tmp_path: Path) -> None:
    with administered(tmp_path, 3) as admin:
        assert admin.put_label("stable", 3).status_code == 200
        wait_until(lambda: [one["state"] for one in admin.model()["versions"]] == ["AVAILABLE", "END"])
        damage(admin.folder / "1")
        admin.roll_back(label="stable")
        wait_until(lambda: admin.model()["versions"][-1]["error"] is not None)
        assert admin.labels() == {"stable": 3}, "it goes on answering"
        refused = admin.put_label("stable", 1)
        assert refused.status_code == 409
        assert "version 1 of brightness could not be loaded: model.onnx has checksum" in refused.json()["error"]


def test_files_that_cannot_be_understood_are_seen_and_not_overwritten(tmp_path: Path) -> None:
    with administered(tmp_path, 2) as admin:
        (admin.folder / "labels.json").write_text("{")
        wait_until(lambda: (admin.model()["problem"] or "").startswith("labels.json is not valid"))
        assert admin.labels() == {"stable": 1}
        for path in ("/v1/models", "/status"):
            (problem,) = admin.gateway.rest.get(path).json()["problems"]
            assert problem.startswith("brightness: labels.json is not valid")
        assert 'atelier_stored_problems{model_name="brightness"} 1' in admin.rest.get("/metrics").text
        refused = admin.put_label("stable", 2)
        assert refused.status_code == 409
        assert refused.json()["error"].startswith("brightness: labels.json is not valid: the document: Invalid JSON")
        assert str(tmp_path) not in refused.text
        (admin.folder / "labels.json").write_text('{"stable": 2}')
        wait_until(lambda: (admin.labels(), admin.model()["problem"]) == ({"stable": 2}, None))


def test_a_state_folder_takes_the_changes_of_models_that_cannot_be_written(tmp_path: Path) -> None:
    with administered(tmp_path, 2, state_dir=tmp_path / "state") as admin:
        assert admin.put_label("stable", 2).status_code == 200
        assert version_of(admin.gateway) == 2
        assert json.loads((tmp_path / "state" / "brightness" / "labels.json").read_text()) == {"stable": 2}
        assert json.loads((admin.folder / "labels.json").read_text()) == {"stable": 1}


def test_a_token_that_is_replaced_counts_at_once(tmp_path: Path) -> None:
    with administered(tmp_path, 1) as admin:
        (tmp_path / "token").write_text("another-token-altogether")
        assert admin.rest.get(MODEL).status_code == 401
        headers = {"authorization": "bearer another-token-altogether"}
        assert admin.rest.get(MODEL, headers=headers).status_code == 200
        (tmp_path / "token").write_text("short")
        assert admin.rest.get(MODEL, headers={"authorization": "Bearer short"}).status_code == 403


async def test_labels_move_and_roll_back_under_load_without_a_failed_request(tmp_path: Path) -> None:
    with administered(tmp_path, 4) as admin:
        async with steady_load(admin.gateway.grpc_address, predict_request("brightness", pixels=PIXELS), 16) as tally:
            await tally.seen(1, times=50)
            for version in (2, 3, 4):
                assert admin.put_label("stable", version, late=True).status_code == 200
                await tally.seen(version, times=50)
            for version in (3, 2, 1):
                assert admin.roll_back(label="stable").status_code == 200
                await tally.seen(version, times=tally.answers[version] + 50)
        assert tally.failures == []


async def test_of_many_changes_at_once_none_is_lost_and_one_comes_last(tmp_path: Path) -> None:
    with administered(tmp_path, 3) as admin:
        assert admin.put_label("stable", 3).status_code == 200
        headers = dict(admin.rest.headers)
        async with httpx.AsyncClient(base_url=admin.gateway.rest_url, headers=headers, timeout=60.0) as client:
            bodies = [(f"label-{number % 5}", {"version": 3 - 2 * (number % 2), "force": True}) for number in range(20)]
            answers = await asyncio.gather(
                *(client.put(f"{MODEL}/labels/{label}", json=body) for label, body in bodies)
            )
        assert {answer.status_code for answer in answers} == {200}
        done = admin.rest.get(f"{MODEL}/changes").json()["changes"]
        assert [one["number"] for one in done] == list(range(len(done), 0, -1))
        last = {one["label"]: one["after"] for one in reversed(done)}
        assert last == json.loads((admin.folder / "labels.json").read_text())
        assert len(last) == 6


def test_who_expects_what_was_there_before_somebody_else_came_is_refused(tmp_path: Path) -> None:
    with administered(tmp_path, 3) as admin:
        first = admin.put_label("stable", 3, expected=1, by="anne")
        second = admin.put_label("stable", 2, expected=1, late=True, by="bert")
        assert (first.status_code, second.status_code) == (200, 409)
        assert second.json()["error"] == "label stable: expected it to name version 1, it names version 3"


def test_labels_of_a_reload_win_and_are_not_moved_here(tmp_path: Path) -> None:
    with administered(tmp_path, 3) as admin:
        request = model_management_pb2.ReloadConfigRequest()
        one = request.config.model_config_list.config.add()
        one.name, one.base_path, one.model_platform = "brightness", str(admin.folder), "tensorflow"
        one.version_labels["stable"] = 3
        with grpc.insecure_channel(admin.gateway.grpc_address) as channel:
            model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=60.0)
        wait_until(lambda: admin.model()["labels"]["stable"] == {"version": 3, "answers": 3, "configured": True})
        for refused in (admin.put_label("stable", 1), admin.rest.delete(f"{MODEL}/labels/stable")):
            assert refused.status_code == 409
            assert refused.json()["error"] == (
                "label stable of brightness is set to version 3 in its configuration, which wins: change it there"
            )
        assert admin.put_label("canary", 3).status_code == 200
