"""Every table of the hub. Client rows carry ``brand``, CRM rows carry ``destination``.

Instants are BIGINT milliseconds UTC, money BIGINT minor units. Current records are clustered by
client (SQLite: WITHOUT ROWID): a client's rows are read together. Identifiers compare byte by byte
on both engines (PostgreSQL: collation "C"), so that ties break alike.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, text

from mapping.facts import CATALOGUE
from mapping.rules import FactType

metadata = MetaData()

Id = Text().with_variant(Text(collation="C"), "postgresql")
AutoId = BigInteger().with_variant(Integer(), "sqlite")


def _table(name: str, *items: sa.schema.SchemaItem) -> Table:
    return Table(name, metadata, *items, sqlite_with_rowid=False)


def _key(name: str) -> Column[str]:
    return Column(name, Id, primary_key=True)


def _id(name: str) -> Column[str]:
    return Column(name, Id, nullable=False, server_default="")


def _words(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _at(name: str, *, index: bool = False) -> Column[int]:
    return Column(name, BigInteger, index=index)


NEVER = 2**53
"""A due time that never comes; a number on both engines."""


def comes(due_at: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Whether a due time comes: to be asked, literally, of whoever is found by one.

    Most clients wait for nothing, and the index knows only the others: each computation would
    otherwise take the client out of the index and put it back to the same place.
    """
    return due_at < sa.literal_column("9007199254740992", BigInteger)


def _due(name: str, column: str, comes_: sa.TextClause) -> Index:
    return Index(name, column, sqlite_where=comes_, postgresql_where=comes_)


def _count(name: str, default: int = 0) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=str(default))


# --- the engine --------------------------------------------------------------------------------

engine_role = _table(
    "engine_role",
    _key("name"), _count("token"), _at("taken_at"), _id("kind"), _words("host"), _id("place"),
    _count("pid"), _id("born"), _at("beat_at"), _at("lease_until"), _at("released_at"),
)  # fmt: skip

run = Table(
    "run", metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    _words("kind"), _at("started_at"), _at("ended_at"), _words("status"), _count("token"),
    _count("rule_version"), _words("summary"),
)  # fmt: skip

rule_set = _table(
    "rule_set",
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    _id("digest"), _words("source"), _at("created_at"),
)  # fmt: skip

# --- intake ------------------------------------------------------------------------------------

source_state = _table(
    "source_state",
    _key("source"), _id("family"), _words("cursor"), _at("complete_until"), _at("last_ok_at"),
    _at("last_try_at"), _words("last_error"), _count("records"), _at("failing_since"),
    _at("started_at"), _at("due_at"),
)  # fmt: skip

source_brand = _table("source_brand", _key("source"), _key("brand"), _key("family"))

late_family = _table(
    "late_family", _key("brand"), _key("family"), _count("until_at"), _count("since_at"),
)  # fmt: skip

# Told once its digest is made; what began in it is judged as ever from then on.
outage = _table(
    "outage",
    _key("brand"), _key("family"), Column("noticed_at", BigInteger, primary_key=True,
                                          autoincrement=False),
    _count("from_at"), _at("ended_at"), _at("told_at"),
)  # fmt: skip

reread = _table(
    "reread",
    _key("source"), _key("brand"), _key("value"), _at("since"), _at("next_at"),
    Index("reread_due", "source", "next_at"),
)  # fmt: skip

journal = Table(
    "journal", metadata,
    Column("seq", AutoId, primary_key=True, autoincrement=True),
    _id("source"), _id("kind"), _id("external_id"), _at("version_at"), _id("hash"),
    _id("brand"), _id("ref_kind"), _id("ref_value"), _count("deleted"), _words("payload"),
    _at("received_at"),
    Index("journal_version", "source", "kind", "external_id", "version_at", "hash", unique=True),
)  # fmt: skip

journal_raw = _table(
    "journal_raw", Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _words("raw"), _at("received_at", index=True),
)  # fmt: skip

# Pages are numbered; whoever has the number's row takes records in alone.
batch = _table("batch", Column("id", BigInteger, primary_key=True, autoincrement=False))

set_aside = Table(
    "set_aside", metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    _id("area"), _id("origin"), _id("kind"), _id("external_id"), _id("brand"), _words("reason"),
    _words("raw"), _id("basis"), _at("first_at"), _at("last_at"), _count("attempts"),
    _at("next_try_at"),
    Index("set_aside_record", "area", "origin", "kind", "external_id", unique=True),
)  # fmt: skip

identity_link = _table(
    "identity_link",
    _key("brand"), _key("kind"), _key("value"), _id("client_id"), _id("source"), _at("from_at"),
    Index("identity_link_client", "brand", "client_id"),
)  # fmt: skip

link_decision = Table(
    "link_decision", metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    _id("brand"), _id("kind"), _id("value"), _id("client_id"), _words("by_whom"), _at("at"),
    _words("reason"), _count("standing"),
    Index("link_decision_value", "brand", "kind", "value"),
)  # fmt: skip


