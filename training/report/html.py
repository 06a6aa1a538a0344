"""HTML and SVG by hand: whatever is not `Html` already is escaped."""

from __future__ import annotations

import html
import math

_VOID = frozenset({"img", "br", "line", "rect", "circle", "path"})
"""Elements that are written here without content."""


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: object) -> Html:
    """An element around its children: `Html` as it is, other text escaped.

    Attributes are escaped too; None leaves one out, `_` in a name becomes `-` and the last one is dropped, as in
    `class_` and `stroke_width`.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Html(f"<{name}{written}/>")
    return Html(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: str) -> Html:
    """The children one after the other, escaped where they are not `Html`."""
    return Html("".join(child if isinstance(child, Html) else html.escape(child, quote=False) for child in children))


def percent(share: float, digits: int = 1) -> str:
    """`0.916` as `91.6 %` that does not break across lines; a dash for what is not a number."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%" if math.isfinite(share) else "–"


def number(value: float) -> str:
    """Four significant digits, thousands with commas: `0.2312`, `451.2`, `12,345`."""
    return f"{value:,.0f}" if abs(value) >= 1000 and math.isfinite(value) else f"{value:.4g}"


def duration(seconds: float) -> str:
    """`8.3 s`, `12 min 5 s`, `2 h 3 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def shortened(text: str, characters: int) -> str:
    """The text, cut at the end with `…` where it has more characters."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"


def px(value: float) -> str:
    """A length of a drawing, to a tenth."""
    return f"{value:.1f}".removesuffix(".0")
