"""How the fake portal serves: its index, limits and faults to order, rights, archives, pages.

The numbers are those of the list of behaviours in the HubSpot reference, section 3.2.
"""

from __future__ import annotations

from typing import Any

import pytest

from simulator.hubspot import Fault
from simulator.wire import Request, Response
from tests.fakes.hubspot import TOKEN, sdk_for
from tests.simulator.hubspot_rig import MIDNIGHT_MS, Rig, refused
from tests.transport import InProcessPool

# 7. Search.


def _search(rig: Rig, name: str, value: str, **more: Any) -> Any:
    row = {"propertyName": name, "operator": "EQ", "value": value}
    return rig.crm.contacts.search_api.do_search({"filterGroups": [{"filters": [row]}]} | more)


def test_the_index_is_behind(rig: Rig) -> None:
    rig.upsert(("C1", {"firstname": "old"}))
    assert _search(rig, "firstname", "old").total == 0
    rig.world.sleep(3)
    assert _search(rig, "firstname", "old").total == 1
    rig.upsert(("C1", {"firstname": "new"}))
    rig.world.sleep(2.9)
    assert _search(rig, "firstname", "new").total == 0
    assert _search(rig, "firstname", "old").total == 1
    rig.world.sleep(0.1)
    assert _search(rig, "firstname", "new").total == 1
    rig.fake.archive("contacts", rig.by_key("C1")["hs_object_id"])
    assert _search(rig, "firstname", "new").total == 0


def test_search_has_limits_of_its_own(rig: Rig) -> None:
    for _ in range(5):
        _, _, headers = rig.crm.contacts.search_api.do_search_with_http_info({"limit": 1})
        assert not [name for name in headers if "RateLimit" in name]
    status, body = refused(rig.crm.contacts.search_api.do_search, {"limit": 1})
    assert (status, body["policyName"]) == (429, "SEARCH_SECONDLY")
    rig.world.sleep(1)
    status, _ = refused(_search, rig, "firstname", "x", limit=200, after="9900")
    assert status == 400
    assert refused(_search, rig, "firstname", "x", limit=201)[0] == 400


# 8. Limits.


def test_the_window_slides() -> None:
    rig = Rig(burst=20)
    rig.world.sleep(10)
    page = rig.crm.contacts.basic_api.get_page_with_http_info
    for left in range(19, 9, -1):
        _, _, headers = page()
        assert headers["X-HubSpot-RateLimit-Remaining"] == str(left)
    rig.world.sleep(6)
    for _ in range(10):
        page()
    status, body = refused(page)
    assert status == 429
    assert body["errorType"] == "RATE_LIMIT"
    assert body["policyName"] == "TEN_SECONDLY_ROLLING"
    assert body["message"] == "You have reached your ten_secondly_rolling limit."
    assert "category" not in body
    rig.world.sleep(4)
    _, _, headers = page()
    assert headers["X-HubSpot-RateLimit-Remaining"] == "9"
    assert headers["X-HubSpot-RateLimit-Max"] == "20"
    assert headers["X-HubSpot-RateLimit-Interval-Milliseconds"] == "10000"
    assert rig.fake.rate_limited == 1


def test_the_day_ends_at_the_accounts_midnight() -> None:
    rig = Rig(daily_limit=100, time_zone="Europe/Nicosia")  # midnight there is 22:00 UTC
    page = rig.crm.contacts.basic_api.get_page_with_http_info
    rig.fake.limiter.used_today = 99
    _, _, headers = page()
    assert headers["X-HubSpot-RateLimit-Daily-Remaining"] == "0"
    assert refused(page)[1]["policyName"] == "DAILY"
    rig.world.sleep(22 * 3600 - 1)
    assert refused(page)[0] == 429
    rig.world.sleep(1)
    assert page()[2]["X-HubSpot-RateLimit-Daily-Remaining"] == "99"


# 9. Faults to order.


