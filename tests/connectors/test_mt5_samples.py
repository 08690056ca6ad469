"""Tables with every column that MetaTrader's exports are known to have, and rows by their
conventions, on the engines a broker may have. No public rows exist that may be used: the values
are this test's own."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from connectors.base import Context
from connectors.mt5_sql.mt4 import Mt4Book
from connectors.mt5_sql.mt5 import Mt5Book
from connectors.mt5_sql.settings import Mt5SqlSettings
from connectors.mt5_sql.source import Mt5SqlSource
from mapping.money import Money
from mapping.payloads import Balance, LedgerEntry, TradingAccount, TradingDay
from mapping.records import Ref
from mapping.words import AccountClass, Kind, LedgerKind
from tests.clock import WorldClock
from tests.connectors import samples
from tests.connectors.mt5_rig import BRANDS, ENGINES, SERVER, Hub, day_id, emptied, usd
from tests.contracts.world import at, client, world

ACCOUNT = TradingAccount(
    account_class=AccountClass.REAL, currency="USD", group="real\\std", leverage=100,
    registered_at=at("2026-03-02 08:00"), enabled=True, agent="777",
)  # fmt: skip
"""What both versions' tables say of the one account."""

ZERO = "0000-00-00 00:00:00"
NEVER = "1970-01-01 00:00:00"
# By the names that the server gives its actions; "commission" and its kin are charges (README).
BOOKINGS = {
    "credit": "credit", "charge": "charge", "correction": "correction", "bonus": "bonus",
    "commission": "charge", "commission_daily": "charge", "commission_monthly": "charge",
    "agent_daily": "rebate", "agent_monthly": "rebate", "agent": "rebate", "interest": "interest",
    "dividend": "dividend", "dividend_franked": "dividend", "tax": "tax",
    "so_compensation": "compensation", "so_compensation_credit": "compensation",
}  # fmt: skip
NO_BOOKINGS = {"buy", "sell", "buy_canceled", "sell_canceled"}
MT5 = (
    "mt5_deals", "mt5_users", "mt5_accounts", "mt5_positions", "mt5_daily", "mt5_time",
    "mt5_symbols",
)  # fmt: skip


def filetime(when: str) -> int:
    """Reference §1.4: 100 ns since 1601, UTC."""
    return 116_444_736_000_000_000 + at(when) * 10_000


