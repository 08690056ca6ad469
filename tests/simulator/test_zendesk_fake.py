"""The fake Zendesk behaves as the vendor's pages say, by plain requests."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from simulator import zendesk_rows as rows
from simulator.story import Event
from simulator.wire import Request, Response
from simulator.zendesk import ZendeskFake
from tests.contracts.world import at, client, event, world

TICKETS = "/api/v2/incremental/tickets/cursor.json"
USERS = "/api/v2/incremental/users/cursor.json"
BASIC = "Basic " + base64.b64encode(b"ada@broker.example/token:secret").decode()


def fake(count: int = 5, **options: Any) -> ZendeskFake:
    """An account with so many clients, each with a ticket, all of one second."""
    clients = [
        client(
            str(n),
            event("2026-03-02 10:00", "registered", email=f"c{n}@example.com", verified=True),
            event("2026-03-02 11:00", "ticket_opened", ticket=n, category="kyc"),
        )
        for n in range(count)
    ]
    return ZendeskFake(world(*clients), ["alpha"], "ada@broker.example", "secret", **options)


def get(one: ZendeskFake, path: str = TICKETS, auth: str = BASIC, **query: Any) -> Response:
    """The answer to a request."""
    text = "&".join(f"{k}={quote(str(v))}" for k, v in query.items())
    return one.handle(Request("GET", f"{path}?{text}", {"authorization": auth}))


def body(one: ZendeskFake, path: str = TICKETS, **query: Any) -> dict[str, Any]:
    """The JSON of an answer that must be 200."""
    answer = get(one, path, **query)
    assert answer.status == 200, answer.body
    found = json.loads(answer.body)
    assert isinstance(found, dict)
    return found


def test_pages_follow_the_cursor_through_a_tie_and_end() -> None:
    one = fake()
    page = body(one, start_time=0, per_page=2)
    seen = [t["id"] for t in page["tickets"]]
    while not page["end_of_stream"]:
        page = body(one, cursor=page["after_cursor"], per_page=2)
        seen += [t["id"] for t in page["tickets"]]
    assert sorted(seen) == seen
    assert len(set(seen)) == len(seen) == 5
    again = body(one, cursor=page["after_cursor"], per_page=2)
    assert (again["tickets"], again["end_of_stream"]) == ([], True)
    assert again["after_cursor"] == page["after_cursor"]


@pytest.mark.parametrize("query", [
    {}, {"start_time": "soon"}, {"cursor": "nonsense"}, {"start_time": 0, "per_page": 0},
    {"start_time": 0, "per_page": 1001}, {"start_time": at("2026-03-20 00:00") // 1000 - 59},
])  # fmt: skip
def test_bad_requests_are_refused(query: dict[str, Any]) -> None:
    assert get(fake(), **query).status == 400


def test_the_last_minute_is_withheld() -> None:
    one = fake(1)
    one.world.add(client("new", Event(one.world.now_ms - 10_000, "ticket_opened", {"ticket": 1})))
    page = body(one, start_time=0)
    assert (len(page["tickets"]), page["end_of_stream"]) == (1, True)
    one.world.advance(60)
    assert len(body(one, cursor=page["after_cursor"])["tickets"]) == 1


def test_the_eleventh_request_of_a_minute_waits_for_the_first_to_pass() -> None:
    one = fake(latency_s=0)
    for _ in range(10):
        body(one, start_time=0)
        one.world.sleep(1)
    refused = get(one, start_time=0)
    assert (refused.status, refused.headers["retry-after"]) == (429, "50")
    one.world.sleep(49)
    assert get(one, USERS, start_time=0).status == 429  # both exports count
    one.world.sleep(1)
    assert get(one, USERS, start_time=0).status == 200
    assert one.refused == 2


def test_who_may_ask() -> None:
    one = fake(oauth_token="bearer-of-the-test")
    assert get(one, auth="", start_time=0).status == 401
    assert get(one, auth=BASIC[:-4], start_time=0).status == 401
    assert get(one, auth="Bearer bearer-of-the-test", start_time=0).status == 200
    assert get(fake(admin=False), start_time=0).status == 403
    assert get(one, "/api/v2/tickets.json").status == 404


def test_side_loads_come_only_when_asked_for() -> None:
    one = fake(1)
    assert "metric_set" not in body(one, start_time=0)["tickets"][0]
    asked = body(one, start_time=0, include="metric_sets")["tickets"][0]
    assert asked["metric_set"]["reopens"] == 0
    assert "identities" not in body(one, USERS, start_time=0)
    both = body(one, USERS, start_time=0, include="identities")
    proved = [i["value"] for i in both["identities"] if i["type"] == "email" and i["verified"]]
    assert "c0@example.com" in proved


def test_a_stable_share_of_users_has_no_external_id() -> None:
    one = fake(200)
    users = [u for u in body(one, USERS, start_time=0)["users"] if u["role"] == "end-user"]
    without = [u["id"] for u in users if u["external_id"] is None]
    assert 30 < len(without) < 70
    later = [u for u in body(one, USERS, start_time=0)["users"] if u["role"] == "end-user"]
    assert [u["id"] for u in later if u["external_id"] is None] == without


def test_what_is_changed_comes_again_and_the_system_leaves_updated_at() -> None:
    told = [
        event("2026-03-02 10:00", "ticket_opened", ticket=1),
        event("2026-03-03 10:00", "ticket_updated", ticket=1, system=True),
    ]
    one = ZendeskFake(world(client("1", *told)), ["alpha"], "ada@broker.example", "secret")
    (ticket,) = body(one, start_time=at("2026-03-03 00:00") // 1000)["tickets"]
    assert ticket["updated_at"] == "2026-03-02T10:00:00Z"
    assert ticket["generated_timestamp"] == at("2026-03-03 10:00") // 1000
    assert ticket["id"] == rows.ticket_id(one.world.clients["alpha:1"], 1)
