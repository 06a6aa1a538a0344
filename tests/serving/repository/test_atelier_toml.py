"""`[models.NAME]` in atelier.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.batching.settings import BatchSettings
from serving.errors import InvalidInputError
from serving.model_config import Latest, ModelConfig, Specific
from serving.repository.atelier_toml import Tables, parse_model_tables, with_tables

EXAMPLE = """
[serve]
rest_port = 8080

[models.digits]
base_path = "models/digits"
version_policy = {latest = 2}
version_labels = {stable = 3}
batching = {max_batch_size = 8}

[models.clothes]
version_policy = "all"

[models."with.dot"]
version_policy = {specific = [3, 5]}
"""


def tables(text: str) -> Tables:
    return parse_model_tables(text, Path("/srv"))


def test_a_table_describes_a_model_or_adds_to_one() -> None:
    found = {"clothes": ModelConfig(base_path="/models/clothes", discovered=True)}
    models = with_tables(found, tables(EXAMPLE))

    assert models == {
        "clothes": ModelConfig(base_path="/models/clothes", version_policy="all"),
        "digits": ModelConfig(
            base_path="/srv/models/digits",
            version_policy=Latest(latest=2),
            version_labels={"stable": 3},
            batching=BatchSettings(max_batch_size=8),
        ),
    }


def test_what_a_list_says_of_a_model_counts_and_the_table_adds_the_rest() -> None:
    listed = {"digits": ModelConfig(base_path="/other", version_labels={"stable": 9})}
    model = with_tables(listed, tables(EXAMPLE))["digits"]

    assert (model.base_path, model.version_labels) == ("/other", {"stable": 9})
    assert model.version_policy == Latest(latest=2)


def test_a_reload_takes_no_models_from_tables() -> None:
    assert with_tables({}, tables(EXAMPLE), only_listed=True) == {}


def test_a_specific_policy_is_a_set_of_versions() -> None:
    found = {"with.dot": ModelConfig(base_path="/m", discovered=True)}
    assert with_tables(found, tables(EXAMPLE))["with.dot"].version_policy == Specific(specific=frozenset({3, 5}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[models.m]\nbasepath = '/m'", "models.m.basepath: there is no such setting"),
        ("[models.m]\ndiscovered = true", "models.m.discovered: there is no such setting"),
        (
            "[models.m]\nversion_policy = 'newest'",
            "models.m.version_policy: expected {latest = N}, {specific = [N, …]}",
        ),
        ("[models.m]\nversion_policy = {latest = 0}", "Input should be greater than or equal to 1, received 0"),
        ("[models.m]\nversion_labels = {a = 'b'}", "models.m.version_labels.a: Input should be a valid integer"),
        ("[models.m.batching]\nmax_batch = 2", "models.m.batching.max_batch: there is no such setting"),
        ("models = 3", "models.: Input should be a valid dictionary"),
        ("[models", "no TOML: "),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(text: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        tables(text)
    assert reason in str(caught.value)
