"""Base amounts for the oracle: exact decimals, half-even to the base's minor unit."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal

from simulator.story import World

_DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "KWD": 3, "BHD": 3, "OMR": 3, "JOD": 3, "TND": 3}


def unit(currency: str) -> Decimal:
    """The smallest step of a currency."""
    return Decimal(1).scaleb(-_DIGITS.get(currency, 2))


def in_base(world: World, base: str, amount: str, currency: str) -> Decimal | None:
    """The amount in the brand's base; None when there is no rate."""
    if currency == base:
        return Decimal(amount)
    rate = world.rates.get((base, currency))
    if rate is None:
        return None
    return (Decimal(amount) * Decimal(rate)).quantize(unit(base), ROUND_HALF_EVEN)


def total(base: str, amounts: Iterable[Decimal | None]) -> str:
    """Their sum as text with the base's digits; blank when one of them is unknown."""
    result = Decimal(0)
    for amount in amounts:
        if amount is None:
            return ""
        result += amount
    return f"{result.quantize(unit(base)):f}"
