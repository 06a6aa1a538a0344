"""The page that every report has: a heading with verdicts and figures, then sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup

Tone = Literal["good", "bad", "warn", ""]


@dataclass(frozen=True)
class Verdict:
    """What came out, in a word and a sentence."""

    tone: Tone
    word: str
    text: str


@dataclass(frozen=True)
class Table:
    """A table; the columns in `texts` hold sentences, and `tones` colours cells by their text."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: frozenset[int] = frozenset()
    tones: Mapping[str, Tone] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """A part of the page: any of a remark, a chart, a table, and names with values."""

    title: str
    note: str = ""
    chart: Markup | None = None
    table: Table | None = None
    facts: Sequence[tuple[str, str]] = ()


def page(
    title: str,
    what: str,
    verdicts: Sequence[Verdict],
    headline: Sequence[tuple[str, str]],
    sections: Sequence[Section],
) -> str:
    """The whole document; it needs nothing else and is forbidden to ask for anything."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("loadtest.report", "."), autoescape=True)
    template = environment.get_template("page.html")
    return template.render(title=title, what=what, verdicts=verdicts, headline=headline, sections=sections)
