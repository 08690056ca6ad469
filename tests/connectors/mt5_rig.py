"""A trading server's export in a real database, and sources pointed at it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from connectors.base import Context, Page
from connectors.mt5_sql.settings import Mt5SqlSettings
from connectors.mt5_sql.source import Mt5SqlSource
from mapping.money import Money
from mapping.records import Record
from mapping.words import Kind
from simulator.metatrader.fake import MetaTrader
from simulator.metatrader.tables import Shape
from simulator.story import Client, Event
from tests.clock import WorldClock
from tests.contracts.source import Rig
from tests.contracts.world import at, client, event, world

BRANDS = {"alpha": "Europe/Nicosia"}
SERVER = "live1"
ENGINES = ["sqlite", "postgres_url", "mariadb_database"]
OPENED = event("2026-03-02 08:00", "account_opened", login=1000, group="real\\std", currency="USD")


def story() -> list[Client]:
    """Nine clients who trade and pay on several days, with ties, a late row and strange names."""
    made = []
    for n in range(7):
        opened, paid = f"2026-03-0{2 + n % 3} 08:00", f"2026-03-0{5 + n % 2} 09:00"
        std = {"login": 1000 + n, "group": "real\\std", "currency": "USD"}
        made.append(
            client(
                f"C-{n}",
                event("2026-03-01 08:00", "registered", email=f"c{n}@example.com"),
                event(opened, "account_opened", **std),
                event(paid, "ledger_deposit", login=1000 + n, amount="500.00", deal=f"deposit {n}"),
                event(f"2026-03-0{6 + n % 3} 10:00", "traded", login=1000 + n, lots="0.30",
                      profit="12.34", commission="-2.10", swap="-0.05", deal=f"trade {n}"),
                event("2026-03-12 21:30", "traded", login=1000 + n, lots="0.20", profit="-3.00",
                      group="metals"),
            )
        )  # fmt: skip
    wire = {"amount": "900.00", "deal": "wire"}
    late = Event(at("2026-03-11 10:00"), "ledger_wire", wire, at("2026-03-12 11:00"))
    bonus = event("2026-03-10 09:00", "ledger_bonus", amount="50.00", deal="bonus")
    made.append(client("客 O'Neil", bonus, late))
    made.append(
        client(
            "cent",
            event("2026-03-05 08:00", "account_opened", login=2000, group="real\\cent",
                  currency="USC"),
            event("2026-03-05 09:00", "ledger_deposit", login=2000, amount="10050", deal="cents"),
            event("2026-03-16 09:00", "ledger_deposit", login=2000, amount="5000", deal="last"),
        )
    )  # fmt: skip
    return made


def emptied(engine: sa.Engine) -> None:
    """Drop what another test left: what an export is, its columns tell."""
    left = sa.MetaData()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        left.reflect(engine)
    left.drop_all(engine)


class Mt5Rig(Rig[Mt5SqlSource]):
    """The fake's tables at ``url``; the truth is the story of the test."""

    def __init__(
        self,
        url: str,
        *clients: Client,
        now: str = "2026-03-20 00:00",
        server_tz: str = "NY+7",
        shape: Shape | None = None,
        others: bool = True,
    ) -> None:
        self.world = world(*(clients or story()), now=now)
        self.clock = WorldClock(self.world)
        self.url, self.server_tz = url, server_tz
        self.fake = MetaTrader(
            self.world, url, server_tz=server_tz, shape=shape, brand="alpha", others=others
        )
        emptied(self.fake.engine)
        self.fake.create()
        self.fake.refresh()

    def make(self, **settings: Any) -> Mt5SqlSource:
        values = {
            "url": self.url,
            "server": SERVER,
            "server_tz": self.server_tz,
            "client_column": "ID",
            "page_size": 5,
            "balance_every_s": 7200,
            "ledger_rules": [{"kind": "wire", "comment": "wire", "action": 2}],
            **settings,
        }
        context = Context("trading", BRANDS, self.clock)
        return Mt5SqlSource(Mt5SqlSettings.model_validate(values), context)

    def truth(self) -> set[str]:
        """Worked out from the story; only the numbers of deals are the fake's."""
        found = {f"{SERVER}:{login}" for login in (900_001, 900_002, 900_003, 900_004)}
        shown = self.world.between(self.world.start_ms - 1, self.world.story_ms)
        for one, e in shown:
            if e.name == "registered":
                continue
            login = int(e.data.get("login", self.fake._first.get(one.key, 0)))
            found.add(f"{SERVER}:{login}")
            if e.name == "traded":
                # 21:30 UTC is 00:30 of the next day while New York has summer time (from 8 March).
                late = e.at == at("2026-03-12 21:30")
                day = "2026-03-13" if late else datetime.fromtimestamp(e.at / 1000, UTC).date()
                found.add(f"{day}:{SERVER}:{login:012}")
            elif e.name.startswith("ledger_"):
                (number,) = self.fake.writer.numbers[e.data["deal"]]
                found.add(f"{SERVER}:{number:020}")
                if e.name == "ledger_wire":
                    found.add(f"ledger:{SERVER}:{number:020}")
        return found

    def spoil(self) -> str:
        """A deposit without an amount."""
        number = self.fake.writer.numbers["deposit 3"][0]
        self.execute("Profit", None, number)
        return f"{SERVER}:{number:020}"

    def execute(self, column: str, value: Any, deal: int, *, only: str = "") -> None:
        """Change a column of a deal (order), in all its copies or in one table."""
        with self.fake.engine.begin() as connection:
            for table in self.fake.tables.metadata.sorted_tables:
                key = next((c for c in table.primary_key if c.name in ("Deal", "TICKET")), None)
                if key is not None and only in ("", table.name):
                    name = next(c for c in table.c if c.name.lower() == column.lower())
                    connection.execute(sa.update(table).where(key == deal).values({name: value}))

    def tie(self) -> None:
        one = Client("alpha", "C-tie", [])
        for n in range(23):
            one.events.append(
                event("2026-03-09 10:00", "ledger_deposit", login=3000, amount=f"{n + 1}.00",
                      deal=f"tie {n}")
            )  # fmt: skip
        opened = event("2026-03-09 09:00", "account_opened", login=3000, group="real\\std",
                       currency="USD")  # fmt: skip
        one.events.insert(0, opened)
        self.world.add(one)
        self.again()

    def again(self, *, others: bool = True) -> None:
        """Write the tables anew, from the whole story."""
        kept = self.fake
        self.fake = MetaTrader(self.world, self.url, server_tz=self.server_tz, brand="alpha",
                               shape=kept.tables.shape, others=others)  # fmt: skip
        self.fake.create()
        self.fake.refresh()

    def happen(self, key: str, *events: Event, seconds: float = 60) -> None:
        """Let the story go on with more events of a client, and the export follow."""
        one = self.world.clients[f"alpha:{key}"]
        self.world.add(Client(one.brand, one.id, [*one.events, *events]))
        self.world.advance(seconds)
        self.fake.refresh()