class Export:
    """A database with the columns of the facts, and nothing but the rows of a test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        self.metadata = sa.MetaData()
        emptied(self.engine)

    def table(self, name: str, facts: dict[str, Any], *more: str, indexed: bool = False) -> None:
        """Add a table; ``more`` names further lists of columns."""
        lists = ("columns", "columns_seen", "columns_for_crm", *more)
        kinds = {k: v for part in lists for k, v in facts.get(part, {}).items()}
        kinds |= dict.fromkeys(set(facts["pk"]) - set(kinds), "u64")
        columns = [
            sa.Column(
                column, self._type(kind), primary_key=column in facts["pk"], autoincrement=False,
                nullable=column not in facts["pk"],
                index=indexed and column.lower() == "timestamp",
            )
            for column, kind in kinds.items()
        ]  # fmt: skip
        sa.Table(name, self.metadata, *columns, mysql_charset="utf8mb4")

    def rows(self, table: str, *rows: dict[str, Any]) -> None:
        """Write rows; what they do not say is 0, blank, or a zero date where the engine has one."""
        target = self.metadata.tables[table]
        with self.engine.begin() as connection:
            for row in rows:
                assert set(row) <= set(target.c.keys())
                told = {c.name: self._value(c.type, row.get(c.name)) for c in target.c}
                connection.execute(sa.insert(target).values(told))

    def _type(self, kind: str) -> sa.types.TypeEngine[Any]:
        word = kind.partition(" ")[0]
        length = int("".join(c for c in word if c.isdigit()) or 0)
        if word in ("u64", "u32"):
            unsigned = mysql.BIGINT if word == "u64" else mysql.INTEGER
            return sa.BigInteger().with_variant(unsigned(unsigned=True), "mysql", "mariadb")
        if word in ("i64", "i32", "int"):
            return sa.BigInteger() if word == "i64" else sa.Integer()
        if word in ("f64", "double"):
            return sa.Double()
        if word in ("dt", "dt6", "datetime"):
            return sa.DateTime().with_variant(sa.String(26), "sqlite")
        return sa.LargeBinary() if word == "blob" else sa.String(length)

    def _value(self, kind: sa.types.TypeEngine[Any], value: Any) -> Any:
        if isinstance(kind, sa.DateTime):
            if self.engine.dialect.name == "sqlite":
                return value or ZERO
            if value is None:
                return None if self.engine.dialect.name == "postgresql" else ZERO
            return datetime.fromisoformat(value)
        if value is not None or isinstance(kind, sa.LargeBinary):
            return value
        return "" if isinstance(kind, sa.String) else 0

    def hub(self, **settings: Any) -> Hub:
        """What a first pull tells."""
        values = {"url": self.url, "server": SERVER, "server_tz": "fixed:+02:00", **settings}
        clock = WorldClock(world(client("C-1")))
        context = Context("trading", BRANDS, clock)
        source = Mt5SqlSource(Mt5SqlSettings.model_validate(values), context)
        source.check()
        hub = Hub().pull(source)
        source.close()
        self.engine.dispose()
        return hub


@pytest.fixture(name="export", params=ENGINES)
def _export(request: pytest.FixtureRequest, tmp_path: Path) -> Export:
    samples.found("mt5_sql/columns.json")
    if request.param == "sqlite":
        return Export(f"sqlite:///{tmp_path / 'export.db'}")
    return Export(str(request.getfixturevalue(request.param)))


def deal(number: int, when: str, **values: Any) -> dict[str, Any]:
    """A deal of account 1000; the server's clock is two hours ahead."""
    wall = datetime.fromisoformat(when).replace(tzinfo=None)
    time = wall.replace(hour=wall.hour + 2).isoformat(" ")
    return {"Deal": number, "Timestamp": filetime(when), "Login": 1000, "Time": time, **values}


def lots(text: str) -> dict[str, int]:
    """A volume in both of its columns: 1 lot is 10000, and 100000000."""
    volume = round(float(text) * 10_000)
    return {"Volume": volume, "VolumeExt": volume * 10_000}


def closing(text: str) -> dict[str, int]:
    """The same of a deal that closes as much."""
    return lots(text) | {f"VolumeClosed{k[6:]}": v for k, v in lots(text).items()}


def mt5(export: Export, newer: bool) -> dict[str, Any]:
    """Make the tables of an export of 2025, or of 2019; the facts."""
    facts: dict[str, Any] = samples.load("mt5_sql/columns.json")
    more = ("added_later",) if newer else ()
    for name in MT5:
        export.table(name, facts[name], *more, indexed=newer)
    if newer:
        export.table("mt5_clients", facts["mt5_clients"], indexed=True)
        export.table("mt5_deals_2026", facts["mt5_deals"], *more, indexed=True)
    export.metadata.create_all(export.engine)
    return facts


def test_no_sample_is_left_out() -> None:
    assert samples.names("mt5_sql") == samples.names("mt4_sql") == {"columns.json"}
    facts = samples.load("mt5_sql/columns.json")
    tables = {name for name in facts if name.startswith("mt5_")}
    assert tables == {*MT5, "mt5_clients"}
    assert {n for n in samples.load("mt4_sql/columns.json") if n.startswith("mt4")} == {
        "mt4_trades", "mt4_users",
    }  # fmt: skip


