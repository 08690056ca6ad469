"""Money is exact in every currency, and refuses what it cannot hold."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.errors import RecordError
from mapping.money import MAX_MINOR, Money, Rates, exponent

CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KRW", "KWD", "BHD", "TND", "CLF"])


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.00", "EUR", 1200),
        ("10000", "JPY", 10000),
        ("50.000", "KWD", 50000),
        ("-0.5", "USD", -50),
        ("12.300", "EUR", 1230),
    ],
)  # fmt: skip
def test_read(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [("1.005", "EUR"), ("0.5", "JPY"), ("twelve", "EUR"), ("", "EUR"), ("NaN", "EUR"),
     ("Infinity", "EUR"), ("1e40", "EUR"), ("1e-40", "EUR"), ("12.00", "XXQ"), ("12.00", "eur"),
     (str(MAX_MINOR), "USD")],
)  # fmt: skip
def test_refuse(text: str, currency: str) -> None:
    with pytest.raises(RecordError):
        Money.parse(text, currency)


@given(st.integers(-MAX_MINOR, MAX_MINOR), CURRENCIES)
def test_written_and_read_again_is_the_same(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    amount, code = str(money).split(" ")
    assert Money.parse(amount, code) == money


def test_rates_by_day_with_the_last_of_the_week_before() -> None:
    rates = Rates("USD", {("EUR", "2026-03-06"): Decimal("1.10")}, {"JPY": Decimal("0.0067")})
    euros = Money(10000, "EUR")
    assert rates.convert(euros, date(2026, 3, 6)) == Money(11000, "USD")
    assert rates.convert(euros, date(2026, 3, 8)) == Money(11000, "USD"), "Sunday takes Friday's"
    assert rates.convert(euros, date(2026, 3, 14)) is None, "eight days old is no rate"
    assert rates.convert(euros, date(2026, 3, 5)) is None, "a rate is not for the past"
    assert rates.convert(Money(10000, "JPY"), date(2026, 3, 6)) == Money(6700, "USD")
    assert rates.convert(Money(5, "KWD"), date(2026, 3, 6)) is None
    assert rates.convert(Money(7, "USD"), date(2026, 3, 6)) == Money(7, "USD")


def test_digits() -> None:
    assert [exponent(c) for c in ("JPY", "USD", "KWD", "CLF")] == [0, 2, 3, 4]
