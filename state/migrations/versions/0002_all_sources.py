"""Trading, affiliates and the helpdesk: their current records, and sources of several families.

The journal loses the number of a version's page: versions are numbered themselves.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables of the new kinds."""
    op.drop_index("journal_batch", "journal")
    op.drop_column("journal", "batch")
    _families()
    _current("link", _id("name_kind"), _id("name"))
    _trading()
    _affiliates()
    _current("risk_flag", _id("risk"), _count("open"), _at("at"), _words("reason"))
    _current(
        "ticket",
        _id("status"), _id("category"), _count("complaint"), _at("opened_at"), _at("updated_at"),
        _at("solved_at"), _count("reopens"), _id("priority"), _words("rule"),
    )  # fmt: skip


def _families() -> None:
    """A source may tell of several families: the start of the program fills the table anew."""
    op.drop_table("source_brand")
    op.create_table(
        "source_brand",
        _key("source"), _key("brand"), _key("family"),
        sqlite_with_rowid=False,
    )  # fmt: skip


def _trading() -> None:
    _current(
        "trading_account",
        _id("account_class"), _id("currency"), _words("group_path"), _count("leverage"),
        _at("registered_at"), _count("enabled", 1), _words("agent"),
    )  # fmt: skip
    _current(
        "trading_day",
        _id("day"), _at("first_at"), _at("last_at"), _count("opened"), _count("closed"),
        _count("lots"), _id("currency"), _count("profit_minor"), _count("commission_minor"),
        _count("swap_minor"), _at("profit_base"), _at("revenue_base"), _words("groups"),
        _words("top_group"),
    )  # fmt: skip
    _current(
        "ledger_entry",
        _id("entry"), _id("account"), _count("amount_minor"), _id("currency"), _at("base_minor"),
        _at("at"), _words("rule"),
    )  # fmt: skip
    _current(
        "balance",
        _id("currency"), _count("balance_minor"), _count("credit_minor"), _at("balance_base"),
        _count("open_positions"),
    )  # fmt: skip


def _affiliates() -> None:
    _current(
        "attribution",
        _id("affiliate_id"), _words("sub_id"), _words("campaign"), _words("landing_page"),
        _words("country"), _words("device"), _at("at"),
    )  # fmt: skip
    _current(
        "payout",
        _id("affiliate_id"), _id("plan"), _id("status"), _count("amount_minor"), _id("currency"),
        _at("base_minor"), _at("at"),
    )  # fmt: skip
    _current(
        "partner",
        _words("name"), _id("plan"), _words("status"), _words("country"), _at("registered_at"),
    )  # fmt: skip


def _current(name: str, *columns: sa.Column[Any]) -> None:
    """A table of current records."""
    op.create_table(
        name,
        _key("brand"), _key("client_id"), _key("source"), _key("external_id"), _id("ref_kind"),
        _id("ref_value"), _at("version_at"), _count("rank"), _id("hash"), _count("deleted"),
        *columns,
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index(f"{name}_record", name, ["source", "external_id"], unique=True)
    unlinked = sa.text("client_id = ''")
    op.create_index(
        f"{name}_unlinked",
        name,
        ["brand", "ref_kind", "ref_value"],
        sqlite_where=unlinked,
        postgresql_where=unlinked,
    )


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, ID, primary_key=True)


def _id(name: str) -> sa.Column[str]:
    return sa.Column(name, ID, nullable=False, server_default="")


def _words(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _at(name: str) -> sa.Column[int]:
    """An instant or an amount that may be blank (NULL)."""
    return sa.Column(name, sa.BigInteger)


def _count(name: str, default: int = 0) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=str(default))
