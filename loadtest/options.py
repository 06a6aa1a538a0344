"""The plan as Locust's options, and back."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from loadtest.plan import LoadPlan, option, plan_of

RECORDING = "--recording"


def add_plan_options(parser: ArgumentParser, names: Iterable[str] | None = None) -> None:
    """Adds these fields of the plan, all if not given; Locust's own `--host` is the URL."""
    group = parser.add_argument_group("The load")
    for name, field in LoadPlan.model_fields.items():
        if name != "url" and (names is None or name in names):
            default = "" if field.default is None else str(field.default)
            text = f"{field.description} (default: {default or 'none'})".replace("%", "%%")
            group.add_argument(option(name), dest=name, default=default, help=text)


def plan_of_options(host: str | None, options: Any) -> LoadPlan:
    """The plan that the parsed options say; those that are not among them have their defaults.

    Raises:
        UsageError: the first one that cannot be.
    """
    given = {name: getattr(options, name, None) for name in LoadPlan.model_fields if name != "url"}
    return plan_of({"url": host, **given})
