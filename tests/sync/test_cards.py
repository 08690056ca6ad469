"""Cards and briefs through everything that is real, into the CRM: their texts, quiet, the wall.

The world is written by hand, and so is what the CRM has to show of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config import yaml_file
from config.settings import DEFAULT_RULES
from connectors.destination import CrmObject
from mapping.ruleset import load
from simulator.story import HOUR_MS, Brand, Client, Event, World
from state import intake, schema
from sync.cycle import Cycle, sync_once
from sync.hub import Hub
from sync.plan import plan
from sync.schedule import Schedule
from tests.rig import ALL, BASE, Rig, rig

MINUTE_MS = 60_000


def at(text: str) -> int:
    """An instant of March 2026 (UTC), as ms."""
    moment = datetime.strptime(f"2026-03-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def event(when: str, name: str, **data: Any) -> Event:
    """Something that happens in March 2026."""
    return Event(at(when), name, data)


def paid(when: str, step: str, payment: str, **data: Any) -> Event:
    """A step of a payment of 250 dollars by card."""
    more = {"payment": payment, "amount": "250.00", "currency": "USD", "method": "card"}
    return event(when, step, **more, **data)


def registered(when: str, **data: Any) -> Event:
    """A client of Cyprus."""
    return event(when, "registered", country="CY", language="el", **data)


CAST = {
    "fails": [
        registered("02 07:00", source_type="referral", campaign="spring"),
        event("02 08:00", "kyc_started", attempt=1),
        event("02 09:00", "kyc_approved", attempt=1),
        paid("05 12:00", "deposit_attempted", "100100"),
        paid("05 12:01", "deposit_failed", "100100", decline="insufficient_funds"),
    ],
    "rests": [registered("02 07:30")],
    "retries": [
        registered("04 07:00"),
        event("04 08:00", "kyc_started", attempt=1),
        event("05 11:00", "kyc_rejected", attempt=1, final=False, reason="fraud_suspected",
              gap="identity", client_text="Canary told to the client."),
    ],
    "ended": [
        registered("04 07:00"),
        event("04 08:00", "kyc_started", attempt=1),
        event("05 11:00", "kyc_rejected", attempt=1, final=True, reason="aml_match"),
    ],
    "refuted": [
        registered("02 07:00"),
        paid("03 08:00", "deposit_succeeded", "100500"),
        paid("05 08:00", "chargeback_opened", "100500", id="900500"),
    ],
}  # fmt: skip
NOW = at("05 12:02")


@dataclass(slots=True)
class Desk:
    """A hub over the cast, after its first sync."""

    rig: Rig
    hub: Hub
    database: str

    def sync(self, now: int) -> Cycle:
        """The story goes on to an instant, and the hub syncs."""
        self.rig.advance_to(now)
        return self.rig.sync(self.hub)

    def sync_badly(self, now: int) -> None:
        """The same while the PSP answers nothing of use."""
        self.rig.advance_to(now)
        assert [name for name, _ in sync_once(self.hub).errors] == ["paymentiq-alpha"]

    @property
    def contacts(self) -> dict[str, dict[str, str]]:
        """By client id."""
        found = self.rig.portal.contacts("broker_client_id")
        return {key.partition(":")[2]: contact for key, contact in found.items()}

    def line(self, client: str, head: str) -> str:
        """A line of a client's card in the CRM."""
        lines = self.contacts[client]["brokerage_card"].split("\n")
        return next(t.partition(": ")[2] for t in lines if t.startswith(f"{head}: "))

    def brief(self, client: str) -> str:
        """A client's brief in the CRM."""
        return self.contacts[client]["brokerage_brief"]

    @property
    def written(self) -> int:
        """Contacts written so far."""
        return sum(n for what, n in self.rig.portal.writes.items() if "contact" in str(what))

    def psp(self, *, away: bool) -> None:
        """The PSP goes away, or comes back."""
        self.rig.vendors["paymentiq-alpha"].faults.garbage = away


