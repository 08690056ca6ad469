"""Everybody to be computed again is a place in the order of clients, not a list of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table; whoever is touched stays so."""
    op.create_table(
        "sweep",
        sa.Column("brand", ID, primary_key=True),
        sa.Column("after_client", ID, nullable=False, server_default=""),
        sqlite_with_rowid=False,
    )
