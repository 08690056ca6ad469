"""PaymentIQ's fake with known payments, and sources pointed at it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from connectors.base import Context
from connectors.paymentiq.settings import PaymentIqSettings
from connectors.paymentiq.source import PaymentIqSource
from simulator.paymentiq import PaymentIQFake
from simulator.story import Client, Event
from tests.clock import WorldClock
from tests.contracts.source import SECRETS, Rig
from tests.contracts.world import at, client, event, world
from tests.transport import FakeTransport

START = datetime(2026, 2, 25, tzinfo=UTC)


class PaymentIqRig(Rig[PaymentIqSource]):
    """Payments over three weeks, several windows and pages of them."""

    def __init__(self, *clients: Client) -> None:
        self.world = world(*(clients or _cast()))
        self.clock = WorldClock(self.world)
        self.fake = PaymentIQFake(self.world, "alpha", "hub", SECRETS[1], 1001)
        self.faults = self.fake.faults
        self.transport = FakeTransport(self.fake.handle)

    def make(self, **settings: Any) -> PaymentIqSource:
        values = {
            "base_url": "https://test-bo.paymentiq.example",
            "client_id": "hub",
            "client_secret": SECRETS[1],
            "merchant_id": 1001,
            "start_at": START,
            "page_size": 8,
            **settings,
        }
        context = Context("psp-main", {"alpha": "Europe/Nicosia"}, self.clock)
        return PaymentIqSource(PaymentIqSettings(**values), context, self.transport)

    def truth(self) -> set[str]:
        return set(self.fake.rows())

    def spoil(self) -> str:
        one = next(iter(self.fake.rows()))
        self.fake.edits[one] = {"txAmount": "twelve EUR"}
        return one

    def refuse(self) -> dict[str, Any]:
        return {"client_secret": "rotated"}

    def tie(self) -> None:
        same = [
            event("2026-03-19 12:00", "deposit_succeeded", payment=str(900 + n), amount="5.00")
            for n in range(60)
        ]
        self.world.add(client("tied", *same))


def _cast() -> list[Client]:
    """Thirty clients with a deposit each, ten of them refunded; two pages' worth in one second."""
    clients = []
    for n in range(30):
        day = 2 + n // 2
        paid = event(
            f"2026-03-{day:02} 10:00:05", "deposit_succeeded",
            payment=str(n + 1), amount="25.50", currency="EUR", method="card",
        )  # fmt: skip
        events: list[Event] = [paid]
        if n % 3 == 0:
            refund = {"payment": str(n + 1), "id": str(500 + n), "amount": "5.50"}
            events.append(Event(at("2026-03-18 09:00:00"), "refunded", refund))
        clients.append(client(f"c {n}'ü", *events))
    return clients
