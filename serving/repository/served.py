"""The models as requests and people see them."""

from __future__ import annotations

from collections.abc import Mapping

from serving.batching.terms import NO_HEADERS
from serving.errors import InvalidInputError, ModelNotFoundError
from serving.model_config import ModelConfig
from serving.repository.records import Model, ModelStatus, VersionStatus
from serving.repository.servable import Servable
from serving.repository.state_changes import StateChanges


class Served:
    """Answers who serves what, from what the manager keeps up to date; changes nothing, and waits for nothing."""

    def __init__(self) -> None:
        self.changes = StateChanges()
        self._models: dict[str, Model] = {}

    def resolve(self, name: str, version: int | None = None, label: str | None = None) -> Servable:
        """The servable that a request names; without a version or label, the newest.

        Raises:
            InvalidInputError: no name, or an unknown label.
            ModelNotFoundError: no such model or version is available.
        """
        model = self._models.get(name)
        if version is None and label is None and model is not None and model.current is not None:
            return model.current
        if not name:
            raise InvalidInputError("ModelSpec has no name specified.")
        if label is not None:
            version = self._version_of(model, label)
        servable = model.answering(version) if model is not None else None
        if servable is not None:
            return servable
        wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise ModelNotFoundError(f"Servable not found for request: {wanted}")

    def route(self, name: str, headers: Mapping[bytes, bytes] = NO_HEADERS) -> Servable:
        """Who answers a request that names neither a version nor a label: by weight, or else the newest version.

        Raises:
            InvalidInputError: no name.
            ModelNotFoundError: no version of the model is available.
        """
        model = self._models.get(name)
        if model is None or model.current is None:
            return self.resolve(name)
        return model.current if model.split is None else model.split.pick(headers)

    def model(self, name: str) -> Model:
        """All that is known of a model, to be looked at.

        Raises:
            ModelNotFoundError: there is none of that name.
        """
        try:
            return self._models[name]
        except KeyError:
            raise ModelNotFoundError(f"Could not find any versions of model {name}") from None

    def configs(self) -> dict[str, ModelConfig]:
        """What is configured of each model that shall be served."""
        return {name: model.config for name, model in self._models.items() if model.present}

    def verdict(self, name: str) -> str | None:
        """Why a model does not answer, empty where it does; None while that is not decided yet."""
        model = self._models.get(name)
        if model is None:
            return "it is not configured"
        if model.current is None and model.is_undecided:
            return None
        return "" if model.current is not None else model.reason()

    def models(self) -> list[ModelStatus]:
        """Every model that is known with the states of its versions, served or not."""
        return [
            ModelStatus(name, model.current.task if model.current is not None else None, model.statuses(), model.bound)
            for name, model in sorted(self._models.items())
        ]

    def answers_for(self, name: str) -> bool | None:
        """Whether a model has a version that answers; None where there is no such model."""
        model = self._models.get(name)
        return None if model is None else model.current is not None

    def statuses(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """States of a model's versions, newest first; of one version, where it is given.

        Raises:
            ModelNotFoundError: no such model or version is known.
        """
        model = self._models.get(name)
        known = model.statuses() if model is not None else []
        found = [status for status in known if version is None or status.version == version]
        if not found:
            wanted = "any versions" if version is None else f"version {version}"
            raise ModelNotFoundError(f"Could not find {wanted} of model {name}")
        return found

    def not_ready(self) -> list[str]:
        """Why the gateway cannot answer for all of its models; empty when it can.

        Folders without any version, named by nobody, say so only where there is nothing else: a stray one must not stop
        the others.
        """
        present = [(name, model) for name, model in sorted(self._models.items()) if model.present]
        wanted = [(name, model) for name, model in present if model.versions or not model.config.discovered] or present
        if not wanted:
            return ["no model was found"]
        return [f"{name}: {model.reason()}" for name, model in wanted if model.current is None]

    @staticmethod
    def _version_of(model: Model | None, label: str) -> int:
        """Raises: InvalidInputError: the model has no such label."""
        number = model.bound.get(label) or model.labels.get(label) if model is not None else None
        if number is None:
            raise InvalidInputError(f"Unrecognized servable version label: {label}")
        return number
