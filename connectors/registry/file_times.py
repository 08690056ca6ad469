"""Times as files write them: texts in a form of their own, epochs as texts, decimal commas."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from connectors.registry.settings import RegistrySettings
from mapping.errors import RecordError

# Nine digits are seconds from 1973 on; fewer may be a date without hyphens.
_EPOCH = re.compile(r"\d{9,}(\.\d+)?")


def file_time(value: Any, field: str, settings: RegistrySettings) -> Any:
    """What :func:`connectors.instants.instant` can read; None where the file has no value.

    Raises:
        RecordError: a text is not in the form of the setting ``date_format``.
    """
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return value
    if settings.date_format:
        try:
            return datetime.strptime(value, settings.date_format)  # noqa: DTZ007 - see `zone`
        except ValueError:
            raise RecordError(
                f"field {field!r} is not a time in the form {settings.date_format} (date_format)"
            ) from None
    number = value.replace(".", "").replace(",", ".") if settings.decimal_comma else value
    return float(number) if _EPOCH.fullmatch(number) else value
