"""How far runtimes may be from the reference, and how a looser bound is named on purpose (`--allow NAME=VALUE`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from export.errors import WrongUseError

SHARES = ("agreement", "int8-agreement", "int8-accuracy-loss")
"""Bounds that are shares of the inputs; the others have no largest value."""


@dataclass(frozen=True)
class Bounds:
    """What one runtime is held to; None asks only for finite numbers.

    Args:
        difference: of two scores, absolute.
        relative_difference: of what has no scale of its own, such as predictions and logits.
        agreement: the smallest share of inputs whose top class is the same.
        accuracy_loss: the share of the examples that may be lost against the reference.
    """

    difference: float | None
    relative_difference: float | None
    agreement: float
    accuracy_loss: float | None


@dataclass(frozen=True)
class Limits:
    """The bounds of all runtimes; those without `int8` are of every runtime that computes in float32.

    With sums in another order, float32 moves probabilities by about 1e-6 in the deepest of our nets, and numbers of any
    size by some hundred times its precision of 6e-8.
    """

    difference: float = 1e-5
    relative_difference: float = 1e-5
    agreement: float = 1.0
    int8_agreement: float = 0.99
    int8_accuracy_loss: float = 0.005

    def of(self, *, is_int8: bool) -> Bounds:
        """Those of one runtime."""
        if is_int8:
            return Bounds(None, None, self.int8_agreement, self.int8_accuracy_loss)
        return Bounds(self.difference, self.relative_difference, self.agreement, None)

    @property
    def by_name(self) -> dict[str, float]:
        """All bounds, by the names that `--allow` knows."""
        return {_flag(name): value for name, value in asdict(self).items()}

    @property
    def allowed(self) -> dict[str, float]:
        """Those that are not as they are by default."""
        defaults = Limits().by_name
        return {name: value for name, value in self.by_name.items() if value != defaults[name]}


def parse_allowed(settings: Iterable[str]) -> Limits:
    """The limits with the bounds that `settings` name, such as `int8-agreement=0.98`.

    Raises:
        WrongUseError: an unknown name, or a value that can be no bound.
    """
    names = {_flag(field.name): field.name for field in fields(Limits)}
    chosen: dict[str, float] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in names:
            raise WrongUseError(f"--allow knows no bound {name!r}: expected NAME=VALUE with one of {', '.join(names)}")
        chosen[names[name]] = _value(name, text)
    return Limits(**chosen)


def _value(name: str, text: str) -> float:
    largest, expected = (1.0, "a share from 0 to 1") if name in SHARES else (float("inf"), "a number from 0")
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (0 <= value <= largest and value < float("inf")):
        raise WrongUseError(f"--allow {name} expects {expected}, received {text!r}")
    return value


def _flag(name: str) -> str:
    return name.replace("_", "-")
