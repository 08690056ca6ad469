"""One row of a pull as a record. A row is plain JSON data, so that it can be read again later."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.base import Reject
from connectors.mt5_sql.rules import Rules
from connectors.mt5_sql.server_time import ServerTime
from connectors.mt5_sql.settings import Mt5SqlSettings
from mapping.errors import RecordError
from mapping.payloads import Balance, LedgerEntry, Payload, Payment, TradingAccount, TradingDay
from mapping.records import Record, Ref, check_text
from mapping.words import AccountClass, Direction, Kind, LedgerKind, PaymentStatus

LOGIN_DIGITS, DEAL_DIGITS = 12, 20
EARLIEST_MS = 946_684_800_000
DAY_MS = 86_400_000
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
# A booking whose hour happened twice: its Timestamp tells which, if it is not much later.
SURE_MS = 2 * 3_600_000
KINDS = {
    "account": Kind.TRADING_ACCOUNT,
    "day": Kind.TRADING_DAY,
    "ledger": Kind.LEDGER_ENTRY,
    "wire": Kind.PAYMENT,
    "balance": Kind.BALANCE,
    "group": Kind.TRADING_ACCOUNT,
    "gone": Kind.TRADING_ACCOUNT,
    "ahead": Kind.TRADING_DAY,
}


class Ids:
    """External ids of one server."""

    def __init__(self, server: str) -> None:
        self._server = server

    def account(self, login: int) -> str:
        """``server:login``."""
        return f"{self._server}:{login}"

    def day(self, day: str, login: int) -> str:
        """``day:server:login``, padded: the ids of a range of days are a range."""
        return f"{day}:{self._server}:{login:0{LOGIN_DIGITS}}"

    def ledger(self, deal: int) -> str:
        """``server:deal``, padded."""
        return f"{self._server}:{deal:0{DEAL_DIGITS}}"

    def wire(self, deal: int) -> str:
        """The payment that a wire's booking proves."""
        return f"ledger:{self.ledger(deal)}"


def amount(value: Any) -> str | None:
    """An amount (a double, or a sum of doubles) as the same text on every engine."""
    if value is None:
        return None
    number = float(value)
    if not math.isfinite(number):
        return str(number)
    return f"{Decimal(repr(round(number, 6))).normalize():f}"


