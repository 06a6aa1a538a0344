"""Why an export was refused or could not go on; `str(error)` is a sentence for the person at the terminal."""

from __future__ import annotations

import re


class ExportError(Exception):
    """The root of all causes; raised itself when something of the export failed or did not fit."""


class WrongUseError(ExportError):
    """What was asked for is impossible: a model name that is none, a version that is there already."""


def first_line(error: Exception) -> str:
    """What a library's error says, without what surrounds it: the operators and source lines where it came up."""
    text = str(error)
    if text.startswith(_GRAPH_ERROR):
        text = text.partition("[[")[0].strip().rpartition("\n")[2]
    if text.startswith(_LAYER_ERROR):
        text = _DECORATION.sub("", text.partition("\n")[2])
    return text.strip().partition("\n")[0] or type(error).__name__


_GRAPH_ERROR = "Graph execution error"
"""How TensorFlow begins when it is not the first to fail: the cause follows after the places, before the nodes."""
_LAYER_ERROR = "Exception encountered when calling "
"""How Keras begins: the cause follows in bold, and then the layer's inputs."""
_DECORATION = re.compile(r"\x1b\[\d*m|\{\{.*?\}\} ?| ?\[Op:\w+\]")
"""Control sequences of terminals, and TensorFlow's names of its own operations."""
