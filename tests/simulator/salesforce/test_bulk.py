"""Bulk API 2.0: jobs that load records from a file, on the world's clock."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from simple_salesforce.exceptions import SalesforceOperationError

from tests.simulator.salesforce.rig import Rig, V

UPSERT = {"object": "Contact", "operation": "upsert", "externalIdFieldName": "Hub_Key__c"}


def job(rig: Rig, body: str | bytes | None, close: bool = True, **more: Any) -> str:
    """A job with its file uploaded; its id."""
    told = UPSERT | {"contentType": "CSV", "lineEnding": "LF"} | more
    answer = rig.call("POST", "jobs/ingest/", told)
    assert answer.status_code == 200, answer.text
    job_id = str(answer.json()["id"])
    if body is not None:
        sent = rig.http.put(
            f"{V}/jobs/ingest/{job_id}/batches",
            content=body if isinstance(body, bytes) else body.encode(),
            headers={"content-type": "text/csv"},
        )
        assert (sent.status_code, sent.content) == (201, b"")
    if close:
        closed = rig.call("PATCH", f"jobs/ingest/{job_id}", {"state": "UploadComplete"})
        assert (closed.status_code, closed.json()["state"]) == (200, "UploadComplete")
    return job_id


def state(rig: Rig, job_id: str) -> dict[str, Any]:
    told: dict[str, Any] = rig.call("GET", f"jobs/ingest/{job_id}").json()
    return told


def results(rig: Rig, job_id: str, which: str) -> list[dict[str, str]]:
    answer = rig.call("GET", f"jobs/ingest/{job_id}/{which}/")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def all_results(rig: Rig, job_id: str) -> tuple[list[dict[str, str]], ...]:
    names = ("successfulResults", "failedResults", "unprocessedrecords")
    return tuple(results(rig, job_id, name) for name in names)


def test_a_job_step_by_step(rig: Rig) -> None:
    known = rig.contact("C1")
    told = rig.call("POST", "jobs/ingest", UPSERT | {"contentType": "CSV"}).json()
    job_id = told["id"]
    assert (told["id"][:3], told["state"], told["apiVersion"]) == ("750", "Open", 60.0)
    assert told["contentUrl"] == f"services/data/v60.0/jobs/ingest/{job_id}/batches"
    assert (told["object"], told["externalIdFieldName"]) == ("Contact", "Hub_Key__c")
    assert told["concurrencyMode"] == "Parallel"
    body = "Hub_Key__c,LastName,Stage__c\nC1,Berg,Funded\nC2,Ek,\nC3,,Funded\n"
    sent = rig.http.put("/" + told["contentUrl"], content=body.encode())
    assert sent.status_code == 201
    rig.call("PATCH", f"jobs/ingest/{job_id}", {"state": "UploadComplete"})
    assert state(rig, job_id)["state"] == "UploadComplete"
    assert rig.call("GET", f"jobs/ingest/{job_id}/failedResults").status_code == 400
    rig.world.sleep(1)  # the queue
    assert state(rig, job_id)["state"] == "InProgress"
    assert rig.fake.records("Contact", "Hub_Key__c")["C1"].get("Stage__c") is None
    rig.world.sleep(1)
    told = state(rig, job_id)
    assert told["state"] == "JobComplete"  # with a row that failed
    assert (told["numberRecordsProcessed"], told["numberRecordsFailed"]) == (3, 1)
    good, bad, left = all_results(rig, job_id)
    rows = rig.fake.records("Contact", "Hub_Key__c")
    new = rows["C2"]["Id"]
    assert good == [
        {"sf__Id": known, "sf__Created": "false", "Hub_Key__c": "C1", "LastName": "Berg",
         "Stage__c": "Funded"},
        {"sf__Id": new, "sf__Created": "true", "Hub_Key__c": "C2", "LastName": "Ek",
         "Stage__c": ""},
    ]  # fmt: skip
    words = "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --"
    assert bad == [
        {"sf__Id": "", "sf__Error": words, "Hub_Key__c": "C3", "LastName": "", "Stage__c": "Funded"}
    ]
    assert left == []
    text = rig.call("GET", f"jobs/ingest/{job_id}/unprocessedrecords").text
    assert text == '"Hub_Key__c","LastName","Stage__c"\n'
    assert (
        rows["C1"]["SystemModstamp"]
        == rows["C2"]["SystemModstamp"]
        > rows["C2"]["CreatedDate"][:10]
    )


def test_5000_rows_of_which_a_tenth_are_bad(rigs: Callable[..., Rig]) -> None:
    rig = rigs(latency_s=1.0)  # so that the client's polling lets time pass
    records = [
        {"Hub_Key__c": f"C{n}", "LastName": "Berg", "Stage__c": "Rich" if n % 10 == 3 else "Funded"}
        for n in range(5000)
    ]
    (told,) = rig.sf.bulk2.Contact.upsert(records=records, external_id_field="Hub_Key__c", wait=0)
    counts = (
        told["numberRecordsTotal"],
        told["numberRecordsProcessed"],
        told["numberRecordsFailed"],
    )
    assert counts == (5000, 5000, 500)
    answers = rig.sf.bulk2.Contact.get_all_ingest_records(told["job_id"])
    good, bad = answers["successfulRecords"], answers["failedRecords"]
    assert (len(good), len(bad), answers["unprocessedRecords"]) == (4500, 500, [])
    assert {int(row["Hub_Key__c"][1:]) % 10 for row in bad} == {3}
    assert {row["Hub_Key__c"] for row in good + bad} == {r["Hub_Key__c"] for r in records}
    code = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    words = f"{code}:Stage: bad value for restricted picklist field: Rich:Stage__c --"
    assert {row["sf__Error"] for row in bad} == {words}
    assert {row["sf__Created"] for row in good} == {"true"}
    assert len(rig.fake.records("Contact")) == 4500
    ids = {row["sf__Id"] for row in good}
    assert ids == set(rig.fake.records("Contact"))


def test_blanks_leave_and_na_clears(rig: Rig) -> None:
    rig.contact("C1", Title="Dr", FirstName="Ana", Vip__c=True, Deposits__c=5)
    body = "hub_key__c,FIRSTNAME,Title,Vip__c,Deposits__c\nC1,,#N/A,FALSE,7.25\n"
    job_id = job(rig, body)
    rig.world.sleep(5)
    assert state(rig, job_id)["numberRecordsFailed"] == 0
    row = rig.fake.records("Contact", "Hub_Key__c")["C1"]
    assert (row["FirstName"], row.get("Title"), row["Vip__c"]) == ("Ana", None, False)
    assert row["Deposits__c"] == 7.25


@pytest.mark.parametrize(("told", "newline"), [("CRLF", "\n"), ("LF", "\r\n")])
def test_the_other_line_ending_fails_the_job(rig: Rig, told: str, newline: str) -> None:
    body = newline.join(["Hub_Key__c,LastName", "C1,Berg", ""])
    job_id = job(rig, body, lineEnding=told)
    rig.world.sleep(5)
    answer = state(rig, job_id)
    assert answer["state"] == "Failed"
    assert answer["errorMessage"] == (
        "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is "
        f"{told}"
    )
    assert rig.fake.records("Contact") == {}
    right = job(rig, body, lineEnding="LF" if newline == "\n" else "CRLF")
    rig.world.sleep(5)
    assert state(rig, right)["state"] == "JobComplete"


def test_files_that_fail_a_job(rig: Rig) -> None:
    for body in (b"Hub_Key__c,Nope__c\nC1,x\n", b"Hub_Key__c,LastName\nC1\n", b"\xff\xfe",
                 b'Hub_Key__c,LastName\nC1,"x\n', b"Hub_Key__c,Nope.Ext__c\nC1,x\n"):  # fmt: skip
        job_id = job(rig, body)
        rig.world.sleep(5)
        told = state(rig, job_id)
        assert told["state"] == "Failed"
        assert told["errorMessage"]
        assert rig.call("GET", f"jobs/ingest/{job_id}/failedResults").status_code == 200
    rig.define("Contact", "Secret__c", "string", length=5, granted=False)
    job_id = job(rig, "Hub_Key__c,Secret__c\nC1,x\n")
    rig.world.sleep(5)
    assert state(rig, job_id)["errorMessage"] == "InvalidBatch : Field name not found : Secret__c"


def test_parents_by_their_keys_quotes_and_delimiters(rig: Rig) -> None:
    rig.define("Account", "Ext__c", "string", length=20, external_id=True, id_lookup=True)
    account = rig.create("Account", Name="Partner", Ext__c="A1")
    body = 'Hub_Key__c;LastName;Account.Ext__c\nC1;"O;""Hara\n2";A1\nC2;Ek;A9\n'
    job_id = job(rig, body, columnDelimiter="SEMICOLON")
    rig.world.sleep(5)
    good, bad, _ = all_results(rig, job_id)
    assert [row["Hub_Key__c"] for row in good] == ["C1"]
    assert bad[0]["sf__Error"].startswith("INVALID_FIELD:Foreign key external ID: a9 not found")
    row = rig.fake.records("Contact", "Hub_Key__c")["C1"]
    assert (row["LastName"], row["AccountId"]) == ('O;"Hara\n2', account)
    task = {"object": "Task", "operation": "insert", "externalIdFieldName": None}
    job(rig, "Subject,Contact:Who.Hub_Key__c\nCall,C1\n", **task)
    rig.world.sleep(5)
    (made,) = rig.fake.records("Task").values()
    assert made["WhoId"] == row["Id"]


def test_a_key_twice_fails_within_200_rows(rig: Rig) -> None:
    keys = ["C1", "c1", *(f"D{n}" for n in range(198)), "C1"]
    job_id = job(rig, "Hub_Key__c,LastName\n" + "".join(f"{key},Berg\n" for key in keys))
    rig.world.sleep(5)
    good, bad, _ = all_results(rig, job_id)
    assert [row["Hub_Key__c"] for row in bad] == ["C1", "c1"]
    assert bad[0]["sf__Error"].startswith("DUPLICATE_VALUE:Duplicate external id specified: C1")
    assert (len(good), good[-1]["Hub_Key__c"]) == (199, "C1")


def test_an_upload_in_chunks(rig: Rig) -> None:
    job_id = job(rig, None, close=False)

    def parts() -> Iterator[bytes]:
        yield b"Hub_Key__c,LastName\n"
        for n in range(1000):
            yield f"C{n},Berg\n".encode()

    assert rig.http.put(f"{V}/jobs/ingest/{job_id}/batches", content=parts()).status_code == 201
    rig.call("PATCH", f"jobs/ingest/{job_id}", {"state": "UploadComplete"})
    rig.world.sleep(5)
    assert state(rig, job_id)["numberRecordsProcessed"] == 1000


def test_a_job_stopped_half_way(rigs: Callable[..., Rig]) -> None:
    rig = rigs(bulk_queue_s=2, bulk_rows_per_s=100)
    rows = "".join(f"C{n},{'Berg' if n else ''}\n" for n in range(1000))
    job_id = job(rig, "Hub_Key__c,LastName\n" + rows)
    rig.world.sleep(2 + 5)  # 500 rows' time: two times 200 are done
    assert len(rig.fake.records("Contact")) == 399
    assert (
        rig.call("PATCH", f"jobs/ingest/{job_id}", {"state": "Aborted"}).json()["state"]
        == "Aborted"
    )
    rig.world.sleep(60)
    assert len(rig.fake.records("Contact")) == 399
    good, bad, left = all_results(rig, job_id)
    assert (len(good), len(bad), len(left)) == (399, 1, 600)
    assert left[0] == {"Hub_Key__c": "C400", "LastName": "Berg"}
    assert rig.call("PATCH", f"jobs/ingest/{job_id}", {"state": "Aborted"}).status_code == 400


def test_a_job_that_breaks(rig: Rig) -> None:
    rig.fake.break_bulk(250, "InternalServerError : Sorry")
    rows = "".join(f"C{n},Berg\n" for n in range(600))
    job_id = job(rig, "Hub_Key__c,LastName\n" + rows)
    rig.world.sleep(10)
    told = state(rig, job_id)
    assert (told["state"], told["errorMessage"]) == ("Failed", "InternalServerError : Sorry")
    good, bad, left = all_results(rig, job_id)
    assert (len(good), len(bad), len(left)) == (250, 0, 350)
    job_id = job(rig, "Hub_Key__c,LastName\nC1,Ek\n")
    rig.world.sleep(10)
    assert state(rig, job_id)["state"] == "JobComplete"


def test_locked_rows_fail_alone(rig: Rig) -> None:
    rig.fake.lock_rows(7)
    job_id = job(rig, "Hub_Key__c,LastName\n" + "".join(f"C{n},Berg\n" for n in range(20)))
    rig.world.sleep(5)
    good, bad, _ = all_results(rig, job_id)
    assert (len(good), len(bad)) == (13, 7)
    words = "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record: --"
    assert bad[0]["sf__Error"] == words


def test_jobs_and_people_in_the_order_of_time(rigs: Callable[..., Rig]) -> None:
    rig = rigs(bulk_queue_s=10)
    row_id = rig.contact("C1", Title="old")
    job(rig, "Hub_Key__c,Title\nC1,job\n")
    rig.fake.people.edit("Contact", row_id, Title="before")
    rig.world.sleep(20)
    rig.fake.people.edit("Contact", row_id, FirstName="after")
    row = rig.fake.records("Contact")[row_id]
    assert (row["Title"], row["FirstName"]) == ("job", "after")
    assert row["LastModifiedById"] == rig.fake.people.user_id


def test_the_other_operations(rig: Rig) -> None:
    ids = [rig.contact(f"C{n}") for n in range(4)]
    plain = {"externalIdFieldName": None}
    job_id = job(
        rig, f"Id,Title\n{ids[0]},Dr\n003000000000001,Dr\nx,Dr\n", operation="update", **plain
    )
    rig.world.sleep(5)
    good, bad, _ = all_results(rig, job_id)
    assert [row["sf__Id"] for row in good] == [ids[0]]
    assert [row["sf__Error"].partition(":")[0] for row in bad] == [
        "INVALID_CROSS_REFERENCE_KEY", "MALFORMED_ID",
    ]  # fmt: skip
    job(rig, f"Id\n{ids[1]}\n", operation="delete", **plain)
    job(rig, f"Id\n{ids[2]}\n", operation="hardDelete", **plain)
    rig.world.sleep(5)
    assert list(rig.fake.records("Contact")) == [ids[0], ids[3]]
    text = "SELECT COUNT() FROM Contact"
    assert rig.sf.query(text, include_deleted=True)["totalSize"] == 3
    made = job(rig, "LastName\nBerg\n", operation="insert", **plain)
    rig.world.sleep(5)
    assert state(rig, made)["numberRecordsProcessed"] == 1


def test_states_that_do_not_follow(rig: Rig) -> None:
    job_id = job(rig, "Hub_Key__c,LastName\nC1,Berg\n", close=False)
    path = f"jobs/ingest/{job_id}"
    again = rig.http.put(f"{V}/{path}/batches", content=b"x")
    assert (again.status_code, again.json()[0]["errorCode"]) == (400, "INVALIDJOBSTATE")
    assert rig.call("PATCH", path, {"state": "JobComplete"}).status_code == 400
    assert rig.call("DELETE", path).status_code == 400
    rig.call("PATCH", path, {"state": "UploadComplete"})
    rig.world.sleep(5)
    assert state(rig, job_id)["state"] == "JobComplete"
    assert rig.call("DELETE", path).status_code == 204
    assert rig.call("GET", path).status_code == 404


def test_jobs_end_by_themselves(rig: Rig) -> None:
    open_job = job(rig, "Hub_Key__c,LastName\nC1,Berg\n", close=False)
    done = job(rig, "Hub_Key__c,LastName\nC2,Berg\n")
    rig.world.sleep(86_401)
    rig.login()
    assert (state(rig, open_job)["state"], state(rig, done)["state"]) == ("Aborted", "JobComplete")
    assert len(rig.call("GET", "jobs/ingest").json()["records"]) == 2
    rig.world.sleep(7 * 86_400)
    rig.login()
    assert rig.call("GET", f"jobs/ingest/{done}").status_code == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"object": "Nope"}, "INVALIDENTITY"),
        ({"operation": "merge"}, "INVALIDJOB"),
        ({"externalIdFieldName": "Title"}, "INVALIDJOB"),
        ({"externalIdFieldName": None}, "INVALIDJOB"),
        ({"lineEnding": "CR"}, "INVALIDJOB"),
        ({"contentType": "JSON"}, "INVALIDJOB"),
    ],
)
def test_jobs_that_are_refused(rig: Rig, change: dict[str, Any], code: str) -> None:
    status, error = rig.refused("POST", "jobs/ingest", UPSERT | change)
    assert (status, error["errorCode"]) == (400, code)


def test_the_client_reports_a_failed_job(rigs: Callable[..., Rig]) -> None:
    rig = rigs(latency_s=1.0)
    rig.fake.break_bulk(0, "InternalServerError : Sorry")
    upsert = rig.sf.bulk2.Contact.upsert
    records = [{"Hub_Key__c": "C1", "LastName": "Berg"}]
    with pytest.raises(SalesforceOperationError, match="Sorry"):
        upsert(records=records, external_id_field="Hub_Key__c", wait=0)


def test_each_call_of_a_job_counts(rig: Rig) -> None:
    before = rig.fake.stats()["used_today"]
    job_id = job(rig, "Hub_Key__c,LastName\nC1,Berg\n")
    rig.world.sleep(5)
    all_results(rig, job_id)
    assert rig.fake.stats()["used_today"] == before + 3 + 3
