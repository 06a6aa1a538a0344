"""Requests carry the images in every API, and a wrong answer is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from loadtest.apis import API_NAMES, APIS, Request, WrongAnswerError, make_requests
from loadtest.errors import TargetError
from loadtest.images import Images
from loadtest.plan import plan_of
from loadtest.preparation import prepare
from loadtest.target import Target
from serving.signatures import DTYPES, TensorSpec
from serving.wire.atelier_oip_pb2 import ModelInferResponse
from serving.wire.atelier_tfs_pb2 import PredictResponse
from serving.wire.tensors import encode_content
from tests.support.gateway import RunningGateway

PIXELS = TensorSpec("pixels", "uint8", (None, 2, 2))
CLASSIFIER = Target("m", PIXELS, TensorSpec("scores", "float32", (None, 3)), is_classifier=True, takes_images=True)
RIGHT = np.float32([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])
IMAGES = Images("made", np.arange(12, dtype=np.uint8).reshape(3, 2, 2), np.array([2, 1, 0]), (b"a", b"b", b"c"))


def request(name: str, rows: int = 2) -> Request:
    return make_requests(APIS[name], CLASSIFIER, IMAGES, rows, 1)[0]


def answer(name: str, scores: np.ndarray, output: str = "scores") -> bytes:
    match name:
        case "grpc-predict" | "grpc-image":
            response = PredictResponse()
            encode_content(response.outputs[output], scores.astype(np.float32), DTYPES["float32"])
            return response.SerializeToString()
        case "grpc-oip":
            infer = ModelInferResponse()
            infer.outputs.add(name=output, datatype="FP32", shape=scores.shape)
            infer.raw_output_contents.append(scores.astype(np.float32).tobytes())
            return infer.SerializeToString()
        case "rest-predict":
            return json.dumps({"predictions": scores.tolist()}).encode()
        case "rest-image":
            images = [
                {"classes": [{"index": int(index), "probability": float(row[index])} for index in np.argsort(-row)]}
                for row in scores
            ]
            return json.dumps({"images": images}).encode()
        case _:
            tensor = {"name": output, "datatype": "FP32", "shape": scores.shape, "data": scores.ravel().tolist()}
            return json.dumps({"outputs": [tensor]}).encode()


@pytest.mark.parametrize("name", API_NAMES)
def test_right_answers_are_counted_by_their_labels(name: str) -> None:
    asked = request(name)
    assert asked.check(CLASSIFIER, answer(name, RIGHT)) == 2
    assert asked.check(CLASSIFIER, answer(name, RIGHT[::-1])) == 0  # rows that are mixed up are noticed


@pytest.mark.parametrize("name", API_NAMES)
@pytest.mark.parametrize(
    ("scores", "wrong"),
    [
        (RIGHT[:1], r"expected scores of shape \[2, 3\], received \[1, 3\]|another: .*"),
        (np.full((2, 3), np.nan), r"expected finite numbers, received NaN or infinity"),
        (2 * RIGHT / 1.6, r"expected probabilities that sum to one, received a sum of 1.25"),
        (RIGHT - np.float32([0.2, 0, -0.2]) - np.float32([0.1, -0.1, 0]), r"expected probabilities from 0 to 1"),
        (RIGHT[:, :2], r"\[2, 2\]"),
    ],
)
def test_a_wrong_answer_is_named(name: str, scores: np.ndarray, wrong: str) -> None:
    with pytest.raises(WrongAnswerError, match=wrong):
        request(name).check(CLASSIFIER, answer(name, scores))


@pytest.mark.parametrize("name", API_NAMES)
@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": "busy"}', b"\xff\xff", b""])
def test_something_else_than_an_answer_is_named(name: str, body: bytes) -> None:
    with pytest.raises(WrongAnswerError, match=r"^expected "):
        request(name).check(CLASSIFIER, body)


@pytest.mark.parametrize("name", ["grpc-predict", "grpc-oip", "rest-oip"])
def test_an_answer_without_the_output_is_named(name: str) -> None:
    with pytest.raises(WrongAnswerError, match=r"^expected "):
        request(name).check(CLASSIFIER, answer(name, RIGHT, output="other"))


def test_numbers_of_a_regression_need_not_sum_to_one() -> None:
    target = Target("m", PIXELS, TensorSpec("y", "float32", (None, 1)))
    images = Images("made", IMAGES.pixels, None, None)
    (asked,) = make_requests(APIS["rest-predict"], target, images, 2, 1)
    assert asked.check(target, b'{"predictions": [[7], [-40]]}') == 0


def test_one_score_of_an_image_stands_for_the_second_of_two_classes() -> None:
    target = Target("m", PIXELS, TensorSpec("p", "float32", (None, 1)), is_classifier=True)
    images = Images("made", IMAGES.pixels, np.array([1, 0, 1]), None)
    (asked,) = make_requests(APIS["rest-predict"], target, images, 3, 1)
    assert asked.check(target, b'{"predictions": [[0.9], [0.2], [0.1]]}') == 2


def test_requests_go_round_through_all_images() -> None:
    asked = make_requests(APIS["rest-predict"], CLASSIFIER, IMAGES, 2, 3)
    assert [one.labels.tolist() for one in asked if one.labels is not None] == [[2, 1], [0, 2], [1, 0]]
    assert json.loads(asked[1].body) == {"instances": [IMAGES.pixels[2].tolist(), IMAGES.pixels[0].tolist()]}


@pytest.mark.parametrize("name", ["rest-image", "grpc-image"])
def test_files_are_not_sent_to_a_model_that_takes_none(name: str) -> None:
    target = Target("m", PIXELS, CLASSIFIER.output)
    with pytest.raises(TargetError, match=f"^{name}: expected a model that takes image files, which m does not"):
        make_requests(APIS[name], target, IMAGES, 1, 1)


def test_the_mix_of_requests_has_the_shares_that_were_asked_for(gateway: RunningGateway) -> None:
    plan = plan_of({"url": gateway.rest_url, "model": "digits", "api": "rest-predict=3,grpc-oip=1"})
    prepared = prepare(plan)
    names = [one.api.name for one in prepared.requests]
    assert names.count("rest-predict") == pytest.approx(0.75 * len(names), rel=0.1)
    assert {one.api.name for one in prepared.one_of_each_api()} == {"rest-predict", "grpc-oip"}
    assert (prepared.source, prepared.labelled) == ("digits", True)
    begins = [next(prepared.cycle(begin)) for begin in (0, 5, len(names) + 5)]
    assert begins == [prepared.requests[0], prepared.requests[5], prepared.requests[5]]
