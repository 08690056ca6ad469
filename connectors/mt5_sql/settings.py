"""Settings of a MetaTrader connection, and the rules an admin writes in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from connectors.base import ConnectorSettings
from mapping.words import AccountClass, InstrumentGroup, LedgerKind

CLIENTS_PREFIX = "clients."
# Personal columns that are never selected, whatever a setting says.
_PERSONAL = (
    "name firstname lastname middlename company phone phonepassword password_phone address city"
    " state zipcode lastip email certserialnumber mqid api_data apidata"
)
NEVER = frozenset(_PERSONAL.split())


class Rule(ConnectorSettings):
    """A rule of a list in which the first that matches wins."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class GroupRule(Rule):
    """What accounts of a group are; ``match`` is a shell pattern on the group's path."""

    match: str = Field(min_length=1)
    account_class: AccountClass = Field(alias="class")
    divide_by: int | None = Field(None, ge=1)
    brand: str = ""

    @property
    def divisor(self) -> int:
        """What the server's amounts are divided by: 100 for a cent account."""
        if self.divide_by is not None:
            return self.divide_by
        return 100 if self.account_class is AccountClass.CENT else 1


class LedgerRule(Rule):
    """What a booking means. Blank conditions fit everything; ``comment`` is searched as a regular
    expression in any case; ``action`` is MetaTrader 5's number (4: its balance is 2, credit 3)."""

    kind: LedgerKind
    name: str = Field("", max_length=60)
    action: int | None = None
    sign: Literal["+", "-"] | None = None
    comment: str = ""
    dealer: int | None = None
    reason: int | None = None

    @field_validator("comment")
    @classmethod
    def _readable(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return value


class SymbolRule(Rule):
    """The instrument group of symbols; a shell pattern on the symbol's path or its name."""

    match: str = Field(min_length=1)
    group: InstrumentGroup


def _groups(text: str) -> tuple[GroupRule, ...]:
    pairs = [part.split("=") for part in text.split()]
    return tuple(GroupRule(match=match, account_class=AccountClass(c)) for match, c in pairs)


def _symbols(group: InstrumentGroup, patterns: str) -> list[SymbolRule]:
    return [SymbolRule(match=pattern, group=group) for pattern in patterns.split()]


GROUP_RULES = _groups(
    r"demo*=demo contest*=demo *\demo*=demo manager*=internal admin*=internal test*=internal"
    r" *\test*=internal preliminary*=lead coverage*=coverage cent*=cent *\cent*=cent real*=real"
)
SYMBOL_RULES = (
    *_symbols(InstrumentGroup.METALS, "*metal* xau* xag* xpt* xpd* gold* silver*"),
    *_symbols(InstrumentGroup.CRYPTO, "*crypto* btc* eth* ltc* xrp* bch* sol* doge*"),
    *_symbols(
        InstrumentGroup.COMMODITIES,
        "*commod* *energ* *futures*oil* xti* xbr* xng* usoil* ukoil* wti* brent* natgas*",
    ),
    *_symbols(
        InstrumentGroup.INDICES,
        "*indic* *index* us30* us100* us500* nas100* spx500* ger30* ger40* de30* de40*"
        " uk100* jp225* fra40* eu50* aus200* hk50*",
    ),
    *_symbols(InstrumentGroup.SHARES, "*share* *stock* *equit*"),
    *_symbols(InstrumentGroup.FX, r"*forex* fx\* *\fx\* *currenc*"),
)


class Mt5SqlSettings(ConnectorSettings):
    """What an admin sets."""

    url: SecretStr = Field(
        title="SQLAlchemy URL of the export",
        description="mysql+pymysql://..., postgresql+psycopg://..., sqlite:///... ; a user that may"
        " only read.",
    )
    server: str = Field(
        pattern=r"^[A-Za-z0-9_.-]{1,40}$",
        title="Name of the trading server",
        description="Part of every id: a login exists on several servers. Never change it.",
    )
    profile: Literal["auto", "mt5", "mt4"] = Field(
        "auto",
        title="Which MetaTrader",
        description="auto looks at the columns; table names are not to be trusted.",
    )
    server_tz: str = Field(
        "measure",
        title="Rule of the server's clock",
        description="An IANA zone (Europe/Athens), NY+7, fixed:+03:00, or measure: told from the"
        " rows, and refused where they fit several rules.",
    )
    client_column: str = Field(
        "",
        title="Column that holds the client id",
        description="Of the users table (ID, Comment), or clients.ClientExternalID.",
    )
    client_prefix: str = Field(
        "", title="Prefix to take off the client id", description="Such as CRM-."
    )
    link_by_email: bool = Field(
        False,
        title="Link by e-mail where there is no client id",
        description="Only addresses shorter than the column, which may have cut them.",
    )
    group_rules: tuple[GroupRule, ...] = Field(
        (),
        title="Account classes by group",
        description="match (pattern on the path), class, divide_by, brand; the first that matches."
        " Blank: the shipped ones (connectors/mt5_sql/README.md).",
    )
    ledger_rules: tuple[LedgerRule, ...] = Field(
        (),
        title="Meaning of bookings",
        description="kind, name, action, sign, comment (regular expression), dealer, reason; the"
        " first that fits, before the shipped meaning of actions.",
    )
    ledger: bool = Field(
        True,
        title="Read bookings",
        description="Off where comments do not tell transfers and rebates from deposits: then"
        " payments are not compared with accounts, and bonuses and wires are not known.",
    )
    symbol_rules: tuple[SymbolRule, ...] = Field(
        (),
        title="Instrument groups of symbols",
        description="match (pattern on the path or name), group; the first that matches, before"
        " the shipped ones.",
    )
    currency: str = Field(
        "",
        title="Currency of accounts whose group tells none",
        description="Needed where mt5_groups has no column Currency.",
    )
    currency_by_group: Mapping[str, str] = Field(
        {}, title="Currency by group", description="Pattern on the path -> ISO code; goes first."
    )
    cent_currencies: Mapping[str, str] = Field(
        {"USC": "USD", "EUC": "EUR", "GBC": "GBP"},
        title="Codes of cents",
        description="The server's code -> ISO code, for accounts of class cent.",
    )
    rights_enabled: int = Field(
        1, ge=0, title="Bit of Rights that means enabled", description="0: all are enabled."
    )
    report_deleted: bool = Field(
        True,
        title="Set deleted accounts aside",
        description="Those that have deals and that nothing tells the group of any more.",
    )
    page_size: int = Field(5000, ge=1, le=50_000, title="Rows of a page")
    overlap_s: int = Field(
        300, ge=0, le=86_400, title="Seconds read again at each pull (rows exported late)"
    )
    tail_deals: int = Field(
        10_000,
        ge=0,
        title="Deals looked at again without an index on Timestamp",
        description="An edit of an older one is found by the daily rescan only.",
    )
    rescan_days: int = Field(
        3, ge=0, le=366, title="Days read whole once a day (deletions leave no trace)"
    )
    balance_every_s: int = Field(3600, ge=0, title="Seconds between two reads of all balances")
    statement_timeout_s: int = Field(
        60, ge=1, le=3600, title="Seconds a statement may run (PostgreSQL, MySQL, MariaDB)"
    )
    max_pages: int = Field(100_000, gt=0, title="Most pages of one pull")

    @field_validator("client_column")
    @classmethod
    def _not_personal(cls, value: str) -> str:
        plain = value.removeprefix(CLIENTS_PREFIX).lower()
        if plain in NEVER or not re.fullmatch(r"\w{0,64}", plain):
            raise ValueError(f"{value[:40]!r} is not read: it is personal, or no name of a column")
        return value

    @model_validator(mode="after")
    def _linked(self) -> Mt5SqlSettings:
        if not self.client_column and not self.link_by_email:
            raise ValueError(
                "nothing links accounts to clients: set client_column (such as ID or"
                " clients.ClientExternalID), or link_by_email"
            )
        return self
