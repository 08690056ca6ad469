"""Many contacts by Bulk API 2.0 to a simulated org: each accounted for by what the org holds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from connectors.destination import GONE, Applied, CrmObject, CrmProperty, Outcome, Refused, Write
from connectors.salesforce.destination import SalesforceDestination
from mapping.errors import (
    BrokersyncError,
    ConfigError,
    ProtocolError,
    QuotaError,
    RetryableError,
    StoppingError,
)
from simulator.salesforce import Fault, RowFault, ValidationRule
from simulator.wire import Request, Response
from tests.connectors.salesforce_rig import SalesforceRig, seen

CONTACT = CrmObject.CONTACT
MANY = 300
"""More than the threshold these tests set."""
SMALL: dict[str, Any] = {"bulk_above": 200, "bulk_rows": 5000}
FIELDS = [
    CrmProperty("brokerage_note", "Note", "string", "textarea"),
    CrmProperty("brokerage_day", "Day", "date"),
    CrmProperty("brokerage_at", "At", "datetime"),
    CrmProperty("brokerage_paid", "Paid", "number"),
    CrmProperty("brokerage_vip", "VIP", "bool"),
]


@pytest.fixture
def org() -> Iterator[SalesforceRig]:
    found = SalesforceRig()
    found.crm = found.destination(**SMALL)
    found.install()
    found.crm.install(CONTACT, FIELDS)
    found.crm.describe(CONTACT)
    yield found
    found.close()


def contacts(count: int = MANY, **values: str) -> list[Write]:
    return [Write(f"alpha:C{n}", {"lastname": f"Berg {n}", **values}) for n in range(count)]


def put(org: SalesforceRig, writes: list[Write], crm: SalesforceDestination | None = None
        ) -> list[Outcome]:  # fmt: skip
    """The outcomes, one an input and in order."""
    found = list((crm or org.crm).upsert(CONTACT, writes))
    assert [o.key for o in found] == [w.key for w in writes]
    return found


def held(org: SalesforceRig) -> dict[str, dict[str, Any]]:
    """The org's contacts by the hub's key."""
    return org.fake.records("Contact", by="broker_client_id__c")


def jobs(org: SalesforceRig) -> list[tuple[str, str, int]]:
    """(operation, state, rows taken) of each job, in order."""
    with org.fake._at_work():
        return [(j.operation, j.state, len(j.done)) for j in org.fake.jobs.jobs.values()]


def all_applied(found: list[Outcome]) -> bool:
    return all(isinstance(o, Applied) for o in found)


def routes(org: SalesforceRig) -> list[str]:
    """The calls from now on, as they arrive: method and last part of the path."""
    return seen(org, _route)


def _route(request: Request) -> str:
    last = request.path.rstrip("/").rpartition("/")[2]
    return f"{request.method} {'job' if last.startswith('750') else last}"


# --- what is written, and what not -----------------------------------------------------------


def test_each_of_many_rows_is_accounted_for(org: SalesforceRig) -> None:
    def bad(row: Any, _: Any) -> bool:
        return row.get("FirstName") == "bad"

    org.fake.add_validation(ValidationRule("Contact", bad, "secret 4711"))
    writes = contacts(600)
    for write in writes[::25]:
        write.properties = {**write.properties, "firstname": "bad"}
    found = put(org, writes)
    refused = {o.key: o for o in found if isinstance(o, Refused)}
    assert set(refused) == {f"alpha:C{n}" for n in range(0, 600, 25)}
    assert {o.code for o in refused.values()} == {"FIELD_CUSTOM_VALIDATION_EXCEPTION"}
    assert "4711" not in repr(found)
    there = held(org)
    assert len(there) == 576
    for outcome in found:
        if isinstance(outcome, Applied):
            row = there[outcome.key]
            assert (row["Id"], outcome.created) == (outcome.crm_id, True)
            assert row["LastName"] == f"Berg {outcome.key[7:]}"
    assert jobs(org) == [("upsert", "JobComplete", 600)]


def test_the_calls_of_a_job(org: SalesforceRig) -> None:
    put(org, contacts())  # the first asks, once, what an earlier process left
    seen = routes(org)
    put(org, contacts(brokerage_stage="LS2"))
    looks = seen.count("GET job")
    assert [call for call in seen if call != "GET job"] == [
        "POST ingest", "PUT batches", "PATCH job", "GET successfulResults",
    ]  # fmt: skip
    assert 1 <= looks <= 3
    assert org.fake.calls["PATCH composite/sobjects/Contact"] == 0


VALUES = [
    "plain", " blanks around ", 'a "quoted" word, and a comma', "two\nlines", "two\r\nlines", "\n",
    "Zoë O’Neil 李 🙂 𝄞", "'", '"', '""', ",", "#", "#N/A yet", "null", "0", "-", "=1+1", "a;b",
    "tab\tin", "end\\", "   ",
]  # fmt: skip


def test_a_file_says_the_same_as_a_call(org: SalesforceRig) -> None:
    plain = {"brokerage_day": "2026-03-29", "brokerage_at": "1772409599123",
             "brokerage_paid": "12345.678", "brokerage_vip": "true"}  # fmt: skip
    said = [{**plain, "brokerage_note": value} for value in VALUES]
    said += [{**plain, "brokerage_paid": n} for n in ("0", "-1", "0.000001", "123456789012")]
    said += [dict.fromkeys(plain, ""), {"brokerage_vip": "false"}]
    before = {**plain, "brokerage_note": "before"}
    few = [Write(f"beta:C{n}", {"lastname": "Berg", **row}) for n, row in enumerate(said)]
    old = [Write(w.key, {"lastname": "Berg", **before}) for w in few]
    assert all_applied(put(org, old))
    assert all_applied(put(org, few))  # by a call
    assert all_applied(put(org, contacts(len(said), **before)))
    same = [Write(f"alpha:C{n}", {"lastname": "Berg", **row}) for n, row in enumerate(said)]
    seen = routes(org)
    assert all_applied(put(org, same + contacts(MANY)[len(said) :]))
    assert "PATCH Contact" not in "".join(seen), "all in one file"
    there = held(org)
    for n in range(len(said)):
        one, other = ({k: v for k, v in there[f"{brand}:C{n}"].items() if "__c" in k or
                       k == "LastName"} for brand in ("alpha", "beta"))  # fmt: skip
        assert {**one, "broker_client_id__c": ""} == {**other, "broker_client_id__c": ""}, said[n]
    assert there["alpha:C6"]["brokerage_note__c"] == VALUES[6]
    assert "brokerage_note__c" not in there[f"alpha:C{len(VALUES) - 1}"], "blanks alone are none"


def test_a_blank_clears_and_what_is_not_said_stays(org: SalesforceRig) -> None:
    assert all_applied(put(org, contacts(brokerage_note="before", brokerage_day="2026-03-01")))
    writes = contacts()
    for write in writes[:100]:
        write.properties = {"brokerage_note": ""}
    assert all_applied(put(org, writes))
    there = held(org)
    assert "brokerage_note__c" not in there["alpha:C99"]
    assert there["alpha:C99"]["brokerage_day__c"] == "2026-03-01"
    assert there["alpha:C99"]["LastName"] == "Berg 99"
    assert there["alpha:C100"]["brokerage_note__c"] == "before"


@pytest.mark.parametrize("text", ["#N/A", " #n/a "])
def test_a_text_that_would_clear_goes_by_a_call_of_its_own(org: SalesforceRig, text: str) -> None:
    writes = contacts()
    writes[5].properties = {"lastname": text}
    seen = routes(org)
    assert all_applied(put(org, writes))
    assert seen.count("PATCH broker_client_id__c") == 1
    assert held(org)["alpha:C5"]["LastName"] == text.strip()


def test_a_value_longer_than_any_field_is_refused_with_its_field(org: SalesforceRig) -> None:
    writes = contacts()
    writes[5].properties = {"lastname": "Berg", "brokerage_note": "x" * 131_073}
    writes[6].properties = {"lastname": "Berg", "brokerage_note": "x" * 131_072}
    found = put(org, writes)
    for outcome in found[5:7]:  # the one by the hub, the other by the org
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.properties) == ("STRING_TOO_LONG", ("brokerage_note__c",))
    assert all_applied(found[:5] + found[7:])
    assert len(held(org)) == MANY - 2


def test_a_field_the_org_does_not_have_is_the_rows_own(org: SalesforceRig) -> None:
    writes = contacts()
    writes[5].properties = {"lastname": "Berg", "no_such_field": "x"}
    found = put(org, writes)
    (bad,) = [o for o in found if isinstance(o, Refused)]
    assert (bad.key, bad.code) == ("alpha:C5", "INVALID_FIELD")
    assert "no_such_field" in bad.admin


def test_known_contacts_go_by_their_id_and_are_not_made_again(org: SalesforceRig) -> None:
    first = put(org, contacts(2 * MANY))
    ids = {o.key: o.crm_id for o in first if isinstance(o, Applied)}
    org.fake.people.delete("Contact", ids["alpha:C7"])
    known = [Write(w.key, {"brokerage_note": "new"}, ids[w.key]) for w in contacts(2 * MANY)]
    unknown = [Write(f"beta:C{n}", {"lastname": "Ek"}) for n in range(MANY)]
    mixed = [w for pair in zip(known[:MANY], unknown, strict=True) for w in pair] + known[MANY:]
    found = {o.key: o for o in put(org, mixed)}
    gone = found.pop("alpha:C7")
    assert isinstance(gone, Refused)
    assert gone.code == GONE
    for key, outcome in found.items():
        assert isinstance(outcome, Applied)
        assert outcome.created is key.startswith("beta:")
        assert outcome.crm_id == ids.get(key, outcome.crm_id)
    there = held(org)
    assert "alpha:C7" not in there
    assert len(there) == 3 * MANY - 1
    assert jobs(org)[1:] == [("update", "JobComplete", 2 * MANY), ("upsert", "JobComplete", MANY)]


def test_files_that_would_be_too_large_are_several(org: SalesforceRig) -> None:
    org.crm._bulk._most_bytes = 5_000
    assert all_applied(put(org, contacts(500)))
    assert len(held(org)) == 500
    assert len(jobs(org)) > 2
    assert sum(taken for _, _, taken in jobs(org)) == 500
    sizes = [len(job.upload or b"") for job in org.fake.jobs.jobs.values()]
    assert max(sizes) <= 5_000
    assert min(sizes[:-1]) > 4_900


def test_few_go_by_calls(org: SalesforceRig) -> None:
    assert org.crm.batch_of(CONTACT, 200) == 200
    assert org.crm.batch_of(CONTACT, 201) == 5000
    assert org.crm.batch_of(CrmObject.TASK, 10**6) == 200
    assert org.destination(bulk_above=0).batch_of(CONTACT, 10**6) == 200
    assert org.destination().batch_of(CONTACT, 2001) == 4000
    crm = org.destination(bulk_above=500, bulk_rows=5000)
    assert all_applied(put(org, contacts(500), crm))
    assert jobs(org) == []
    assert org.fake.calls["PATCH composite/sobjects/Contact/broker_client_id__c"] == 3


def test_a_threshold_above_a_job_is_refused(org: SalesforceRig) -> None:
    with pytest.raises(ValidationError, match="greater than bulk_above"):
        org.settings(bulk_above=3000, bulk_rows=3000)


# --- rows and jobs that fail -----------------------------------------------------------------


def test_rows_that_met_a_lock_are_sent_again(org: SalesforceRig) -> None:
    org.fake.lock_rows(7)
    assert all_applied(put(org, contacts()))
    assert jobs(org) == [("upsert", "JobComplete", MANY)]
    assert len(held(org)) == MANY


def test_a_trigger_that_met_a_lock_is_sent_again_too(org: SalesforceRig) -> None:
    words = "T: execution of AfterUpdate caused by: UNABLE_TO_LOCK_ROW: x"
    org.fake.fail_rows(RowFault("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", words, 2))
    assert all_applied(put(org, contacts()))


def test_rows_that_stay_locked_are_nobodys_fault(org: SalesforceRig) -> None:
    org.fake.lock_rows(1_000_000)
    with pytest.raises(RetryableError, match="locked"):
        put(org, contacts(201))


def test_a_full_org_blames_no_row(org: SalesforceRig) -> None:
    org.fake.fill_storage()
    with pytest.raises(ConfigError, match="storage"):
        put(org, contacts())


def test_what_a_broken_job_has_left_goes_into_another(org: SalesforceRig) -> None:
    org.fake.break_bulk(250)
    assert all_applied(put(org, contacts(600)))
    assert jobs(org) == [("upsert", "Failed", 250), ("upsert", "JobComplete", 350)]
    assert len(held(org)) == 600


def test_a_job_that_does_nothing_is_tried_later(org: SalesforceRig) -> None:
    org.fake.break_bulk(0, "InternalServerError : about Berg 12")
    with pytest.raises(RetryableError, match="InternalServerError") as caught:
        put(org, contacts())
    assert "Berg" not in caught.value.admin + caught.value.log
    assert all_applied(put(org, contacts()))


def test_a_job_that_breaks_again_and_again_ends(org: SalesforceRig) -> None:
    for _ in range(5):
        org.fake.break_bulk(10)
    with pytest.raises(RetryableError):
        put(org, contacts())
    assert [taken for _, _, taken in jobs(org)] == [10, 10, 10]


def test_a_field_that_was_hidden_names_itself(org: SalesforceRig) -> None:
    org.fake.hide("Contact", "brokerage_note__c")
    with pytest.raises(ConfigError, match=r"brokerage_note__c.*crm install"):
        put(org, contacts(brokerage_note="x"))


def test_a_key_that_is_none_says_what_to_run(org: SalesforceRig) -> None:
    org.fake.hide("Contact", "broker_client_id__c")
    with pytest.raises(ConfigError, match="crm install"):
        put(org, contacts())


@pytest.mark.parametrize(
    ("code", "kind", "word"),
    [
        ("FEATURENOTENABLED", ConfigError, "bulk_above: 0"),
        ("EXCEEDEDQUOTA", QuotaError, "no more bulk jobs"),
        ("INVALIDENTITY", ConfigError, "in bulk"),
        ("SOMETHING_NEW", ProtocolError, "SOMETHING_NEW"),
    ],
)
def test_a_job_that_is_not_opened(
    org: SalesforceRig, code: str, kind: type[BrokersyncError], word: str
) -> None:
    put(org, contacts())
    org.fake.fail_next([Fault(status=400, code=code, path="jobs/ingest")])
    with pytest.raises(kind, match=word):
        put(org, contacts())


def test_a_file_it_cannot_read_is_the_programs_fault(org: SalesforceRig) -> None:
    org.fake.break_bulk(0, "ClientInputError : LineEnding is invalid on user data")
    with pytest.raises(ProtocolError, match="bulk_above: 0"):
        put(org, contacts())


def test_a_job_that_a_person_aborts_is_not_begun_again(org: SalesforceRig) -> None:
    org.fake.jobs.rows_per_s = 50
    begun = org.world.now_ms
    sleep = org.world.sleep

    def slept(seconds: float) -> None:
        sleep(seconds)
        if org.world.now_ms - begun > 4000:
            (job,) = org.fake.jobs.jobs.values()
            if not job.over:
                org.fake.jobs.catch_up()
                org.fake.jobs.abort(job)

    org.world.sleep = slept  # type: ignore[method-assign]
    with pytest.raises(RetryableError, match="aborted by somebody"):
        put(org, contacts(600))
    assert len(jobs(org)) == 1


# --- waiting ---------------------------------------------------------------------------------


def test_a_job_that_is_late_is_aborted_and_made_up_for(org: SalesforceRig) -> None:
    org.fake.jobs.queue_s = 10_000
    crm = org.destination(**SMALL, bulk_wait_s=600)
    before = org.world.now_ms
    with pytest.raises(RetryableError, match=r"600 s.*bulk_wait_s"):
        put(org, contacts(), crm)
    assert 600 <= (org.world.now_ms - before) / 1000 <= 601
    assert jobs(org) == [("upsert", "Aborted", 0)]
    org.fake.jobs.queue_s = 1
    assert all_applied(put(org, contacts(), crm))


@pytest.mark.parametrize("count", [MANY, 20], ids=["by a job", "by a call"])
def test_a_job_that_could_not_be_aborted_is_before_the_next_write(
    org: SalesforceRig, count: int
) -> None:
    put(org, contacts())
    org.fake.jobs.queue_s = 3600
    org.fake.fail_next([*[None] * 4, *[Fault(status=403)] * 2])  # a look, and the abortion
    with pytest.raises(QuotaError):
        put(org, contacts(brokerage_note="old"))
    assert jobs(org)[-1] == ("upsert", "UploadComplete", 0)
    org.fake.jobs.queue_s = 1
    assert all_applied(put(org, contacts(count, brokerage_note="new")))
    org.world.sleep(10_000)
    assert {row.get("brokerage_note__c") for row in held(org).values()} <= {"new", None}


def test_looks_grow_rarer(org: SalesforceRig) -> None:
    org.fake.jobs.queue_s = 1800
    put(org, contacts())
    assert 1800 / 30 <= org.fake.calls["GET jobs/ingest/JOB"] <= 5 + 1800 / 30 + 1
    assert org.fake.calls["GET jobs/ingest"] == 1, "what an earlier process left"


def test_a_stop_aborts_the_job(org: SalesforceRig, monkeypatch: pytest.MonkeyPatch) -> None:
    put(org, contacts())

    def stopped(self: Any, seconds: float) -> None:
        raise StoppingError("stop")

    org.fake.jobs.queue_s = 1000
    with monkeypatch.context() as during:
        during.setattr(type(org.world.clock), "sleep", stopped)
        with pytest.raises(StoppingError):
            put(org, contacts(lastname="New"))
    assert jobs(org)[-1] == ("upsert", "Aborted", 0)
    org.world.sleep(5000)
    assert held(org)["alpha:C1"]["LastName"] == "Berg 1"


# --- lost answers, sessions and limits, at each call -----------------------------------------

CALLS = {
    "open": "POST ingest", "upload": "PUT batches", "close": "PATCH job", "look": "GET job",
    "good": "GET successfulResults", "bad": "GET failedResults",
}  # fmt: skip
STEPS = {"open": 0, "upload": 1, "close": 2, "look": 3, "good": 5, "bad": 6}
"""Which call it is in a job of a second or two, one of whose rows is bad."""


def meets(org: SalesforceRig, step: str, *faults: Fault) -> list[Write]:
    """Let the call of a step meet these faults, in a job whose 6th row is bad."""
    org.fake.fail_next([*[None] * STEPS[step], *faults])
    writes = contacts(brokerage_stage="LS2")
    writes[5].properties = {"lastname": "B" * 81}  # one character more than the field takes
    return writes


def accounted(org: SalesforceRig, found: list[Outcome]) -> None:
    """One row refused, the others written once, and no job that goes on."""
    assert [o.key for o in found if isinstance(o, Refused)] == ["alpha:C5"]
    there = held(org)
    assert len(there) == len(org.fake.records("Contact")) == MANY
    stages = {key for key, row in there.items() if row.get("brokerage_stage__c") == "LS2"}
    assert stages == set(there) - {"alpha:C5"}
    org.world.sleep(100_000)  # an open job without a file ends after a day
    assert {state for _, state, _ in jobs(org)} <= {"JobComplete", "Aborted"}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "fault",
    [Fault(drop="before"), Fault(drop="after"), Fault(status=503), Fault(status=500),
     Fault.half_done(), Fault(status=401)],
    ids=["lost", "lost after", "503", "500", "500 after", "401"],
)  # fmt: skip
def test_a_call_that_fails_once_costs_nothing(org: SalesforceRig, step: str, fault: Fault) -> None:
    put(org, contacts())
    seen = routes(org)
    found = put(org, meets(org, step, fault))
    assert seen[STEPS[step]] == CALLS[step], "the fault met the call it was meant for"
    accounted(org, found)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Fault(status=403), QuotaError), (Fault(drop="after"), RetryableError)],
    ids=["no calls left", "nobody there"],
)
def test_what_ends_a_job_is_made_up_for(
    org: SalesforceRig, step: str, fault: Fault, kind: type[BrokersyncError]
) -> None:
    put(org, contacts())
    writes = meets(org, step, *[fault] * 40)
    with pytest.raises(kind):
        put(org, writes)
    org.fake.clear_faults()
    accounted(org, put(org, writes))


def test_an_answer_cut_in_its_middle_counts_for_nothing(org: SalesforceRig) -> None:
    put(org, contacts())
    answer, cut = org.answer, []

    def handle(request: Request) -> Response:
        found = answer(request)
        if request.path.endswith("successfulResults") and not cut:
            cut.append(request)
            half = found.body[: len(found.body) // 2]
            # What comes behind it is no further chunk: so a connection ends that is cut.
            body = b"%x\r\n%s\r\ncut\r\n" % (len(half), half)
            return Response(200, body, {"transfer-encoding": "chunked"})
        return found

    org.answer = handle
    writes = meets(org, "open")
    for write in writes[10:]:  # so that much has arrived before the end
        write.properties = {**write.properties, "brokerage_note": "x" * 3000}
    accounted(org, put(org, writes))
    assert cut


# --- jobs of others, and of the dead ---------------------------------------------------------


class Died(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("known", [False, True], ids=["upsert", "update"])
def test_a_job_of_a_dead_process_does_not_write_later(known: bool) -> None:
    calls: list[str] = []

    def boundary(name: str) -> None:
        calls.append(name)
        if len(calls) == dies:
            raise Died

    dies = -1
    org = SalesforceRig(boundary)
    org.crm = org.destination(**SMALL)
    org.install()
    made = put(org, contacts())
    ids = {o.key: o.crm_id for o in made if isinstance(o, Applied) and known}
    org.fake.jobs.queue_s = 3600
    old = [Write(w.key, {"lastname": "Old"}, ids.get(w.key, "")) for w in contacts()]
    dies = len(calls) + 9  # after the third look
    with pytest.raises(Died):
        put(org, old)
    assert [job.state for job in org.fake.jobs.jobs.values()][-1] == "UploadComplete"
    org.fake.jobs.queue_s = 1
    dies = -1
    new = [Write(w.key, {"lastname": "New"}, ids.get(w.key, "")) for w in contacts()]
    assert all_applied(put(org, new, org.destination(**SMALL)))
    org.world.sleep(10_000)
    assert {row["LastName"] for row in held(org).values()} == {"New"}
    org.close()


def test_jobs_of_others_are_left_alone(org: SalesforceRig) -> None:
    update = {"object": "Contact", "operation": "update", "contentType": "CSV", "lineEnding": "LF"}
    headers = {"authorization": f"Bearer {org.fake.open_session('sales@broker.test')}"}
    with httpx.Client(base_url=org.server.url, headers=headers) as http:
        theirs = http.post("/services/data/v60.0/jobs/ingest", json=update).json()["id"]
    call = org.crm._client.call
    mine = call("POST", "jobs/ingest", body=update)["id"]
    other = call("POST", "jobs/ingest", body=update | {"operation": "insert"})["id"]
    made = put(org, contacts())
    put(org, [Write(o.key, {"lastname": "Ek"}, o.crm_id) for o in made if isinstance(o, Applied)])
    states = {job_id: job.state for job_id, job in org.fake.jobs.jobs.items()}
    assert (states[theirs], states[other], states[mine]) == ("Open", "Open", "Aborted")


def test_where_jobs_cannot_be_listed_they_are_made_all_the_same(org: SalesforceRig) -> None:
    org.fake.fail_next([Fault(status=403, code="INSUFFICIENT_ACCESS", path="jobs/ingest")])
    assert all_applied(put(org, contacts()))


# --- shapes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b'"sf__Id"\n"x"\n', b'"a","broker_client_id__c"\n"x"\n', b"\xff\xfe\xfa", b'"a\n',
     b'"sf__Id","broker_client_id__c"\n"003000000000001","alpha:C999"\n',
     b'"sf__Id","broker_client_id__c"\n"","alpha:C1"\n',
     b'"sf__Id","broker_client_id__c"\n"003000000000001","alpha:C1"\n"003000000000001","alpha:C1"\n'],
)  # fmt: skip
def test_answers_of_another_shape_stop_the_connector(org: SalesforceRig, body: bytes) -> None:
    answer = org.answer

    def handle(request: Request) -> Response:
        if request.path.endswith("successfulResults"):
            return Response(200, body, {"content-type": "text/csv"})
        return answer(request)

    org.answer = handle
    with pytest.raises(ProtocolError):
        put(org, contacts())


def test_rows_that_no_file_tells_of_are_sent_again(org: SalesforceRig) -> None:
    answer = org.answer

    def handle(request: Request) -> Response:
        if request.path.endswith("Results"):
            return Response(200, b"", {"content-type": "text/csv"})
        return answer(request)

    org.answer = handle
    seen = routes(org)
    assert all_applied(put(org, contacts()))
    assert seen.count("PATCH broker_client_id__c") == 2, "300 by 200"


def test_no_value_of_a_client_reaches_the_log(
    org: SalesforceRig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    org.fake.lock_rows(3)
    writes = meets(org, "upload", Fault(drop="after"))
    writes[7].properties = {"lastname": "Berg", "brokerage_vip": "Kowalski"}
    writes[8].properties = {"lastname": "Kowalski" * 40}
    found = put(org, writes)
    assert {o.key for o in found if isinstance(o, Refused)} == {f"alpha:C{n}" for n in (5, 7, 8)}
    told = caplog.text + repr(found) + repr(org.crm._bulk) + repr(writes)
    assert "Kowalski" not in told
    assert "Berg" not in told
