"""Ranges of (server day, login) and of deals, as far as a page tells them as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from connectors.mt5_sql.aggregate import Pair
from connectors.mt5_sql.rows import DEAL_DIGITS, LOGIN_DIGITS

DAY = timedelta(days=1)
FIRST_DAY = "0001-01-01"
LAST_LOGIN, LAST_DEAL = 10**LOGIN_DIGITS - 1, 10**DEAL_DIGITS - 1


def following(pair: Pair) -> Pair:
    """What follows a (day, login)."""
    day, login = pair
    if login < LAST_LOGIN:
        return day, login + 1
    return (date.fromisoformat(day) + DAY).isoformat(), 0


def before(pair: Pair) -> Pair:
    """What goes before a (day, login)."""
    day, login = pair
    if login > 0:
        return day, min(login - 1, LAST_LOGIN)
    return (date.fromisoformat(day) - DAY).isoformat(), LAST_LOGIN


def ranges(low: Pair, high: Pair, apart: Sequence[Pair]) -> Iterator[tuple[Pair, Pair]]:
    """The ranges of (day, login) from ``low`` to ``high`` without those set ``apart``."""
    for pair in apart:
        if low < pair:
            yield low, before(pair)
        low = following(pair)
    if low <= high:
        yield low, (high[0], min(high[1], LAST_LOGIN))


def gaps(low: int, high: int, apart: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The ranges of deals from ``low`` to ``high`` without those set ``apart``."""
    for deal in sorted(apart):
        if low < deal:
            yield low, deal - 1
        low = deal + 1
    if low <= high:
        yield low, high
