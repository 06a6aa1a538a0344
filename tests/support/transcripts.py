"""Runs the sessions of docs/transcripts.md against a gateway: `python -m tests.support.transcripts`.

A block of `pycon` is a session of Python's prompt, which takes `await` too; one of `console` is a shell's. A block of
`html` is the file `page.html` of the sessions behind it. Blocks of a client that is not there stay as they are.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.boots import write_boots
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.image_files import file_of, gradient

PAGE = Path(__file__).parents[2] / "docs" / "transcripts.md"
_KSERVE = Path(sys.prefix) / "kserve" / "bin" / "python"
"""KServe's clients have an environment of their own: `make kserve`."""
_BLOCK = re.compile(r"(?<=^```)(pycon|console|html)\n(.*?)(?=^```$)", re.S | re.M)
_PROMPT = """
import ast, asyncio, contextlib, inspect, io, json, sys
names, loop, outputs = {"__name__": "__main__"}, asyncio.new_event_loop(), []
asyncio.set_event_loop(loop)
for source in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        try:
            code = compile(source, "session", "single", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            value = eval(code, names)
            if inspect.iscoroutine(value):
                loop.run_until_complete(value)
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
    outputs.append(shown.getvalue())
print(json.dumps(outputs))
"""


def run_sessions(text: str) -> str:
    """The page with the outputs of now."""
    with tempfile.TemporaryDirectory() as folder:
        write_boots(Path(folder) / "models" / "fashion-mnist" / "1")
        (Path(folder) / "shoe.png").write_bytes(file_of(gradient(), "PNG"))
        with running_gateway(Path(folder) / "models", cors_origins=("*",)) as gateway:
            return _BLOCK.sub(lambda block: _session(block[1], block[2], gateway, Path(folder)), text)


def without_last_digits(text: str) -> str:
    """The page with four decimals: the others depend on the processor."""
    return re.sub(r"(\d\.\d{4})\d+", r"\1", text)


def missing(content: str) -> str:
    """What the machine lacks for a session; empty where it lacks nothing."""
    if "kserve" in content and not _KSERVE.exists():
        return "make kserve"
    return next((tool for tool in ("curl", "chromium") if f"$ {tool}" in content and shutil.which(tool) is None), "")


def _session(language: str, content: str, gateway: RunningGateway, folder: Path) -> str:
    if missing(content):
        return f"{language}\n{content}"
    here = {"localhost:8500": gateway.grpc_address, "localhost:8501": gateway.rest_url.removeprefix("http://")}
    asked = content
    for name, address in here.items():
        asked = asked.replace(name, address)
    if language == "html":
        (folder / "page.html").write_text(asked)
        return f"{language}\n{content}"
    shown = _at_pythons_prompt(asked, folder) if language == "pycon" else _at_the_shells(asked, folder)
    for name, address in here.items():
        shown = shown.replace(address, name)
    return f"{language}\n{shown}"


def _at_pythons_prompt(content: str, folder: Path) -> str:
    examples = doctest.DocTestParser().get_examples(content)
    python = str(_KSERVE) if "kserve" in content else sys.executable
    sources = json.dumps([example.source for example in examples])
    outputs = json.loads(_run([python, "-c", _PROMPT], folder, sources).splitlines()[-1])
    return "".join(_prompted(example.source) + output for example, output in zip(examples, outputs, strict=True))


def _prompted(source: str) -> str:
    first, *more = source.splitlines()
    return "\n".join([f">>> {first}", *(f"... {line}".rstrip() for line in more), ""])


def _at_the_shells(content: str, folder: Path) -> str:
    commands = [line.removeprefix("$ ") for line in content.splitlines() if line.startswith("$ ")]
    return "".join(f"$ {command}\n{_run(['sh', '-c', command], folder)}" for command in commands)


def _run(command: list[str], folder: Path, given: str = "") -> str:
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    run = subprocess.run(
        command, input=given, capture_output=True, text=True, cwd=folder, env=environment, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    shown = run.stdout.replace("\r\n", "\n")
    return shown if shown.endswith("\n") or not shown else f"{shown}\n"


if __name__ == "__main__":
    PAGE.write_text(run_sessions(PAGE.read_text()))