@pytest.mark.parametrize("status", [423, 500, 502, 503, 504])
def test_an_ordered_status_has_no_effect(rig: Rig, status: int) -> None:
    rig.fake.fail_next([None, Fault(status=status)])
    rig.upsert(("C1", {"firstname": "x"}))
    assert refused(rig.upsert, ("C2", {"firstname": "x"}))[0] == status
    assert len(rig.fake.contacts()) == 1


def test_other_faults(rig: Rig) -> None:
    rig.fake.fail_next([Fault(status=404, html=True), Fault(status=477, retry_after=7200)])
    assert refused(rig.upsert, ("C1", {"firstname": "x"}))[1]["html"].startswith("<html>")
    assert refused(rig.upsert, ("C1", {"firstname": "x"}))[0] == 477
    rig.fake.fail_next([Fault(slow_s=4), Fault.lost_answer()])
    before = rig.world.now_ms
    rig.upsert(("C1", {"firstname": "x"}))
    assert rig.world.now_ms == before + 4000
    with pytest.raises(Exception, match="Connection aborted"):
        rig.upsert(("C2", {"firstname": "x"}))
    assert len(rig.fake.contacts()) == 2


# 10. Rights, merges, archives, pages.


def test_tokens_and_scopes(rig: Rig) -> None:
    wrong = sdk_for(rig.fake, "pat-other").crm.contacts.basic_api.get_page
    status, body = refused(wrong)
    assert (status, body["category"]) == (401, "INVALID_AUTHENTICATION")
    rig.fake.remove_scope("crm.objects.contacts.write")
    status, body = refused(rig.upsert, ("C1", {"firstname": "x"}))
    assert (status, body["category"]) == (403, "MISSING_SCOPES")
    needed = body["errors"][0]["context"]["requiredGranularScopes"]
    assert needed == ["crm.objects.contacts.write"]
    rig.fake.rotate_token("pat-new")
    assert refused(rig.crm.contacts.basic_api.get_page)[0] == 401
    assert sdk_for(rig.fake, "pat-new").crm.contacts.basic_api.get_page().results == []


@pytest.mark.parametrize("header", ["", "bearer " + TOKEN, "Bearer  " + TOKEN, TOKEN])
def test_the_bearer_scheme_is_exact(rig: Rig, header: str) -> None:
    request = Request("GET", "/crm/v3/objects/contacts", {"authorization": header})
    assert rig.fake(request).status == 401


def test_archived_records_hide_and_free_their_keys(rig: Rig) -> None:
    old = rig.upsert(("C1", {"email": "a@b.co"})).results[0].id
    rig.crm.contacts.basic_api.archive(old)
    assert refused(rig.crm.contacts.basic_api.get_by_id, old)[0] == 404
    assert rig.crm.contacts.basic_api.get_by_id(old, archived=True).archived
    assert rig.crm.contacts.basic_api.get_page(archived=True).results[0].id == old
    again = rig.upsert(("C1", {"email": "a@b.co"})).results[0]
    assert again.new
    assert again.id != old


def test_a_merge_may_give_a_new_id() -> None:
    rig = Rig(merge_new_id=True)
    ids = [rig.upsert((f"C{n}", {"email": f"{n}@b.co"})).results[0].id for n in (1, 2)]
    task = rig.fake.add("tasks", {"hs_timestamp": MIDNIGHT_MS})
    rig.crm.associations.v4.basic_api.create_default("tasks", task, "contacts", ids[1])
    new = rig.fake.merge(*ids)
    assert new not in ids
    assert {rig.crm.contacts.basic_api.get_by_id(i).id for i in ids} == {new}
    assert rig.fake.associations() == {task: [new]}
    assert rig.by_key("C1")["email"] == "1@b.co"


