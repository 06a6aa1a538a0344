"""Goals as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from training.goals import FALLING, RISING, StopAt


@pytest.mark.parametrize(
    ("text", "figure", "value"),
    [
        ("accuracy=0.95", "accuracy", 0.95),
        (" loss = 0.4 ", "loss", 0.4),
        ("val_accuracy=1", "validation_accuracy", 1.0),
        ("validation_loss=1e-3", "validation_loss", 0.001),
        ("val_mean_absolute_error=2", "validation_mean_absolute_error", 2.0),
    ],
)
def test_a_goal_is_read_from_text_with_keras_names_too(text: str, figure: str, value: float) -> None:
    assert StopAt.model_validate(text) == StopAt(figure=figure, value=value)


@given(st.sampled_from(RISING + FALLING), st.floats(0, 1))
def test_a_goal_survives_being_written(figure: str, value: float) -> None:
    goal = StopAt(figure=figure, value=value)

    assert StopAt.model_validate(str(goal)) == goal
    assert TypeAdapter(StopAt).validate_json(goal.model_dump_json()) == goal


def test_a_round_value_is_written_as_people_write_it() -> None:
    assert [str(StopAt(figure="loss", value=value)) for value in (1, 0.4)] == ["loss=1", "loss=0.4"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("acc=0.9", "expected a goal like accuracy=0.95 of accuracy, .*, received 'acc=0.9'"),
        ("accuracy", "expected a goal like accuracy=0.95 of accuracy, .*, received 'accuracy'"),
        ("", "expected a goal like .*, received ''"),
        (3, "expected a goal like .*, received 3"),
        ("accuracy=1.5", "expected a value of 0 to 1 for accuracy, received 1.5"),
        ("loss=-1", "expected a value of 0 or more for loss, received -1"),
        ("loss=nan", "expected a value of 0 or more for loss, received nan"),
        ("loss=inf", "expected a value of 0 or more for loss, received inf"),
        ("loss=low", "valid number"),
        ({"figure": "speed", "value": 1}, "Input should be 'accuracy'"),
    ],
)
def test_what_is_no_goal_is_refused(given: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        StopAt.model_validate(given)


@pytest.mark.parametrize(
    ("goal", "figures", "expected"),
    [
        ("accuracy=0.9", {"accuracy": 0.9}, True),
        ("accuracy=0.9", {"accuracy": 0.89}, False),
        ("loss=0.4", {"loss": 0.4}, True),
        ("loss=0.4", {"loss": 0.41}, False),
        ("val_loss=0.4", {"loss": 0.1}, False),
        ("loss=0.4", {"loss": float("nan")}, False),
    ],
)
def test_a_goal_is_reached_from_its_value_on(goal: str, figures: dict[str, float], expected: bool) -> None:
    assert StopAt.model_validate(goal).reached_by(figures) is expected
