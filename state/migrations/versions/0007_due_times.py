"""Indexes of due times know only times that come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make them anew, without the clients who wait for nothing."""
    for table, column, some in (
        ("fact", "facts_due_at", sa.text("facts_due_at < 9007199254740992")),
        ("profile", "due_at", sa.text("due_at < 9007199254740992")),
    ):
        op.drop_index(f"ix_{table}_{column}", table)
        op.create_index(f"{table}_due", table, [column], sqlite_where=some, postgresql_where=some)
