"""Money: integer minor units beside an ISO 4217 currency; never a float."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

from mapping.errors import RecordError

# Digits after the point where they are not two (ISO 4217, list one, 2024).
_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_EXPONENTS = {
    **dict.fromkeys(_NO_DIGITS.split(), 0),
    **dict.fromkeys(_THREE_DIGITS.split(), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
_TWO_DIGIT_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD "
    "BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB "
    "EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD "
    "KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU "
    "MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR "
    "RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW ZWG "
)
_TWO_DIGITS = frozenset(_TWO_DIGIT_CODES.split())
# Beyond this an amount is a vendor's mistake, and sums could leave the range both engines share.
MAX_MINOR = 10**15
_RATE_LOOKBACK_DAYS = 7


def exponent(currency: str) -> int:
    """Digits after the point of an ISO 4217 currency.

    Raises:
        RecordError: the code is not a currency this hub knows.
    """
    if currency in _TWO_DIGITS:
        return 2
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise RecordError(
            f"unknown currency {currency!r}: expected an ISO 4217 code such as EUR or JPY"
        ) from None


@dataclass(frozen=True, slots=True)
class Money:
    """``minor`` minor units of ``currency`` (``Money(1050, "EUR")`` is 10.50 EUR)."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read a decimal text exactly.

        Raises:
            RecordError: not a plain decimal, more digits than the currency has, or out of range.
        """
        digits = exponent(currency)
        whole, _, part = text.removeprefix("-").partition(".")
        if len(part) == digits and len(text) < 15 and (plain := whole + part).isdecimal():
            minor = int(plain)  # as most are written: exact, and a third of the price
            return cls(-minor if text[0] == "-" else minor, currency)
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise RecordError(f"amount {text[:40]!r} is not a decimal number") from None
        if not value.is_finite():
            raise RecordError(f"amount {text[:40]!r} is not a finite number")
        if abs(value.adjusted()) > 30:
            raise RecordError(f"amount {text[:40]!r} is out of range")
        scaled = value.scaleb(digits)
        if scaled != scaled.to_integral_value():
            raise RecordError(f"amount {text} has more digits than {currency} allows ({digits})")
        minor = int(scaled)
        if abs(minor) > MAX_MINOR:
            raise RecordError(f"amount {text[:40]} {currency} is out of range")
        return cls(minor, currency)

    def decimal(self) -> Decimal:
        """The amount in units of the currency, with all its digits (``Decimal("10.50")``)."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    def __str__(self) -> str:
        digits = exponent(self.currency)
        text = str(abs(self.minor)).zfill(digits + 1)
        sign = "-" if self.minor < 0 else ""
        amount = f"{text[:-digits]}.{text[-digits:]}" if digits else text
        return f"{sign}{amount} {self.currency}"


@dataclass(frozen=True, slots=True)
class Rates:
    """Daily rates into one base currency: units of base for one unit of the other.

    ``by_day`` maps (currency, ISO date) to a rate; ``always`` holds rates that have no day.
    """

    base: str
    by_day: Mapping[tuple[str, str], Decimal]
    always: Mapping[str, Decimal]

    def convert(self, amount: Money, day: date) -> Money | None:
        """``amount`` in the base by the rate of ``day`` (or of the last 7 days before it).

        Rounded half-even to the base's minor unit; None where there is no rate.
        """
        if amount.currency == self.base:
            return amount
        rate = self._rate(amount.currency, day)
        if rate is None:
            return None
        value = (amount.decimal() * rate).scaleb(exponent(self.base))
        return Money(int(value.to_integral_value(rounding="ROUND_HALF_EVEN")), self.base)

    def _rate(self, currency: str, day: date) -> Decimal | None:
        for back in range(_RATE_LOOKBACK_DAYS + 1 if self.by_day else 0):
            rate = self.by_day.get((currency, (day - timedelta(days=back)).isoformat()))
            if rate is not None:
                return rate
        return self.always.get(currency)
