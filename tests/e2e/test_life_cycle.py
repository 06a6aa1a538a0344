"""Start, signals, drain and death of a gateway started by `atelier serve`."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.support.bundles import write_bundle
from tests.support.cli import Serving, atelier, atelier_serve
from tests.support.processes import is_alive
from tests.support.tfs import predict_request
from tests.support.waiting import wait_until

REQUEST = predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8))
PREDICT = "/v1/models/brightness:predict"
ROWS = {"instances": [[[0, 0], [0, 0]]]}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "brightness" / "1")
    return tmp_path


def queued_rows(serving: Serving) -> float:
    text = httpx.get(f"{serving.rest_url}/metrics", timeout=60.0).text
    (line,) = [line for line in text.splitlines() if line.startswith("atelier_queue_rows{")]
    return float(line.split()[-1])


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_lets_the_requests_in_flight_be_answered(stop: signal.Signals, models: Path) -> None:
    # A model that waits an hour for a ninth row keeps eight requests in flight until that comes, on a connection that
    # was there before the ports were closed.
    flags = ("--batch-timeout-ms", "3600000", "--max-batch-size", "9", "--drain-grace-s", "0.1")
    with (
        atelier_serve(models, *flags, "--drain-timeout-s", "120") as serving,
        grpc.insecure_channel(serving.grpc_address) as channel,
        closing(HTTPConnection("127.0.0.1", serving.rest_port, timeout=60.0)) as last,
        ThreadPoolExecutor(8) as clients,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        asked = [clients.submit(stub.Predict, REQUEST, timeout=60.0) for _ in range(4)]
        url = f"{serving.rest_url}{PREDICT}"
        asked += [clients.submit(httpx.post, url, json=ROWS, timeout=60.0) for _ in range(4)]
        last.request("GET", "/healthz")
        assert last.getresponse().read() == b'{"live":true}'
        wait_until(lambda: queued_rows(serving) == 8)
        serving.process.send_signal(stop)
        wait_until(lambda: is_refused(serving.rest_port))
        last.request("POST", PREDICT, json.dumps(ROWS))
        assert last.getresponse().status == 200
        answers = [call.result() for call in asked]
        assert [answer.model_spec.version.value for answer in answers[:4]] == [1] * 4
        assert [answer.status_code for answer in answers[4:]] == [200] * 4
        assert serving.process.wait(timeout=120.0) == 0
        assert not any(map(is_alive, serving.worker_pids))


def is_refused(port: int) -> bool:
    """Whether nobody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60.0).close()
    except ConnectionError:
        return True
    return False


def test_when_the_command_is_killed_the_workers_end_too_even_one_that_hangs(models: Path) -> None:
    with atelier_serve(models, "--workers", "2") as serving:
        os.kill(serving.worker_pids[0], signal.SIGSTOP)
        serving.process.kill()
        wait_until(lambda: not any(map(is_alive, serving.worker_pids)))


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder with a name that is short enough for a socket in it, wherever pytest's own folders are."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_while_it_drains_it_is_not_ready_but_answers_until_a_second_signal_ends_it_and_leaves_nothing(
    models: Path, scratch: Path
) -> None:
    flags, environment = ("--drain-grace-s", "3600"), {**os.environ, "TMPDIR": str(scratch)}
    with (
        atelier_serve(models, *flags, environment=environment) as serving,
        httpx.Client(base_url=serving.rest_url, timeout=60.0) as client,
    ):
        assert len(list(scratch.iterdir())) == 1
        assert client.get("/readyz").status_code == 200
        serving.process.send_signal(signal.SIGTERM)
        wait_until(lambda: client.get("/readyz").status_code == 503)
        assert client.get("/readyz").json() == {"ready": False, "reasons": ["the gateway is stopping"]}
        answer = client.post(PREDICT, json=ROWS)
        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(timeout=120.0) == 130
    assert not any(map(is_alive, serving.worker_pids))
    assert list(scratch.iterdir()) == []


