"""Rows of an export made ready for reading: whose they are, which of them count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.base import Reject
from connectors.mt5_sql.aggregate import Pair
from connectors.mt5_sql.book import Book
from connectors.mt5_sql.pages import Piece
from connectors.mt5_sql.rows import RowReader, amount
from connectors.mt5_sql.rules import MONEY_CLASSES, Rules
from mapping.words import AccountClass

# A row changed so long after its time may have been something else before.
EDITED_MS = 60_000
Owners = Mapping[int, tuple[str, str]]
"""Login -> group and the server's currency code."""


class Desk:
    """Makes rows of what a book yields, and reads them into a piece.

    Args:
        start: when the pull began, ms.
        report_deleted: set accounts aside that nothing tells of.
    """

    def __init__(
        self, rules: Rules, rows: RowReader, book: Book, start: int, *, report_deleted: bool
    ) -> None:
        self._rules, self._rows, self._book = rules, rows, book
        self._start, self._report_deleted = start, report_deleted

    def owners(self, piece: Piece, logins: Sequence[int]) -> Owners:
        """Group and currency of the accounts; an account that nothing tells of is set aside."""
        every = sorted(set(logins))
        owners = self._book.owners(every)
        for login in every:
            if login not in owners and self._report_deleted:
                piece.add(self._rows.read({"what": "gone", "login": login}))
        return owners

    def counts(self, owners: Owners, login: int) -> bool:
        """Whether an account's money is a client's."""
        return login in owners and self._rules.class_of(owners[login][0]) in MONEY_CLASSES

    def unknown(self, owners: Owners, login: int) -> bool:
        """Whether nothing says what an account is: what is known of it stays."""
        if login not in owners:
            return True
        return self._rules.class_of(owners[login][0]) is AccountClass.UNCLASSIFIED

    def account(self, row: dict[str, Any], currencies: dict[str, str]) -> dict[str, Any]:
        """An account as a row; ``currencies`` are those of groups."""
        group = str(row["group"] or "")
        agent = int(row["agent"] or 0)
        return {
            "what": "account",
            "login": int(row["login"]),
            "group": group,
            "currency": str(row.get("currency") or currencies.get(group, "")),
            "registered": row["registered"],
            "leverage": int(row["leverage"] or 0),
            "enabled": int(bool(row["enabled"])),
            "agent": str(agent) if agent else "",
            "client": None if row["client"] is None else str(row["client"]),
            "email": row["email"],
            "email_limit": self._book.email_limit,
            "at": self._start,
        }

    def balance(self, row: dict[str, Any], owners: Owners) -> dict[str, Any]:
        """A balance as a row."""
        login = int(row["login"])
        return {
            "what": "balance",
            "login": login,
            **_owner(owners, login),
            "balance": amount(row["balance"]),
            "credit": amount(row["credit"]),
            "positions": int(row["positions"]),
            "at": self._start,
        }

    def named(self, days: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Days with the paths of their symbols."""
        paths = self._book.paths(sorted({s for day in days for s in day["symbols"]}))
        for day in days:
            symbols = sorted(day["symbols"].items())
            day["symbols"] = [(symbol, paths.get(symbol, ""), deals) for symbol, deals in symbols]
        return days

    def add_day(self, piece: Piece, day: dict[str, Any], owners: Owners) -> Pair:
        """Add a day that was added up; returns which it is."""
        sums = {name: amount(day[name]) for name in ("profit", "commission", "swap")}
        times: list[list[Any]] = []
        for again in (0, 1):
            shown = sorted(one for one in day["times"] if one[1] == again)
            times += [shown[0], shown[-1]] if shown else []
        piece.add(
            self._rows.read(
                {
                    "what": "day",
                    **_owner(owners, day["login"]),
                    **day,
                    **sums,
                    "times": times,
                    "at": self._start,
                }
            )
        )
        return str(day["day"]), int(day["login"])

    def add_ahead(self, piece: Piece, row: dict[str, Any], owners: Owners) -> None:
        """Set aside a trade that is dated in the future."""
        if self.counts(owners, int(row["login"])):
            said = {"what": "ahead", "deal": int(row["deal"]), "time": row["time"]}
            piece.add(self._rows.read(said))

    def add_booking(self, piece: Piece, row: dict[str, Any], owners: Owners) -> bool | None:
        """Add a booking, and the payment it proves; whether it does (None: it is set aside)."""
        booking = {
            "what": "ledger",
            "deal": int(row["deal"]),
            "login": int(row["login"]),
            **_owner(owners, int(row["login"])),
            "action": int(row["action"]),
            "amount": amount(row["amount"]),
            "time": row["time"],
            "changed": self._book.stamp_ms(int(row["stamp"])),
            "comment": row["comment"],
            "dealer": row["dealer"],
            "reason": row["reason"],
        }
        read = self._rows.read(booking)
        piece.add(read)
        if isinstance(read, Reject):
            return None
        wire = self._rows.is_wire(read)
        if wire:
            piece.add(self._rows.read({**booking, "what": "wire"}))
        return wire

    def edited(self, row: Mapping[str, Any]) -> bool:
        """Whether a row was changed after it was made."""
        if not row["time"]:
            return False
        made = self._book.clock.utc_ms(datetime.fromisoformat(str(row["time"])))
        return self._book.stamp_ms(int(row["stamp"])) - made > EDITED_MS


def _owner(owners: Owners, login: int) -> dict[str, str]:
    group, currency = owners[login]
    return {"group": group, "currency": currency}
