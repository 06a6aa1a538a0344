"""The report as a file: everything is in it, nothing is fetched, and no kind of run breaks it."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.images import ImageSpec
from training.datasets.base import Split
from training.report import write_report
from training.report.classification import describe_calibration
from training.report.evaluation import calibration
from training.report.html import Html, duration, joined, number, percent, shortened, tag
from training.report.pixels import data_uri, spread_over
from training.report.regression import straight_line
from training.run import Epoch, History, RunConfig, RunMetrics

NAMES = tuple(f"name {index}" for index in range(1000))


def _history(epochs: int, *, validated: bool = True, loss: float = 1.0) -> History:
    return History(
        epochs=tuple(
            Epoch(
                loss=loss / n,
                metric=1 - 1 / n,
                validation_loss=1.1 * loss / n if validated else None,
                validation_metric=1 - 1.1 / n if validated else None,
                seconds=1,
            )
            for n in range(2, epochs + 2)
        )
    )


def _config(labels: Sequence[str], image: ImageSpec | None, **changes: object) -> RunConfig:
    return RunConfig.model_validate(
        {
            "recipe": "a-recipe",
            "title": "A title",
            "task": "classification",
            "output": "softmax",
            "metric": "accuracy",
            "dataset": "a-dataset",
            "dataset_sha256": "ab" * 32,
            "data_dir": None,
            "labels": tuple(labels),
            "image": image,
            "settings": {"epochs": 5, "layers": [512, 256], "augment": False, "early_stopping": None},
            "library_versions": {"python": "3.11.9", "keras": "3.15.0"},
            "git_revision": "c0ffee" * 6,
            "started_at": "2026-11-20T12:00:00+00:00",
        }
        | changes
    )


def _classified(
    path: Path,
    *,
    examples: int = 60,
    labels: Sequence[str] = NAMES[:10],
    shape: tuple[int, ...] = (8, 8),
    history: History | None = None,
    weights_of_epoch: int | None = None,
    perfect: bool = False,
    scores: np.ndarray | None = None,
    **changes: object,
) -> str:
    """Writes the report of a simulated classifier and reads it again."""
    random = np.random.default_rng(0)
    truths = random.integers(0, len(labels), examples)
    if scores is None:
        scores = random.random((examples, len(labels)), np.float32)
        scores[np.arange(examples), truths] += 5 if perfect else 0.5
        scores /= scores.sum(axis=1, keepdims=True)
    history = history or _history(3)
    write_report(
        path,
        config=_config(labels, ImageSpec(shape[0], shape[1], "rgb" if len(shape) == 3 else "grayscale"), **changes),
        history=history,
        metrics=RunMetrics(
            evaluated_on="test",
            examples=examples,
            loss=0.5,
            metric="accuracy",
            value=float((scores.argmax(axis=1) == truths).mean()),
            seconds=75.0,
            parameters=1234,
            weights_of_epoch=weights_of_epoch or len(history.epochs),
        ),
        split=Split(random.integers(0, 256, (examples, *shape), np.uint8), truths),
        outputs=scores,
    )
    return path.read_text(encoding="utf-8")


def _regressed(path: Path, examples: int = 7) -> str:
    inputs = np.linspace(-40, 38, examples, dtype=np.float32)[:, np.newaxis]
    targets = inputs * 1.8 + 32
    write_report(
        path,
        config=_config((), None, task="regression", output="linear", metric="mean_absolute_error"),
        history=_history(500, validated=False, loss=2000),
        metrics=RunMetrics(
            evaluated_on="test",
            examples=examples,
            loss=0.25,
            metric="mean_absolute_error",
            value=0.5,
            seconds=4.0,
            parameters=2,
            weights_of_epoch=500,
        ),
        split=Split(inputs, targets),
        outputs=targets + np.float32(0.5),
    )
    return path.read_text(encoding="utf-8")


def _sections(page: str) -> list[str]:
    return re.findall(r'<section id="(\w+)">', page)


class _Tags(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_classifiers_report_has_every_section(tmp_path: Path) -> None:
    page = _classified(tmp_path / "report.html")

    assert _sections(page) == [
        "curves", "samples", "predictions", "confusion", "classes", "mistakes", "calibration", "configuration",
    ]  # fmt: skip
    for expected in ("95 % confidence interval", "1,234", "c0ffee", "ab" * 32, "512,256", "keras 3.15.0", "1 min 15 s"):
        assert expected in page


def test_a_regressions_report_shows_its_errors_and_nothing_of_classes(tmp_path: Path) -> None:
    page = _regressed(tmp_path / "report.html")

    assert _sections(page) == ["curves", "predictions", "errors", "configuration"]
    assert "<td>-40</td><td>-40</td><td>-39.5</td><td>0.5</td>" in page
    assert "The model is a straight line: 1.8 × input + 32.5." in page
    assert "Nothing was validated" in page


def test_a_long_regression_lists_only_its_largest_errors(tmp_path: Path) -> None:
    page = _regressed(tmp_path / "report.html", examples=3000)

    assert "The 50 largest of 3,000" in page
    assert page.count("<tr>") == 51


@pytest.mark.parametrize(
    ("given", "predicted", "expected"),
    [
        ([0, 1, 2, 4], [-1, 1, 3, 7], "2 × input − 1"),
        ([0, 1, 2, 4], [5, 5, 5, 5], "0 × input + 5"),
        ([0, 1, 2, 4], [0, 1, 4, 16], None),
        ([3, 3], [1, 2], None),
        ([3], [1], None),
        ([0, 1], [1, 2], None),
    ],
)
def test_a_straight_line_is_called_one_where_more_than_two_points_lie_on_it(
    given: list[float], predicted: list[float], expected: str | None
) -> None:
    assert straight_line(np.array(given, float), np.array(predicted, float)) == expected


def test_nothing_is_fetched_and_nothing_runs(tmp_path: Path) -> None:
    page = _classified(tmp_path / "report.html", shape=(80, 80, 3))

    for name, attributes in _Tags(page).found:
        assert name not in {"script", "iframe", "object", "embed", "base"}
        assert not any(attribute.startswith("on") for attribute in attributes)
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "data:").startswith("data:")
    assert "url(" not in page
    assert "@import" not in page


def test_what_users_name_is_text_and_never_markup(tmp_path: Path) -> None:
    hostile = '<script>alert("1")</script>'

    page = _classified(
        tmp_path / "report.html",
        labels=(hostile, "a & b", "' onload='x", "$content"),
        title=hostile,
        recipe=hostile,
        data_dir=f"/home/{hostile}",
        settings={hostile: hostile},
    )

    assert "<script" not in page
    assert "&lt;script&gt;alert(" in page
    assert "a &amp; b" in page
    assert not [attributes for _, attributes in _Tags(page).found if "onload" in attributes]


@pytest.mark.parametrize(
    ("labels", "shape", "examples", "epochs"),
    [
        (2, (300, 300, 3), 30, 1),
        (2, (8, 8), 1, 5),
        (10, (28, 28), 24, 500),
        (26, (40, 24, 3), 300, 30),
        (100, (8, 8), 3000, 5),
        (300, (8, 8, 3), 900, 2000),
    ],
)
def test_every_kind_of_classifier_has_a_report_of_sensible_size(
    tmp_path: Path, labels: int, shape: tuple[int, ...], examples: int, epochs: int
) -> None:
    page = _classified(
        tmp_path / "report.html", labels=NAMES[:labels], shape=shape, examples=examples, history=_history(epochs)
    )

    assert len(page) < 3_000_000
    assert page.count("<svg") == 4
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(drawing)
        assert "nan" not in re.sub(r"<title>.*?</title>", "", drawing)


def test_a_report_without_mistakes_says_so(tmp_path: Path) -> None:
    page = _classified(tmp_path / "report.html", perfect=True)

    assert "There are none: all 60 answers are right." in page
    assert "Most frequent" not in page


def test_a_wrong_answer_is_red_beside_the_blue_truth(tmp_path: Path) -> None:
    truth = int(np.random.default_rng(0).integers(0, 2, 1)[0])
    scores = np.array([[0.25, 0.75] if truth == 0 else [0.75, 0.25]], np.float32)

    page = _classified(tmp_path / "report.html", examples=1, labels=("cat", "dog"), scores=scores)

    said, is_ = ("dog", "cat") if truth == 0 else ("cat", "dog")
    assert f'<b class="wrong">{said}</b><span>75.0\N{NO-BREAK SPACE}%</span><span>is {is_}</span>' in page
    assert 'style="width:75.0%" class="wrong"' in page
    assert 'style="width:25.0%" class="right"' in page


def test_the_true_class_has_its_bar_also_where_it_is_unlikely(tmp_path: Path) -> None:
    truth = int(np.random.default_rng(0).integers(0, 10, 1)[0])
    scores = np.linspace(0.2, 0.1, 10, dtype=np.float32)[np.newaxis]
    scores[0, truth] = 0

    page = _classified(tmp_path / "report.html", examples=1, scores=scores)

    assert f'<span class="name" title="name {truth}">' in page


def test_answers_that_are_no_numbers_do_not_cost_the_report(tmp_path: Path) -> None:
    page = _classified(tmp_path / "report.html", examples=5, scores=np.full((5, 10), np.nan, np.float32))

    assert _sections(page)[-1] == "configuration"


def test_the_weights_epoch_and_an_early_end_are_told(tmp_path: Path) -> None:
    history = _history(4).model_copy(update={"stopped_early": "epoch 4 reached accuracy=0.5"})

    page = _classified(tmp_path / "report.html", history=history, weights_of_epoch=1)

    assert "Stopped early: epoch 4 reached accuracy=0.5." in page
    assert "The model has the weights of epoch 1 of 4." in page


@pytest.mark.parametrize(
    ("confidence", "right", "examples", "beginning"),
    [
        (0.9, 0.9, 1000, "Well calibrated"),
        (0.9, 0.6, 1000, "Over-confident"),
        (0.6, 0.9, 1000, "Under-confident"),
        (0.9, 0.6, 10, "Over-confident"),
    ],
)
def test_calibration_is_judged_in_a_sentence(confidence: float, right: float, examples: int, beginning: str) -> None:
    scores = np.tile([confidence, 1 - confidence], (examples, 1))
    truths = (np.arange(examples) >= right * examples).astype(np.int64)

    sentence = describe_calibration(calibration(scores, truths))

    assert sentence.startswith(beginning)
    assert ("no more than a hint" in sentence) is (examples < 200)


def test_too_sure_here_and_too_unsure_there_is_uneven() -> None:
    scores = np.array([[0.9, 0.1]] * 100 + [[0.6, 0.4]] * 100)
    truths = np.array([0] * 60 + [1] * 40 + [0] * 90 + [1] * 10)

    assert describe_calibration(calibration(scores, truths)).startswith("Unevenly calibrated")


def _decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (40, 24, 3)])
def test_tiny_images_are_kept_exactly(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    assert (np.asarray(_decoded(data_uri(image))) == image).all()


def test_large_images_are_scaled_down() -> None:
    picture = _decoded(data_uri(np.zeros((300, 150, 3), np.uint8)))

    assert (picture.format, picture.size) == ("JPEG", (80, 160))


@pytest.mark.parametrize(("length", "count"), [(1, 25), (7, 25), (26, 25), (10_000, 25)])
def test_examples_are_spread_from_the_first_to_the_last_without_repeats(length: int, count: int) -> None:
    places = spread_over(length, count)

    assert len(set(places.tolist())) == len(places) == min(length, count)
    assert (places[0], places[-1]) == (0, length - 1)


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "1 < 2", tag("b", "&"), class_="a", title='"', id=None) == (
        '<p class="a" title="&quot;">1 &lt; 2<b>&amp;</b></p>'
    )
    assert tag("line", stroke_width=2) == '<line stroke-width="2"/>'
    assert joined("<", Html("<br/>")) == "&lt;<br/>"


def test_numbers_read_as_people_write_them() -> None:
    assert [number(value) for value in (0.23118, 451.23, 12345.6, 1e-7)] == ["0.2312", "451.2", "12,346", "1e-07"]
    assert [duration(seconds) for seconds in (8.34, 59.96, 725, 7380)] == [
        "8.3 s",
        "1 min 0 s",
        "12 min 5 s",
        "2 h 3 min",
    ]
    assert percent(float("nan")) == "–"
    assert shortened("a long name", 7) == "a long…"
