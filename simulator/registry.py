"""The broker's own client table, written into a real database as the story goes on.

The table shows what its applications left in it: naive UTC timestamps to the second, blanks as
NULL or as empty text, both brands side by side, and rows that turn up minutes after the time
they carry in ``updated_at``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from simulator.story import Client, World, ordered

_METADATA = sa.MetaData()


def _text(name: str, length: int = 190) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=True)


CRM_CLIENTS = sa.Table(
    "crm_clients",
    _METADATA,
    sa.Column("brand", sa.String(40), primary_key=True),
    sa.Column("client_id", sa.String(64), primary_key=True),
    _text("entity", 40),
    _text("first_name"),
    _text("last_name"),
    _text("email"),
    sa.Column("email_verified", sa.Boolean, nullable=False),
    _text("phone", 40),
    _text("country", 2),
    _text("language", 8),
    _text("zone", 64),
    _text("device", 40),
    _text("landing_page", 400),
    _text("source_type", 64),
    _text("campaign"),
    _text("consents"),
    sa.Column("disposition", sa.String(20), nullable=False),
    sa.Column("registered_at", sa.DateTime),
    sa.Column("updated_at", sa.DateTime, index=True),
    _text("merged_into", 64),
    sa.Column("deleted", sa.Boolean, nullable=False),
    # MariaDB's own collation would fold "é" into "e", and its old default knows no emoji.
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
)
_PROFILE = ("first_name", "last_name", "email", "phone", "country", "language", "zone", "device",
            "landing_page", "source_type", "campaign", "consents")  # fmt: skip
_CHANGES = ("registered", "profile_updated", "disposition", "merged", "deleted")
_BATCH = 1000


class RegistryTable:
    """Keeps the table at ``url`` at the world's story."""

    def __init__(self, world: World, url: str) -> None:
        self.world, self.url = world, url
        self._engine = sa.create_engine(url)
        self._shown_until: int | None = None
        self._known: set[str] = set()

    def create(self) -> None:
        """An empty table; one left by an earlier run goes."""
        _METADATA.drop_all(self._engine)
        _METADATA.create_all(self._engine)
        self._shown_until = None
        self._known.clear()

    def refresh(self) -> int:
        """Apply everything that became visible since the last refresh; how many rows changed."""
        until = self.world.story_ms
        if self._shown_until is None:
            clients = list(self.world.clients.values())
        else:
            recent = self.world.between(self._shown_until, until)
            clients = list({c.key: c for c, e in recent if e.name in _CHANGES}.values())
        rows = {c.key: row for c in clients if (row := row_of(self.world, c, until))}
        changed = [row for key, row in rows.items() if key in self._known]
        added = [row for key, row in rows.items() if key not in self._known]
        with self._engine.begin() as connection:
            for start in range(0, len(added), _BATCH):
                connection.execute(sa.insert(CRM_CLIENTS), added[start : start + _BATCH])
            if changed:
                connection.execute(_update(), [_bound(row) for row in changed])
        self._known.update(rows)
        self._shown_until = until
        return len(rows)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


def row_of(world: World, client: Client, until: int) -> dict[str, Any] | None:
    """The client's row as the broker's database shows it; None before it is visible."""
    row: dict[str, Any] = {}
    for event in ordered(client.visible(until)):
        if event.name == "registered":
            row = _new_row(world, client, event.at)
        elif event.name not in _CHANGES or not row:
            continue
        data = event.data
        row.update({name: data[name] for name in _PROFILE if name in data})
        if "verified" in data:
            row["email_verified"] = bool(data["verified"])
        if event.name == "disposition":
            row["disposition"] = data["value"]
        elif event.name == "merged":
            row["merged_into"] = data["into"]
        elif event.name == "deleted":
            row["deleted"] = True
        row["updated_at"] = _naive(event.at)
    return row or None


def _new_row(world: World, client: Client, at: int) -> dict[str, Any]:
    return {
        "brand": client.brand,
        "client_id": client.id,
        "entity": world.brands[client.brand].entity,
        **dict.fromkeys(_PROFILE),
        "email_verified": False,
        "disposition": "open",
        "registered_at": _naive(at),
        "merged_into": None,
        "deleted": False,
    }


def _naive(instant: int) -> datetime:
    return datetime.fromtimestamp(instant // 1000, UTC).replace(tzinfo=None)


def _update() -> sa.Update:
    columns = CRM_CLIENTS.c
    where = (
        columns.brand == sa.bindparam("key_brand"),
        columns.client_id == sa.bindparam("key_id"),
    )
    names = [c.name for c in columns if c.name not in ("brand", "client_id")]
    return sa.update(CRM_CLIENTS).where(*where).values({n: sa.bindparam(n) for n in names})


def _bound(row: dict[str, Any]) -> dict[str, Any]:
    bound = {name: value for name, value in row.items() if name not in ("brand", "client_id")}
    return {**bound, "key_brand": row["brand"], "key_id": row["client_id"]}
