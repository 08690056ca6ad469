"""Source families that are late, as clients' cards name them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "late_family",
        sa.Column("brand", ID, primary_key=True),
        sa.Column("family", ID, primary_key=True),
        sa.Column("until_at", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("since_at", sa.BigInteger, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )
