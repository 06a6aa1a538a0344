"""What a worker loads decides how soon it is ready and how much memory it takes: nothing beside what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.bundles import write_bundle
from tests.support.gateway import running_gateway

NEEDED = {
    *(
        "PIL",
        "google",
        "hpack",
        "httptools",
        "ml_dtypes",
        "multipart",
        "numpy",
        "orjson",
        "prometheus_client",
        "serving",
    ),
    *("simdjson", "csimdjson", "cython_runtime"),
    *("pydantic", "pydantic_core", "pydantic_settings", "annotated_types", "dotenv"),
    *("typing_extensions", "typing_inspection"),
}
NEEDED_TO_WATCH = {
    *(
        "annotated_doc",
        "atelier",
        "dotenv",
        "orjson",
        "serving",
        "shellingham",
    ),
    *("pydantic", "pydantic_core", "pydantic_settings", "annotated_types", "typer"),
    *("typing_extensions", "typing_inspection"),
}
SHOW = """
import sys
before = set(sys.modules)
import {}
loaded = {name.partition(".")[0] for name in sys.modules.keys() - before}
print(*sorted(name for name in loaded - sys.stdlib_module_names if not name.startswith("_")))
"""
HEAVY = ("tensorflow", "keras", "matplotlib", "scipy", "sklearn", "grpc", "h5py", "pandas")


SHOW_COMMANDS = """
import sys
from typer.testing import CliRunner
from atelier.cli import app
assert CliRunner().invoke(app, ["serve", "--help"]).exit_code == 0
print(*sorted(name for name in sys.modules if name.partition(".")[0] == "atelier"))
"""
SHOW_DECODERS = """
import sys
from PIL import Image
from serving.errors import InvalidInputError
from serving.images import FORMATS, ImageSpec, decode_image, load_decoders
load_decoders()
assert set(FORMATS) <= Image.OPEN.keys()
try:
    decode_image(b"no image", ImageSpec(2, 2, "rgb"))
except InvalidInputError:
    print(*sorted(name for name in sys.modules if name.startswith("PIL.") and name.endswith("ImagePlugin")))
"""


def shown_by(program: str) -> set[str]:
    """The words that a program prints."""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120.0)
    return set(shown.stdout.split())


def loaded_with(modules: str) -> set[str]:
    """The packages that importing these modules loads."""
    return shown_by(SHOW.replace("{}", modules))


def test_a_worker_imports_what_it_needs_and_no_more() -> None:
    assert loaded_with("serving.worker") <= NEEDED


def test_a_workers_process_imports_the_worker_only_when_its_event_loop_runs() -> None:
    assert loaded_with("serving.worker_main") == {"serving", "uvloop", "cython_runtime"}


def test_what_starts_and_watches_the_workers_imports_less() -> None:
    assert (
        loaded_with("atelier.cli, atelier.serve, serving.batching.parameters_file, serving.server") <= NEEDED_TO_WATCH
    )


def test_a_command_imports_no_other_command() -> None:
    assert shown_by(SHOW_COMMANDS) == {"atelier", "atelier.cli", "atelier.console", "atelier.serve"}


def test_of_pillows_decoders_those_of_the_formats_that_are_taken_are_loaded() -> None:
    needed = {f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Png", "WebP")}
    assert shown_by(SHOW_DECODERS) - {"PIL.PpmImagePlugin"} == needed  # which Pillow loads beside them, unasked


def test_a_worker_that_has_answered_has_no_heavy_library_in_its_memory(tmp_path: Path) -> None:
    write_bundle(tmp_path / "brightness" / "1")
    with running_gateway(tmp_path) as gateway:
        for path in ("/metrics", "/status", "/openapi.json", "/v1/models/brightness/metadata"):
            assert httpx.get(f"{gateway.rest_url}{path}", timeout=60.0).status_code == 200
        rows = {"instances": [[[0, 0], [0, 0]]]}
        predict = f"{gateway.rest_url}/v1/models/brightness:predict"
        assert httpx.post(predict, json=rows, timeout=60.0).status_code == 200
        (pid,) = gateway.process.worker_pids
        mapped = Path(f"/proc/{pid}/maps").read_text()
    assert "/onnxruntime/" in mapped
    assert [library for library in HEAVY if f"site-packages/{library}/" in mapped] == []
