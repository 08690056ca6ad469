"""What pydantic found, in the words of a person who edits brokersync.yaml."""

from __future__ import annotations

import os
from typing import Any

from pydantic import ValidationError

from config.yaml_file import YamlFile

ENV_PREFIX = "BROKERSYNC_"
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
    "dict_type": "expected `name: value` lines under it",
    "model_type": "expected `name: value` lines under it",
    "mapping_type": "expected `name: value` lines under it",
    "list_type": "expected a list, such as [a, b]",
    "tuple_type": "expected a list, such as [a, b]",
    "string_type": "expected a text: put it in quotes",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "decimal_type": "expected a number",
    "decimal_parsing": "expected a number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
}


def problems(
    error: ValidationError, file: YamlFile, prefix: str = "", known: tuple[str, ...] = ()
) -> list[str]:
    """One line a problem: where it stands, what was wrong, what is right. Values are not repeated.

    Args:
        prefix: path of the part of the file that was checked.
        known: keys there are at ``prefix``, to name beside an unknown one.
    """
    found: dict[str, None] = {}
    for item in error.errors(include_input=False, include_url=False):
        parts = [p for p in prefix.split(".") if p] + [str(part) for part in item["loc"]]
        path = ".".join(_in_file(parts, file.data, keep_last=item["type"] == "missing"))
        message = _WORDS.get(item["type"], item["msg"].removeprefix("Value error, "))
        message = message.replace("Input should", "must").replace("should match", "must match")
        if item["type"] == "extra_forbidden" and known and len(item["loc"]) == 1:
            message += f"; there is: {', '.join(known)}"
        found[f"{place(file, path)}: {path}: {message}" if path else message] = None
    return list(found)


def place(file: YamlFile, path: str) -> str:
    """``file, line n``, or the environment variable that was used in its place."""
    variable = ENV_PREFIX + path.partition(".")[0].upper()
    if os.environ.get(variable) is not None:
        return f"environment variable {variable}"
    return file.where(path)


def _in_file(parts: list[str], data: Any, *, keep_last: bool) -> list[str]:
    """``parts`` without the names pydantic gives to the branches of a choice."""
    kept: list[str] = []
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        elif kept and not (last and keep_last):
            continue
        kept.append(part)
    return kept