class Hub:
    """What a hub knows: the newest version of each record wins, and a whole range ends the rest."""

    def __init__(self) -> None:
        self.known: dict[tuple[Kind, str], Record] = {}
        self.rejects: dict[str, str] = {}
        self.cursor: str | None = None

    def take(self, pages: Sequence[Page]) -> Hub:
        """Take pages in."""
        for page in pages:
            told = {(r.kind, r.external_id) for r in page.records}
            for whole in page.whole:
                gone = [
                    key for key in self.known
                    if key[0] == whole.kind and whole.first <= key[1] <= whole.last
                    and key not in told
                ]  # fmt: skip
                for key in gone:
                    del self.known[key]
            for record in page.records:
                key = (record.kind, record.external_id)
                if key not in self.known or self.known[key].version_at <= record.version_at:
                    self.known[key] = record
            self.rejects |= {r.external_id: r.reason for r in page.rejects}
            for one in page.forget:
                self.rejects.pop(one, None)
            self.cursor = page.cursor
        return self

    def pull(self, source: Mt5SqlSource) -> Hub:
        """One pull."""
        return self.take(list(source.pull(self.cursor)))

    def of(self, kind: Kind) -> dict[str, Any]:
        """Payloads of a kind by external id."""
        return {key[1]: r.payload for key, r in sorted(self.known.items()) if key[0] == kind}


def one(*events: Event) -> Client:
    """A client with account 1000."""
    return client("C-1", OPENED, *events)


def deposit(when: str = "2026-03-05 09:00", amount: str = "500.00", **data: Any) -> Event:
    """A deposit on account 1000."""
    return event(when, "ledger_deposit", login=1000, amount=amount, **data)


def traded(when: str, **data: Any) -> Event:
    """A trade on account 1000."""
    return event(when, "traded", login=1000, **data)


def usd(text: str) -> Money:
    """An amount in US dollars."""
    return Money.parse(text, "USD")


def day_id(day: str, login: int = 1000) -> str:
    """The external id of a trading day."""
    return f"{day}:{SERVER}:{login:012}"


Make = Callable[..., Mt5Rig]
