"""Zendesk tickets over time, and brands that share an account."""

from __future__ import annotations

from typing import Any

import pytest

from mapping.errors import ConfigError
from mapping.records import Record, Ref
from simulator import zendesk_rows as rows
from tests.connectors.zendesk_rig import (
    CATEGORIES,
    ZendeskRig,
    born,
    ticket_of,
)
from tests.contracts.source import of
from tests.contracts.world import at, client, event


def test_a_tickets_life() -> None:
    told = [
        event("2026-03-03 10:00", "ticket_opened", ticket=1, priority="low", category="kyc"),
        event("2026-03-03 11:00", "ticket_updated", ticket=1, priority="urgent"),
        event("2026-03-03 12:00", "ticket_updated", ticket=1, status="hold"),
        event("2026-03-04 10:00", "ticket_solved", ticket=1),
        event("2026-03-05 10:00", "ticket_reopened", ticket=1),
        event("2026-03-06 10:00", "ticket_closed", ticket=1),
        event("2026-03-07 10:00", "ticket_deleted", ticket=1),
    ]
    rig = ZendeskRig(client("1001", born(helpdesk_id=True), *told))
    rig.world.story_ms = rig.world.now_ms = at("2026-03-03 10:30")
    source, cursor, seen = rig.source(), None, []
    for moment in ("03-03 10:30", "03-03 11:30", "03-03 12:30", "03-04 12:00", "03-05 12:00",
                   "03-06 12:00", "03-07 12:00"):  # fmt: skip
        rig.world.advance_to(at(f"2026-{moment}"))
        pages = list(source.pull(cursor))
        cursor = pages[-1].cursor
        (record,) = [r for r in of(pages) if r.kind == "ticket"]
        found = ticket_of(record)
        seen.append((found.status, found.priority, found.reopens, record.deleted))
        assert (found.category, found.opened_at) == ("kyc", told[0].at)
        assert record.version_at == told[len(seen) - 1].at
    assert seen == [
        ("new", "low", 0, False), ("open", "urgent", 0, False), ("on_hold", "urgent", 0, False),
        ("solved", "urgent", 0, False), ("open", "urgent", 1, False),
        ("closed", "urgent", 1, False), ("deleted", "urgent", 1, True),
    ]  # fmt: skip


def test_a_merged_ticket_is_closed() -> None:
    told = [
        event("2026-03-03 10:00", "ticket_opened", ticket=1, category="payment", evidence="tag"),
        event("2026-03-04 10:00", "ticket_merged", ticket=1),
    ]
    rig = ZendeskRig(client("1001", born(), *told))
    (record,) = rig.tickets().values()
    found = ticket_of(record)
    assert (found.status, found.solved_at) == ("closed", told[1].at)
    assert (found.category, record.deleted) == ("payment", False)


def test_every_kind_of_evidence_is_read_from_the_fake() -> None:
    kinds = ("field", "form", "tag", "group", "subject")
    told = [
        event("2026-03-03 10:00", "ticket_opened", ticket=f"{category}:{kind}", category=category,
              evidence=kind, complaint=kind == "tag")
        for category in CATEGORIES for kind in kinds
    ]  # fmt: skip
    one = client("1001", born(), *told)
    found = ZendeskRig(one).tickets(page_size=50)
    assert len(found) == len(told)
    for happened in told:
        category, _, kind = str(happened.data["ticket"]).partition(":")
        seen = ticket_of(found[str(rows.ticket_id(one, happened.data["ticket"]))])
        assert (seen.category, seen.complaint) == (category, kind == "tag")
        rule = "none" if category == "other" else {"subject": "word"}.get(kind, kind)
        assert seen.rule.split(":")[0] == rule


@pytest.mark.parametrize("lang", ["en", "de", "es", "ru", "el", "ja", "ar", "vi"])
def test_withdrawals_are_found_in_many_languages(lang: str) -> None:
    told = event("2026-03-03 10:00", "ticket_opened", ticket=1, category="withdrawal",
                 evidence="subject", lang=lang)  # fmt: skip
    (record,) = ZendeskRig(client("1001", born(), told)).tickets().values()
    assert ticket_of(record).category == "withdrawal"
    assert ticket_of(record).rule.startswith(f"word:{lang}:")


def shared(**settings: Any) -> tuple[ZendeskRig, list[Record]]:
    """Two brands on one account, both with a client 1001, and the records of a pull."""
    told = event("2026-03-03 10:00", "ticket_opened", ticket=1)
    rig = ZendeskRig(
        client("1001", born(helpdesk_id=True, email="a@example.com"), told),
        client("1001", born(helpdesk_id=True, email="b@example.com"), told, brand="beta"),
        client("1002", born(verified=True, email="c@example.com")),
        brands=("alpha", "beta"),
    )
    return rig, of(list(rig.source(**settings).pull(None)))


def test_brands_that_share_an_account_are_kept_apart() -> None:
    rig, records = shared()
    refs = {(r.brand, r.external_id): r.ref for r in records if r.kind == "link"}
    a, b, c = (rows.user_id(one) for one in rig.world.clients.values())
    proved = Ref("c@example.com", kind="email")
    assert refs == {
        ("alpha", f"user:{a}:alpha"): Ref("1001"),
        ("beta", f"user:{b}:beta"): Ref("1001"),
        ("alpha", f"user:{c}:alpha"): proved,
        ("beta", f"user:{c}:beta"): proved,
    }
    tickets = {r.ref.value: r.brand for r in records if r.kind == "ticket"}
    assert tickets == {f"desk:{a}": "alpha", f"desk:{b}": "beta"}


def test_a_brand_that_is_not_read_is_left_out_and_an_unknown_one_set_aside() -> None:
    rig, _ = shared()
    numbers = rig.fake.brands
    left = rig.source(brands={numbers["alpha"]: "alpha", numbers["beta"]: ""})
    pages = list(left.pull(None))
    assert {r.brand for r in of(pages) if r.kind == "ticket"} == {"alpha"}
    assert not [r for page in pages for r in page.rejects]
    partly = list(rig.source(brands={numbers["alpha"]: "alpha"}).pull(None))
    (reject,) = [r for page in partly for r in page.rejects]
    assert str(numbers["beta"]) in reject.reason
    assert reject.kind == "ticket"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"brands": {}}, "setting brands"),
        ({"client_prefixes": {}}, "client_prefixes.*alpha, beta"),
        ({"client_prefixes": {"alpha": "A"}}, "client_prefixes.*beta"),
    ],
)
def test_a_shared_account_needs_to_be_told_apart(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        shared(**wrong)
