"""The words of cards and briefs: vendors' texts, codes and amounts as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from mapping.wall import SENSITIVE_DECLINES

UNKNOWN, OFF = "not known", "not connected"
_MOST, _MOST_TOLD = 60, 240


@lru_cache(maxsize=65_536)
def said(text: str | None) -> str:
    """A vendor's text on one line, and not too long."""
    return _line(text, _MOST)


def told(text: str | None) -> str:
    """The same of what a client was told, which may be some sentences."""
    return _line(text, _MOST_TOLD)


def _line(text: str | None, most: int) -> str:
    if text and len(text) <= most and text.isprintable():
        return text
    shown = "".join(c if c.isprintable() else " " for c in (text or "")[: 4 * most])
    line = " ".join(shown.split())
    return (line if len(line) <= most else f"{line[: most - 1]}…") or UNKNOWN


@lru_cache(maxsize=1024)
def words(code: str) -> str:
    """A word of one of the closed lists."""
    return UNKNOWN if code == "none" else _line(code.replace("_", " "), _MOST)


def why_failed(facts: Mapping[str, Any]) -> str:
    """Why the last attempt to deposit failed, as far as it may be said."""
    if facts["last_attempt_abandoned"]:
        return "abandoned"
    decline = facts["last_attempt_decline"]
    return "declined by the issuer" if decline in SENSITIVE_DECLINES else words(decline)


def capital(sentence: str) -> str:
    """With a capital letter first."""
    return sentence[:1].upper() + sentence[1:]


class Amounts:
    """Amounts in a base currency, of minor units.

    Args:
        digits: of the currency.
    """

    def __init__(self, currency: str, digits: int) -> None:
        self._digits, self._unit = digits, f" {currency}"
        self._nothing = f"{Decimal(0).scaleb(-digits):f}{self._unit}"

    def shown(self, minor: int | None) -> str:
        """``310.00 USD``."""
        if minor is None:
            return UNKNOWN
        digits = self._digits
        text = str(minor)
        if digits and minor > 0 and len(text) > digits:  # nearly all: Decimal takes its time
            return f"{text[:-digits]}.{text[-digits:]}{self._unit}"
        return f"{Decimal(minor).scaleb(-digits):f}{self._unit}" if minor else self._nothing