@pytest.mark.parametrize("newer", [False, True], ids=["2019", "2025"])
def test_rows_in_all_columns_of_an_export_of_metatrader_5(export: Export, newer: bool) -> None:
    mt5(export, newer)
    account = {
        "Login": 1000, "Timestamp": filetime("2026-03-02 08:00"), "Group": "real\\std",
        "Rights": 483, "Registration": "2026-03-02 10:00:00", "Leverage": 100, "Agent": 777,
        "ClientID": 7, "ID": "" if newer else "CRM-4711",
    }  # fmt: skip
    export.rows("mt5_users", account)
    if newer:
        known = {"ClientID": 7, "Timestamp": 1, "ClientExternalID": "CRM-4711"}
        export.rows("mt5_clients", known)
    deals = [
        deal(1, "2026-03-05 08:00", Action=2, Profit=500.0, Comment="Deposit"),
        deal(2, "2026-03-05 09:00", Action=0, Entry=0, Symbol="EURUSD", **lots("1.00")),
        deal(3, "2026-03-05 09:30", Action=1, Entry=1, Symbol="EURUSD", Profit=12.34, Storage=-0.5,
             Commission=-2.0, **closing("0.40")),
        deal(4, "2026-03-05 09:45", Action=1, Entry=3, Symbol="EURUSD", Profit=1.0,
             **closing("0.60")),
    ]  # fmt: skip
    export.rows("mt5_deals", *deals)
    if newer:  # both tables hold the deals of the year
        export.rows("mt5_deals_2026", *deals[1:])
    export.rows("mt5_accounts", {"Login": 1000, "Balance": 510.84, "Credit": 25.0})
    export.rows("mt5_positions", {"Position_ID": 1, "Position": 1, "Login": 1000})
    export.rows("mt5_symbols", {"Symbol_ID": 1, "Symbol": "EURUSD", "Path": "Forex\\EURUSD"})
    export.rows("mt5_time", {"TimeZone": 120})
    column = "clients.ClientExternalID" if newer else "ID"
    hub = export.hub(client_column=column, client_prefix="CRM-", currency="USD")
    assert hub.rejects == {}
    name, booked = f"{SERVER}:1000", f"{SERVER}:{1:020}"
    refs = {key: record.ref for key, record in hub.known.items()}
    assert refs.pop((Kind.TRADING_ACCOUNT, name)) == Ref("4711")
    assert set(refs.values()) == {Ref(name, "login")}
    assert hub.known[Kind.LEDGER_ENTRY, booked].version_at == at("2026-03-05 08:00")
    assert hub.of(Kind.TRADING_ACCOUNT) == {name: ACCOUNT}
    assert hub.of(Kind.LEDGER_ENTRY) == {
        booked: LedgerEntry(
            LedgerKind.DEPOSIT, usd("500.00"), at("2026-03-05 08:00"), rule="action 2 +"
        )
    }
    assert hub.of(Kind.TRADING_DAY) == {
        day_id("2026-03-05"): TradingDay(
            "2026-03-05", at("2026-03-05 09:00"), at("2026-03-05 09:45"), 1, 2, 10_000,
            usd("13.34"), usd("-2.00"), usd("-0.50"), "fx:3",
        )
    }  # fmt: skip
    assert hub.of(Kind.BALANCE) == {name: Balance(usd("510.84"), usd("25.00"), 1)}


def test_every_action_of_the_server_has_its_meaning(export: Export) -> None:
    actions: dict[str, str] = mt5(export, newer=False)["enums"]["Action"]
    assert set(actions.values()) == {*BOOKINGS, *NO_BOOKINGS, "balance"}
    account = {"Login": 1000, "Timestamp": 1, "Group": "real\\std", "ID": "1"}
    export.rows("mt5_users", account)
    when = "2026-03-05 08:00"
    for code in actions:
        export.rows("mt5_deals", deal(100 + int(code), when, Action=int(code), Profit=5.0))
    export.rows("mt5_deals", deal(200, when, Action=2, Profit=-5.0))
    hub = export.hub(client_column="ID", currency="USD")
    found = {int(name[-3:]): entry for name, entry in hub.of(Kind.LEDGER_ENTRY).items()}
    expected = {100 + int(c): BOOKINGS[n] for c, n in actions.items() if n in BOOKINGS}
    assert {number: entry.entry for number, entry in found.items()} == expected | {
        102: "deposit", 200: "withdrawal",
    }  # fmt: skip
    assert {entry.amount for entry in found.values()} == {usd("5.00"), usd("-5.00")}


def test_reasons_are_numbered_as_the_server_does() -> None:
    reasons = samples.load("mt5_sql/columns.json")["enums"]["Reason_server"]
    # The terminal's numbers would make a dealer's deal one of the web, see test_mt5_traps (10).
    assert (reasons["2"], reasons["16"], reasons["17"]) == ("dealer", "mobile", "web")


