"""A peer's environment and process."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.load import LoadError
from benchmarks.measure import say
from benchmarks.model import Model
from benchmarks.peers.registry import Peer, Setting
from benchmarks.processes import StartError, free_port, started
from benchmarks.servers import Entrant, Opening, ready

ENVIRONMENTS = Path(sys.prefix) / "peers"
REQUIREMENTS = Path(__file__).parent / "requirements"
_HOST = "127.0.0.1"


def install(peer: Peer) -> None:
    """Makes the peer's environment, or brings it up to its requirements.

    Raises:
        StartError: it cannot be installed; with the installer's last words.
    """
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    folder, requirements = ENVIRONMENTS / peer.name, REQUIREMENTS / f"{peer.name}.txt"
    stamp = folder / "requirements.txt"
    if stamp.exists() and stamp.read_bytes() == requirements.read_bytes():
        return
    say(f"installing {peer.title} into {folder}")
    python = _python(peer)
    _run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)])
    _run([uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(requirements)])
    shutil.copyfile(requirements, stamp)


def version(peer: Peer) -> str:
    """The version of the peer's package in its environment."""
    show = f"import importlib.metadata as m; print(m.version({peer.package!r}))"
    return subprocess.run([_python(peer), "-c", show], capture_output=True, text=True, check=True).stdout.strip()


def fastest(title: str, openings: Mapping[Setting, Opening], model: Model, in_flight: int) -> Setting:
    """The one of a server's settings that answered most requests well in a second, asked so many at a time.

    Raises:
        StartError: none started.
    """
    speeds: dict[Setting, float] = {}
    trouble: Exception | None = None
    for setting, opening in openings.items():
        try:
            with opening(model) as entrant:
                load = entrant.load(in_flight, 1)
            speeds[setting] = load.per_second * (1 - load.failed / load.requests)
        except (StartError, LoadError) as error:
            trouble = error
            continue
        say(f"{title} {' '.join(setting)}, {in_flight} in flight: {speeds[setting]:,.0f} requests/s in a trial")
    if not speeds:
        raise StartError(str(trouble)) from trouble
    return max(speeds, key=lambda setting: speeds[setting])


@contextlib.contextmanager
def opened(peer: Peer, setting: Setting, model: Model) -> Iterator[Entrant]:
    """The peer with a setting, once it answers right; raises as `benchmarks.servers.serving`."""
    port = free_port()
    command = [str(_python(peer)), "-m", f"benchmarks.peers.servers.{peer.name}", "--name", model.name]
    flags = ["--onnx-file", str(model.onnx_file.resolve()), "--port", str(port), *setting]
    path = f"{_python(peer).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    with started([*command, *flags], {"PATH": path, **peer.environment}) as process:
        process.discard_output()
        entrant = ready(process, peer.call_for(f"{_HOST}:{port}", model))
        yield replace(entrant, by=told(entrant.by, setting))


def told(by: str, setting: Setting) -> str:
    """How a table names a protocol with `--batch 16 --wait-ms 1`: as `by, batch 16, wait-ms 1`."""
    return ", ".join([by, *(word.strip() for word in " ".join(setting).split("--")[1:])])


def _python(peer: Peer) -> Path:
    return ENVIRONMENTS / peer.name / "bin" / "python"


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise StartError(f"cannot be installed: {result.stderr.strip()[-500:]}")