def test_onnx_runtime_leaves_no_device_id_in_the_home(models: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with atelier_serve(models, environment={**os.environ, "HOME": str(home)}):
        pass
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_it_starts_however_long_the_name_of_the_folder_for_temporary_files_is(models: Path, tmp_path: Path) -> None:
    scratch = tmp_path / ("long" * 40)
    scratch.mkdir()
    with atelier_serve(models, environment={**os.environ, "TMPDIR": str(scratch)}) as serving:
        assert httpx.get(f"{serving.rest_url}/readyz", timeout=60.0).status_code == 200
    assert list(scratch.iterdir()) == []


def test_it_starts_in_a_folder_that_has_a_serving_package_of_its_own(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    (work / "serving").mkdir(parents=True)
    (work / "serving" / "__init__.py").write_text("raise SystemError('not this one')")
    monkeypatch.chdir(work)
    as_the_script = {**os.environ, "PYTHONSAFEPATH": "1"}  # `python -m` would look there too
    with atelier_serve(Path(os.path.relpath(models)), environment=as_the_script) as serving:
        assert httpx.get(f"{serving.rest_url}/v1/models", timeout=60.0).json()["models"]


def test_a_name_of_this_machine_is_resolved(models: Path) -> None:
    with atelier_serve(models, "--host", "localhost") as serving:
        assert httpx.get(f"{serving.rest_url}/readyz", timeout=60.0).status_code == 200


def test_a_host_that_is_none_is_named(models: Path) -> None:
    result = atelier("serve", "--models", str(models), "--host", "no such host")
    assert result.returncode == 1
    assert result.stderr.startswith(
        "atelier: host: expected an address or a name of this machine, received 'no such host'"
    )


def test_a_port_that_is_taken_is_named(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = atelier(
            "serve", "--models", str(models), "--host", "127.0.0.1", "--grpc-port", port, "--rest-port", "0"
        )
    assert result.returncode == 1
    assert result.stderr == f"atelier: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


def test_a_second_gateway_on_the_same_port_is_refused(models: Path) -> None:
    with atelier_serve(models) as serving:
        port = str(serving.grpc_port)
        result = atelier(
            "serve", "--models", str(models), "--host", "127.0.0.1", "--grpc-port", port, "--rest-port", "0"
        )
    assert (result.returncode, "Address already in use" in result.stderr) == (1, True)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = atelier("serve", "--models", str(tmp_path / "nowhere"))
    assert result.returncode == 2
    assert result.stderr == f"atelier: models folder: expected an existing folder, received {tmp_path / 'nowhere'}\n"


def test_a_wrong_setting_is_named_with_what_was_received(tmp_path: Path) -> None:
    result = atelier("serve", "--models", str(tmp_path), "--max-batch-size", "0")
    assert result.returncode == 2
    assert result.stderr == "atelier: setting max_batch_size: Input should be greater than or equal to 1, received 0\n"


def test_clients_that_leave_in_the_middle_do_no_harm(models: Path) -> None:
    with atelier_serve(models) as serving:
        head = b"POST /v1/models/brightness:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"

        def leave() -> None:
            with socket.create_connection(("127.0.0.1", serving.rest_port)) as client:
                client.sendall(head)

        threads = [threading.Thread(target=leave) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert httpx.post(f"{serving.rest_url}{PREDICT}", json=ROWS, timeout=60.0).status_code == 200


def test_a_deadline_is_kept_by_the_gateway_itself(models: Path) -> None:
    frame = REQUEST.SerializeToString()
    with atelier_serve(models, "--batch-timeout-ms", "60000") as serving:
        response = httpx.post(
            f"http://{serving.grpc_address}/tensorflow.serving.PredictionService/Predict",
            content=b"\0" + len(frame).to_bytes(4, "big") + frame,
            headers={"content-type": "application/grpc-web", "grpc-timeout": "1S"},
            timeout=60.0,
        )
        assert response.headers["grpc-status"] == "4"
        assert response.headers["grpc-message"] in {
            "the deadline passed before the model answered",
            "the deadline had passed when the request arrived",  # on a machine that is busy
        }
