"""A tool as a process, and how it is told what to ask for."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence

from loadtest.apis import Request
from loadtest.errors import LoadTestError
from loadtest.plan import LoadPlan
from loadtest.preparation import Prepared

_POLL_S = 0.2
_LONGER_S = 30.0
"""How much longer than its load a tool may take."""


def run_process(command: Sequence[str], seconds: float, follow: Callable[[], str]) -> tuple[str, str]:
    """What the tool says, and why it ended.

    Raises:
        LoadTestError: it failed, or did not end in time.
    """
    with subprocess.Popen(  # noqa: S603 -- a tool by its name
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        reason, give_up_at = "finished", time.monotonic() + seconds + _LONGER_S
        output: list[str] = []
        try:
            while True:
                try:
                    output.append(process.communicate(timeout=_POLL_S)[0])
                    break
                except subprocess.TimeoutExpired:
                    follow()
                    if time.monotonic() > give_up_at:
                        raise LoadTestError(f"{command[0]} did not end in time") from None
        except KeyboardInterrupt:
            reason = "interrupted"
        finally:
            if process.poll() is None:
                process.terminate()
                output.append(process.communicate()[0])
        if process.returncode and reason == "finished":
            raise LoadTestError(f"{command[0]} ended with {process.returncode}: {''.join(output)[-300:].strip()}")
        return "".join(output), reason


def url_of(plan: LoadPlan, prepared: Prepared, request: Request) -> str:
    """Where the tool sends the request."""
    path = request.api.address(prepared.target)
    if request.api.protocol == "rest":
        return f"{plan.url}{path}"
    return f"{'https' if plan.is_tls else 'http'}://{plan.grpc_target}{path}"
