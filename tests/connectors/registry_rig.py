"""A client table in a real database, and sources pointed at it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from connectors.base import Context
from connectors.registry.settings import RegistrySettings
from connectors.registry.source import RegistrySource
from tests.clock import WorldClock
from tests.contracts.source import Rig
from tests.contracts.world import world

BRANDS = {"alpha": "Europe/Nicosia", "beta": "Europe/London"}


def table(name: str = "crm_clients", times: Any = None) -> sa.Table:
    """The client table; ``times`` is the type of its instants."""
    times = times or sa.DateTime()
    texts = (
        "brand client_id entity first_name last_name email phone country language zone device"
        " landing_page source_type campaign consents disposition merged_into"
    )
    return sa.Table(
        name,
        sa.MetaData(),
        *(sa.Column(text, sa.String(600)) for text in texts.split()),
        *(sa.Column(flag, sa.Integer) for flag in ("email_verified", "deleted")),
        *(sa.Column(instant, times) for instant in ("registered_at", "updated_at")),
        mysql_charset="utf8mb4",
    )


def row(client_id: str | None, updated: str | None, **more: Any) -> dict[str, Any]:
    """A row of brand alpha, updated at ``2026-03-02 10:00:00``."""
    base = {
        "client_id": client_id,
        "brand": "alpha",
        "email": "ana@example.com",
        "email_verified": 1,
        "deleted": 0,
        "registered_at": "2026-03-01 08:00:00",
        "updated_at": updated,
    }
    return {**base, **more}


class RegistryRig(Rig[RegistrySource]):
    """Two brands sharing client ids, ids that differ in case, and ties at page ends."""

    def __init__(self, url: str, clients: sa.Table | None = None) -> None:
        self.world = world()
        self.clock = WorldClock(self.world)
        self.url = url
        self.table = table() if clients is None else clients
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        self.table.metadata.drop_all(self.engine)
        self.table.metadata.create_all(self.engine)

    def filled(self) -> RegistryRig:
        """With the contract's clients."""
        rows = [row(f"C-{n:02}", f"2026-03-{2 + n // 4:02} 10:00:00") for n in range(16)]
        rows += [row(i, "2026-03-04 10:00:00") for i in ("x", "X", "x é", "É", "客", "O'Neil")]
        self.insert(*rows)
        return self

    def insert(self, *rows: dict[str, Any]) -> None:
        """Put rows in; texts of instants become what the column wants."""
        times = isinstance(self.table.c.updated_at.type, sa.DateTime)
        made = []
        for one in rows:
            made.append({**one})
            for name in ("registered_at", "updated_at"):
                if times and one[name] is not None:
                    made[-1][name] = datetime.fromisoformat(one[name])
        with self.engine.begin() as connection:
            for one in made:
                connection.execute(sa.insert(self.table), one)

    def update(self, client_id: str, **values: Any) -> None:
        """Change a row."""
        where = self.table.c.client_id == client_id
        with self.engine.begin() as connection:
            connection.execute(sa.update(self.table).where(where).values(**values))

    def make(self, **settings: Any) -> RegistrySource:
        values = {"url": self.url, "page_size": 5, **settings}
        context = Context("crm-db", BRANDS, self.clock)
        return RegistrySource(RegistrySettings(**values), context)

    def truth(self) -> set[str]:
        with self.engine.connect() as connection:
            return set(connection.execute(sa.select(self.table.c.client_id)).scalars())

    def spoil(self) -> str:
        self.update("C-03", email="not an address")
        return "C-03"

    def tie(self) -> None:
        self.insert(*(row(f"tie {n}", "2026-03-03 10:00:00") for n in range(23)))


def naive(text: str) -> datetime:
    """A naive UTC datetime."""
    return datetime.fromisoformat(text).replace(tzinfo=None)


def utc(text: str) -> int:
    """Milliseconds of a UTC text."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
