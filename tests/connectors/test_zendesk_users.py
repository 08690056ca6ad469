"""Which client a Zendesk user is: external ids, proved addresses, staff, deletions."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from mapping.payloads import Link
from mapping.records import Record, Ref
from simulator import zendesk_rows as rows
from simulator.story import Client, Event
from tests.connectors.zendesk_rig import (
    ADMIN,
    ZendeskRig,
    born,
    last_changes,
    queries,
)
from tests.contracts.source import of
from tests.contracts.world import at, client, event


def link_of(one: Client, *, named: str = "", **settings: Any) -> Record | None:
    """The link of a client's helpdesk user in a world of its own."""
    rig = ZendeskRig(one)
    if named:
        rig.fake.edits[rows.user_id(one)] = {"external_id": named}
    found = rig.links(**settings)
    return found.pop(f"user:{rows.user_id(one)}", None)


def test_an_external_id_is_the_client_id() -> None:
    one = client("C 1/ü", born(helpdesk_id=True, verified=True))
    link = link_of(one)
    assert link is not None
    assert link.ref == Ref("C 1/ü")
    assert link.payload == Link("helpdesk_user", f"desk:{rows.user_id(one)}")
    assert (link.brand, link.deleted) == ("alpha", False)


@pytest.mark.parametrize(
    ("external_id", "prefix", "ref"),
    [
        ("BR-1001", "BR-", Ref("1001")),
        ("BR- 1001 ", "BR-", Ref("1001")),
        ("1001", "BR-", Ref("ana@example.com", kind="email")),  # another system's id
        ("BR-", "BR-", Ref("ana@example.com", kind="email")),
        ("XBR-1001", "BR-", Ref("ana@example.com", kind="email")),
        ("BR-1001", "", Ref("BR-1001")),
    ],
)
def test_a_prefix_is_taken_off(external_id: str, prefix: str, ref: Ref) -> None:
    one = client("1001", born(verified=True))
    link = link_of(one, named=external_id, client_prefix=prefix)
    assert link is not None
    assert link.ref == ref


def test_a_proved_address_links_and_an_unproved_one_does_not() -> None:
    proved = link_of(client("1001", born(verified=True)))
    assert proved is not None
    assert proved.ref == Ref("ana@example.com", kind="email")
    assert link_of(client("1001", born(verified=False))) is None
    assert link_of(client("1001", born(verified=True)), email_proof="nothing") is None
    assert link_of(client("1001", born(verified=True, email=None))) is None


def test_a_verified_phone_proves_no_address() -> None:
    """The user's own mark is of any identity; the address's identity is stricter."""
    one = client("1001", born(verified=False))
    rig = ZendeskRig(one)
    rig.fake.edits[rows.user_id(one)] = {"verified": True}
    assert len(rig.links()) == 1
    rig = ZendeskRig(one)
    assert rig.links(email_proof="identity") == {}
    assert queries(rig, "users")[0]["include"] == "identities"
    link = link_of(client("1001", born(verified=True)), email_proof="identity")
    assert link is not None
    assert link.ref == Ref("ana@example.com", kind="email")


@pytest.mark.parametrize(
    ("changes", "proved"),
    [
        ({}, True),
        ({"value": "ANA@example.com"}, True),
        ({"verified": False}, False),
        ({"verified": None}, False),
        ({"value": "old@example.com"}, False),  # another address of the same user
        ({"type": "facebook"}, False),
        ({"user_id": 4711}, False),
    ],
)
def test_only_the_addresss_own_identity_proves_it(changes: dict[str, Any], proved: bool) -> None:
    one = client("1001", born(verified=True))
    rig = ZendeskRig(one)
    number = rows.user_id(one)
    own = {"user_id": number, "type": "email", "value": "ana@example.com", "verified": True}
    rig.fake.identities[number] = [own | changes]
    assert bool(rig.links(email_proof="identity")) is proved


def test_a_deletion_counts_though_nothing_else_ever_changed() -> None:
    one = client("1001", born(verified=True))
    rig = ZendeskRig(one)
    rig.fake.edits[rows.user_id(one)] = {"active": False, "email": None}
    (gone,) = rig.links().values()
    assert gone.deleted


def test_staff_are_never_clients() -> None:
    rig = ZendeskRig(client("1001"))
    assert rig.links() == {}
    assert len(rig.fake.rows("users")) == len(rows.STAFF)
    asked = event("2026-03-03 10:00", "ticket_opened", ticket=1, by_staff=True)
    rig = ZendeskRig(client("1001", born(helpdesk_id=True), asked))
    (record,) = rig.tickets().values()
    # It stays unlinked: no link has this name.
    assert record.ref == Ref(f"desk:{rows.STAFF[1][0]}", kind="helpdesk_user")
    assert record.ref.value not in {
        r.payload.name for r in rig.links().values() if isinstance(r.payload, Link)
    }


