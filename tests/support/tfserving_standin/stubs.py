"""The official stubs without the rest of TensorFlow, whose import takes longer than a test should.

The messages lie in the packages `tensorflow` and `tensorflow_serving`. Importing one runs `tensorflow/__init__.py`, so
an empty module stands there until somebody wants TensorFlow itself. The package imports this before all else.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any

if "tensorflow" not in sys.modules:
    _spec = importlib.util.find_spec("tensorflow")
    assert _spec is not None
    _bare = types.ModuleType("tensorflow")
    _bare.__path__ = list(_spec.submodule_search_locations or ())
    sys.modules["tensorflow"] = _bare


def tensorflow() -> Any:
    """TensorFlow itself, imported on the first call."""
    if sys.modules.get("tensorflow") is globals().get("_bare"):
        del sys.modules["tensorflow"]
    return importlib.import_module("tensorflow")
