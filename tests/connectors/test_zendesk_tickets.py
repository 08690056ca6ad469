"""Zendesk's tickets: status, priority, times, what is kept of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mapping.errors import RecordError
from mapping.payloads import Ticket
from mapping.records import Record, Ref
from tests.connectors.zendesk_rig import ZendeskRig
from tests.contracts.world import at, client

SECRETS_OF_A_TICKET = ("Withdrawal for Jane", "4111 1111", "jane@example.com", "vip-jane", "free")


def row(**changes: Any) -> dict[str, Any]:
    """A ticket as the export shows it; None takes a field away."""
    plain = {
        "id": 7,
        "status": "open",
        "priority": None,
        "created_at": "2026-03-02T10:00:00Z",
        "updated_at": "2026-03-02T10:05:00Z",
        "requester_id": 99,
        "brand_id": 1,
        "subject": "Hello",
        "description": "My card 4111 1111",
        "tags": [],
        "custom_fields": [],
    }
    nulls = changes.pop("nulls", ())
    return {k: v for k, v in {**plain, **changes}.items() if v is not None} | dict.fromkeys(nulls)


def record(raw: dict[str, Any], **settings: Any) -> Record:
    """The record of a row."""
    rig = ZendeskRig(client("1001"))
    source = rig.source(**{"forms": {}, "groups": {}, **settings})
    return source.parse({"ticket": raw})


def ticket(raw: dict[str, Any], **settings: Any) -> Ticket:
    """The ticket of a row."""
    found = record(raw, **settings).payload
    assert isinstance(found, Ticket)
    return found


@pytest.mark.parametrize(
    ("status", "means", "solved"),
    [
        ("new", "new", False),
        ("open", "open", False),
        ("pending", "pending", False),
        ("hold", "on_hold", False),
        ("solved", "solved", True),
        ("closed", "closed", True),
        ("deleted", "deleted", False),
    ],
)
def test_each_status(status: str, means: str, solved: bool) -> None:
    found = record(row(status=status))
    assert isinstance(found.payload, Ticket)
    assert found.payload.status == means
    assert found.deleted is (status == "deleted")
    # Without metrics the last change stands in for the time of solution.
    assert found.payload.solved_at == (at("2026-03-02 10:05") if solved else None)


def test_a_custom_status_counts_by_its_category() -> None:
    assert ticket(row(status="pending", custom_status_id=4711)).status == "pending"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "archived"},
        {"status": "Open"},
        {"status": None},
        {"status": ["open"]},
        {"priority": "critical"},
        {"priority": "High"},
        {"id": "seven"},
        {"id": True},
        {"id": -7},
        {"id": None},
        {"requester_id": None},
        {"requester_id": "99"},
        {"created_at": None},
        {"created_at": "yesterday"},
        {"created_at": "1970-01-01T00:00:00Z"},
        {"updated_at": "2031-01-01T00:00:00Z"},
        {"updated_at": None},
        {"generated_timestamp": 12},
        {"tags": "payout"},
        {"tags": [1]},
        {"metric_set": [3]},
        {"metric_set": {"reopens": "3"}},
        {"metric_set": {"reopens": -1}},
    ],
)
def test_what_is_unknown_or_absurd_is_set_aside(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        ticket(row(**changes))


def test_an_unknown_status_can_be_given_a_meaning() -> None:
    assert ticket(row(status="archived"), statuses={"archived": "closed"}).status == "closed"


@pytest.mark.parametrize("priority", ["urgent", "high", "normal", "low"])
def test_priorities(priority: str) -> None:
    assert ticket(row(priority=priority)).priority == priority


def test_a_ticket_without_priority_has_none() -> None:
    assert ticket(row()).priority is None
    assert ticket(row(nulls=("priority",))).priority is None


def test_metrics_tell_reopenings_and_the_time_of_solution() -> None:
    metrics = {"reopens": 3, "solved_at": "2026-03-02T09:00:00Z", "replies": 5}
    found = ticket(row(status="solved", metric_set=metrics))
    assert (found.reopens, found.solved_at) == (3, at("2026-03-02 09:00"))
    # Open again: what was solved once is not solved now.
    assert ticket(row(status="open", metric_set=metrics)).solved_at is None
    assert ticket(row(status="solved", nulls=("metric_set",))).reopens == 0


def test_a_version_is_dated_by_what_every_change_moves() -> None:
    seconds = at("2026-03-02 12:00") // 1000
    moved = record(row(generated_timestamp=seconds))
    assert moved.version_at == at("2026-03-02 12:00")
    assert isinstance(moved.payload, Ticket)
    assert moved.payload.updated_at == at("2026-03-02 10:05")
    assert record(row()).version_at == at("2026-03-02 10:05")


def test_of_two_versions_of_a_second_the_further_one_wins() -> None:
    ways = ("new", "open", "pending", "hold", "solved", "closed", "deleted")
    ranks = [record(row(status=status)).rank for status in ways]
    assert ranks == sorted(set(ranks))


def test_the_requester_names_the_client_unless_the_ticket_does() -> None:
    assert record(row()).ref == Ref("desk:99", kind="helpdesk_user")
    fields = [{"id": 5, "value": " BR-1001 "}]
    known = record(row(custom_fields=fields), client_field=5, client_prefix="BR-")
    assert known.ref == Ref("1001")
    for value in ("1001", "", None, "BR-"):
        other = [{"id": 5, "value": value}]
        found = record(row(custom_fields=other), client_field=5, client_prefix="BR-")
        assert found.ref == Ref("desk:99", kind="helpdesk_user")


def test_a_deletion_counts_though_its_requester_is_gone() -> None:
    found = record(row(status="deleted", requester_id=None))
    assert found.deleted
    assert found.ref.kind == "helpdesk_user"


# What is kept


def test_no_text_of_a_ticket_is_kept() -> None:
    rig = ZendeskRig()
    one = next(iter(rig.fake.rows("tickets")))
    rig.fake.edits[one] = {
        "subject": "Withdrawal for Jane",
        "raw_subject": "Withdrawal for Jane",
        "description": "card 4111 1111",
        "recipient": "jane@example.com",
        "tags": ["vip-jane", "payout"],
        "custom_fields": [
            {"id": 360_000_001, "value": "free text about Jane"},
            {"id": 77, "value": "jane@example.com"},
        ],
        "ticket_form_id": None,
        "group_id": None,
    }
    found = rig.tickets()[str(one)]
    assert isinstance(found.payload, Ticket)
    assert (found.payload.category, found.payload.rule) == ("withdrawal", "tag:payout")
    assert not [word for word in SECRETS_OF_A_TICKET if word in found.raw]
    assert "word:en:withdraw*" in found.raw
    assert rig.source().parse(json.loads(found.raw)) == found


def test_a_set_aside_ticket_keeps_no_text_either_and_passes_once_it_may() -> None:
    rig = ZendeskRig()
    one = next(iter(rig.fake.rows("tickets")))
    rig.fake.edits[one] = {
        "status": "archived", "subject": "Withdrawal for Jane", "tags": ["vip-jane"],
        "custom_fields": [{"id": 77, "value": "jane@example.com"}],
        "ticket_form_id": None, "group_id": None,
    }  # fmt: skip
    rejects = [r for page in rig.source().pull(None) for r in page.rejects]
    assert [(r.external_id, r.kind, r.brand) for r in rejects] == [(str(one), "ticket", "alpha")]
    assert "archived" in rejects[0].reason
    assert not [word for word in SECRETS_OF_A_TICKET if word in rejects[0].raw]
    known = rig.source(statuses={"archived": "closed"}).parse(json.loads(rejects[0].raw))
    assert isinstance(known.payload, Ticket)
    assert (known.payload.status, known.payload.rule) == ("closed", "word:en:withdraw*")


@pytest.mark.parametrize("broken", ["text", None, 7, [], ["x"]])
def test_a_row_that_is_no_object_is_set_aside(broken: object) -> None:
    rig = ZendeskRig(client("1001"))
    source = rig.source()
    found = source._rows.of_ticket(broken, None, rig.world.now_ms)
    assert found is not None
    assert "object" in getattr(found, "reason", "")
    records, rejects = source._rows.of_user(broken, [], rig.world.now_ms)
    assert (len(records), len(rejects)) == (0, 1)


@pytest.mark.parametrize("shape", ["text", {"id": 1}, [1], ["x"]])
def test_custom_fields_of_another_shape_are_set_aside(shape: object) -> None:
    rig = ZendeskRig(client("1001"))
    source = rig.source(client_field=5)
    reject = source._rows.of_ticket(row(custom_fields=shape), None, rig.world.now_ms)
    reason = getattr(reject, "reason", "")
    assert "custom_fields" in reason
    with pytest.raises(RecordError) as again:
        source.parse(json.loads(getattr(reject, "raw", "")))
    assert again.value.admin == reason