def test_a_ticket_means_the_client_its_requesters_link_names() -> None:
    rig = ZendeskRig()
    links = {r.payload.name: r for r in rig.links().values() if isinstance(r.payload, Link)}
    named = 0
    for one in rig.world.clients.values():
        (ticket,) = [i for i, _ in last_changes(one)]
        record = rig.tickets()[ticket] if named < 3 else None
        if record is not None and one.events[0].data["helpdesk_id"]:
            assert links[record.ref.value].ref == Ref(one.id)
            named += 1
    assert named == 3


def test_a_changed_address_is_a_new_version_of_the_link() -> None:
    moved = event("2026-03-10 10:00", "profile_updated", email="new@example.com")
    one = client("1001", born(verified=True), moved)
    rig = ZendeskRig(one)
    rig.world.story_ms = rig.world.now_ms = at("2026-03-05 00:00")
    source = rig.source()
    pages = list(source.pull(None))
    (before,) = of(pages)
    rig.world.advance_to(at("2026-03-20 00:00"))
    (after,) = of(list(source.pull(pages[-1].cursor)))
    assert before.external_id == after.external_id
    assert before.ref == Ref("ana@example.com", kind="email")
    assert after.ref == Ref("new@example.com", kind="email")
    assert after.version_at > before.version_at
    assert after.polled


@pytest.mark.parametrize(
    "change",
    [
        event("2026-03-10 10:00", "profile_updated", verified=False),
        event("2026-03-10 10:00", "helpdesk_user_deleted"),
    ],
)
def test_a_link_that_no_longer_holds_is_taken_back(change: Event) -> None:
    one = client("1001", born(verified=True), change)
    rig = ZendeskRig(one)
    rig.world.story_ms = rig.world.now_ms = at("2026-03-05 00:00")
    source = rig.source()
    pages = list(source.pull(None))
    assert [r.deleted for r in of(pages)] == [False]
    rig.world.advance_to(at("2026-03-20 00:00"))
    (gone,) = of(list(source.pull(pages[-1].cursor)))
    assert gone.deleted
    assert gone.external_id == f"user:{rows.user_id(one)}"
    assert gone.payload == of(pages)[0].payload
    # It means nobody but itself.
    assert gone.ref == Ref(f"desk:{rows.user_id(one)}", kind="helpdesk_user")


def test_a_user_merged_into_another_passes_on_its_tickets() -> None:
    told = (born(helpdesk_id=True), event("2026-03-03 10:00", "ticket_opened", ticket=1))
    kept = client("1001", born(helpdesk_id=True))
    rig = ZendeskRig(kept, client("1002", *told))
    (key,) = rig.fake.rows("tickets")
    rig.fake.edits[key] = {"requester_id": rows.user_id(kept)}
    (record,) = rig.tickets().values()
    assert record.ref.value == f"desk:{rows.user_id(kept)}"


@pytest.mark.parametrize(
    "broken",
    [
        {"role": "owner"},
        {"role": None},
        {"active": "no"},
        {"verified": "yes"},
        {"created_at": None},
        {"updated_at": "soon"},
        {"external_id": ["1001"]},
        {"external_id": "a" * 256},
        {"external_id": "a\x00b"},
        {"email": 7 * "x" + "\ud83d"},
    ],
)
def test_an_odd_user_is_set_aside_alone(broken: dict[str, Any]) -> None:
    odd = client("1001", born(verified=True))
    rig = ZendeskRig(odd, client("1002", born(helpdesk_id=True)))
    rig.fake.edits[rows.user_id(odd)] = broken
    pages = list(rig.source().pull(None))
    assert [r.ref for r in of(pages)] == [Ref("1002")]
    (reject,) = [r for page in pages for r in page.rejects]
    assert (reject.external_id, reject.kind) == (f"user:{rows.user_id(odd)}", "link")
    assert "ana@example.com" not in reject.reason


def test_no_name_phone_or_note_of_a_user_is_kept() -> None:
    rig = ZendeskRig()
    texts = [r.raw for r in rig.links().values()]
    for word in ("Zoë", "O'Brien>", "rude", "phone"):
        assert not [t for t in texts if word in t]
    for record in rig.links().values():
        # The address is kept only where it is the reference.
        assert ("o'brien" in record.raw) is (record.ref.kind == "email")


def test_logs_hold_no_reference(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    rig = ZendeskRig()
    rig.faults.fail_next = [429, 503]
    found = of(list(rig.source().pull(None)))
    assert caplog.text
    assert not [r for r in found if r.ref.value in caplog.text or r.external_id in caplog.text]
    assert ADMIN not in caplog.text
    assert ADMIN not in repr(rig.source().settings)
