"""JSON that takes long to read, through a gateway process."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psutil
import pytest

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.processes import is_alive
from tests.support.waiting import wait_until

PREDICT, CLASSIFY = "/v1/models/brightness:predict", "/v1/models/brightness:classify"
PADDING = b" " * 200_000


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "1")
    with running_gateway(models) as running:
        yield running


def helpers(gateway: RunningGateway) -> list[psutil.Process]:
    (worker,) = gateway.process.worker_pids
    return psutil.Process(worker).children()


def test_it_is_read_in_a_process_that_ends_with_the_gateway(tmp_path_factory: pytest.TempPathFactory) -> None:
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "1")
    with running_gateway(models) as gateway:
        short = gateway.rest.post(PREDICT, json={"instances": [[[10, 20], [30, 40]]]})
        assert short.json() == {"predictions": [[25.0, 10.0, 40.0]]}
        assert helpers(gateway) == []
        body = json.dumps({"instances": [[[10, 20], [30, 40]]] * 4096}).encode() + PADDING
        assert gateway.rest.post(PREDICT, content=body).json() == {"predictions": [[25.0, 10.0, 40.0]] * 4096}
        (helper,) = helpers(gateway)
    wait_until(lambda: not is_alive(helper.pid))


def test_a_helper_that_is_killed_costs_nobody_an_answer(gateway: RunningGateway) -> None:
    body = json.dumps({"instances": [[[10, 20], [30, 40]]]}).encode() + PADDING
    for _ in range(3):
        assert gateway.rest.post(PREDICT, content=body).json() == {"predictions": [[25.0, 10.0, 40.0]]}
        for helper in helpers(gateway):
            helper.kill()


@pytest.mark.parametrize(
    ("path", "document", "status", "answer"),
    [
        (PREDICT, {"instances": [[1, 2]]}, 400, 'input "pixels": expected '),
        (PREDICT, {"inputs": [[[1, 2], [3, 4.5]]]}, 400, 'input "pixels": expected uint8 values, received decimals'),
        ("/v1/models/nothing:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(nothing)"),
        (
            CLASSIFY,
            {"examples": [{"pixels": [1, 2, 3]}], "signature_name": "classify"},
            400,
            'feature "pixels": expected 4 values, received 3',
        ),
        (CLASSIFY, {"images": [{"b64": "AAAA"}]}, 400, "image 0: "),
        ("/v2/models/brightness/infer", {"inputs": [{}]}, 400, "inputs[0].name: expected a string, received null"),
    ],
)
def test_what_is_wrong_with_it_is_told_as_ever(
    path: str, document: object, status: int, answer: str, gateway: RunningGateway
) -> None:
    content = json.dumps(document).encode()
    short, long = (gateway.rest.post(path, content=body) for body in (content, content + PADDING))
    assert long.status_code == short.status_code == status
    assert long.json() == short.json()
    assert answer in long.json()["error"]