def test_the_columns_that_may_cut_an_address_have_the_length_that_is_known() -> None:
    users = samples.load("mt5_sql/columns.json")["mt5_users"]["columns"]
    assert users["Email"] == f"s{Mt5Book.email_limit}"
    users = samples.load("mt4_sql/columns.json")["mt4_users"]["columns"]
    assert users["EMAIL"] == f"char({Mt4Book.email_limit})"


@pytest.mark.parametrize("upper", [False, True])
def test_rows_in_all_columns_of_a_report_database_of_metatrader_4(
    export: Export, upper: bool
) -> None:
    facts = samples.load("mt4_sql/columns.json")
    trades, users = ("MT4_TRADES", "MT4_USERS") if upper else ("mt4_trades", "mt4_users")
    export.table(trades, facts["mt4_trades"], indexed=True)
    export.table(users, facts["mt4_users"], indexed=True)
    export.metadata.create_all(export.engine)
    stamp = at("2026-03-05 08:00") // 1000
    export.rows(
        users,
        {"LOGIN": 1000, "GROUP": "real\\std", "ENABLE": 1, "REGDATE": "2026-03-02 10:00:00",
         "LEVERAGE": 100, "AGENT_ACCOUNT": 777, "TIMESTAMP": stamp, "ID": "CRM-4711",
         "BALANCE": 509.84, "CREDIT": 25.0, "CURRENCY": "USD"},
    )  # fmt: skip
    opened = {"LOGIN": 1000, "OPEN_TIME": "2026-03-05 10:00:00", "TIMESTAMP": stamp}
    still = opened | {"CLOSE_TIME": NEVER, "SYMBOL": "EURUSD", "VOLUME": 25}
    commands = {name: int(code) for code, name in facts["enums"]["CMD"].items()}
    pending = [name for name in commands if name.endswith(("limit", "stop"))]
    assert len(pending) == 4
    export.rows(
        trades,
        opened | {"TICKET": 1, "CMD": commands["balance"], "PROFIT": 500.0},
        opened | {"TICKET": 2, "CMD": commands["credit"], "PROFIT": 25.0},
        still | {"TICKET": 3, "CMD": commands["buy"]},
        opened | {"TICKET": 4, "CMD": commands["sell"], "SYMBOL": "EURUSD", "VOLUME": 100,
                  "CLOSE_TIME": "2026-03-06 11:00:00", "PROFIT": 12.34, "SWAPS": -0.5,
                  "COMMISSION": -2.0},
        *(still | {"TICKET": 5 + n, "CMD": commands[name]} for n, name in enumerate(pending)),
    )  # fmt: skip
    hub = export.hub(client_column="ID", client_prefix="CRM-")
    assert hub.rejects == {}
    name, first = f"{SERVER}:1000", at("2026-03-05 08:00")
    assert hub.known[Kind.TRADING_ACCOUNT, name].ref == Ref("4711")
    assert hub.of(Kind.TRADING_ACCOUNT) == {name: ACCOUNT}
    assert hub.of(Kind.LEDGER_ENTRY) == {
        f"{SERVER}:{1:020}": LedgerEntry(
            LedgerKind.DEPOSIT, usd("500.00"), first, rule="action 2 +"
        ),
        f"{SERVER}:{2:020}": LedgerEntry(LedgerKind.CREDIT, usd("25.00"), first, rule="action 3"),
    }
    nothing, closed = Money(0, "USD"), at("2026-03-06 09:00")
    assert hub.of(Kind.TRADING_DAY) == {
        day_id("2026-03-05"): TradingDay(
            "2026-03-05", first, first, 2, 0, 0, nothing, nothing, nothing, "fx:2"
        ),
        day_id("2026-03-06"): TradingDay(
            "2026-03-06", closed, closed, 0, 1, 10_000, usd("12.34"), usd("-2.00"), usd("-0.50"),
            "fx:1",
        ),
    }  # fmt: skip
    assert hub.of(Kind.BALANCE) == {name: Balance(usd("509.84"), usd("25.00"), 1)}
