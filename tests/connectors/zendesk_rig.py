"""Zendesk's fake with known users and tickets, and sources pointed at it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from connectors.base import Context
from connectors.zendesk.settings import ZendeskSettings
from connectors.zendesk.source import ZendeskSource
from mapping.payloads import Ticket
from mapping.records import Record
from simulator import zendesk_rows as rows
from simulator.story import Client, Event
from simulator.zendesk import ZendeskFake
from tests.clock import WorldClock
from tests.contracts.source import SECRETS, Rig, of
from tests.contracts.world import client, event, world
from tests.transport import FakeTransport

START = datetime(2026, 2, 25, tzinfo=UTC)
ADMIN = "ada@broker.example"
ZONES = {"alpha": "Europe/Nicosia", "beta": "Europe/London"}
CATEGORIES = rows.CATEGORIES


class ZendeskRig(Rig[ZendeskSource]):
    """Thirty users with a ticket each, over several pages."""

    def __init__(self, *clients: Client, brands: tuple[str, ...] = ("alpha",), **fake: Any) -> None:
        self.world = world(*(clients or _cast()))
        self.clock = WorldClock(self.world)
        self.brands = brands
        self.fake = ZendeskFake(self.world, brands, ADMIN, SECRETS[1], SECRETS[0], **fake)
        self.faults = self.fake.faults
        self.transport = FakeTransport(self.fake.handle)

    def make(self, **settings: Any) -> ZendeskSource:
        values = {
            "base_url": "https://simulated.zendesk.example",
            "start_at": START,
            "page_size": 8,
            **self.fake.settings(),
            **settings,
        }
        context = Context("desk", {b: ZONES[b] for b in self.brands}, self.clock)
        return ZendeskSource(ZendeskSettings(**values), context, self.transport)

    def truth(self) -> set[str]:
        """All tickets, and the users who can be linked by what the story says of them."""
        found = set(map(str, self.fake.rows("tickets")))
        for one in self.world.clients.values():
            told = [e for e in one.visible(self.world.story_ms) if e.name in rows.USERS]
            if told and (told[0].data.get("helpdesk_id", True) or told[0].data.get("verified")):
                found.add(f"user:{rows.user_id(one)}")
        return found

    def spoil(self) -> str:
        one = next(iter(self.fake.rows("tickets")))
        self.fake.edits[one] = {"priority": "sky-high"}
        return str(one)

    def refuse(self) -> dict[str, Any]:
        return {"api_token": "rotated"}

    def tie(self) -> None:
        same = [event("2026-03-19 12:00", "ticket_opened", ticket=f"t{n}") for n in range(60)]
        born = event("2026-03-19 12:00", "registered", email="tied@example.com", helpdesk_id=True)
        self.world.add(client("tied", born, *same))

    def links(self, **settings: Any) -> dict[str, Record]:
        """The links of a pull by external id, and only those."""
        return self._pulled("link", settings)

    def tickets(self, **settings: Any) -> dict[str, Record]:
        """The tickets of a pull by external id."""
        return self._pulled("ticket", settings)

    def _pulled(self, kind: str, settings: dict[str, Any]) -> dict[str, Record]:
        pages = list(self.source(**settings).pull(None))
        assert not [reject for page in pages for reject in page.rejects]
        return {r.external_id: r for r in of(pages) if r.kind == kind}


def _cast() -> list[Client]:
    """Two of three users carry their client id, of the others every second has a proved address;
    every kind of ticket; ten of the tickets changed in one second."""
    clients = []
    for n in range(30):
        day = 2 + n // 2
        born = event(
            f"2026-03-{day:02} 10:00:05", "registered", email=f"o'brien+{n}@Example.com",
            verified=n % 2 == 0, helpdesk_id=n % 3 > 0, first_name="Zoë 🙂", last_name="<O'Brien>",
        )  # fmt: skip
        opened = event(
            f"2026-03-{day:02} 11:00:00", "ticket_opened", ticket=n, complaint=n % 7 == 0,
            category=CATEGORIES[n % 7], priority=("urgent", "high", None)[n % 3],
        )  # fmt: skip
        events = [born, opened]
        if n % 3 == 0:
            events.append(event("2026-03-18 09:00:00", "ticket_solved", ticket=n))
        clients.append(client(f"C'{n}ü", *events))
    return clients


BORN = "2026-03-02 10:00:05"


def queries(rig: ZendeskRig, export: str) -> list[dict[str, str]]:
    """What an export was asked, in order."""
    path = f"/api/v2/incremental/{export}/cursor.json"
    return [
        {k: v[-1] for k, v in parse_qs(r.query).items()}
        for r in rig.transport.requests
        if r.path == path
    ]


def place(cursor: str, export: str) -> str:
    """The vendor's cursor within the stored one."""
    found = json.loads(cursor)[export]
    assert isinstance(found, str)
    return found


def born(**data: Any) -> Event:
    """A registration that shows as a helpdesk user."""
    return event(BORN, "registered", **{"email": "ana@example.com", "helpdesk_id": False, **data})


def ticket_of(record: Record) -> Ticket:
    """The record's ticket."""
    assert isinstance(record.payload, Ticket)
    return record.payload


def last_changes(one: Client) -> list[tuple[str, int]]:
    """A client's one ticket and when it last changed."""
    events = [e for e in one.events if e.name in rows.TICKETS]
    return [(str(rows.ticket_id(one, events[0].data["ticket"])), max(e.at for e in events))]
