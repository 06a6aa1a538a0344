"""What the gateway's settings say of models that say nothing else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from serving.batching.settings import BatchSettings
from serving.model_config import Latest, ModelConfig
from serving.repository.defaults import Defaults, defaults_of, with_defaults
from serving.settings import ServingSettings
from serving.upstream import Upstream

TWO = Upstream(addresses=("a:1", "b:2"))


def completed(config: ModelConfig, gateway: Defaults) -> ModelConfig:
    return with_defaults({"digits": config}, gateway)["digits"]


def test_what_a_model_says_wins() -> None:
    config = ModelConfig(base_path="/digits", backend="onnx", precision="float32")
    assert completed(config, Defaults("tensorflow", "int8")) is config


def test_the_gateways_back_end_and_precision_are_for_the_others() -> None:
    config = completed(ModelConfig(base_path="/digits"), Defaults("tensorflow", "int8"))
    assert (config.backend, config.precision) == ("tensorflow", "int8")


def test_a_model_on_an_upstream_has_its_versions_and_a_batch_more_than_it_has_servers() -> None:
    config = completed(ModelConfig(base_path="/digits"), Defaults("tfserving", upstream=TWO))
    assert (config.upstream, config.policy) == (TWO, "all")
    assert config.batching is not None
    assert config.batching.instances == 4


def test_a_models_own_upstream_policy_and_instances_stay() -> None:
    own = ModelConfig(
        upstream=Upstream(addresses=("c:3",)), version_policy=Latest(), batching=BatchSettings(instances=7)
    )
    config = completed(own, Defaults("onnx", upstream=TWO))
    assert config.backend == "tfserving"
    assert config.upstream == own.upstream
    assert config.policy == Latest()
    assert config.batching == own.batching


def test_the_gateways_own_instances_are_for_upstreams_too() -> None:
    assert completed(ModelConfig(base_path="/x"), Defaults("tfserving", upstream=TWO, instances=3)).batching is None


def test_models_that_flags_name_are_on_the_upstream() -> None:
    settings = ServingSettings(tfserving_addresses="a:1, b:2", tfserving_models="digits,clothes", tfserving_tls=True)
    gateway = defaults_of(settings)
    assert gateway.models.keys() == {"digits", "clothes"}
    assert gateway.upstream is not None
    assert gateway.upstream.addresses == ("a:1", "b:2")
    assert gateway.upstream.tls is not None


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"backend": "tfserving"}, "tfserving_addresses: expected at least one HOST:PORT"),
        ({"tfserving_models": "digits"}, "tfserving_addresses: expected at least one HOST:PORT"),
        ({"tfserving_addresses": "http://a:1"}, "tfserving_addresses"),
        ({"tfserving_addresses": "a"}, r"tfserving_addresses(.|\n)*expected HOST:PORT or \[IPV6\]:PORT"),
        ({"tfserving_addresses": "a:65536"}, "expected HOST:PORT"),
        ({"tfserving_addresses": "a:0"}, "expected HOST:PORT"),
        ({"tfserving_addresses": "a:1", "tfserving_key_file": "k"}, "go together"),
        ({"backend": "torch"}, "backend"),
    ],
)
def test_settings_that_make_no_sense_are_refused(said: dict[str, str], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ServingSettings(**said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({}, "expected a base_path"),
        ({"base_path": "/x", "backend": "onnx", "upstream": TWO}, 'expected backend = "tfserving"'),
        ({"upstream": {"addresses": []}}, "addresses"),
        ({"upstream": {"addresses": ["a:1"], "tls": {"key_file": "k"}}}, "go together"),
    ],
)
def test_models_that_make_no_sense_are_refused(said: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ModelConfig.model_validate(said)
