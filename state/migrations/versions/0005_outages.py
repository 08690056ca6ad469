"""Outages of source families, and the digests of the reasons that began in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables; no episode is in a digest yet."""
    op.create_table(
        "outage",
        sa.Column("brand", ID, primary_key=True),
        sa.Column("family", ID, primary_key=True),
        sa.Column("noticed_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("from_at", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("told_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "digest",
        sa.Column("key", ID, primary_key=True),
        _id("brand"),
        _id("team"),
        _words("families"),
        sa.Column("from_at", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("ended_at", sa.BigInteger, nullable=False, server_default="0"),
        _id("destination"),
        _id("contact"),
        sa.Column("closed_at", sa.BigInteger),
        _words("close_reason"),
        sqlite_with_rowid=False,
    )
    still = sa.text("closed_at IS NULL")
    op.create_index("digest_open", "digest", ["key"], sqlite_where=still, postgresql_where=still)
    op.add_column("episode", _id("digest"))
    named = sa.text("digest <> ''")
    op.create_index(
        "episode_digest", "episode", ["digest"], sqlite_where=named, postgresql_where=named
    )


def _id(name: str) -> sa.Column[str]:
    return sa.Column(name, ID, nullable=False, server_default="")


def _words(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")
