"""How the fake serves: limits, faults to order, duplicate rules."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from simulator.loopback import HttpServer
from simulator.salesforce import DuplicateRule, Fault, SalesforceFake
from tests.simulator.salesforce.rig import Rig, error_of, sdk_refused

# Limits.


def test_every_answer_tells_what_is_used(rigs: Callable[..., Rig]) -> None:
    rig = rigs(daily_limit=15_000, used_today=17)
    calls = [
        ("GET", "limits", None, 200), ("GET", "sobjects/Contact/describe", None, 200),
        ("POST", "sobjects/Contact", {"LastName": "B"}, 201),
        ("POST", "sobjects/Contact", {}, 400), ("GET", "sobjects/Nope", None, 404),
        ("PATCH", "composite/sobjects/Contact/Hub_Key__c", {"records": []}, 200),
        ("GET", "query?q=SELECT+Id+FROM+User", None, 200), ("POST", "composite", {}, 501),
    ]  # fmt: skip
    for used, (method, path, body, status) in enumerate(calls, start=18):
        answer = rig.call(method, path, body)
        assert answer.status_code == status
        assert answer.headers["sforce-limit-info"] == f"api-usage={used}/15000"
    told = rig.sf.limits()["DailyApiRequests"]
    assert told == {"Max": 15_000, "Remaining": 15_000 - 26}
    rig.fake.expire_sessions()
    assert "sforce-limit-info" in rig.call("GET", "limits").headers


def test_the_allowance_runs_out_and_comes_back(rigs: Callable[..., Rig]) -> None:
    rig = rigs(daily_limit=3)
    for _ in range(3):
        rig.sf.limits()
    status, content = sdk_refused(rig.sf.limits)
    assert (status, content) == (403, [
        {"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}
    ])  # fmt: skip
    assert rig.call("GET", "limits").headers["sforce-limit-info"] == "api-usage=3/3"
    assert rig.http.get("/services/data").status_code == 200
    rig.world.sleep(23 * 3600)
    rig.login()
    assert rig.call("GET", "limits").status_code == 403
    rig.world.sleep(3600)
    rig.login()
    assert rig.call("GET", "limits").headers["sforce-limit-info"] == "api-usage=1/3"
    rig.fake.use_up_quota()
    assert rig.call("GET", "limits").status_code == 403


class _StillWorld:
    """Time that stands while somebody waits, for calls that overlap."""

    now_ms = 1_772_323_200_000

    def sleep(self, seconds: float) -> None:
        time.sleep(0.3)


def test_too_many_long_calls_at_a_time() -> None:
    fake = SalesforceFake(_StillWorld(), long_calls=2)
    server = HttpServer(fake)
    fake.fail_next([Fault(slow_s=30), Fault(slow_s=30), Fault(slow_s=30), Fault(slow_s=10)])
    url = f"{server.url}/services/data/v60.0/limits"
    headers = {"authorization": f"Bearer {fake.open_session()}"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: httpx.get(url, headers=headers), range(4)))
    server.close()
    assert sorted(a.status_code for a in answers) == [200, 200, 200, 403]
    (refused,) = (a.json()[0] for a in answers if a.status_code == 403)
    assert refused["errorCode"] == "REQUEST_LIMIT_EXCEEDED"
    assert "ConcurrentPerOrgLongTxn" in refused["message"]


# Faults.


def test_an_answer_that_fails_has_no_effect(rig: Rig) -> None:
    rig.fake.fail_next([Fault.unavailable(), Fault(status=500), Fault(status=503, html=True), None])
    row = {"Hub_Key__c": "C1", "LastName": "B"}
    assert sdk_refused(rig.upsert, row) == (
        503,
        [{"message": "Server temporarily unavailable", "errorCode": "SERVER_UNAVAILABLE"}],
    )
    status, content = sdk_refused(rig.upsert, row)
    assert (status, content[0]["errorCode"]) == (500, "UNKNOWN_EXCEPTION")
    assert sdk_refused(rig.upsert, row)[0] == 503
    assert rig.fake.records("Contact") == {}
    assert rig.upsert(row)[0]["success"]


def test_an_effect_without_its_answer(rig: Rig) -> None:
    rig.fake.fail_next([Fault.half_done(), Fault.lost_answer(), Fault(drop="before")])
    assert sdk_refused(rig.upsert, {"Hub_Key__c": "C1", "LastName": "B"})[0] == 500
    for key in ("C2", "C3"):
        with pytest.raises(httpx.RemoteProtocolError):
            rig.contact(key)
    assert set(rig.fake.records("Contact", "Hub_Key__c")) == {"C1", "C2"}


def test_a_fault_for_one_path_and_a_slow_answer(rig: Rig) -> None:
    rig.fake.fail_next([Fault.unavailable("/query"), Fault(slow_s=30, path="/limits")])
    before = rig.world.now_ms
    assert rig.contact()
    rig.sf.limits()
    assert rig.world.now_ms - before == 30_000
    assert sdk_refused(rig.sf.query, "SELECT Id FROM User")[0] == 503
    rig.fake.fail_next([Fault.unavailable()])
    rig.fake.lock_rows(1)
    rig.fake.clear_faults()
    assert rig.contact()
    rig.fake.fail_next([Fault(status=403, code="API_DISABLED_FOR_ORG", message="No API")])
    status, content = sdk_refused(rig.sf.limits)
    assert (status, content[0]["errorCode"]) == (403, "API_DISABLED_FOR_ORG")


def test_what_is_counted(rig: Rig) -> None:
    rig.contact("C1")
    rig.upsert({"Hub_Key__c": "C1", "LastName": "B"}, {"Hub_Key__c": "C2", "LastName": "B"})
    stats = rig.fake.stats()
    assert stats["calls"] == 2
    assert stats["calls_by_route"] == {
        "PATCH sobjects/Contact/Hub_Key__c": 1, "PATCH composite/sobjects/Contact/Hub_Key__c": 1,
    }  # fmt: skip
    assert rig.fake.writes["Contact"] == 3


def test_two_organisations_share_nothing(rigs: Callable[..., Rig]) -> None:
    one, two = rigs(), rigs()
    assert one.contact() == two.contact()  # ids are the same in every run
    one.contact("C2")
    assert len(two.fake.records("Contact")) == 1


def test_runs_in_another_order_compare_as_equal(rigs: Callable[..., Rig]) -> None:
    one, two = rigs(), rigs()
    for rig, order in ((one, "12"), (two, "21")):
        for n in order:
            rig.world.sleep(int(n))
            contact = rig.contact(f"C{n}", LastName=f"L{n}")
            rig.create("Task", Subject=f"Call {n}", WhoId=contact)
    keys = {"Contact": "Hub_Key__c"}
    told = one.fake.snapshot(keys)
    assert told == two.fake.snapshot(keys)
    assert [row["WhoId"] for row in told["Task"]] == [("Contact", "C1"), ("Contact", "C2")]
    one.contact("C1", Title="Dr")
    assert one.fake.snapshot(keys) != told


def test_many_threads(rig: Rig) -> None:
    def write(n: int) -> bool:
        rows = ({"Hub_Key__c": f"C{n}-{k}", "LastName": "B"} for k in range(20))
        return all(r["success"] for r in rig.upsert(*rows))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(write, range(20)))
    assert len(rig.fake.records("Contact")) == 400


# Duplicate rules.

SAVE = {"Sforce-Duplicate-Rule-Header": "allowSave=true; includeRecordDetails=false"}


def _double(rig: Rig, **more: Any) -> tuple[int, Any]:
    answer = rig.call("POST", "sobjects/Contact", {"LastName": "B", "Email": "A@b.co"}, **more)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("key", ["duplicateResut", "duplicateResult"])
def test_a_duplicate_that_may_be_saved(rigs: Callable[..., Rig], key: str) -> None:
    rig = rigs(duplicate_key=key)
    rig.fake.add_duplicate_rule(DuplicateRule("Contact"))
    known = rig.contact("C1", Email="a@b.co")
    status, (error,) = _double(rig)
    assert (status, error["errorCode"]) == (400, "DUPLICATES_DETECTED")
    assert error["message"] == (
        "You're creating a duplicate record. We recommend you use an existing record instead."
    )
    told = error[key]
    assert set(error) == {key, "errorCode", "message"}
    assert (told["allowSave"], told["duplicateRule"]) == (True, "Standard_Contact_Duplicate_Rule")
    (match,) = told["matchResults"]
    assert (match["entityType"], match["size"], match["success"]) == ("Contact", 1, True)
    assert match["matchRecords"][0]["record"]["Id"] == known
    assert _double(rig, headers=SAVE)[0] == 201
    assert len(rig.fake.records("Contact")) == 2


def test_a_rule_that_blocks(rig: Rig) -> None:
    rig.fake.add_duplicate_rule(DuplicateRule("Contact", block=True))
    rig.contact("C1", Email="a@b.co")
    for headers in ({}, SAVE):
        status, (error,) = _double(rig, headers=headers)
        assert (status, error["duplicateResut"]["allowSave"]) == (400, False)


def test_a_contact_that_is_a_lead_already(rig: Rig) -> None:
    rig.fake.add_duplicate_rule(DuplicateRule("Contact", against=("Contact", "Lead")))
    lead = rig.create("Lead", LastName="B", Company="B", Email="a@b.co")
    results = rig.upsert(
        {"Hub_Key__c": "C1", "LastName": "B", "Email": "A@B.co"},
        {"Hub_Key__c": "C2", "LastName": "B", "Email": "other@b.co"},
        {"Hub_Key__c": "C3", "LastName": "B"},
        {"Hub_Key__c": "C4", "LastName": "B"},
    )
    assert [r["success"] for r in results] == [False, True, True, True]
    assert error_of(results[0])[0] == "DUPLICATES_DETECTED"
    (match,) = results[0]["errors"][0]["duplicateResut"]["matchResults"]
    assert (match["entityType"], match["matchRecords"][0]["record"]["Id"]) == ("Lead", lead)
    # A change of the address is looked at, another change is not.
    (result,) = rig.upsert({"Hub_Key__c": "C2", "Email": "a@b.co"})
    assert error_of(result)[0] == "DUPLICATES_DETECTED"
    assert rig.upsert({"Hub_Key__c": "C2", "Title": "Dr"})[0]["success"]


def test_nobody_is_her_own_duplicate(rig: Rig) -> None:
    rig.fake.add_duplicate_rule(DuplicateRule("Contact", block=True))
    rig.contact("C1", Email="a@b.co")
    (result,) = rig.upsert({"Hub_Key__c": "C1", "Email": "A@B.CO"})
    assert result["success"]
    # In Salesforce's pages a person is only warned.
    assert rig.fake.people.create("Contact", LastName="B", Email="a@b.co")


def test_names_and_addresses_together(rig: Rig) -> None:
    rig.fake.add_duplicate_rule(DuplicateRule("Contact", fields=("LastName", "Title")))
    rig.contact("C1", LastName="Berg", Title="Dr")
    results = rig.upsert(
        {"Hub_Key__c": "C2", "LastName": "BERG", "Title": "dr"},
        {"Hub_Key__c": "C3", "LastName": "Berg", "Title": "Prof"},
        {"Hub_Key__c": "C4", "LastName": "Berg"},
    )
    assert [r["success"] for r in results] == [False, True, True]
