"""TensorFlow Serving's `models.config`, as it is."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from serving.errors import InvalidInputError
from serving.model_config import Latest, ModelConfig, Specific
from serving.repository.tfserving_config import parse_models_config

FOLDER = Path("/etc/serving")

EXAMPLE = """
# What TensorFlow Serving's documentation shows, and comments.
model_config_list {
  config {
    name: 'clothes'
    base_path: '/models/fashion-mnist'
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 42 versions: 43 } }
    version_labels { key: 'stable' value: 42 }
    version_labels { key: 'canary' value: 43 }
    logging_config {
      log_collector_config { type: "file" filename_prefix: "/var/log/requests" }
      sampling_config { sampling_rate: 0.1 }
    }
  },
  config { name: "digits" base_path: "s3://bucket/digits" model_type: TENSORFLOW model_version_policy { all {} } }
  config { name: "flowers" base_path: "flowers" model_version_policy: { latest { num_versions: 2 } } }
  config { name: "plain" base_path: "/models/plain" model_version_policy { latest { } } }
}
"""


def parse(text: str) -> dict[str, ModelConfig]:
    return parse_models_config(text, FOLDER)


def test_every_field_is_understood(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        models = parse(EXAMPLE)

    assert models == {
        "clothes": ModelConfig(
            base_path="/models/fashion-mnist",
            version_policy=Specific(specific=frozenset({42, 43})),
            version_labels={"stable": 42, "canary": 43},
        ),
        "digits": ModelConfig(base_path="s3://bucket/digits", version_policy="all"),
        "flowers": ModelConfig(base_path="/etc/serving/flowers", version_policy=Latest(latest=2)),
        "plain": ModelConfig(base_path="/models/plain"),
    }
    assert "logging_config of clothes is passed over" in caplog.text


def test_what_is_not_said_is_not_set() -> None:
    config = parse('model_config_list { config { name: "m" base_path: "/m" } }')["m"]
    assert config.model_fields_set == {"base_path"}


@pytest.mark.parametrize("text", ["", "model_config_list {}", "# nothing yet\n"])
def test_a_list_may_be_empty(text: str) -> None:
    assert parse(text) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            'model_config_list {\n  config { name: "m" basepath: "/m" } }',
            'line 2, column 22: Message type "ModelConfig" has no field named "basepath".',
        ),
        ("model_config_list {", "Expected"),
        ('model_config_list { config { name: "m" base_path: 3 } }', "line 1"),
        (
            'model_config_list { config { name: "m" base_path: "/m" } config { name: "m" base_path: "/n" } }',
            "Illegal to list model m multiple times in config list",
        ),
        ('model_config_list { config { base_path: "/m" } }', "expected a name for every model"),
        ('model_config_list { config { name: "m" base_path: "/m" model_platform: "torch" } }', "received torch"),
        ('model_config_list { config { name: "m" base_path: "/m" model_type: OTHER } }', "received another model_type"),
        (
            'model_config_list { config { name: "m" base_path: "/m" version_labels { key: "a" value: -1 } } }',
            "model m: version_labels.a: Input should be greater than or equal to 0, received -1",
        ),
        ('custom_model_config { type_url: "x" }', "custom_model_config is not supported"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(text: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse(text)
    assert reason in str(caught.value)
    assert "atelier.wire" not in str(caught.value)
