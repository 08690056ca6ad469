"""Zendesk's public samples: tickets and users as recorded, the examples and lists of values of the
specification, and answers of other addresses, which are no pages of an export."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.base import Reject
from mapping.errors import ProtocolError
from mapping.payloads import Link, Ticket
from mapping.records import Record, Ref
from mapping.words import TicketCategory, TicketPriority, TicketStatus
from simulator.wire import Response
from tests.connectors import samples
from tests.connectors.test_zendesk_tickets import row, ticket
from tests.connectors.zendesk_rig import ZendeskRig, place, queries
from tests.contracts.world import at, client

NOW = at("2026-03-20 00:00")
TICKETS = {
    "ticket_show_many.json": "tickets", "search_ticket.json": "results", "ticket.json": "ticket",
}  # fmt: skip
USERS = {"users.json": "users", "search_user.json": "results", "user.json": "user"}
FIELDS = "ticket_fields.json"
# Addresses that the hub does not read.
OTHERS = (
    "group.json", "groups.json", "search_count_ticket.json", "tags.json", "ticket_comments.json",
    "ticket_field.json", "user_related.json", "webhook.json",
)  # fmt: skip
GROUP, FORM, BRAND = 360004077472, 360000389592, 360002256672


def sampled(names: dict[str, str]) -> list[dict[str, Any]]:
    """The rows of these samples."""
    found: list[dict[str, Any]] = []
    for name, key in names.items():
        rows = samples.load(f"zendesk/samples/{name}")[key]
        found += rows if isinstance(rows, list) else [rows]
    return found


def example(name: str) -> Any:
    """An example of the specification."""
    specification = samples.specification("zendesk/support_api.openapi.yaml")
    return specification["components"]["examples"][name]["value"]


def schema(name: str) -> dict[str, Any]:
    """The properties of an object of the specification."""
    specification = samples.specification("zendesk/support_api.openapi.yaml")
    found: dict[str, Any] = specification["components"]["schemas"][name]["properties"]
    return found


def decoded(rows: list[dict[str, Any]], **settings: Any) -> list[Record | Reject | None]:
    """Tickets as a connection with these settings reads them."""
    source = ZendeskRig(client("1001")).source(**{"forms": {}, "groups": {}, **settings})
    return [source._rows.of_ticket(one, None, NOW) for one in rows]


def test_no_sample_is_left_out() -> None:
    assert samples.names("zendesk/samples") == {*TICKETS, *USERS, FIELDS, *OTHERS}
    assert samples.names("zendesk") == {"support_api.openapi.yaml"}


def test_the_recorded_tickets() -> None:
    solved = ("2019-06-05 01:13:24", "2019-06-03 02:35:05")
    mail = (TicketStatus.SOLVED, at("2019-06-03 02:23:47"), at(solved[0]), at(solved[0]), None)
    web = (TicketStatus.SOLVED, at("2019-06-03 02:34:52"), at(solved[1]), at(solved[1]), None)
    made = at("2019-06-06 10:02:04")
    new = (TicketStatus.NEW, made, made, None, TicketPriority.URGENT)
    seen = []
    for raw, one in zip(rows := sampled(TICKETS), decoded(rows), strict=True):
        assert isinstance(one, Record)
        assert isinstance(one.payload, Ticket)
        assert one.ref == Ref("desk:377922500012", kind="helpdesk_user")
        assert (one.version_at, one.deleted) == (one.payload.updated_at, False)
        told = one.payload
        assert (told.category, told.rule, told.complaint) == (TicketCategory.OTHER, "none", False)
        assert told.reopens == 0
        # No metrics were sent: the last change stands in for the time of solution.
        values = (told.status, told.opened_at, told.updated_at, told.solved_at, told.priority)
        seen.append((one.external_id, values))
        sender = raw["via"]["source"]["from"].values()
        assert not [t for t in (raw["subject"], raw["description"], *sender) if t in one.raw]
    assert seen == [("2", mail), ("3", web), ("4", new), ("2", mail)]


def test_the_ids_of_the_recorded_tickets_are_evidence_once_they_are_named() -> None:
    for settings, rule, category in (
        ({"groups": {GROUP: "payment"}}, f"group:{GROUP}", TicketCategory.PAYMENT),
        ({"forms": {FORM: "kyc"}, "groups": {GROUP: "payment"}}, f"form:{FORM}",
         TicketCategory.KYC),
    ):  # fmt: skip
        for one in decoded(sampled(TICKETS), **settings):
            assert isinstance(one, Record)
            assert isinstance(one.payload, Ticket)
            assert (one.payload.rule, one.payload.category) == (rule, category)
    for one in decoded(sampled(TICKETS), brands={BRAND: "alpha"}):
        assert isinstance(one, Record)
        assert one.brand == "alpha"
    assert decoded(sampled(TICKETS), brands={BRAND: ""}) == [None] * 4


def test_the_recorded_users_link_nobody() -> None:
    source = ZendeskRig(client("1001")).source()
    found: dict[int, list[Record]] = {}
    for raw in sampled(USERS):
        records, rejects = source._rows.of_user(raw, [], NOW)
        assert rejects == []
        found[raw["id"]] = records
    # The customer never proved the address and changed within a second: it says nothing.
    assert found.pop(369531345753) == []
    # Staff are never clients; changed since, they may have been, so a link is taken back.
    for user_id, records in found.items():
        (record,) = records
        assert (record.external_id, record.deleted) == (f"user:{user_id}", True)
        assert record.payload == Link("helpdesk_user", f"desk:{user_id}")
        assert record.ref == Ref(f"desk:{user_id}", kind="helpdesk_user")
    assert set(found) == {369537351454, 1234}


def test_a_proved_address_of_the_recorded_customer_would_link() -> None:
    source = ZendeskRig(client("1001")).source()
    (customer,) = sampled({"user.json": "user"})
    ((record,), _) = source._rows.of_user(customer | {"verified": True}, [], NOW)
    assert (record.ref, record.deleted) == (Ref("customer@example.com", kind="email"), False)


def test_the_values_of_the_recorded_ticket_fields_are_understood() -> None:
    fields = {one["type"]: one for one in sampled({FIELDS: "ticket_fields"})}
    shown = [option["value"] for option in fields["status"]["system_field_options"]]
    assert [ticket(row(status=value)).status for value in shown] == ["open", "pending", "solved"]
    shown = [option["value"] for option in fields["priority"]["system_field_options"]]
    assert [ticket(row(priority=value)).priority for value in shown] == [
        "low", "normal", "high", "urgent",
    ]  # fmt: skip
    tagger = fields["tagger"]
    values = [option["value"] for option in tagger["custom_field_options"]]
    assert values == ["opt1", "opt2"]
    settings = {"category_field": tagger["id"], "category_values": {"opt1": "withdrawal"}}
    told = [
        ticket(row(custom_fields=[{"id": tagger["id"], "value": value}]), **settings)
        for value in values
    ]
    assert [one.rule for one in told] == [f"field:{tagger['id']}:opt1", "none"]
    assert told[0].category is TicketCategory.WITHDRAWAL


def test_the_recorded_tags_are_no_evidence() -> None:
    tags = samples.load("zendesk/samples/tags.json")["tags"]
    assert ticket(row(tags=tags)).rule == "none"
    assert ticket(row(tags=tags), tags={tags[0]: "trading"}).rule == f"tag:{tags[0]}"


@pytest.mark.parametrize("name", [*OTHERS, *TICKETS, *USERS, FIELDS])
def test_the_answer_of_another_address_is_no_page_of_an_export(name: str) -> None:
    rig = ZendeskRig(client("1001"))
    answer = samples.raw(f"zendesk/samples/{name}")
    rig.transport.fake = lambda request: Response(200, answer)
    with pytest.raises(ProtocolError, match=r"desk: .* end_of_stream"):
        list(rig.source().pull(None))
    rig.close()


# The specification


def test_a_pull_of_the_examples_of_both_exports() -> None:
    pages = {
        f"/api/v2/incremental/{export}/cursor.json": Response.json(200, example(name))
        for export, name in (
            ("users", "CursorBasedExportIncrementalUsersResponseExample"),
            ("tickets", "CursorBasedExportIncrementalTicketsResponseExample"),
        )
    }
    rig = ZendeskRig(client("1001"))
    rig.transport.fake = lambda request: pages[request.path]
    source = rig.source(client_field=27642, complaint_field=27648, forms={}, groups={})
    users, tickets = source.pull(None)
    assert [*users.rejects, *tickets.rejects] == []
    (agent,) = users.records
    assert (agent.external_id, agent.deleted) == ("user:35436", True)
    (record,) = tickets.records
    assert (record.external_id, record.ref) == ("35436", Ref("745"))
    assert record.payload == Ticket(
        status=TicketStatus.OPEN,
        category=TicketCategory.OTHER,
        complaint=True,  # the field says yes
        opened_at=at("2009-07-20 22:55:29"),
        updated_at=at("2011-05-05 10:38:52"),
        solved_at=None,
        reopens=0,
        priority=TicketPriority.HIGH,
        rule="none",
    )
    for private in ("printer", "colorful", "ahg35h3jh", "Johnny", "+1555"):
        assert private not in agent.raw + record.raw
    # At the end the cursor is kept, and the next pull begins there.
    assert tickets.complete_until == rig.world.now_ms - 60_000
    for export in ("users", "tickets"):
        assert place(tickets.cursor, export) == "MTU3NjYxMzUzOS4wfHw0Njd8"
        list(source.pull(tickets.cursor))
        assert queries(rig, export)[-1]["cursor"] == "MTU3NjYxMzUzOS4wfHw0Njd8"
    rig.close()


def test_the_requests_are_those_of_the_specification() -> None:
    specification = samples.specification("zendesk/support_api.openapi.yaml")
    parameters = specification["components"]["parameters"]
    rig = ZendeskRig(client("1001"))
    list(rig.source().pull(None))
    for export, assumed in (("users", set()), ("tickets", {"per_page", "include"})):
        listed = specification["paths"][f"/api/v2/incremental/{export}/cursor"]["parameters"]
        known = {parameters[one["$ref"].rpartition("/")[2]]["name"] for one in listed}
        (asked,) = queries(rig, export)
        assert set(asked) - assumed <= known
        assert "start_time" in asked
    rig.close()


def test_every_listed_status_and_priority_is_understood() -> None:
    meanings = {
        "new": "new", "open": "open", "pending": "pending", "hold": "on_hold", "solved": "solved",
        "closed": "closed",
    }  # fmt: skip
    told = {
        value: ticket(row(status=value)).status
        for value in schema("TicketObject")["status"]["enum"]
    }
    assert told == meanings
    assert set(schema("CustomStatusObject")["status_category"]["enum"]) < set(meanings)
    listed = schema("TicketObject")["priority"]["enum"]
    assert [ticket(row(priority=value)).priority for value in listed] == listed
    assert len(listed) == 4


def test_the_example_of_metrics_tells_the_time_of_solution() -> None:
    assert {"reopens", "solved_at"} <= set(schema("TicketMetricObject"))
    for metrics in example("TicketMetricsResponseExample")["ticket_metrics"]:
        found = ticket(row(status="solved", metric_set=metrics))
        assert (found.solved_at, found.reopens) == (at("2020-07-20 06:21:26"), 0)


def test_of_the_example_of_identities_the_address_alone_is_proved() -> None:
    identities = example("UserIdentitiesResponseExample")["identities"]
    assert [one["type"] for one in identities] == ["email", "twitter", "phone_number"]
    source = ZendeskRig(client("1001")).source(email_proof="identity")
    (plain,) = sampled({"user.json": "user"})
    for email, told in (("someone@example.com", 1), ("other@example.com", 0)):
        user = plain | {"id": 135, "email": email}
        records, _ = source._rows.of_user(user, identities, NOW)
        assert [r.ref for r in records] == [Ref(email, kind="email")] * told
    without_address = [one for one in identities if one["type"] != "email"]
    user = plain | {"id": 135, "email": "someone@example.com", "verified": True}
    assert source._rows.of_user(user, without_address, NOW) == ([], [])
