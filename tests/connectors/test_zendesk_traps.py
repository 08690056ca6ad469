"""Zendesk's traps in paging: the end of the stream, the withheld minute, cursors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mapping.errors import ConfigError, ProtocolError
from simulator import zendesk_rows as rows
from simulator.story import Client, Event
from simulator.wire import Request, Response
from tests.connectors.zendesk_rig import (
    START,
    ZendeskRig,
    born,
    last_changes,
    place,
    queries,
    ticket_of,
)
from tests.contracts.source import SECRETS, of
from tests.contracts.world import at, client, event


def test_the_end_of_the_stream_stops_and_its_cursor_is_kept() -> None:
    """Trap 23: after_cursor is not null at the end, and following it never ends."""
    rig = ZendeskRig(requests_per_minute=100)
    source = rig.source()
    pages = list(source.pull(None))
    calls = rig.fake.calls
    last = pages[-1].cursor
    assert place(last, "users")
    assert place(last, "tickets")
    # The fake goes on to answer the last cursor with the same cursor, as the vendor does.
    answer = rig.fake.handle(
        Request("GET", f"/api/v2/incremental/tickets/cursor.json?cursor={place(last, 'tickets')}",
                {"authorization": f"Bearer {SECRETS[0]}"})
    )  # fmt: skip
    body = json.loads(answer.body)
    assert (body["tickets"], body["end_of_stream"]) == ([], True)
    assert body["after_cursor"] == place(last, "tickets")
    (again,) = source.pull(last)
    assert rig.fake.calls == calls + 1 + 2  # one request an export
    assert (again.records, again.cursor) == ([], last)


def test_the_next_pull_goes_on_where_the_last_one_ended() -> None:
    rig = ZendeskRig()
    source = rig.source()
    before = list(source.pull(None))[-1].cursor
    registered = Event(rig.world.now_ms + 1000, "registered", {"helpdesk_id": True})
    opened = Event(rig.world.now_ms + 2000, "ticket_opened", {"ticket": 1})
    rig.world.add(client("new", registered, opened))
    rig.world.advance(300)
    rig.transport.requests.clear()
    found = of(list(source.pull(before)))
    new = rig.world.clients["alpha:new"]
    assert [r.external_id for r in found] == [
        f"user:{rows.user_id(new)}",
        str(rows.ticket_id(new, 1)),
    ]
    assert queries(rig, "users")[0]["cursor"] == place(before, "users")
    assert queries(rig, "tickets")[0]["cursor"] == place(before, "tickets")
    assert "start_time" not in queries(rig, "users")[0]


def test_users_come_before_tickets_in_each_pull() -> None:
    rig = ZendeskRig()
    kinds = [r.kind for r in of(list(rig.source().pull(None)))]
    assert kinds == sorted(kinds, key=("link", "ticket").index)
    assert set(kinds) == {"link", "ticket"}


def test_the_first_request_says_when_to_begin_and_the_rest_where() -> None:
    rig = ZendeskRig()
    list(rig.source().pull(None))
    first, *rest = queries(rig, "tickets")
    assert first["start_time"] == str(int(START.timestamp()))
    assert [set(q) for q in (first, rest[0])] == [
        {"start_time", "per_page", "include"},
        {"cursor", "per_page", "include"},
    ]
    assert queries(rig, "users")[0]["start_time"] == "0"  # an old user may open a new ticket
    assert len({q["cursor"] for q in rest}) == len(rest)


def test_start_at_holds_for_tickets_and_users_from_for_users() -> None:
    rig = ZendeskRig()
    late = datetime(2026, 3, 10)  # noqa: DTZ001 - taken as UTC
    found = rig.tickets(start_at=late)
    opened = {i: e for c in rig.world.clients.values() for i, e in last_changes(c)}
    assert set(found) == {i for i, changed in opened.items() if changed >= at("2026-03-10 00:00")}
    assert set(rig.links(users_from=datetime(2026, 3, 10, tzinfo=UTC))) < set(rig.links())


@pytest.mark.parametrize("seconds", [-3600, 0, 59, 60, 61, 3600])
def test_a_start_within_the_withheld_minute_is_put_back(seconds: int) -> None:
    rig = ZendeskRig()
    start = datetime.fromtimestamp(rig.world.now_ms / 1000 - seconds, UTC)
    rig.tickets(start_at=start)
    asked = int(queries(rig, "tickets")[0]["start_time"])
    assert asked <= rig.world.now_ms // 1000 - 60
    if seconds >= 3600:
        assert asked == int(start.timestamp())


def test_the_withheld_minute_arrives_with_a_later_pull() -> None:
    rig = ZendeskRig()
    source = rig.source()
    fresh = Event(rig.world.now_ms - 30_000, "ticket_opened", {"ticket": "fresh"})
    rig.world.add(client("fresh", fresh))
    pages = list(source.pull(None))
    one = str(rows.ticket_id(rig.world.clients["alpha:fresh"], "fresh"))
    assert one not in {r.external_id for r in of(pages)}
    assert pages[-1].complete_until is not None
    assert pages[-1].complete_until < fresh.at
    rig.world.advance(60)
    assert [r.external_id for r in of(list(source.pull(pages[-1].cursor)))] == [one]


def test_a_ticket_that_shows_late_is_not_lost() -> None:
    rig = ZendeskRig()
    source = rig.source()
    cursor = list(source.pull(None))[-1].cursor
    late = Event(at("2026-03-02 08:00"), "ticket_opened", {"ticket": "late"},
                 visible_at=rig.world.now_ms + 5000)  # fmt: skip
    rig.world.add(client("late", late))
    rig.world.advance(600)
    (record,) = of(list(source.pull(cursor)))
    assert ticket_of(record).updated_at == late.at  # older than anything read so far
    assert record.version_at == late.visible_at // 1000 * 1000


def test_a_ticket_updated_while_it_is_paged_comes_again() -> None:
    rig = ZendeskRig()
    source = rig.source()
    _, one, *_ = rig.world.clients.values()
    key = one.events[1].data["ticket"]
    solved = Event(rig.world.now_ms + 1000, "ticket_solved", {"ticket": key})
    rig.world.add(Client("alpha", one.id, [*one.events, solved]))
    pages = []
    for page in source.pull(None):
        pages.append(page)
        if len(pages) == 5:
            rig.world.advance(120)  # after the first page of tickets
    mine = [r for r in of(pages) if r.external_id == str(rows.ticket_id(one, key))]
    assert [ticket_of(r).status for r in mine] == ["new", "solved"]
    assert [r.version_at for r in mine] == [one.events[1].at, solved.at]


def test_a_change_by_the_system_is_a_newer_version() -> None:
    opened = event("2026-03-03 10:00", "ticket_opened", ticket=1)
    system = event("2026-03-04 10:00", "ticket_updated", ticket=1, system=True, tags=["payout"])
    rig = ZendeskRig(client("1001", born(), opened, system))
    (record,) = rig.tickets().values()
    assert ticket_of(record).updated_at == opened.at
    assert record.version_at == system.at
    assert ticket_of(record).rule == "tag:payout"


@pytest.mark.parametrize("after", [None, "", "same"])
def test_more_without_a_way_on_is_a_change_of_shape(after: str | None) -> None:
    rig = ZendeskRig()
    genuine = rig.fake.handle

    def stuck(request: Request) -> Response:
        first = Request("GET", f"{request.path}?start_time=0", request.headers)
        body = json.loads(genuine(first).body)
        return Response.json(200, {**body, "after_cursor": after, "end_of_stream": False})

    rig.transport.fake = stuck
    with pytest.raises(ProtocolError, match=r"desk.*after_cursor"):
        list(rig.source().pull(None))
    assert len(rig.transport.requests) == (2 if after else 1)


@pytest.mark.parametrize("change", [{"end_of_stream": "true"}, {"users": {}}, {"after_cursor": 7}])
def test_an_answer_of_another_shape_is_named(change: dict[str, Any]) -> None:
    rig = ZendeskRig()
    genuine = rig.fake.handle
    rig.transport.fake = lambda r: Response.json(200, {**json.loads(genuine(r).body), **change})
    with pytest.raises(ProtocolError, match="desk"):
        list(rig.source().pull(None))


def test_an_empty_account_begins_again_at_its_start() -> None:
    rig = ZendeskRig(client("1001"))
    genuine = rig.fake.handle

    def empty(request: Request) -> Response:
        body = {**json.loads(genuine(request).body), "users": [], "after_cursor": None}
        return Response.json(200, body)

    rig.transport.fake = empty
    source = rig.source()
    (page,) = source.pull(None)
    assert place(page.cursor, "users") == place(page.cursor, "tickets") == ""
    (again,) = source.pull(page.cursor)
    assert again.cursor == page.cursor


@pytest.mark.parametrize("text", ["{}", "[]", "null", "7", "x", '{"users": 1, "tickets": ""}'])
def test_a_broken_cursor_is_the_admins_to_delete(text: str) -> None:
    with pytest.raises(ConfigError, match="delete it"):
        list(ZendeskRig().source().pull(text))


def test_metric_sets_count_wherever_they_are_sent() -> None:
    told = (
        event("2026-03-03 10:00", "ticket_opened", ticket=1),
        event("2026-03-04 10:00", "ticket_solved", ticket=1),
        event("2026-03-05 10:00", "ticket_reopened", ticket=1),
        event("2026-03-06 10:00", "ticket_solved", ticket=1),
        event("2026-03-07 10:00", "ticket_updated", ticket=1, tags=["x"]),
    )
    for apart in (False, True):
        rig = ZendeskRig(client("1001", born(), *told))
        rig.fake.metrics_apart = apart
        (record,) = rig.tickets().values()
        found = ticket_of(record)
        assert (found.reopens, found.solved_at) == (1, at("2026-03-06 10:00"))
    (record,) = rig.tickets(metrics=False).values()
    assert (ticket_of(record).reopens, ticket_of(record).solved_at) == (0, at("2026-03-07 10:00"))
    assert "include" not in queries(rig, "tickets")[-1]
