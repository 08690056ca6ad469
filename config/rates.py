"""The file of daily exchange rates."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from mapping.errors import ConfigError, RecordError
from mapping.money import exponent

COLUMNS = ("date", "currency", "base", "rate")
Rate = tuple[str, str, str]
_CODE = re.compile(r"[A-Z]{3,5}")


def read_rates(path: Path) -> dict[Rate, Decimal]:
    """(base, currency, ISO date) -> rate.

    Raises:
        ConfigError: the file is missing or a row cannot be used; says which line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            return _read(handle, path.name)
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise ConfigError(f"the rate file {path} cannot be read: {cause}") from None
    except (UnicodeDecodeError, csv.Error):
        raise ConfigError(f"{path.name}: not a CSV file in UTF-8") from None


def _read(lines: Iterable[str], name: str) -> dict[Rate, Decimal]:
    reader = csv.DictReader(lines)
    missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
    if missing:
        raise ConfigError(
            f"{name}, line 1: needs the columns {','.join(COLUMNS)}; missing: {', '.join(missing)}"
        )
    rates: dict[Rate, Decimal] = {}
    for row in reader:
        where = f"{name}, line {reader.line_num}"
        key, rate = _rate(row, where)
        if rates.setdefault(key, rate) != rate:
            raise ConfigError(f"{where}: another rate for this day and currency: remove one")
    return rates


def _rate(row: dict[str, Any], where: str) -> tuple[Rate, Decimal]:
    if any(row[c] is None for c in COLUMNS):
        raise ConfigError(f"{where}: expected {len(COLUMNS)} values: {','.join(COLUMNS)}")
    try:
        day = datetime.strptime(row["date"].strip(), "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise ConfigError(f"{where}: the date must be written YYYY-MM-DD") from None
    try:
        rate = Decimal(row["rate"].strip())
    except InvalidOperation:
        raise ConfigError(f"{where}: the rate must be a number such as 0.9215") from None
    if not rate.is_finite() or rate <= 0:
        raise ConfigError(f"{where}: the rate must be above 0")
    currency, base = row["currency"].strip(), row["base"].strip()
    if not _CODE.fullmatch(currency):  # what no payment is in may stand there: metals, say
        raise ConfigError(f"{where}: {currency[:20]!r} is no currency code such as USD")
    try:
        exponent(base)
    except RecordError as error:
        raise ConfigError(f"{where}: base: {error.admin}") from None
    return (base, currency, day.isoformat()), rate
