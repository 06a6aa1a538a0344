"""Objects of KServe and Kubeflow against the models of their own clients, strictly; run by the Python of `make kserve`.

Reads a JSON list of objects, prints a JSON list of what is wrong with them. A client's model says which fields it has,
under which names and of which types; the client itself would drop a field that it does not know.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
import types
from collections.abc import Iterator
from typing import Any


def models_of(client: str) -> types.ModuleType:
    """A client's models without the client, which takes ten seconds to import."""
    spec = importlib.util.find_spec(client)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = sys.modules[client] = types.ModuleType(client)
    package.__path__ = list(spec.submodule_search_locations)
    return importlib.import_module(f"{client}.models")


MODULES = tuple(map(models_of, ("kserve", "kubeflow.training", "kubernetes.client")))
ROOTS = {
    "ServingRuntime": "V1alpha1ServingRuntime",
    "InferenceService": "V1beta1InferenceService",
    "TFJob": "KubeflowOrgV1TFJob",
}
SCALARS = {"str": str, "int": int, "bool": bool, "float": (int, float), "datetime": str}


def mistakes(value: Any, type_name: str, where: str) -> Iterator[str]:
    """What is wrong with a value of a type as the generated clients write it: `list[V1Container]`, `dict(str, str)`."""
    if found := re.fullmatch(r"list\[(.+)\]", type_name):
        yield from _of_list(value, found[1], where)
    elif found := re.fullmatch(r"dict\((?:str), (.+)\)", type_name):
        yield from _of_fields(value, dict.fromkeys(value, found[1]) if isinstance(value, dict) else {}, where)
    elif type_name in SCALARS:
        if not isinstance(value, SCALARS[type_name]):
            yield f"{where}: expected {type_name}, received {value!r}"
    elif type_name != "object":
        yield from _of_model(value, type_name, where)


def _of_list(value: Any, type_name: str, where: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{where}: expected a list, received {value!r}"
        return
    for index, item in enumerate(value):
        yield from mistakes(item, type_name, f"{where}[{index}]")


def _of_model(value: Any, type_name: str, where: str) -> Iterator[str]:
    model = next((getattr(module, type_name) for module in MODULES if hasattr(module, type_name)), None)
    if model is None:
        return  # an intstr or a quantity: the clients have no model for what is a string or a number
    types = {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}
    yield from _of_fields(value, types, where)


def _of_fields(value: Any, types: dict[str, str], where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: expected fields, received {value!r}"
        return
    for key, item in value.items():
        if key in types:
            yield from mistakes(item, types[key], f"{where}.{key}")
        else:
            yield f"{where}: no field {key}; there are {', '.join(sorted(types))}"


objects = json.load(sys.stdin)
print(json.dumps([list(mistakes(each, ROOTS[each["kind"]], each["kind"])) for each in objects]))
