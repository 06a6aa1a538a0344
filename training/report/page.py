"""The page around the sections, and the few forms that they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from string import Template

from training.report.html import Html, joined, tag


def section(anchor: str, title: str, *content: str) -> Html:
    """A section that `#anchor` leads to."""
    return tag("section", tag("h2", title), *content, id=anchor)


def figure(*content: str, class_: str | None = None) -> Html:
    """A picture with what belongs to it."""
    return tag("figure", *content, class_=class_)


def note(text: str) -> Html:
    """A paragraph that explains."""
    return tag("p", text, class_="note")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], foot: Sequence[str] = ()) -> Html:
    """A table whose first column is text or a name, and whose other columns are figures."""
    parts = [
        tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in head))),
        tag("tbody", *(tag("tr", *(tag("td", cell) for cell in row)) for row in rows)),
    ]
    if foot:
        parts.append(tag("tfoot", tag("tr", *(tag("td", cell) for cell in foot))))
    return tag("div", tag("table", *parts), class_="wide tall", tabindex=0)


def page(title: str, content: Iterable[str]) -> str:
    """The whole document; it needs nothing else and is forbidden to ask for anything."""
    template = Template((files("training.report") / "page.html").read_text(encoding="utf-8"))
    return template.substitute(title=joined(title), content=joined(*content))
