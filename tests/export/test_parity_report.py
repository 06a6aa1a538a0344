"""The gate's figures as text."""

from __future__ import annotations

from export.evidence import Evidence, Quality
from export.limits import Limits
from export.parity import Comparison
from export.parity_report import describe, evidence_table, format_size, manifest_table
from serving.bundle import Parity

QUALITY = Quality("accuracy", {"keras": 0.92, "onnx": 0.92, "onnx-int8": 0.9}, 0.92, "test", 1000)


def figures(runtime: str, **others: float) -> Parity:
    return Parity.model_validate({"runtime": runtime, "reference": "keras", "examples": 1897, **others})


ONNX = figures(
    "onnx",
    max_abs_difference=8.34e-07,
    top1_agreement=1,
    accuracy=0.92,
    latency_ms_batch_1=0.0123,
    latency_ms_batch_32=225.6,
    size_bytes=1_700_000,
)
INT8 = figures("onnx-int8", max_abs_difference=0.25, top1_agreement=0.98, accuracy=0.9, size_bytes=436_810)
EVIDENCE = Evidence(
    reference="keras",
    parities=(ONNX, INT8),
    comparisons=(Comparison("test split", ONNX), Comparison("all 0", INT8)),
    left_out={},
    quality=QUALITY,
    int8=frozenset({"onnx-int8"}),
)


def test_every_runtime_has_a_row_and_figures_outside_of_their_bounds_show_the_bound() -> None:
    table = evidence_table(EVIDENCE, Limits())

    assert table.headings == ("runtime", "difference", "same top class", "accuracy", "1 row", "32 rows", "size")
    assert table.rows == (
        ("keras", "", "", "0.9200", "", "", ""),
        ("onnx", "8.3e-07", "100.00%", "0.9200", "12 µs", "226 ms", "1.6 MiB"),
        ("onnx-int8", "2.5e-01", "98.00%\n< 99.00%", "0.9000\n< 0.9150", "", "", "426.6 KiB"),
    )


def test_a_published_version_shows_the_same_without_its_evidence() -> None:
    assert manifest_table([ONNX]).rows == evidence_table(EVIDENCE, Limits()).rows[1:2]
    assert manifest_table([]).rows == ()


def test_the_report_says_what_was_compared_on_what_and_by_which_bounds() -> None:
    report = describe(EVIDENCE, Limits(int8_agreement=0.97))

    assert "| onnx-int8 | 2.5e-01 | 98.00% | 0.9000 < 0.9150 |" in report
    assert "Accuracy is of the 1,000 test examples; in training it was 0.9200." in report
    assert "| onnx | test split | 1,897 | 8.3e-07 | 100.00% |" in report
    assert "| int8-agreement | 0.97 |" in report
    assert "Bounds set on purpose: int8-agreement=0.97." in report


def test_numbers_that_are_not_finite_on_a_probe_refuse_an_int8_that_is_judged_on_examples() -> None:
    broken = Comparison("all 255", figures("onnx-int8", max_abs_difference=float("inf"), top1_agreement=0))
    evidence = Evidence("keras", (INT8,), (broken,), {}, None, frozenset({"onnx-int8"}))

    refused = evidence.refusal(Limits(int8_agreement=0.9))

    assert refused is not None
    assert refused.startswith("onnx-int8 does not answer like keras: where one gives a finite number")


def test_sizes_have_few_digits() -> None:
    assert [format_size(size) for size in (12, 2048, 3 * 2**20)] == ["12 B", "2.0 KiB", "3.0 MiB"]
