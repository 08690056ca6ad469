"""Pulling hour by hour over a grown world ends with what the story tells, no row set aside."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from connectors.base import Context, Page, Reread
from connectors.paymentiq.settings import PaymentIqSettings
from connectors.paymentiq.source import PaymentIqSource
from connectors.sumsub.settings import SumsubSettings
from connectors.sumsub.source import SumsubSource
from mapping.payloads import KycCase, Movement, Payment
from mapping.records import Record
from simulator.grow import grow
from simulator.paymentiq import PaymentIQFake
from simulator.story import DAY_MS, HOUR_MS, World, ordered
from simulator.sumsub import SumsubFake
from tests.clock import WorldClock
from tests.transport import FakeTransport

DAYS = 60
OUTCOMES = {
    "deposit_succeeded": "succeeded",
    "deposit_failed": "failed",
    "deposit_cancelled": "cancelled",
    "withdrawal_paid": "paid",
    "withdrawal_rejected": "rejected",
    "withdrawal_cancelled": "cancelled",
    "refunded": "refund",
    "chargeback_opened": "chargeback_opened",
    "chargeback_won": "chargeback_won",
    "chargeback_lost": "chargeback_lost",
}
VERDICTS = {
    "kyc_started": "started",
    "kyc_reset": "started",
    "kyc_awaiting": "started",
    "kyc_submitted": "submitted",
    "kyc_in_review": "in_review",
    "kyc_approved": "approved",
}


def hours(world: World) -> Iterator[int]:
    """The story from day 46 on, hour by hour; also its first instant."""
    start = world.start_ms
    world.advance_to(start + 46 * DAY_MS)
    yield world.now_ms
    while world.story_ms < start + DAYS * DAY_MS:
        world.advance_to(world.story_ms + HOUR_MS)
        yield world.now_ms


def keep(newest: dict[str, Record], page: Page) -> None:
    """The newest version of each object, as the hub keeps it."""
    assert not page.rejects
    for record in page.records:
        old = newest.get(record.external_id)
        if old is None or (record.version_at, record.rank) >= (old.version_at, old.rank):
            newest[record.external_id] = record


def context(world: World, brand: str) -> Context:
    """One connection of one brand."""
    return Context(f"of-{brand}", {brand: "UTC"}, WorldClock(world))


def test_payments() -> None:
    world = grow(11, 150, DAYS)
    brand = world.brands["alpha"]
    fake = PaymentIQFake(world, "alpha", "hub", "secret", brand.merchant_id)
    values = {
        "base_url": "https://psp.example",
        "client_id": "hub",
        "client_secret": "secret",
        "merchant_id": brand.merchant_id,
        # Some clients were there before the story begins.
        "start_at": datetime.fromtimestamp(world.start_ms / 1000 - 90 * 86_400, UTC),
        "page_size": 50,
    }
    settings = PaymentIqSettings.model_validate(values)
    transport = FakeTransport(fake.handle)
    source = PaymentIqSource(settings, context(world, "alpha"), transport)
    newest: dict[str, Record] = {}
    cursor = None
    for _ in hours(world):
        for page in source.pull(cursor):
            keep(newest, page)
            cursor = page.cursor
    assert {key: _outcome(record) for key, record in newest.items()} == dict(_told(world))


def _outcome(record: Record) -> tuple[str, str, int]:
    payload = record.payload
    if isinstance(payload, Movement):
        return record.ref.value, payload.movement, payload.at
    assert isinstance(payload, Payment)
    final = payload.status in OUTCOMES.values()
    return record.ref.value, payload.status if final else "open", payload.status_at


def _told(world: World) -> Iterator[tuple[str, tuple[str, str, int]]]:
    for client in world.clients.values():
        if client.brand != "alpha":
            continue
        for event in ordered(client.visible(world.story_ms)):
            if "payment" in event.data and not event.name.startswith("ledger_"):
                key = str(event.data.get("id", event.data["payment"]))
                second = event.at // 1000 * 1000
                yield key, (client.id, OUTCOMES.get(event.name, "open"), second)


def test_verification() -> None:
    world = grow(12, 150, DAYS)
    fake = SumsubFake(world, "alpha", "token", "secret")
    settings = SumsubSettings.model_validate({"app_token": "token", "secret_key": "secret"})
    transport = FakeTransport(fake.handle)
    source = SumsubSource(settings, context(world, "alpha"), transport)
    newest: dict[str, Record] = {}
    due_at: dict[str, int | None] = {}
    for now in hours(world):
        for client in world.clients.values():
            if client.brand == "alpha" and client.visible(world.story_ms):
                due_at.setdefault(client.id, now)
        due = [Reread(i, "alpha", world.start_ms) for i, at in due_at.items() if at and at <= now]
        page = source.reread(due)
        keep(newest, page)
        due_at.update(page.rereads)
    told = dict(_verdicts(world))
    found = {r.ref.value: _verdict(r) for r in newest.values()}
    assert found == told
    assert fake.calls < len(due_at) * 14 * 24 / 2


def _verdict(record: Record) -> tuple[Any, ...]:
    case = record.payload
    assert isinstance(case, KycCase)
    return case.status, case.attempt, case.reason


def _verdicts(world: World) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for client in world.clients.values():
        steps = [e for e in client.visible(world.story_ms) if e.name.startswith("kyc_")]
        if client.brand != "alpha" or not steps:
            continue
        last = ordered(steps)[-1]
        status, reason = VERDICTS.get(last.name, ""), "none"
        if last.name == "kyc_rejected":
            status = "rejected_final" if last.data["final"] else "rejected_retry"
            reason = last.data["reason"]
        yield client.id, (status, last.data["attempt"], reason)
