"""PaymentIQ's codes: the shipped tables with the admin's overrides laid over them.

Three code levels: state (9) <- statusCode (145) <- pspStatusCode (the PSP's own, not read).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from connectors.paymentiq.settings import Effect, PaymentIqSettings, Status, TxType
from mapping.errors import RecordError
from mapping.words import DeclineCategory, Direction, PaymentStatus

STATES = (
    "REGISTERED",
    "PROCESSING",
    "REPROCESSING",
    "WAITING_INPUT",
    "WAITING_APPROVAL",
    "SUCCESSFUL",
    "FAILED",
    "CANCELLED",
    "INCONSISTENT",
)
# The table files status codes 250 and 251 under PROCESSING; rows may say REPROCESSING.
_SAME_STATE = {"REPROCESSING": "PROCESSING"}
_METHODS = {"Creditcard": "card"}
_DEPOSIT = Direction.DEPOSIT  # reading a member of an enumeration is slow, rows are many
_DIRECTION = re.compile(r"(\w*?)(Deposit|Withdrawal)")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Code:
    """A status code of the vendor and what it means."""

    number: int
    name: str
    state: str
    deposit: PaymentStatus | None = None
    withdrawal: PaymentStatus | None = None
    decline: DeclineCategory = DeclineCategory.NONE
    kyc_blocked: bool = False

    def status(self, direction: Direction) -> PaymentStatus:
        """The payment's status.

        Raises:
            RecordError: the code cannot occur in this direction.
        """
        found = self.deposit if direction is _DEPOSIT else self.withdrawal
        if found is None:
            raise RecordError(
                f"status {self.name} ({self.number}) is not known for a {direction};"
                " say what it means in the setting statuses"
            )
        return found


class Tables:
    """Lookups of one connection."""

    def __init__(self, settings: PaymentIqSettings) -> None:
        self._codes: dict[tuple[str, str], Code] = {}
        unused = dict(settings.statuses)
        for shipped in _shipped_codes():
            names = (shipped.name, str(shipped.number))
            code = shipped
            for key in names:
                if key in settings.statuses:
                    code = _override(shipped, settings.statuses[key])
                    unused.pop(key, None)
            for key in names:
                # Two codes are both named ERR_IO_EXCEPTION: the state tells them apart.
                self._codes.setdefault((key, ""), code)
                self._codes[key, shipped.state] = code
        for key, own in unused.items():
            # A code newer than the shipped table: its state is not known.
            self._codes[key, ""] = _override(Code(_number(key), key, ""), own)
        self._types = {**_shipped_types(), **settings.types}
        self._methods = {**_METHODS, **settings.methods}
        self._named: dict[str, TxType | None] = {}

    def code(self, status: str, state: str) -> Code:
        """The code of a row by ``statusCode`` (name or number) and ``state`` (blank if absent).

        Raises:
            RecordError: either is unknown, or they contradict each other.
        """
        code = self._codes.get((status, _SAME_STATE.get(state, state)))
        if code is not None:
            return code
        if state and state not in STATES:
            raise RecordError(f"unknown state {state[:40]!r}; known are {', '.join(STATES)}")
        code = self._codes.get((status, ""))
        if code is None:
            raise RecordError(
                f"unknown statusCode {status[:60]!r}: say what it means in the setting statuses"
            )
        if code.state:
            raise RecordError(f"state {state} contradicts statusCode {code.name} ({code.number})")
        return code

    def type(self, number: str, name: str) -> TxType:
        """The meaning of ``txTypeInt`` and the type's name (blank if absent); the name decides.

        Raises:
            RecordError: unknown; never guessed.
        """
        found = self._by_name(name) if name else None
        if found is None and not name:
            found = self._types.get(number)
        if found is None:
            raise RecordError(
                f"unknown transaction type {name[:60] or number!r}:"
                " say what it means in the setting types"
            )
        return found

    def _by_name(self, name: str) -> TxType | None:
        if name not in self._named and len(self._named) < 10_000:
            self._named[name] = self._types.get(name) or self._by_suffix(name)
        return self._named.get(name)

    def _by_suffix(self, name: str) -> TxType | None:
        match = _DIRECTION.fullmatch(name)
        if match is None:
            return None
        prefix, suffix = match.groups()
        method = self._methods.get(prefix) or _HUMP.sub("_", prefix).lower()
        return TxType(effect=Effect(suffix.lower()), method=method)


def _override(code: Code, own: Status) -> Code:
    return replace(
        code,
        deposit=own.deposit,
        withdrawal=own.withdrawal,
        decline=own.decline,
        kyc_blocked=own.kyc_blocked,
    )


def _number(key: str) -> int:
    return int(key) if key.isascii() and key.isdigit() else -1


def _rows(name: str) -> list[Mapping[str, str]]:
    text = files(__package__).joinpath(name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def _shipped_codes() -> tuple[Code, ...]:
    return tuple(
        Code(
            number=int(row["code"]),
            name=row["name"],
            state=row["state"],
            deposit=PaymentStatus(row["deposit"]) if row["deposit"] else None,
            withdrawal=PaymentStatus(row["withdrawal"]) if row["withdrawal"] else None,
            decline=DeclineCategory(row["decline"]),
            kyc_blocked=row["kyc_blocked"] == "yes",
        )
        for row in _rows("status_codes.csv")
    )


@cache
def _shipped_types() -> Mapping[str, TxType]:
    types: dict[str, TxType] = {}
    for row in _rows("tx_types.csv"):
        types[row["number"] or row["name"]] = types[row["name"]] = TxType(
            effect=Effect(row["effect"]), method=row["method"]
        )
    return types
