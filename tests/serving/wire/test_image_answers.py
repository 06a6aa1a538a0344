"""What is answered to images: the best classes, in which order, and byte for byte how."""

from __future__ import annotations

import json

import numpy as np
import pytest

from serving.wire.image_answers import ImagesAnswer, encode_answer


def best_classes(row: np.ndarray, labels: tuple[str, ...], top_k: int) -> list[dict[str, object]]:
    answer = ImagesAnswer("digits", 7, labels, top_k, is_single=True)
    classes: list[dict[str, object]] = json.loads(encode_answer({"y": row[np.newaxis]}, answer))["classes"]
    return classes


def indices(row: np.ndarray, top_k: int) -> list[object]:
    return [found["index"] for found in best_classes(row, (), top_k)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "uint8", "int8", "int64", "bool"])
def test_the_best_classes_are_those_of_the_highest_scores_in_every_dtype(dtype: str) -> None:
    scores = np.array([0, 1, 0, 1] if dtype == "bool" else [0, 100, 3, 120]).astype(dtype)
    best = best_classes(scores, ("a", "b", "c"), 3)

    assert [found["index"] for found in best] == ([1, 3, 0] if dtype == "bool" else [3, 1, 2])
    assert {found["index"]: found["label"] for found in best}[3] == "3"


def test_the_lowest_integer_is_the_worst_class_and_no_class_is_given_twice() -> None:
    assert indices(np.int8([5, -128, 7]), 10) == [2, 0, 1]
    assert indices(np.uint8([0, 255]), 1) == [1]


def test_equal_scores_stay_in_the_order_of_the_classes() -> None:
    assert indices(np.zeros(4, np.float32), 4) == [0, 1, 2, 3]


def test_a_score_that_is_no_number_comes_last_and_is_null() -> None:
    best = best_classes(np.float32([np.nan, 0.1, 0.9]), (), 3)
    assert [found["index"] for found in best] == [2, 1, 0]
    assert best[2]["probability"] is None


def test_one_image_and_several_are_written_as_they_always_were() -> None:
    scores = np.float32([[0.1, 0.7, 0.2], [1, 0, 0.5]])
    single = encode_answer({"y": scores[:1]}, ImagesAnswer("digits", 7, ("cat", "größe"), 2, is_single=True))
    assert single.decode() == (
        '{"model_spec":{"name":"digits","version":"7"},"classes":['
        '{"index":1,"label":"größe","probability":0.699999988079071},'
        '{"index":2,"label":"2","probability":0.20000000298023224}]}'
    )
    several = encode_answer({"y": scores}, ImagesAnswer("digits", 7, ("cat", "größe"), 1, is_single=False))
    assert several.decode() == (
        '{"model_spec":{"name":"digits","version":"7"},"images":['
        '{"classes":[{"index":1,"label":"größe","probability":0.699999988079071}]},'
        '{"classes":[{"index":0,"label":"cat","probability":1.0}]}]}'
    )


def test_a_model_without_classes_answers_none() -> None:
    assert best_classes(np.float32([]), (), 5) == []
