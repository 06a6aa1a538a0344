"""What the flags of the load-test commands say together: the plan, and the generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadtest.plan import LoadPlan

_ONE_PROCESS: dict[str, tuple[set[Any], str]] = {
    "processes": ({1}, "which is one process"),
    "remote_workers": ({0}, "which is one process"),
}
_NOT_KEPT: dict[str, dict[str, tuple[set[Any], str]]] = {
    "h2load": {
        **_ONE_PROCESS,
        "spacing": ({"even"}, "which sends evenly"),
        "timeout": (set(), "which waits for every answer"),
    },
    "wrk": {
        **_ONE_PROCESS,
        "rate": (set(), "which has no rate: each connection asks again once it has its answer"),
        "first_rate": (set(), "which has no rate, so it finds no limit"),
        "spacing": (set(), "which has no schedule"),
        "warm_up": ({0.0}, "which measures from its first request on"),
    },
}
"""What a generator cannot do: the values of a flag that it keeps all the same, and why it keeps no other."""


def plan_of_flags(given: dict[str, Any], *, without_duration: bool = False) -> LoadPlan:
    """The plan that the flags say; without a duration, a trace lasts as long as it is and a soak an hour."""
    from loadtest.plan import LoadPlan, plan_of

    names = {name.removesuffix("_s"): name for name in LoadPlan.model_fields}
    fields = {names[name]: value for name, value in given.items() if name in names}
    if fields.get("trace") is not None:
        fields["shape"] = fields.get("shape") or "replay"
    if fields.get("shape") == "soak" and without_duration:
        fields["duration_s"] = 3600.0
    plan = plan_of(fields)
    if plan.trace is not None and without_duration:
        from loadtest.arrivals import read_trace

        times = read_trace(plan.trace, speed=plan.speed)
        plan = plan_of({**fields, "duration_s": float(times[-1]) + 1e-3})
    return plan


def generator_of(given: dict[str, Any]) -> Any:
    """The generator that the flags name; raises `UsageError`, also for a flag that it would ignore."""
    from loadtest.errors import UsageError

    name = given["generator"]
    if name not in {"locust", "h2load", "wrk"}:
        raise UsageError(f"--generator: expected locust, h2load or wrk, received {name!r}")
    for flag, (accepted, why) in _NOT_KEPT.get(name, {}).items():
        if given.get(flag) not in {*accepted, None}:
            raise UsageError(f"--{flag.replace('_', '-')}: expected without --generator {name}, {why}")
    return name
