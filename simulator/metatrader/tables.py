"""The tables of the two exports, in the columns that matter to a CRM.

Documented (public mappings and dumps of exports): names, types, keys, the yearly copies of deals,
and that an index on Timestamp is there in newer exports only. Personal columns are there because
real exports have them: whoever reads must leave them alone. Assumed: ``mt5_groups.Currency``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql


def _unsigned() -> sa.types.TypeEngine[Any]:
    return sa.BigInteger().with_variant(mysql.BIGINT(unsigned=True), "mysql", "mariadb")


def _time() -> sa.types.TypeEngine[Any]:
    # A text on SQLite, so that zero dates are what they are in MySQL.
    return sa.DateTime().with_variant(sa.String(26), "sqlite")


_TYPES: dict[str, Callable[[], sa.types.TypeEngine[Any]]] = {
    "u": _unsigned,
    "i": sa.BigInteger,
    "n": sa.Integer,
    "f": sa.Double,
    "t": _time,
    "s": lambda: sa.String(64),
    "l": lambda: sa.String(128),
}

DEALS = (
    "Deal:u Timestamp:i Login:u Dealer:u Order:u Action:n Entry:n Reason:n Time:t Symbol:s"
    " Price:f ContractSize:f Volume:u VolumeExt:u VolumeClosed:u VolumeClosedExt:u Profit:f"
    " Storage:f Commission:f PositionID:u Comment:s ExternalID:s ModifyFlags:n"
)
USERS = (
    "Login:u Timestamp:i Group:s Rights:u Registration:t LastAccess:t Name:l Country:s ClientID:u"
    " Address:l Phone:s Email:s ID:s Status:s Comment:s PhonePassword:s Leverage:n Agent:u"
    " LeadCampaign:s LeadSource:s LastIP:s"
)
MT4_TRADES = (
    "TICKET:n LOGIN:n SYMBOL:s CMD:n VOLUME:n OPEN_TIME:t OPEN_PRICE:f CLOSE_TIME:t REASON:n"
    " COMMISSION:f SWAPS:f CLOSE_PRICE:f PROFIT:f TAXES:f COMMENT:s TIMESTAMP:n MODIFY_TIME:t"
)
MT4_USERS = (
    "LOGIN:n GROUP:s ENABLE:n NAME:l COUNTRY:s ADDRESS:l LEAD_SOURCE:s PHONE:s EMAIL:s COMMENT:s"
    " ID:s STATUS:s PASSWORD_PHONE:s REGDATE:t LEVERAGE:n AGENT_ACCOUNT:n TIMESTAMP:n BALANCE:f"
    " CREDIT:f EQUITY:f CURRENCY:s MODIFY_TIME:t"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How an export looks.

    ``indexed``: Timestamp has an index. ``clients``, ``fee``, ``extended``: what newer exports
    have (the table mt5_clients, a column Fee, volumes in 1e-8 lot). ``currency``: mt5_groups tells
    it. ``upper``: table names are in capitals.
    """

    profile: str = "mt5"
    indexed: bool = True
    clients: bool = True
    fee: bool = False
    extended: bool = True
    currency: bool = True
    upper: bool = False
    yearly: tuple[int, ...] = (2025, 2026)


class Tables:
    """The tables of one export; ``tables[name]`` by the vendor's lower-case name."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.metadata = sa.MetaData()
        self._tables: dict[str, sa.Table] = {}
        if shape.profile == "mt4":
            self._add("mt4_trades", MT4_TRADES, ["TICKET"])
            self._add("mt4_users", MT4_USERS, ["LOGIN"])
            return
        deals = (
            DEALS
            if shape.extended
            else DEALS.replace(" VolumeExt:u", "").replace(" VolumeClosedExt:u", "")
        )
        deals += " Fee:f" if shape.fee else ""
        for name in ("mt5_deals", *(f"mt5_deals_{year}" for year in shape.yearly)):
            self._add(name, deals, ["Deal"])
        self._add("mt5_users", USERS, ["Login"])
        self._add("mt5_groups", "Group:s" + (" Currency:s" if shape.currency else ""), ["Group"])
        self._add("mt5_accounts", "Login:u Balance:f Credit:f Equity:f", ["Login"])
        self._add("mt5_positions", "Position_ID:u Timestamp:i Login:u Symbol:s", ["Position_ID"])
        self._add("mt5_symbols", "Symbol_ID:u Symbol:s Path:l", ["Symbol_ID"])
        self._add("mt5_daily", "Datetime:i Login:u Timestamp:i Group:s Currency:s",
                  ["Datetime", "Login"])  # fmt: skip
        if shape.clients:
            self._add("mt5_clients", "ClientID:u Timestamp:i ClientExternalID:s", ["ClientID"])

    def __getitem__(self, name: str) -> sa.Table:
        return self._tables[name]

    def __contains__(self, name: str) -> bool:
        return name in self._tables

    def _add(self, name: str, columns: str, key: list[str]) -> None:
        made: list[sa.Column[Any]] = []
        for one in columns.split():
            column, _, kind = one.partition(":")
            indexed = self.shape.indexed and column.lower() == "timestamp"
            primary = column in key
            made.append(
                sa.Column(
                    column, _TYPES[kind](), primary_key=primary, autoincrement=False,
                    nullable=not primary, index=indexed,
                )
            )  # fmt: skip
        shown = name.upper() if self.shape.upper else name
        self._tables[name] = sa.Table(shown, self.metadata, *made, mysql_charset="utf8mb4")