def test_pages_end_without_paging(rig: Rig) -> None:
    rig.upsert(*[(f"C{n}", {"firstname": str(n)}) for n in range(25)])
    rig.upsert(*[(f"D{n}", {"firstname": str(n)}) for n in range(90)])
    assert len(rig.crm.contacts.get_all()) == 115  # the SDK takes pages of 100
    rig.crm.contacts.batch_api.archive(
        {"inputs": [{"id": c["hs_object_id"]} for k, c in rig.by_keys() if k.startswith("D")]}
    )
    page = rig.crm.contacts.basic_api.get_page(limit=10)
    second = rig.crm.contacts.basic_api.get_page(limit=10, after=page.paging.next.after)
    last = rig.crm.contacts.basic_api.get_page(limit=10, after=second.paging.next.after)
    assert len(last.results) == 5
    assert last.paging is None
    owners = rig.crm.owners.owners_api
    assert [o.id for o in owners.get_page(archived=True).results] == ["106", "107"]
    first = owners.get_page(limit=3)
    assert [o.id for o in owners.get_page(after=first.paging.next.after).results] == ["104", "105"]
    assert owners.get_by_id(101).email == "o101@b.test"


def test_dated_paths_and_trailing_slashes_are_the_same_portal(rig: Rig) -> None:
    pool = InProcessPool(rig.fake)

    def get(path: str) -> Response | Any:
        headers = {"authorization": f"Bearer {TOKEN}"}
        return pool.request("GET", f"https://x{path}", headers=headers).json()

    rig.upsert(("C1", {"firstname": "x"}))
    for old, new in (
        ("/crm/v3/objects/contacts", "/crm/objects/2026-09/contacts/"),
        ("/crm/v3/properties/contacts", "/crm/properties/2026-09/contacts"),
        ("/crm/v3/owners/", "/crm/owners/2026-09"),
        ("/crm/v4/associations/tasks/contacts/labels", "/crm/associations/2026-09/0-27/0-1/labels"),
        ("/account-info/v3/details", "/account-info/2026-09/details"),
    ):
        assert get(old) == get(new)
    assert get("/account-info/v3/details")["timeZone"] == "UTC"
    used = get("/account-info/v3/api-usage/daily/private-apps")["results"][0]
    assert used["usageLimit"] == 650_000


def test_unknown_paths_and_shapes_break_nothing(rig: Rig) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    for method, path, body in (
        ("GET", "/nowhere", b""),
        ("POST", "/crm/v3/objects/contacts/batch/upsert", b"no json"),
        ("POST", "/crm/v3/objects/contacts/batch/upsert", b"[]"),
        ("POST", "/crm/v3/objects/contacts/batch/upsert", b'{"inputs":[{"id":"1"}]}'),
        ("POST", "/crm/v3/objects/unicorns/batch/read", b'{"inputs":[]}'),
        ("POST", "/crm/v4/associations/tasks/contacts/batch/read", b'{"inputs":[{}]}'),
        ("POST", "/crm/v3/objects/contacts/search", b'{"filterGroups":[{"filters":[{}]}]}'),
        ("PUT", "/crm/v3/objects/contacts", b"{}"),
        ("GET", "/crm/v3/objects/contacts?limit=x", b""),
    ):
        assert 400 <= rig.fake(Request(method, path, headers, body)).status < 500
    status, body = refused(rig.crm.objects.basic_api.get_page, "unicorns")
    assert (status, body["message"]) == (400, "Unable to infer object type from: unicorns")


def test_writes_can_be_kept() -> None:
    rig = Rig(keep_writes=True)
    rig.upsert(("C1", {"firstname": "x"}))
    rig.upsert(("C1", {"lastname": "y"}))
    rig.fake.edit("contacts", rig.by_key("C1")["hs_object_id"], {"lastname": "by hand"})
    assert [(w.object, w.created, w.properties.get("lastname")) for w in rig.fake.written] == [
        ("contacts", True, None),
        ("contacts", False, "y"),
    ]
    assert rig.fake.stats()["writes"] == {
        "contacts": 2, "tasks": 0, "companies": 0, "associations": 0,
    }  # fmt: skip
