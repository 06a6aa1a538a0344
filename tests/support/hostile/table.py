"""The long form of the hostile clients, and the table of docs/limits.md: `python -m tests.support.hostile.table`.

Each attack runs against one gateway, again and again for some seconds, while a steady client, in a process of its own,
asks every ten milliseconds. The steady client's 99th percentile is shown before the attack and during it, and the
gateway's memory.

What it notices should be the gateway's doing, not that of a second program on the same cores, nor of a network that has
no end. So the attacker sends what a link of its own carries, and gets the processor where neither of the others wants
it, as far as the kernel does so: who has just slept may still wait a tick for it. What that costs is shown, too: the
same while the attacker computes for as much of the time, and sends nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.hostile.attacks import ATTACKS
from tests.support.hostile.memory import memory_bytes
from tests.support.hostile.raw import LINK, Address
from tests.support.hostile.steady import steady_client
from tests.support.onnx_models import write_identity_model

LASTS_S = 5.0
"""How long the steady client asks alone before an attack, and at least during it: some hundred times."""

_PIECE_S = 0.05
_LEAST_WEIGHT = "19"
_BYTES_OF_MBIT = 1e6 / 8


def rows(gateway: RunningGateway, attacker: Executor, share: float, only: str) -> Iterator[str]:
    """The table's lines, as the attacks end. Both ports are read alike."""
    address = Address("127.0.0.1", gateway.process.addresses.rest_port)
    yield (
        "| attack | times | what it was told | steady client's p99, ms: alone | beside as much computing "
        "| under attack | of that beside computing | memory afterwards, MB |"
    )
    yield "|---|--:|---|--:|--:|--:|--:|--:|"
    for name, attack in ATTACKS.items():
        if only in name:
            yield _row(name, max(attack.few, int(attack.many * share)), attacker, gateway, address)


def _row(name: str, times: int, attacker: Executor, gateway: RunningGateway, address: Address) -> str:
    attacker.submit(_attack, name, address, 1).result()  # makes what it sends
    with steady_client(address) as alone:
        time.sleep(LASTS_S)  # there is nothing to wait for
    told: Counter[str] = Counter()
    begun_at, cpu_s, rounds = time.monotonic(), 0.0, 0
    with steady_client(address) as under_attack:
        while (took_s := time.monotonic() - begun_at) < LASTS_S:
            found, attackers_cpu_s = attacker.submit(_attack, name, address, times).result()
            told += found
            cpu_s += attackers_cpu_s
            rounds += 1
    memory = memory_bytes(gateway) / 1e6
    with steady_client(address) as beside:
        attacker.submit(_compute, LASTS_S, cpu_s / took_s).result()
    said = ", ".join(f"{count:,} × {what}" for what, count in told.items())
    p99s_ms = " | ".join(f"{steady.p99_ms():.1f}" for steady in (alone, beside, under_attack))
    times_as_long = under_attack.p99_ms() / beside.p99_ms()
    return f"| {name} | {times * rounds:,} | {said} | {p99s_ms} | {times_as_long:.1f}× | {memory:.0f} |"


def _attack(name: str, address: Address, times: int) -> tuple[Counter[str], float]:
    """What it was told, and the processor time that the attacker took for it."""
    begun_at_s = time.process_time()
    return ATTACKS[name].run(address, times), time.process_time() - begun_at_s


def _compute(seconds: float, share: float) -> None:
    """What the attacker does but for the attack: takes its share of a processor, a piece at a time."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        rests_at_s = time.process_time() + _PIECE_S * share
        while time.process_time() < rests_at_s:
            pass
        time.sleep(_PIECE_S * max(0.0, 1 - share))


def _be_elsewhere(mbit_per_s: float) -> None:
    """Makes this process the attacker's: a link of its own, and processors that nobody misses."""
    LINK.bytes_per_s = mbit_per_s * _BYTES_OF_MBIT
    _yield_the_cores()


def _yield_the_cores() -> None:
    """Has the attacker run only where nobody else wants to, as if it had a machine of its own.

    Its policy counts within its session only where the kernel shares the processor among sessions: sched(7), "The
    autogroup feature". So it gets a session of its own, whose weight is the least there is.
    """
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    os.setsid()
    autogroup = Path("/proc/self/autogroup")
    if autogroup.exists():
        autogroup.write_text(_LEAST_WEIGHT)


def _rate(text: str) -> float:
    """Raises:
    ArgumentTypeError: nothing can be sent at such a rate.
    """
    with contextlib.suppress(ValueError):
        if (rate := float(text)) > 0:
            return rate
    raise argparse.ArgumentTypeError(f"expected a number above 0, received {text}")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=float, default=1.0, help="how much of each attack's long form")
    parser.add_argument("--mbit-per-s", type=_rate, default=1000.0, help="what the attacker's link carries; inf: all")
    parser.add_argument("--only", default="", help="attacks whose name holds this")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="atelier-hostile-") as folder:
        write_bundle(Path(folder) / "brightness" / "1")
        write_identity_model(Path(folder) / "text" / "1", 8, ["N"])
        with (
            running_gateway(Path(folder), request_timeout_s=20.0) as gateway,
            ProcessPoolExecutor(
                1, multiprocessing.get_context("spawn"), _be_elsewhere, (chosen.mbit_per_s,)
            ) as attacker,
        ):
            for line in rows(gateway, attacker, chosen.share, chosen.only):
                print(line, flush=True)


if __name__ == "__main__":
    main()
