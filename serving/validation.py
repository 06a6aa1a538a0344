"""What is wrong with a document that does not fit its pydantic model, in a sentence that starts with where."""

from __future__ import annotations

from pydantic import ValidationError


def first_problem(error: ValidationError, whole: str = "the document") -> str:
    """The first thing, without what was received, which may be a secret; `whole` is what all of it is called."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or whole
    return f"{where}: {first['msg']}"


def first_problem_of_settings(error: ValidationError) -> str:
    """The first thing that is wrong with settings that people write, and what they wrote."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"{where}: there is no such setting"
    if first["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {first['msg']}, received {first['input']!r}"