def _version() -> list[Column[str] | Column[int]]:
    return [_id("ref_kind"), _id("ref_value"), _at("version_at"), _count("rank"), _id("hash"),
            _count("deleted")]  # fmt: skip


client = _table(
    "client",
    _key("brand"), Column("external_id", Id, primary_key=True), _id("client_id"), _id("source"),
    *_version(),
    _at("registered_at"), _words("entity"), _words("email"), _id("email_norm"),
    _count("email_verified"), _words("first_name"), _words("last_name"), _words("phone"),
    _words("country"), _words("language"), _words("zone"), _words("device"),
    _words("landing_page"), _words("source_type"), _words("campaign"), _words("consents"),
    _id("disposition"), _id("merged_into"),
    Index("client_email", "email_norm"),
    Index("client_merged", "brand", "merged_into", sqlite_where=text("merged_into <> ''"),
          postgresql_where=text("merged_into <> ''")),
)  # fmt: skip


def _current(name: str, *columns: Column[str] | Column[int]) -> Table:
    return _table(
        name,
        _key("brand"), _key("client_id"), _key("source"), _key("external_id"), *_version(),
        *columns,
        Index(f"{name}_record", "source", "external_id", unique=True),
        Index(f"{name}_unlinked", "brand", "ref_kind", "ref_value",
              sqlite_where=text("client_id = ''"), postgresql_where=text("client_id = ''")),
    )  # fmt: skip


kyc_case = _current(
    "kyc_case",
    _id("status"), _count("attempt"), _at("started_at"), _at("step_at"), _at("status_at"),
    _words("level"), _id("reason"), _words("reason_code"), _words("gap"), _words("client_text"),
    _words("waiting_for"),
)  # fmt: skip

payment = _current(
    "payment",
    _id("direction"), _id("status"), _count("attempt"), _count("amount_minor"), _id("currency"),
    _words("amount_text"), _at("base_minor"), _at("fee_minor"), _id("fee_currency"),
    _at("fee_base_minor"), _at("opened_at"), _at("status_at"), _words("method"), _words("psp"),
    _words("decline_code"), _id("decline"), _count("kyc_blocked"), _words("vendor_status"),
    _words("country"), _at("reached_at"),
)  # fmt: skip

movement = _current(
    "movement",
    _id("movement"), _id("status"), _id("payment_id"), _count("amount_minor"), _id("currency"),
    _at("base_minor"), _at("at"),
)  # fmt: skip

link = _current("link", _id("name_kind"), _id("name"))

trading_account = _current(
    "trading_account",
    _id("account_class"), _id("currency"), _words("group_path"), _count("leverage"),
    _at("registered_at"), _count("enabled", 1), _words("agent"),
)  # fmt: skip

trading_day = _current(
    "trading_day",
    _id("day"), _at("first_at"), _at("last_at"), _count("opened"), _count("closed"),
    _count("lots"), _id("currency"), _count("profit_minor"), _count("commission_minor"),
    _count("swap_minor"), _at("profit_base"), _at("revenue_base"), _words("groups"),
    _words("top_group"),
)  # fmt: skip

ledger_entry = _current(
    "ledger_entry",
    _id("entry"), _id("account"), _count("amount_minor"), _id("currency"), _at("base_minor"),
    _at("at"), _words("rule"),
)  # fmt: skip

balance = _current(
    "balance",
    _id("currency"), _count("balance_minor"), _count("credit_minor"), _at("balance_base"),
    _count("open_positions"),
)  # fmt: skip

attribution = _current(
    "attribution",
    _id("affiliate_id"), _words("sub_id"), _words("campaign"), _words("landing_page"),
    _words("country"), _words("device"), _at("at"),
)  # fmt: skip

payout = _current(
    "payout",
    _id("affiliate_id"), _id("plan"), _id("status"), _count("amount_minor"), _id("currency"),
    _at("base_minor"), _at("at"),
)  # fmt: skip

partner = _current(
    "partner",
    _words("name"), _id("plan"), _words("status"), _words("country"), _at("registered_at"),
)  # fmt: skip

risk_flag = _current("risk_flag", _id("risk"), _count("open"), _at("at"), _words("reason"))

ticket = _current(
    "ticket",
    _id("status"), _id("category"), _count("complaint"), _at("opened_at"), _at("updated_at"),
    _at("solved_at"), _count("reopens"), _id("priority"), _words("rule"),
)  # fmt: skip

milestone = _table(
    "milestone",
    _key("source"), _key("kind"), _key("external_id"),
    Column("attempt", BigInteger, primary_key=True, autoincrement=False), _key("status"),
    Column("first_at", BigInteger, nullable=False),
)  # fmt: skip

touched = _table("touched", _key("brand"), _key("client_id"))

# All clients behind one are to be computed again, whether or not they are touched.
sweep = _table("sweep", _key("brand"), _id("after_client"))

# Partners whose record changed since their company was last worked out.
touched_partner = _table("touched_partner", _key("brand"), _key("partner"))

# --- meaning -----------------------------------------------------------------------------------

