"""Cellxpert's fake with known clients, and sources pointed at it."""

from __future__ import annotations

from typing import Any

import httpx

from connectors.base import Context
from connectors.cellxpert.settings import CellxpertSettings
from connectors.cellxpert.source import CellxpertSource
from simulator.cellxpert import CellxpertFake, FakePartner
from simulator.story import Client
from tests.clock import WorldClock
from tests.contracts.source import SECRETS, Rig
from tests.contracts.world import client, event, world
from tests.transport import FakeTransport

PARTS = ("cpa", "cpl", "revshare", "other")
PARTNERS = (
    FakePartner("A-17", "Ångström, Ltd.", "CPA", country="SE"),
    FakePartner("A-18", "李 Partners", "revshare"),
    FakePartner("A-19", "Third", "", status="Declined"),
)


class CellxpertRig(Rig[CellxpertSource]):
    """Clients over three weeks, in all three shapes of an answer."""

    def __init__(self, *clients: Client, brands: tuple[str, ...] = ("alpha",), **fake: Any) -> None:
        self.world = world(*(clients or cast()))
        self.clock = WorldClock(self.world)
        options: dict[str, Any] = {
            "partners": PARTNERS, "wrap_from": 4, "link_from": 9, "latency_s": 0.05, **fake,
        }  # fmt: skip
        self.fake = CellxpertFake(self.world, "alpha", "tenant-x", "hub", SECRETS[1], **options)
        self.faults = self.fake.faults
        self.transport = FakeTransport(self.fake.handle)
        self.brands = brands
        self.base_url = "https://adminapi.cellxpert.example"

    def make(self, **settings: Any) -> CellxpertSource:
        values = {
            "base_url": self.base_url,
            "admin_url": "tenant-x",
            "user": "hub",
            "password": SECRETS[1],
            "currency": "USD",
            "start_at": "2026-02-25",
            "window_days": 3,
            "page_size": 8,
            **settings,
        }
        context = Context("affiliates", dict.fromkeys(self.brands, "UTC"), self.clock)
        return CellxpertSource(CellxpertSettings(**values), context, self.transport)

    def truth(self) -> set[str]:
        """A row tells its attribution, a payout or its absence for each plan, and its flag."""
        found = {p.id for p in self.fake.partners}
        for row in self.fake.rows().values():
            who = piece(row["User_ID"])
            affiliate = row["Affiliate_ID"]
            found |= {f"{who}:{affiliate}:{row['afp']}", f"{who}:fraud"}
            found |= {f"{who}:{affiliate}:{part}" for part in PARTS}
        return found

    def spoil(self) -> str:
        who, row = next(iter(self.fake.rows().items()))
        self.fake.edits[who] = {"CPA_Commission": "twelve"}
        return f"{piece(who)}:{row['Affiliate_ID']}:cpa"

    def refuse(self) -> dict[str, Any]:
        return {"password": "rotated"}

    def tie(self) -> None:
        for n in range(60):
            place = {"affiliate": "A-17", "sub_id": f"s{n}"}
            self.world.add(client(f"tied-{n}", event("2026-03-19 12:00", "attributed", **place)))

    def asked(self, command: str) -> list[str]:
        """Targets of the requests with this command, in order."""
        return [r.target for r in self.transport.requests if f"command={command}" in r.target]


class RefusingTransport(httpx.BaseTransport):
    """Fails the test that would reach out to any other host."""

    def __init__(self, inner: FakeTransport, hosts: set[str]) -> None:
        self.inner = inner
        self.hosts = hosts

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See :class:`httpx.BaseTransport`."""
        assert request.url.host in self.hosts
        return self.inner.handle_request(request)


def piece(text: str) -> str:
    """A part of an external id."""
    return text.replace("%", "%25").replace(":", "%3A")


def cast() -> list[Client]:
    """Thirty clients of two affiliates, most of them in the second week; some with payouts."""
    clients = []
    for n in range(30):
        day = 2 + n // 8 if n < 24 else 9 + n - 24
        place = {"affiliate": f"A-{17 + n % 2}", "sub_id": f"süb,{n}", "campaign": "spring"}
        events = [event(f"2026-03-{day:02} 10:00", "attributed", **place)]
        if n % 3 == 0:
            paid = {"affiliate": f"A-{17 + n % 2}", "plan": "cpa", "amount": "1250.50"}
            events.append(event("2026-03-17 09:00", "payout_accrued", **paid))
        clients.append(client(f"c {n}:'ü", *events))
    return clients
