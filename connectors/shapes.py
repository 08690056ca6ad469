"""Parts of an answer whose shape nobody promises: the right type, or empty."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def as_mapping(value: Any) -> Mapping[str, Any]:
    """An object."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    """A list."""
    return value if isinstance(value, list) else []


def of_form(value: Any, form: re.Pattern[str]) -> str:
    """A text of exactly this form: only such parts of a foreign text are passed on."""
    return value if isinstance(value, str) and form.fullmatch(value) else ""
