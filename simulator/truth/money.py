"""Base amounts for the oracle: exact decimals, half-even to the base's minor unit."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache

from simulator.story import World

_DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "KWD": 3, "BHD": 3, "OMR": 3, "JOD": 3, "TND": 3}


@cache
def unit(currency: str) -> Decimal:
    """The smallest step of a currency."""
    return Decimal(1).scaleb(-_DIGITS.get(currency, 2))


def in_base(world: World, base: str, amount: str | Decimal, currency: str) -> Decimal | None:
    """The amount in the brand's base; None when there is no rate."""
    if currency == base:
        return Decimal(amount)
    rate = world.rates.get((base, currency))
    if rate is None:
        return None
    return (Decimal(amount) * Decimal(rate)).quantize(unit(base), ROUND_HALF_EVEN)


def summed(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Their sum; None when one of them is unknown."""
    result = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        result += amount
    return result


def shown(base: str, amount: Decimal | None) -> str:
    """An amount as text with the base's digits; blank when it is unknown."""
    return "" if amount is None else f"{amount.quantize(unit(base)):f}"