class RowReader:
    """Reads rows into records.

    Args:
        clock: how the server's clock is read; asked when first needed.
        email_limit: an e-mail of this length may have been cut.
    """

    def __init__(
        self, source: str, settings: Mt5SqlSettings, rules: Rules, clock: Callable[[], ServerTime]
    ) -> None:
        self.ids = Ids(settings.server)
        self._source, self._settings, self._rules, self._clock = source, settings, rules, clock
        self.reading = 0
        """The rank of records: how often everything was read by other settings."""

    def record(self, row: Mapping[str, Any], raw: str = "") -> Record:
        """A row as a record.

        Raises:
            RecordError: it cannot be read; says why.
        """
        what = row.get("what")
        if what == "group":
            raise RecordError(self._ungrouped(str(row["group"])))
        if what == "gone":
            raise RecordError(
                "the account has deals and no row among the users: it was deleted before it was"
                " known, and no daily report tells its group"
            )
        readers: dict[str, Callable[[Mapping[str, Any]], tuple[Payload, Ref, int]]] = {
            "account": self._account, "day": self._day, "ledger": self._ledger,
            "wire": self._wire, "balance": self._balance,
        }  # fmt: skip
        if what == "ahead":
            raise RecordError("field 'time' is more than a day in the future: the trade counts not")
        if what not in readers:
            raise RecordError(f"no row of this connection: {what!r}")
        payload, ref, version = readers[what](row)
        return Record(
            source=self._source,
            brand=self._rules.brand(str(row["group"])),
            external_id=self.name(row),
            version_at=version,
            ref=ref,
            payload=payload,
            rank=self.reading,
            polled=what in ("account", "day", "balance"),
            raw=raw or as_json(row),
        )

    def read(self, row: Mapping[str, Any]) -> Record | Reject:
        """A row as a record, or set aside with its reason."""
        raw = as_json(row)
        try:
            return self.record(row, raw)
        except RecordError as error:
            kind = KINDS[str(row["what"])]
            return Reject(self.name(row), error.admin, self._rules.one_brand, kind, raw)

    def name(self, row: Mapping[str, Any]) -> str:
        """A row's external id."""
        what = row["what"]
        if what == "group":
            return group_id(str(row["group"]))
        if what == "day":
            return self.ids.day(str(row["day"]), row["login"])
        if what == "wire":
            return self.ids.wire(row["deal"])
        if what in ("ledger", "ahead"):
            return self.ids.ledger(row["deal"])
        return self.ids.account(row["login"])

    def is_wire(self, record: Record) -> bool:
        """Whether a booking is a payment as well."""
        return isinstance(record.payload, LedgerEntry) and record.payload.entry is LedgerKind.WIRE

    def _account(self, row: Mapping[str, Any]) -> tuple[Payload, Ref, int]:
        group = check_text(row, "group", most=200)
        leverage = row.get("leverage") or 0
        if not isinstance(leverage, int) or leverage < 0:
            raise RecordError("field 'leverage' should be a whole number")
        registered = row.get("registered")
        account = TradingAccount(
            account_class=self._rules.class_of(group),
            currency=self._rules.code(group, check_text(row, "currency", most=16)),
            group=group,
            leverage=leverage,
            registered_at=self._instant(registered, "registered") if registered else None,
            enabled=bool(row.get("enabled")),
            agent=str(row.get("agent") or ""),
        )
        return account, self._client(row), int(row["at"])

    def _client(self, row: Mapping[str, Any]) -> Ref:
        client = check_text(row, "client", most=100)
        if client not in ("", "0"):
            return Ref(client.removeprefix(self._settings.client_prefix))
        email = check_text(row, "email", most=200).lower()
        if self._settings.link_by_email and "@" in email and len(email) < int(row["email_limit"]):
            return Ref(email, "email")
        return self._login(row)

    def _login(self, row: Mapping[str, Any]) -> Ref:
        return Ref(self.ids.account(int(row["login"])), "login")

    def _day(self, row: Mapping[str, Any]) -> tuple[Payload, Ref, int]:
        unit = self._unit(row)
        if len(str(row["login"])) > LOGIN_DIGITS:
            raise RecordError(f"field 'login' has more than {LOGIN_DIGITS} digits")
        clock = self._clock()
        times = [
            clock.utc_ms(_wall(wall, "time"), again=bool(again)) for wall, again in row["times"]
        ]
        if not times or min(times) < EARLIEST_MS:
            raise RecordError("field 'time' is before the year 2000")
        day = TradingDay(
            day=str(row["day"]),
            first_at=min(times),
            last_at=max(times),
            opened=int(row["opened"]),
            closed=int(row["closed"]),
            lots=round(int(row["volume"]) / 10_000),
            profit=unit.money(row["profit"], "profit"),
            commission=unit.money(row["commission"], "commission"),
            swap=unit.money(row["swap"], "swap"),
            groups=self._traded(row["symbols"]),
        )
        return day, self._login(row), int(row["at"])

    def _traded(self, symbols: list[tuple[str, str, int]]) -> str:
        count: dict[str, int] = {}
        for symbol, path, deals in symbols:
            group = self._rules.instrument(symbol, path)
            count[group] = count.get(group, 0) + deals
        ordered = sorted(count.items(), key=lambda item: (-item[1], item[0]))
        return ",".join(f"{group}:{deals}" for group, deals in ordered)

    def _ledger(self, row: Mapping[str, Any]) -> tuple[Payload, Ref, int]:
        value = self._unit(row).money(row["amount"], "amount")
        kind, rule = self._rules.booking(row)
        entry = LedgerEntry(entry=kind, amount=value, at=self._booked(row), rule=rule)
        return entry, self._login(row), self._version(row)

    def _wire(self, row: Mapping[str, Any]) -> tuple[Payload, Ref, int]:
        value = self._unit(row).money(row["amount"], "amount")
        at = self._booked(row)
        incoming = value.minor >= 0
        payment = Payment(
            direction=Direction.DEPOSIT if incoming else Direction.WITHDRAWAL,
            status=PaymentStatus.SUCCEEDED if incoming else PaymentStatus.PAID,
            amount=value if incoming else type(value)(-value.minor, value.currency),
            opened_at=at,
            status_at=at,
            method="wire",
            psp="ledger",
        )
        return payment, self._login(row), self._version(row)

    def _balance(self, row: Mapping[str, Any]) -> tuple[Payload, Ref, int]:
        unit = self._unit(row)
        held = Balance(
            balance=unit.money(row["balance"], "balance"),
            credit=unit.money(row["credit"], "credit"),
            open_positions=int(row["positions"]),
        )
        return held, self._login(row), int(row["at"])

    def _unit(self, row: Mapping[str, Any]) -> Any:
        return self._rules.unit(str(row["group"]), str(row["currency"] or ""))

    def _version(self, row: Mapping[str, Any]) -> int:
        version = int(row["changed"])
        if version < EARLIEST_MS:
            raise RecordError("field 'timestamp' is before the year 2000")
        return version

    def _booked(self, row: Mapping[str, Any]) -> int:
        """The instant of a booking; in an hour that happened twice, the reading that fits."""
        wall = _wall(row.get("time"), "time")
        clock, changed = self._clock(), int(row["changed"])
        first, second = clock.utc_ms(wall), clock.utc_ms(wall, again=True)
        at = second if first < second <= changed + 1000 < second + SURE_MS else first
        if at < EARLIEST_MS:
            raise RecordError("field 'time' is before the year 2000")
        if at > changed + DAY_MS:
            raise RecordError("field 'time' is more than a day after the row's Timestamp")
        return at

    def _instant(self, wall: object, field: str) -> int:
        return self._clock().utc_ms(_wall(wall, field))

    def _ungrouped(self, group: str) -> str:
        if self._rules.class_of(group) is not AccountClass.UNCLASSIFIED:
            return "the group is classified by now; this goes at the next pull"
        return (
            f"accounts of group {group[:100]!r} count for nothing: no rule of the setting"
            " group_rules says what they are"
        )


def group_id(group: str) -> str:
    """The external id under which a group that no rule knows is set aside."""
    return "group:" + hashlib.blake2b(group.encode(), digest_size=8).hexdigest()


def as_json(row: Mapping[str, Any]) -> str:
    """A row as JSON text."""
    return _ENCODER.encode(row)


def _wall(value: object, field: str) -> datetime:
    if not value:
        raise RecordError(f"field {field!r} is missing (a zero date)")
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise RecordError(f"field {field!r} is not a time") from None
