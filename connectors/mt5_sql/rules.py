"""The admin's rules at work: what an account is, what a booking means, what is traded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from connectors.mt5_sql.settings import (
    GROUP_RULES,
    SYMBOL_RULES,
    GroupRule,
    LedgerRule,
    Mt5SqlSettings,
)
from mapping.errors import ConfigError, RecordError
from mapping.money import MAX_MINOR, Money, exponent
from mapping.words import AccountClass, InstrumentGroup, LedgerKind

MONEY_CLASSES = (AccountClass.REAL, AccountClass.CENT)
# What an action means where no rule of the admin fits; balance (2) goes by its sign.
ACTIONS = {
    3: LedgerKind.CREDIT,
    4: LedgerKind.CHARGE,
    5: LedgerKind.CORRECTION,
    6: LedgerKind.BONUS,
    7: LedgerKind.CHARGE,
    8: LedgerKind.CHARGE,
    9: LedgerKind.CHARGE,
    10: LedgerKind.REBATE,
    11: LedgerKind.REBATE,
    12: LedgerKind.INTEREST,
    15: LedgerKind.DIVIDEND,
    16: LedgerKind.DIVIDEND,
    17: LedgerKind.TAX,
    18: LedgerKind.REBATE,
    19: LedgerKind.COMPENSATION,
    20: LedgerKind.COMPENSATION,
}
BALANCE = 2
_UNCLASSIFIED = GroupRule(match="*", account_class=AccountClass.UNCLASSIFIED)


@dataclass(frozen=True, slots=True)
class Unit:
    """What an account's amounts are in: a currency, and parts of its unit."""

    currency: str
    divisor: int

    def money(self, value: object, field: str) -> Money:
        """An amount as the server has it, rounded half-even to the currency's minor unit.

        Raises:
            RecordError: missing, not finite, or out of range.
        """
        if value is None:
            raise RecordError(f"field {field!r} is missing")
        places = exponent(self.currency)
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            raise RecordError(f"field {field!r} is not a number") from None
        if not amount.is_finite():
            raise RecordError(f"field {field!r} is not a finite number")
        minor = (amount / self.divisor).scaleb(places)
        if abs(minor) > MAX_MINOR:
            raise RecordError(f"field {field!r} is out of range")
        return Money(int(minor.to_integral_value(rounding=ROUND_HALF_EVEN)), self.currency)


class Rules:
    """The rules of one connection.

    Args:
        brands: the ids of the brands that the connection serves.
    """

    def __init__(self, settings: Mt5SqlSettings, brands: Mapping[str, str], name: str) -> None:
        self._settings, self._name = settings, name
        self._groups = settings.group_rules or GROUP_RULES
        self._instruments = (*settings.symbol_rules, *SYMBOL_RULES)
        unknown = sorted({r.brand for r in settings.group_rules if r.brand} - set(brands))
        if unknown:
            raise ConfigError(
                f"{name}: setting group_rules names unknown brands {', '.join(unknown)}; this"
                f" connection serves {', '.join(brands)}"
            )
        self._brand = next(iter(brands)) if len(brands) == 1 else ""
        if not self._brand and not any(r.brand for r in settings.group_rules):
            raise ConfigError(
                f"{name}: it serves {len(brands)} brands, so group_rules must say which group"
                " belongs to which brand"
            )
        self._known: dict[str, GroupRule] = {}
        self._symbols: dict[tuple[str, str], InstrumentGroup] = {}

    @cached_property
    def digest(self) -> str:
        """Changes when settings change what records say: then everything is read again."""
        said = self._settings.model_dump_json(
            include={
                "server", "client_column", "client_prefix", "link_by_email", "group_rules",
                "ledger_rules", "symbol_rules", "currency", "currency_by_group",
                "cent_currencies", "ledger", "rights_enabled", "profile", "server_tz",
            }
        )  # fmt: skip
        return hashlib.blake2b(f"{self._brand} {said}".encode(), digest_size=8).hexdigest()

    def account(self, group: str) -> GroupRule:
        """The rule of a group; of class unclassified where none fits."""
        if group not in self._known:
            path = group.casefold()
            self._known[group] = next(
                (r for r in self._groups if fnmatchcase(path, r.match.casefold())),
                _UNCLASSIFIED,
            )
        return self._known[group]

    def class_of(self, group: str) -> AccountClass:
        """What accounts of a group are."""
        return self.account(group).account_class

    def brand(self, group: str) -> str:
        """The brand of a group's accounts.

        Raises:
            RecordError: nothing says it.
        """
        brand = self.account(group).brand or self._brand
        if not brand:
            raise RecordError(
                "the rule of the account's group names no brand: setting group_rules of"
                f" {self._name}"
            )
        return brand

    @property
    def one_brand(self) -> str:
        """The brand, where the connection serves one; else blank."""
        return self._brand

    def code(self, group: str, told: str) -> str:
        """The currency code of an account, ``told`` by the server or by the settings."""
        path = group.casefold()
        for pattern, currency in self._settings.currency_by_group.items():
            if fnmatchcase(path, pattern.casefold()):
                return currency.upper()
        code = told.strip().upper() or self._settings.currency.upper()
        if self.class_of(group) is AccountClass.CENT:
            return self._settings.cent_currencies.get(code, code)
        return code

    def unit(self, group: str, told: str) -> Unit:
        """What amounts of an account are in.

        Raises:
            RecordError: no currency is known.
        """
        code = self.code(group, told)
        if not code:
            raise RecordError(
                "the account's currency is not known: setting currency or currency_by_group of"
                f" {self._name}"
            )
        exponent(code)
        return Unit(code, self.account(group).divisor)

    def booking(self, row: Mapping[str, Any]) -> tuple[LedgerKind, str]:
        """What a booking means, and the name of the rule that says it."""
        amount = float(row["amount"])
        sign = "-" if amount < 0 else "+"
        for number, rule in enumerate(self._settings.ledger_rules):
            if _fits(rule, row, sign):
                return rule.kind, rule.name or f"ledger_rules[{number}]"
        action = row["action"]
        if action == BALANCE:
            kind = LedgerKind.WITHDRAWAL if amount < 0 else LedgerKind.DEPOSIT
            return kind, f"action {action} {sign}"
        return ACTIONS.get(action, LedgerKind.UNKNOWN), f"action {action}"

    def instrument(self, symbol: str, path: str) -> InstrumentGroup:
        """What a symbol is; a pair of currencies is forex, and what no rule knows is other."""
        key = (symbol, path)
        if key not in self._symbols:
            if len(self._symbols) > 20_000:  # a broker has some thousands
                self._symbols.clear()
            texts = (path.casefold(), symbol.casefold())
            found = next(
                (
                    rule.group
                    for rule in self._instruments
                    if any(fnmatchcase(text, rule.match.casefold()) for text in texts)
                ),
                InstrumentGroup.FX if _is_pair(symbol) else InstrumentGroup.OTHER,
            )
            self._symbols[key] = found
        return self._symbols[key]


def _fits(rule: LedgerRule, row: Mapping[str, Any], sign: str) -> bool:
    comment = str(row.get("comment") or "")
    return (
        (rule.action is None or rule.action == row["action"])
        and (rule.sign is None or rule.sign == sign)
        and (rule.dealer is None or rule.dealer == row.get("dealer"))
        and (rule.reason is None or rule.reason == row.get("reason"))
        and (not rule.comment or re.search(rule.comment, comment, re.IGNORECASE) is not None)
    )


def _is_pair(symbol: str) -> bool:
    try:
        exponent(symbol[:3].upper())
        exponent(symbol[3:6].upper())
    except RecordError:
        return False
    return True
