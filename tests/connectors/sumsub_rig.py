"""Sumsub's fake with known cases, and sources pointed at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.base import Context, Reread
from connectors.sumsub.settings import SumsubSettings
from connectors.sumsub.source import SumsubSource
from simulator.story import Client
from simulator.sumsub import SumsubFake
from tests.clock import WorldClock
from tests.contracts.source import SECRETS, Rig
from tests.contracts.world import client, event, world
from tests.transport import FakeTransport


class SumsubRig(Rig[SumsubSource]):
    """Clients with strange ids in every state; one has no applicant, one is nobody."""

    def __init__(self, *clients: Client) -> None:
        self.world = world(*(clients or _cast()))
        self.clock = WorldClock(self.world)
        self.fake = SumsubFake(self.world, "alpha", *SECRETS)
        self.faults = self.fake.faults
        self.transport = FakeTransport(self.fake.handle)

    def make(self, **settings: Any) -> SumsubSource:
        token, key = SECRETS
        values = {"app_token": token, "secret_key": key, **settings}
        context = Context("kyc-main", {"alpha": "Europe/Nicosia"}, self.clock)
        return SumsubSource(SumsubSettings(**values), context, self.transport)

    def truth(self) -> set[str]:
        found = (self.fake.applicant(c) for c in self.world.clients.values())
        return {str(a["id"]) for a in found if a is not None}

    def spoil(self) -> str:
        one = next(iter(self.world.clients.values()))
        self.fake.edits[one.id] = {"createdAt": "yesterday"}
        applicant = self.fake.applicant(one)
        assert applicant is not None
        return str(applicant["id"])

    def refuse(self) -> dict[str, Any]:
        return {"secret_key": "rotated"}

    def due(self) -> Sequence[Reread]:
        known = [c.id for c in self.world.clients.values()]
        return [Reread(i, "alpha", self.world.start_ms) for i in (*known, "nobody")]


def _cast() -> list[Client]:
    started = event("2026-03-02 08:10", "kyc_started", attempt=1)
    return [
        client("1001", started),
        client("10 02/ä;x=1?%", started, event("2026-03-02 08:30", "kyc_submitted", attempt=1)),
        client("O'Neil-7", started, event("2026-03-03 09:00", "kyc_approved", attempt=1)),
        client("客戶", event("2026-03-04 09:00", "kyc_rejected", attempt=1, final=True)),
        client("1005", event("2026-03-02 08:00", "registered")),
    ]