@pytest.fixture(name="desk")
def _desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    yield from desk(database_url, tmp_path)


def desk(database: str, folder: Path, families: frozenset[str] = ALL) -> Iterator[Desk]:
    """A hub over the cast, after its first sync."""
    clients = [Client("alpha", key, list(events)) for key, events in CAST.items()]
    brand = Brand("alpha", "Europe/Nicosia", "USD", "offshore", 1980)
    world = World(clients, {"alpha": brand}, at("02 00:00"))
    one = rig(world, database, folder, at("02 00:00"), {"CS1": "fields", "*": "tasks"}, families)
    one.advance_to(at("05 10:00"))  # installing properties takes the portal its time
    hub = one.hub()
    brand_policy = hub.brands["alpha"]
    risk = replace(brand_policy.teams["payments"], name="risk")
    teams = {**brand_policy.teams, "risk": risk}
    hub.brands = {"alpha": replace(brand_policy, teams=teams)}
    made = Desk(one, hub, database)
    made.sync(NOW)
    yield made
    made.hub.close()


def test_the_crm_shows_the_card_line_by_line(desk: Desk) -> None:
    contact = desk.contacts["fails"]
    assert contact["brokerage_card"] == (
        "Source: referral, campaign spring, landing page not known, country CY, device not known, "
        "registered 2026-03-02 09:00 EET; affiliate not known\n"
        "Sales: team payments; next task: Offer a payment route that works, "
        "due 2026-03-05 14:06 EET; language el, time zone not known; "
        "last contact and call outcome not connected\n"
        "KYC: approved since 2026-03-02 11:00 EET, attempt 1\n"
        "Deposits: attempts 1 (failed 1, counted 0), total 0.00 USD; latest attempt failed "
        "2026-03-05 14:01 EET: 250.00 USD by card through Cardix, insufficient funds\n"
        "Withdrawals: none requested\n"
        "Trading: no trade, accounts 0\n"
        "Campaigns: first touch spring; messages, calls and offers not connected\n"
        "Support: no ticket\n"
        "Bonuses: none granted\n"
        "Risk: no open review; chargebacks 0\n"
        "Economics: trading revenue 0.00 USD, payment fees 0.00 USD, bonuses 0.00 USD, "
        "partner payouts 0.00 USD, tickets 0, refunds and chargebacks 0.00 USD\n"
        "Trail: LS4 Failed deposit attempt since 2026-03-05 14:01 EET; "
        "history and reasons: brokersync explain alpha:fails"
    )
    assert contact["brokerage_brief"] == (
        "Client alpha:fails (CY, el): Failed deposit attempt since 2026-03-05 14:01 EET. "
        "Deposit of 250.00 USD by card failed 2026-03-05 14:01 EET: insufficient funds. "
        "Next: Offer a payment route that works, due 2026-03-05 14:06 EET."
    )


def test_its_properties_are_long_texts_of_the_hub(desk: Desk) -> None:
    found = desk.hub.destinations["hubspot"].describe(CrmObject.CONTACT)
    for name, label in (("card", "Brokerage card"), ("brief", "Brokerage brief")):
        made = found[f"brokerage_{name}"]
        assert (made.type, made.field_type, made.label, made.ours) == (
            "string", "textarea", label, True
        )  # fmt: skip


def test_nothing_is_written_while_nothing_it_cites_changes(desk: Desk) -> None:
    before, written = desk.contacts, desk.written
    for minutes in (10, 60, 90):
        desk.sync(NOW + minutes * MINUTE_MS)
    assert desk.written == written
    assert desk.contacts == before
    with desk.hub.store.transaction("test.touch") as connection:  # computed again, and the same
        intake.touch_all(connection)
    desk.sync(NOW + 95 * MINUTE_MS)
    assert desk.written == written