_TEXTUAL = {FactType.TEXT, FactType.ENUM}


def _fact_column(name: str, type_: FactType) -> Column[str] | Column[int]:
    return Column(name, Id) if type_ in _TEXTUAL else Column(name, BigInteger)


fact = _table(
    "fact",
    _key("brand"), _key("client_id"),
    *[_fact_column(d.name, d.fact.type) for d in CATALOGUE],
    _at("facts_due_at"),
    _due("fact_due", "facts_due_at", text("facts_due_at < 9007199254740992")),
)  # fmt: skip

profile = _table(
    "profile",
    _key("brand"), _key("client_id"), _id("stage"), _at("stage_since"), _words("states"),
    _at("due_at"), _count("rule_version"), _at("evaluated_at"),
    _due("profile_due", "due_at", text("due_at < 9007199254740992")),
)  # fmt: skip

stage_history = Table(
    "stage_history", metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    _id("brand"), _id("client_id"), _id("stage"), _at("effective_at"), _at("observed_at"),
    _count("rule_version"), _count("run"), _words("evidence"),
    Index("stage_history_client", "brand", "client_id", "id"),
)  # fmt: skip

episode = _table(
    "episode",
    _key("brand"), _key("client_id"), _key("state"),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    _id("key"), _at("begin_at"), _at("opened_at"), _at("closed_at"), _words("close_reason"),
    _count("by_person"), _id("refused"), _words("refused_why"), _at("admitted_at"), _at("due_at"),
    _id("team"), _id("owner"), _id("priority"), _id("destination"), _id("contact"),
    _count("rule_version"), _id("digest"),
    Index("episode_digest", "digest", sqlite_where=text("digest <> ''"),
          postgresql_where=text("digest <> ''")),
    Index("episode_key", "key", unique=True),
    Index("episode_open", "brand", "client_id", "state", unique=True,
          sqlite_where=text("closed_at IS NULL"), postgresql_where=text("closed_at IS NULL")),
)  # fmt: skip

# A team's old reasons of one outage, as one task. Their episodes name its key.
digest = _table(
    "digest",
    _key("key"), _id("brand"), _id("team"), _words("families"), _count("from_at"),
    _count("ended_at"), _id("destination"), _id("contact"), _at("closed_at"),
    _words("close_reason"),
    Index("digest_open", "key", sqlite_where=text("closed_at IS NULL"),
          postgresql_where=text("closed_at IS NULL")),
)  # fmt: skip

# --- the CRM -----------------------------------------------------------------------------------

contact_member = _table(
    "contact_member",
    _key("destination"), _key("brand"), _key("client_id"), _id("email_norm"), _id("contact"),
    _at("registered_at"),
    Index("contact_member_email", "destination", "email_norm"),
    Index("contact_member_contact", "destination", "contact"),
    Index("contact_member_client", "brand", "client_id"),
)  # fmt: skip

# Bodies of a kilobyte or more: WITHOUT ROWID would put each into an overflow page of its own.
desired = Table(
    "desired", metadata,
    _key("destination"), _key("object"), _key("key"), _words("body"), _id("hash"),
    _count("priority"), _at("changed_at"), _count("creates", 1),
)  # fmt: skip

outbox = _table(
    "outbox",
    _key("destination"), _key("object"), _key("key"), _count("priority"), _id("status"),
    _count("fence"), _count("attempts"), _at("next_try_at"), _at("created_at"),
    Index("outbox_next", "destination", "object", "status", "priority", "key"),
)  # fmt: skip

crm_shadow = Table(
    "crm_shadow", metadata,
    _key("destination"), _key("object"), _key("key"), _id("crm_id"), _words("acknowledged"),
    _id("hash"), _at("seen_at"), _count("fence"), _id("status"), _id("owner"),
    Index("crm_shadow_record", "destination", "object", "crm_id"),
)  # fmt: skip

crm_address = _table(
    "crm_address", _key("destination"), _key("digest"), _key("crm_id"),
)  # fmt: skip

crm_hold = _table(
    "crm_hold",
    _key("destination"), _key("object"), _key("key"), _key("property"), _id("kind"),
    _count("times"), _at("since"), _at("last_at"),
)  # fmt: skip

read_back = _table(
    "read_back",
    _key("destination"), _key("object"), _at("since"), _id("rotation"), _at("last_ok_at"),
)  # fmt: skip

# Objects a CRM does not take although somebody wants them: contacts and tasks go on without.
crm_off = _table(
    "crm_off", _key("destination"), _key("object"), _words("why"), _at("since"),
)  # fmt: skip

CURRENT = {
    t.name: t
    for t in (
        link, trading_account, kyc_case, payment, movement, trading_day, ledger_entry, balance,
        attribution, payout, partner, risk_flag, ticket,
    )
}  # fmt: skip
"""Current records by kind, but for profiles, which are the clients themselves."""
OF_CLIENTS = {name: table for name, table in CURRENT.items() if table is not partner}
"""Those that belong to a client, or wait for one."""
