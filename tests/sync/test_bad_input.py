"""Bad input through the whole hub: a clear message, the record set aside, nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.destination import CrmObject
from mapping.errors import ConfigError, ProtocolError, QuotaError, RetryableError
from simulator.examples import load
from simulator.story import Client, Event, World
from state import identity, schema, sources
from sync.crm_schema import wanted
from sync.cycle import Cycle, sync_once
from sync.hub import Hub
from tests.rig import Rig, rig

EXAMPLES = {e.id: e for e in load(Path(__file__).parent.parent / "data" / "examples.yaml")}
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def one(tmp_path: Path) -> Rig:
    """Three clients: a failed deposit, a rejected KYC, a first withdrawal."""
    clients = [c for name in ("E02", "E04", "E09") for c in EXAMPLES[name].clients]
    example = EXAMPLES["E04"]
    start = min(e.at for c in clients for e in c.events)
    world = World(clients, {"alpha": example.brand}, start, example.rates)
    return rig(world, f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, example.live_from)


@pytest.fixture
def hub(one: Rig) -> Any:
    """Its hub, at an instant when a task is wanted."""
    hub = one.hub()
    one.advance_to(EXAMPLES["E04"].expectations[0]["at"])
    yield hub
    hub.close()


def _asides(hub: Hub) -> list[dict[str, Any]]:
    with hub.store.reading() as connection:
        return sources.asides(connection)


def _stages(hub: Hub) -> dict[str, str]:
    with hub.store.reading() as connection:
        p = schema.profile
        return dict(connection.execute(sa.select(p.c.client_id, p.c.stage)).all())  # type: ignore[arg-type]


def _payment_of(client: str) -> str:
    events = EXAMPLES["E04"].clients[0].events
    assert client
    return str(next(e.data["payment"] for e in events if "payment" in e.data))


BROKEN_ROWS = {
    "an unknown status code": ({"statusCode": "ERR_BRAND_NEW"}, "ERR_BRAND_NEW"),
    "an unknown type": ({"txTypeInt": 9999, "txType": None}, "9999"),
    "an unknown currency": ({"txAmount": "12.00 XXQ"}, "XXQ"),
    "an absurd amount": ({"txAmount": "1e99 EUR"}, "txAmount"),
    "too many digits": ({"txAmount": "10.5 JPY"}, "digits"),
    "a missing time": ({"created": None}, "created"),
    "no client": ({"merchantUserId": None}, "client"),
}


@pytest.mark.parametrize("case", BROKEN_ROWS)
def test_a_broken_payment_row_is_set_aside_and_taken_up_when_mended(
    case: str, one: Rig, hub: Hub
) -> None:
    edits, named = BROKEN_ROWS[case]
    payment = _payment_of("E04")
    fake = one.vendors["paymentiq-alpha"]
    fake.edits[payment] = edits
    cycle = sync_once(hub)
    assert not cycle.errors
    assert cycle.status == "set_aside"
    (aside,) = _asides(hub)
    assert (aside["origin"], aside["external_id"]) == ("paymentiq-alpha", payment)
    assert named in aside["reason"]
    client = EXAMPLES["E04"].clients[0].id
    assert _stages(hub)[client] == "LS3", "the rest of the page was used"
    # Mended upstream: the vendor shows the payment again, with a new time of update.
    del fake.edits[payment]
    person = EXAMPLES["E04"].clients[0]
    again = Client(person.brand, person.id, list(person.events))
    failed = next(e for e in again.events if e.name == "deposit_failed")
    again.events.append(Event(one.world.story_ms + 30_000, failed.name, failed.data))
    one.world.add(again)
    one.advance_to(one.world.story_ms + 60_000)
    assert not sync_once(hub).errors
    assert _stages(hub)[client] == "LS4"
    assert _asides(hub) == []


def test_a_payment_without_a_known_client_waits_for_it(one: Rig, hub: Hub) -> None:
    late = Client("alpha", "7777", [
        Event(EXAMPLES["E04"].expectations[0]["at"] - HOUR_MS, "deposit_succeeded",
              {"payment": "424242", "amount": "80.00", "currency": "USD", "method": "card"}),
    ])  # fmt: skip
    one.world.add(late)
    assert not sync_once(hub).errors
    with hub.store.reading() as connection:
        (waiting,) = identity.unlinked(connection)
    assert (waiting.source, waiting.kind, waiting.count) == ("paymentiq-alpha", "payment", 1)
    at = one.world.story_ms + HOUR_MS
    late.events.insert(0, Event(at - 1000, "registered", {"email": "late@example.com"}))
    one.world.add(late)
    one.advance_to(at)
    assert not sync_once(hub).errors
    assert _stages(hub)["7777"] == "LS5"
    with hub.store.reading() as connection:
        assert identity.unlinked(connection) == []
    assert "alpha:7777" in one.portal.contacts("broker_client_id")


def test_an_unknown_type_is_taken_up_once_the_settings_know_it(one: Rig) -> None:
    payment = _payment_of("E04")
    one.vendors["paymentiq-alpha"].edits[payment] = {"txTypeInt": 9999, "txType": None}
    hub = one.hub()
    one.advance_to(EXAMPLES["E04"].expectations[0]["at"])
    assert sync_once(hub).status == "set_aside"
    hub.close()
    one.psp = {"types": {"9999": {"effect": "deposit", "method": "card"}}}
    hub = one.hub()
    assert sync_once(hub).status == "ok", "other settings are a reason to try the row again"
    assert _stages(hub)[EXAMPLES["E04"].clients[0].id] == "LS4"
    assert _asides(hub) == []
    hub.close()


@pytest.mark.parametrize("source", ["paymentiq-alpha", "sumsub-alpha"])
def test_a_page_of_the_wrong_shape_stops_that_source_only(source: str, one: Rig, hub: Hub) -> None:
    one.vendors[source].faults.wrong_shape = True
    cycle = sync_once(hub)
    ((named, error),) = cycle.errors
    assert named == source
    assert isinstance(error, ProtocolError)
    assert source in error.admin
    assert cycle.status == "stopped"
    assert cycle.projected.waiting == {"alpha": ["psp" if "paymentiq" in source else "kyc"]}
    assert one.portal.contacts() == {}, "nothing is claimed of clients while a source is missing"
    one.vendors[source].faults.wrong_shape = False
    assert not sync_once(hub).errors
    assert len(one.portal.contacts()) == 3


def test_a_source_that_dies_later_freezes_nothing_else(one: Rig, hub: Hub) -> None:
    assert not sync_once(hub).errors
    one.vendors["sumsub-alpha"].faults.garbage = True
    one.advance_to(EXAMPLES["E04"].expectations[1]["at"] + DAY_MS)
    cycle = sync_once(hub)
    assert [name for name, _ in cycle.errors] == ["sumsub-alpha"]
    assert _stages(hub)[EXAMPLES["E04"].clients[0].id] == "LS5", "payments still count"


def test_a_wrong_token_of_the_crm_refuses_and_keeps_everything(one: Rig, hub: Hub) -> None:
    one.portal.rotate_token("another")
    cycle = sync_once(hub)
    ((named, error),) = cycle.errors
    assert named == "hubspot"
    assert isinstance(error, ConfigError)
    assert "token" in error.admin
    assert cycle.status == "refused"
    with hub.store.reading() as connection:
        waiting = connection.scalar(sa.select(sa.func.count()).select_from(schema.outbox))
    assert waiting > 0


def test_a_missing_scope_is_named(one: Rig, hub: Hub) -> None:
    one.portal.remove_scope("crm.objects.contacts.write")
    ((_, error),) = sync_once(hub).errors
    assert isinstance(error, ConfigError)
    assert "crm.objects.contacts.write" in error.admin
    one.portal.add_scope("crm.objects.contacts.write")
    assert not sync_once(hub).errors
    assert len(one.portal.contacts()) == 3


def test_a_missing_property_and_option_refuse_the_start(one: Rig) -> None:
    one.install = False
    hub = one.hub()
    one.advance_to(EXAMPLES["E04"].expectations[0]["at"])
    ((_, error),) = sync_once(hub).errors
    assert isinstance(error, ConfigError)
    assert "property brokerage_kyc_status is missing" in error.admin
    assert "crm install" in error.admin
    assert one.portal.contacts() == {}
    hub.close()


def test_the_daily_limit_stops_cleanly_and_the_rest_follows(tmp_path: Path) -> None:
    example = EXAMPLES["E04"]
    world = World(example.clients, {"alpha": example.brand}, example.start_ms, example.rates)
    one = rig(world, f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, example.live_from)
    hub = one.hub()
    one.advance_to(example.expectations[0]["at"])
    one.portal.limiter.daily = 3  # a new day has begun since the installation
    ((_, error),) = sync_once(hub).errors
    assert isinstance(error, QuotaError)
    assert "daily" in error.admin.lower()
    one.portal.limiter.daily = 1000
    one.advance_to(world.story_ms + DAY_MS)
    cycle: Cycle = sync_once(hub)
    assert not [e for _, e in cycle.errors if isinstance(e, RetryableError)]
    assert set(one.portal.contacts("broker_client_id")) == {example.clients[0].key}
    hub.close()


def test_an_absurd_row_of_the_registry_is_set_aside(one: Rig, hub: Hub) -> None:
    person = EXAMPLES["E02"].clients[0]
    at = one.world.story_ms + 1000
    broken = Event(at, "profile_updated", {"email": "not@valid@at.all"})
    one.world.add(Client(person.brand, person.id, [*person.events, broken]))
    one.advance_to(at)
    cycle = sync_once(hub)
    assert not cycle.errors
    assert cycle.status == "set_aside"
    assert [a["external_id"] for a in _asides(hub)], "the row or the record is named"
    assert len(one.portal.contacts()) == 2, "the others are there"
    assert "not@valid" not in str(_asides(hub)), "no personal data in a reason"


def test_a_portal_without_task_keys_still_gets_its_contacts(tmp_path: Path) -> None:
    example = EXAMPLES["E04"]
    world = World(example.clients, {"alpha": example.brand}, example.start_ms, example.rates)
    one = rig(world, f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, example.live_from)
    one.install = False
    hub = one.hub()
    properties = wanted(hub, "hubspot")
    hub.destinations["hubspot"].install(CrmObject.CONTACT, properties[CrmObject.CONTACT])
    one.advance_to(example.expectations[0]["at"])
    cycle = sync_once(hub)
    assert "broker_task_key" in cycle.errors[0][1].admin
    assert len(one.portal.contacts()) == 1
    assert one.portal.tasks() == {}
    hub.close()