def test_it_changes_with_what_it_cites(desk: Desk) -> None:
    one = desk.rig.world.clients["alpha:fails"]
    one.events.append(paid("05 13:00", "deposit_succeeded", "100101"))
    desk.rig.world.add(one)
    desk.sync(at("05 13:10"))
    assert desk.line("fails", "Deposits") == (
        "attempts 2 (failed 1, counted 1), total 250.00 USD; first 2026-03-05 15:00 EET by card; "
        "latest attempt succeeded 2026-03-05 15:00 EET: 250.00 USD by card through Cardix"
    )
    assert desk.brief("fails") == (
        "Client alpha:fails (CY, el): First-time depositor since 2026-03-05 15:00 EET. "
        "No open task."
    )


def test_sources_nobody_is_connected_for(database_url: str, tmp_path: Path) -> None:
    for one in desk(database_url, tmp_path, BASE):
        for head in ("Trading", "Support", "Bonuses"):
            assert one.line("fails", head) == "not connected"
        assert "payment fees 0.00 USD, bonuses not connected" in one.line("fails", "Economics")


# --- the wall ------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["retries", "ended", "refuted"])
def test_the_crm_names_no_reason_for_a_hold(desk: Desk, client: str) -> None:
    assert desk.line(client, "KYC") == "compliance hold, do not discuss"
    assert desk.line(client, "Risk") == "compliance hold, do not discuss"
    assert "Compliance hold: do not discuss." in desk.brief(client)
    contact = desk.contacts[client]
    texts = (contact["brokerage_card"] + contact["brokerage_brief"]).lower()
    for word in ("fraud", "aml", "forgery", "adverse", "canary", "chargeback", "dispute", "review"):
        assert word not in texts, word


def test_the_field_of_the_reason_says_compliance_hold(desk: Desk) -> None:
    shown = {k: c.get("brokerage_kyc_rejection_reason") for k, c in desk.contacts.items()}
    assert shown["retries"] == shown["ended"] == "compliance_hold"
    assert not shown["fails"]
    field = desk.hub.destinations["hubspot"].describe(CrmObject.CONTACT)
    options = {o.value: o.label for o in field["brokerage_kyc_rejection_reason"].options}
    assert options["compliance_hold"] == "Compliance hold"
    assert options["document_quality"] == "Document quality"
    assert {"aml_match", "fraud_suspected", "duplicate"}.isdisjoint(options)


def test_a_task_of_another_team_names_no_such_reason(desk: Desk) -> None:
    tasks = {k.split(":", 1)[1]: t for k, t in desk.rig.portal.tasks("broker_task_key").items()}
    told = tasks["retries:CS3:1"]
    assert told["hs_task_subject"].startswith("KYC rejected: compliance hold, do not discuss")
    assert "Reason: compliance hold, do not discuss." in told["hs_task_body"]
    for word in ("fraud", "forgery", "canary", "identity"):
        assert word not in (told["hs_task_subject"] + told["hs_task_body"]).lower()
    # The risk team reads what it has to review.
    assert "Disputes open: 1" in tasks["refuted:CS14:1"]["hs_task_body"]


def test_a_task_that_closes_does_not_name_the_review(desk: Desk) -> None:
    one = desk.rig.world.clients["alpha:fails"]
    one.events += [
        paid("05 13:00", "deposit_succeeded", "100101"),
        paid("05 14:00", "chargeback_opened", "100101", id="900101"),
    ]
    desk.rig.world.add(one)
    desk.sync(at("05 14:10"))
    task = desk.rig.portal.tasks("broker_task_key")["alpha:fails:CS5:1"]
    assert task["hs_task_status"] == "COMPLETED"
    assert "the reason is over." in task["hs_task_body"]
    assert "LS12" not in task["hs_task_body"]
    assert "LS12" not in desk.line("fails", "Trail")


# --- late sources --------------------------------------------------------------------------------

LATE = "payments complete up to 2026-03-05 14:"


