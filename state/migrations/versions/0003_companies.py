"""Partners in the CRM: which are to be worked out again, and which CRM takes none.

Partners that are there already are all worked out once.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, and touch every partner."""
    touched = op.create_table(
        "touched_partner", _key("brand"), _key("partner"), sqlite_with_rowid=False
    )
    op.create_table(
        "crm_off",
        _key("destination"),
        _key("object"),
        sa.Column("why", sa.Text, nullable=False, server_default=""),
        sa.Column("since", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    partner = sa.table("partner", sa.column("brand", ID), sa.column("ref_value", ID))
    known = sa.select(partner.c.brand, partner.c.ref_value).distinct()
    op.execute(sa.insert(touched).from_select(["brand", "partner"], known))


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, ID, primary_key=True)
