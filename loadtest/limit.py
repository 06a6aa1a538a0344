"""The highest rate that meets an objective, for one server or for a gateway started with each of several settings."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from loadtest.bisection import Trial, is_generators, limit_of, next_rate
from loadtest.errors import TargetError, UsageError
from loadtest.figures import Outcome
from loadtest.plan import MAX_RATE, LoadPlan
from loadtest.session import Session

_ANSWERED_SHARE = 0.95
_STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Setting:
    """A server to try: at a URL, or `atelier serve` with flags, started for the purpose."""

    name: str
    url: str = ""
    serve: Sequence[str] = ()


@dataclass
class Search:
    """A setting's trials, in the order in which they were made."""

    setting: Setting
    trials: list[Trial] = field(default_factory=list)
    interrupted: bool = False

    @property
    def limit(self) -> float | None:
        """The highest rate that met the objective."""
        return limit_of(self.trials)

    @property
    def sentence(self) -> str:
        """What was found."""
        name, limit = self.setting.name, self.limit
        if self.interrupted:
            return f"{name}: interrupted after {len(self.trials)} trial{'' if len(self.trials) == 1 else 's'}"
        if limit is None:
            return f"{name}: no rate met the objective, down to {min(one.rate for one in self.trials):,.3g} requests/s"
        if is_generators(self.trials):
            return f"{name}: at least {limit:,.0f} requests/s; above, the generator was the limit, not the server"
        if not any(not one.met for one in self.trials):
            return f"{name}: at least {limit:,.0f} requests/s, the highest rate that was asked for"
        return f"{name}: {limit:,.0f} requests/s"


@dataclass(frozen=True)
class Bounds:
    """Where a search begins and ends, in requests a second, and how exact it gets."""

    first: float = 100.0
    highest: float = MAX_RATE
    precision: float = 0.05


def parse_target(text: str) -> Setting:
    """`NAME=URL`.

    Raises:
        UsageError: it is not that.
    """
    name, _, url = text.partition("=")
    if not name or not url.startswith(("http://", "https://")):
        raise UsageError(f"--target: expected NAME=http://HOST:PORT, received {text!r}")
    return Setting(name, url)


def parse_serve(text: str, models: Path) -> Setting:
    """Flags of `atelier serve`, as one text.

    Raises:
        UsageError: quotes that do not end.
    """
    try:
        flags = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--serve: expected flags of `atelier serve`, received {text!r} ({error})") from error
    return Setting(text.strip() or "defaults", serve=("--models", str(models), *flags))


def find_limit(
    session: Session,
    setting: Setting,
    bounds: Bounds,
    say: Callable[[Search], None],
    follow: Callable[[LoadPlan], None],
) -> Search:
    """Tries rates until the limit is known; `say` hears of each trial, `follow` of each that begins.

    Raises:
        LoadTestError: the server could not be started or tested.
    """
    search = Search(setting)
    with _serving(setting) as url, _noting_ctrl_c(search):
        while (rate := next_rate(
            search.trials, first=bounds.first, highest=bounds.highest, precision=bounds.precision
        )) is not None:  # fmt: skip
            plan = session.plan.model_copy(update={"rate": rate, "url": url or session.plan.url})
            follow(plan)
            folder = session.folder / "trials" / f"{_file_name(setting.name)}-{rate:.0f}"
            folder.mkdir(parents=True, exist_ok=True)
            trial = replace(session, plan=plan, folder=folder, checks_apart=not search.trials)
            outcome = trial.run(lambda _: "").outcome
            if outcome.is_partial:
                search.interrupted = True
                break
            figures = outcome.figures
            saturated = outcome.saturated_windows * 2 > len(outcome.by_window)
            met = outcome.is_met and keeps_up(outcome)
            search.trials.append(
                Trial(rate, figures.percentile_ms(99), figures.answered_per_s, met, saturated=saturated)
            )
            say(search)
    return search


@contextlib.contextmanager
def _noting_ctrl_c(search: Search) -> Iterator[None]:
    """Ends a search at Ctrl-C, with the trials that it has."""
    try:
        yield
    except KeyboardInterrupt:
        search.interrupted = True


def keeps_up(outcome: Outcome) -> bool:
    """Whether a server does not fall behind: answered by the end is 95 % of what was due before the last window.

    An objective without latencies would not notice a queue that grows.
    """
    due = [window.due for window in outcome.figures.windows]
    return outcome.figures.total("answered") >= _ANSWERED_SHARE * sum(due[:-1])


@contextlib.contextmanager
def _serving(setting: Setting) -> Iterator[str]:
    """The server's URL; a gateway with the setting's flags ends with the block. Empty: the plan's own server."""
    if not setting.serve:
        yield setting.url
        return
    command = [
        sys.executable, "-m", "atelier", "serve", *setting.serve, "--host", "127.0.0.1", "--grpc-port", "0",
        "--rest-port", "0", "--json",
    ]  # fmt: skip
    with subprocess.Popen(  # noqa: S603 -- our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                said = process.communicate()[1].strip().splitlines()
                raise TargetError(
                    f"atelier serve {shlex.join(setting.serve)} ended: {said[-1] if said else 'no reason'}"
                )
            yield f"http://127.0.0.1:{json.loads(line)['rest_port']}"
        finally:
            process.terminate()
            try:
                process.communicate(timeout=_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.=-]+", "_", name).strip("_-") or "server"
