"""What the manifests mount for the gateway, in running gateways, laid down as the kubelet does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.manifests import K8S, named, on_the_base
from tests.support.tfserving import running_tfserving, write_models_config
from tests.support.waiting import wait_until

TOKEN = "0123456789abcdef0123"
STABLE = "/v1/models/digits/labels/stable"
BODY = {"instances": np.zeros((1, 2, 2), int).tolist()}


def lay_down(folder: Path, text: str) -> None:
    """As the kubelet does with a ConfigMap: a new folder each time, and a link to it that is replaced."""
    revision = folder / f"..{len(list(folder.iterdir()))}"
    revision.mkdir()
    (revision / "atelier.toml").write_text(text)
    (folder / "..data_tmp").symlink_to(revision.name)
    (folder / "..data_tmp").replace(folder / "..data")
    if not (folder / "atelier.toml").is_symlink():
        (folder / "atelier.toml").symlink_to("..data/atelier.toml")


def available(gateway: RunningGateway) -> set[str]:
    statuses = gateway.rest.get("/v1/models/digits").json().get("model_version_status", ())
    return {each["version"] for each in statuses if each["state"] == "AVAILABLE"}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the gateway's working directory."""
    (tmp_path / "etc").mkdir()
    monkeypatch.chdir(tmp_path / "etc")
    return tmp_path / "etc"


def test_a_change_of_the_config_map_is_followed(config: Path, tmp_path: Path) -> None:
    for version in (1, 2):
        write_bundle(tmp_path / "models" / "digits" / str(version))
    lay_down(config, (K8S / "base" / "atelier.toml").read_text())
    with running_gateway(tmp_path / "models") as gateway:
        assert available(gateway) == {"2"}
        lay_down(config, "[models.digits]\nversion_policy = {latest = 2}\n")
        wait_until(lambda: available(gateway) == {"1", "2"})


@pytest.mark.parametrize(
    ("component", "address"), [("tfserving", "tfserving:8500"), ("tfserving-sidecar", "127.0.0.1:9500")]
)
def test_the_components_send_the_model_to_tensorflow_serving(
    component: str, address: str, config: Path, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "models" / "digits" / "1")
    listed = write_models_config(tmp_path / "models.config", {"digits": tmp_path / "models" / "digits"})
    text = (K8S / "components" / component / "atelier.toml").read_text()
    assert address in text
    with running_tfserving(listed) as (server,):
        lay_down(config, text.replace(address, server.address))
        with running_gateway(tmp_path / "models") as gateway:
            wait_until(lambda: available(gateway) == {"1"})
            assert gateway.rest.post("/v1/models/digits:predict", json=BODY).status_code == 200
            server.stop()
            assert gateway.rest.post("/v1/models/digits:predict", json=BODY).status_code == 503


def test_a_label_set_through_one_gateway_is_followed_by_all_and_outlives_them(config: Path, tmp_path: Path) -> None:
    for version in (1, 2):
        write_bundle(tmp_path / "models" / "digits" / str(version))
    lay_down(config, "[models.digits]\nversion_policy = {latest = 2}\n")
    (tmp_path / "rendered").mkdir()
    settings = _admin_settings(tmp_path)
    settings["admin_token_file"].write_text(f"{TOKEN}\n")

    with (
        running_gateway(tmp_path / "models", **settings) as one,
        running_gateway(tmp_path / "models", **settings) as two,
    ):
        for gateway in (one, two):
            wait_until(lambda gateway=gateway: available(gateway) == {"1", "2"})
        change = {"json": {"version": 1, "by": "anne"}, "headers": {"authorization": f"Bearer {TOKEN}"}}
        one.rest.put("/admin/v1/models/digits/labels/stable", **change).raise_for_status()
        wait_until(lambda: two.rest.get(STABLE).status_code == 200)
    with running_gateway(tmp_path / "models", **settings) as later:
        wait_until(lambda: later.rest.get(STABLE).status_code == 200)
        assert later.rest.get(f"{STABLE}/metadata").json()["model_spec"]["version"] == "1"


def _admin_settings(folder: Path) -> dict[str, Path]:
    """What the component `admin` says, with its mounts in a folder."""
    manifests = on_the_base("admin", folder / "rendered")
    pod = named(manifests, "Deployment", "gateway")["spec"]["template"]["spec"]
    (configured,) = (each["configMapRef"]["name"] for each in pod["containers"][0]["envFrom"])
    data = named(manifests, "ConfigMap", configured)["data"]
    found = {}
    for key in ("state_dir", "admin_token_file"):
        path = Path(data[f"ATELIER_{key.upper()}"])
        (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if path.is_relative_to(each["mountPath"])]
        assert mount.get("readOnly", False) == (key == "admin_token_file")
        found[key] = folder / path.relative_to("/")
        (folder / Path(mount["mountPath"]).relative_to("/")).mkdir(parents=True, exist_ok=True)
    return found
