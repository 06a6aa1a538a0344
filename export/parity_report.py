"""The gate's figures as rows of text, for a terminal and for `parity.md` in the bundle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from export.evidence import Evidence
from export.limits import Limits
from export.parity import Comparison
from export.verdict import Violation
from serving.bundle import Parity
from serving.bundle_files import PARITY_REPORT

KIB, MIB = 1024, 1024**2
INTRODUCTION = """Every file of this version was run before it was published. Latencies are medians of a whole batch
on the machine that published, and decide nothing. Differences and agreement are against"""
RUNTIME, DIFFERENCE, AGREEMENT = "runtime", "difference", "same top class"
COLUMNS = (
    *(RUNTIME, "inputs", "examples", "bound", "value"),
    *(DIFFERENCE, AGREEMENT, "accuracy", "mean absolute error", "1 row", "32 rows", "size"),
)


@dataclass(frozen=True)
class FigureTable:
    """Cells under headings. A cell whose figure is outside of its bound says so in a second line."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def evidence_table(evidence: Evidence, limits: Limits) -> FigureTable:
    """The gate's own: the reference's row, then a row for each runtime, or for each of its outputs."""
    found = evidence.violations(limits)
    reference = {RUNTIME: evidence.reference}
    if evidence.quality is not None:
        metric = evidence.quality.metric
        of_reference = [violation for violation in found if violation.runtime == evidence.reference]
        measured = f"{evidence.quality.measured[evidence.reference]:.4f}"
        reference[_words(metric)] = _marked(measured, "metric", of_reference)
    return _table([reference, *(_cells(parity, _of(parity, found)) for parity in evidence.parities)])


def manifest_table(parities: Iterable[Parity]) -> FigureTable:
    """The same from what a manifest holds, which has passed."""
    return _table([_cells(parity, ()) for parity in parities])


def write_report(bundle: Path, evidence: Evidence, limits: Limits) -> None:
    """Writes `parity.md`: what was compared, on what, and by which bounds."""
    (bundle / PARITY_REPORT).write_text(describe(evidence, limits), encoding="utf-8")


def describe(evidence: Evidence, limits: Limits) -> str:
    """The report as Markdown."""
    bounds = [{"bound": name, "value": f"{value:g}"} for name, value in limits.by_name.items()]
    by_inputs = [_comparison_cells(one) for one in evidence.comparisons]
    paragraphs = [
        "# Parity",
        f"{INTRODUCTION} {evidence.reference}.",
        _markdown(evidence_table(evidence, limits)),
        *(f"{remark}." for remark in remarks(evidence, limits)),
        *(["## By kind of input", _markdown(_table(by_inputs))] if by_inputs else []),
        "## Bounds",
        _markdown(_table(bounds)),
    ]
    return "\n\n".join(paragraphs) + "\n"


def remarks(evidence: Evidence, limits: Limits) -> list[str]:
    """What belongs below the table: sentences without an end."""
    quality = evidence.quality
    found = [f"Not compared: {title}, which {reason}" for title, reason in evidence.left_out.items()]
    if not evidence.parities:
        found.append(f"There is nothing to hold {evidence.reference} against, which answers random and extreme inputs")
    elif quality is None:
        found.append("There is no data set to compare on: random and extreme inputs only")
    else:
        what = _words(quality.metric).capitalize()
        of = f"the {quality.examples:,} {quality.evaluated_on} examples"
        found.append(f"{what} is of {of}; in training it was {quality.recorded:.4f}")
    return found + allowed_remarks(limits.allowed)


def allowed_remarks(allowed: Mapping[str, float]) -> list[str]:
    """One sentence where bounds were loosened, else none."""
    loosened = ", ".join(f"{name}={value:g}" for name, value in allowed.items())
    return [f"Bounds set on purpose: {loosened}"] if loosened else []


def format_size(size_bytes: int) -> str:
    """In the unit that leaves few digits."""
    if size_bytes < KIB:
        return f"{size_bytes} B"
    return f"{size_bytes / KIB:.1f} KiB" if size_bytes < MIB else f"{size_bytes / MIB:.1f} MiB"


def _cells(parity: Parity, found: Sequence[Violation]) -> dict[str, str]:
    metrics = {"accuracy": parity.accuracy, "mean absolute error": parity.mean_absolute_error}
    latencies = {"1 row": parity.latency_ms_batch_1, "32 rows": parity.latency_ms_batch_32}
    return {
        RUNTIME: _name(parity),
        **{heading: _marked(cell, heading, found) for heading, cell in _figures(parity).items()},
        **{name: _marked(f"{value:.4f}", "metric", found) for name, value in metrics.items() if value is not None},
        **{name: _duration(value) for name, value in latencies.items() if value is not None},
        "size": "" if parity.size_bytes is None else format_size(parity.size_bytes),
    }


def _comparison_cells(comparison: Comparison) -> dict[str, str]:
    found = comparison.parity
    return {
        RUNTIME: _name(found),
        "inputs": comparison.inputs,
        "examples": f"{found.examples:,}",
        **_figures(found),
    }


def _figures(parity: Parity) -> dict[str, str]:
    """How closely the two answer alike; the relative difference where it is what counts."""
    relative, agreement = parity.max_relative_difference, parity.top1_agreement
    difference = f"{parity.max_abs_difference:.1e}" if relative is None else f"{relative:.1e} relative"
    return {DIFFERENCE: difference} | ({} if agreement is None else {AGREEMENT: f"{agreement:.2%}"})


def _duration(value_ms: float) -> str:
    """Three digits at most in the unit that leaves few."""
    if value_ms < 1:
        return f"{1000 * value_ms:.0f} µs"
    decimals = 2 if value_ms < 10 else 1 if value_ms < 100 else 0
    return f"{value_ms:.{decimals}f} ms"


def _marked(cell: str, figure: str, found: Iterable[Violation]) -> str:
    """The figure, and below it the bound that it is outside of."""
    return "\n".join([cell, *(violation.bound for violation in found if violation.figure == figure)])


def _of(parity: Parity, found: Iterable[Violation]) -> list[Violation]:
    """Those of one row; what concerns the runtime as a whole has no output."""
    return [one for one in found if one.runtime == parity.runtime and one.output in {None, parity.output}]


def _name(parity: Parity) -> str:
    return parity.runtime if parity.output is None else f"{parity.runtime}: {parity.output}"


def _table(rows: Sequence[Mapping[str, str]]) -> FigureTable:
    """Columns in which no row has something are left out."""
    headings = tuple(heading for heading in COLUMNS if any(row.get(heading) for row in rows))
    return FigureTable(headings, tuple(tuple(row.get(heading, "") for heading in headings) for row in rows))


def _markdown(table: FigureTable) -> str:
    lines = [table.headings, ("---", *("---:" for _ in table.headings[1:])), *table.rows]
    cells = [[cell.replace("\n", " ").replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _words(name: str) -> str:
    return name.replace("_", " ")