def late_clients(desk: Desk) -> set[str]:
    """Whose card names the PSP; card and brief agree."""
    found = {k for k, c in desk.contacts.items() if LATE in c["brokerage_card"]}
    briefs = {k for k, c in desk.contacts.items() if LATE[1:] in c["brokerage_brief"]}
    assert found == briefs
    return found


def test_a_source_that_stops_is_named_once_and_no_longer_once_it_is_back(desk: Desk) -> None:
    before = desk.contacts
    desk.psp(away=True)
    desk.sync_badly(NOW + 100 * MINUTE_MS)
    assert late_clients(desk) == set()
    written = desk.written
    desk.sync_badly(NOW + 130 * MINUTE_MS)
    # Whom somebody is about to call: those with an open task, and nobody else.
    assert late_clients(desk) == {"fails", "retries", "refuted"}
    assert desk.written == written + 3
    named = desk.line("fails", "Withdrawals")
    for hours in (3, 4, 5, 6):  # it stands still, and so does every text that names it
        desk.sync_badly(NOW + hours * HOUR_MS)
    assert desk.written == written + 3
    assert desk.line("fails", "Withdrawals") == named
    assert _touched(desk) == 0
    _others_learn_it_at_their_next_change(desk)
    desk.psp(away=False)
    desk.sync(NOW + 8 * HOUR_MS)
    assert late_clients(desk) == set()
    cards = ("brokerage_card", "brokerage_brief")
    for client in ("fails", "retries", "refuted"):
        assert [desk.contacts[client][n] for n in cards] == [before[client][n] for n in cards]
    written = desk.written
    desk.sync(NOW + 9 * HOUR_MS)
    assert desk.written == written


def _others_learn_it_at_their_next_change(desk: Desk) -> None:
    one = desk.rig.world.clients["alpha:rests"]
    one.events.append(Event(NOW + 6 * HOUR_MS + MINUTE_MS, "profile_updated", {"country": "DE"}))
    desk.rig.world.add(one)
    desk.sync_badly(NOW + 7 * HOUR_MS)
    assert late_clients(desk) == {"fails", "retries", "refuted", "rests"}


def _touched(desk: Desk) -> int:
    with desk.hub.store.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(schema.touched)) or 0


def test_a_source_that_is_read_rarely_is_not_late_for_that(desk: Desk) -> None:
    names = [s.name for s in desk.hub.sources]
    desk.hub.schedules = {n: Schedule(cron="15 6 * * *", zone="Europe/Nicosia") for n in names}
    desk.psp(away=True)
    for hours in (3, 24, 47):
        desk.sync_badly(NOW + hours * HOUR_MS)
        assert late_clients(desk) == set()
    desk.sync_badly(NOW + 49 * HOUR_MS)
    assert "fails" in late_clients(desk)


def test_a_rehearsal_notices_and_keeps_nothing(desk: Desk) -> None:
    desk.rig.advance_to(NOW + 3 * HOUR_MS)  # nobody has read anything since
    planned = plan(desk.hub)["hubspot"]
    assert planned.fields["brokerage_card"] == 3
    with desk.hub.store.reading() as connection:
        assert connection.execute(sa.select(schema.late_family)).all() == []
    assert _touched(desk) == 0


def test_without_a_row_that_shows_it_there_is_no_card(database_url: str, tmp_path: Path) -> None:
    data = dict(yaml_file.read(DEFAULT_RULES).data)
    data["fields"] = [r for r in data["fields"] if not str(r.get("from")).startswith("card.")]
    for one in desk(database_url, tmp_path):
        one.hub.rules = {"alpha": load(data, sorted(ALL), 2)}
        one.psp(away=True)
        written = one.written
        one.sync_badly(NOW + 3 * HOUR_MS)
        assert one.written == written
        with one.hub.store.reading() as connection:
            assert connection.execute(sa.select(schema.late_family)).all() == []
