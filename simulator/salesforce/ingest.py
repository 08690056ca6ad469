"""Routes of bulk jobs: ``jobs/ingest...``"""

from __future__ import annotations

from typing import Any

from simulator.salesforce import rows
from simulator.salesforce.bulk import OPERATIONS, Job, Jobs
from simulator.salesforce.org import Org
from simulator.salesforce.problems import NotBuiltError, SalesforceError, not_found
from simulator.salesforce.requests import Call, content, json_object
from simulator.salesforce.sheets import DELIMITERS, ENDINGS, write_sheet
from simulator.salesforce.values import shown
from simulator.wire import Response


def ingest(org: Org, jobs: Jobs, call: Call) -> Response:
    """One request about jobs."""
    match call.method, call.parts[2:]:
        case "POST", []:
            return Response.json(200, _brief(_create(org, jobs, call)))
        case "GET", []:
            listed = [_brief(job) for job in jobs.jobs.values()]
            return Response.json(200, {"done": True, "nextRecordsUrl": None, "records": listed})
        case "GET", [job_id]:
            return Response.json(200, _whole(jobs.get(job_id)))
        case "PUT", [job_id, "batches"]:
            return _upload(jobs.get(job_id), call)
        case "PATCH", [job_id]:
            job = jobs.get(job_id)
            _set_state(jobs, job, json_object(call.request).get("state"))
            return Response.json(200, _brief(job))
        case "DELETE", [job_id]:
            return _delete(jobs, jobs.get(job_id))
        case "GET", [job_id, which]:
            return _results(jobs.get(job_id), which)
        case _:
            raise not_found()


def _create(org: Org, jobs: Jobs, call: Call) -> Job:
    """Documented names; codes and words of the refusals are assumed."""
    if call.request.headers.get("content-type", "").startswith("multipart/"):
        raise NotBuiltError("bulk jobs in several parts")
    told = json_object(call.request)
    table = org.tables.get(str(told.get("object", "")).lower())
    if table is None:
        raise SalesforceError(
            "INVALIDENTITY", f"Entity '{told.get('object')}' is not supported by the Bulk API."
        )
    operation = str(told.get("operation"))
    delimiter = str(told.get("columnDelimiter", "COMMA"))
    ending = str(told.get("lineEnding", "LF"))
    if (
        operation not in OPERATIONS
        or delimiter not in DELIMITERS
        or ending not in ENDINGS
        or told.get("contentType", "CSV") != "CSV"
    ):
        raise SalesforceError("INVALIDJOB", "InvalidJob : a property has an unknown value")
    key = _key(org, call, told, operation)
    job = Job(
        org.ids.new("750"),
        table,
        operation,
        key,
        delimiter,
        ending,
        call.version,
        call.caller,
        org.now_ms,
        changed_ms=org.now_ms,
    )
    jobs.add(job)
    return job


def _key(org: Org, call: Call, told: dict[str, Any], operation: str) -> str:
    if operation != "upsert":
        return ""
    name = str(told.get("externalIdFieldName") or "")
    table = org.table(str(told["object"]))
    try:
        return rows.key_field(org, call.caller, table, name).name
    except SalesforceError:
        raise SalesforceError(
            "INVALIDJOB",
            f"InvalidJob : Field name provided, {name} does not match an External ID for "
            f"{table.name}",
        ) from None


def _upload(job: Job, call: Call) -> Response:
    """Recorded: 201 without a body. Documented: one upload a job."""
    if job.state != "Open" or job.upload is not None:
        raise _wrong_state(
            f"Found multiple contents for job: <{job.id}>, please 'Close' / 'Abort' / 'Delete' the "
            "current Job then create a new Job and make sure you only do 'PUT' once on a given Job."
        )
    job.upload = content(call.request)
    return Response(201)


def _set_state(jobs: Jobs, job: Job, state: Any) -> None:
    if state == "UploadComplete" and job.state == "Open":
        jobs.close(job)
    elif state == "Aborted" and not job.over:
        jobs.abort(job)
    else:
        raise _wrong_state(f"Cannot change a job from {job.state} to {state}")


def _delete(jobs: Jobs, job: Job) -> Response:
    """Documented: not while it is open or at work."""
    if job.state in ("Open", "InProgress"):
        raise _wrong_state(f"Deleting a job that is {job.state} is not allowed")
    del jobs.jobs[job.id]
    return Response(204)


def _wrong_state(words: str) -> SalesforceError:
    """Recorded code; the words are assumed."""
    return SalesforceError("INVALIDJOBSTATE", words)


def _brief(job: Job) -> dict[str, Any]:
    """A job as creating and changing it answer (recorded)."""
    out = {
        "id": job.id,
        "operation": job.operation,
        "object": job.table.name,
        "createdById": job.caller.user_id,
        "createdDate": shown(job.created_ms),
        "systemModstamp": shown(job.changed_ms),
        "state": job.state,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(job.version),
        "contentUrl": f"services/data/v{job.version}.0/jobs/ingest/{job.id}/batches",
        "lineEnding": job.ending,
        "columnDelimiter": job.delimiter,
    }
    return out | ({"externalIdFieldName": job.key} if job.key else {})


def _whole(job: Job) -> dict[str, Any]:
    """A job as reading it answers. Assumed: rows refused count as processed, too."""
    took = max(0, job.changed_ms - job.start_ms) if job.start_ms else 0
    out = {
        **_brief(job),
        "jobType": "V2Ingest",
        "numberRecordsProcessed": len(job.done),
        "numberRecordsFailed": job.failed,
        "retries": 0,
        "totalProcessingTime": took,
        "apiActiveProcessingTime": took,
        "apexProcessingTime": 0,
    }
    return out | ({"errorMessage": job.error} if job.error and job.over else {})


def _results(job: Job, which: str) -> Response:
    """Recorded: names (in any case: clients differ), columns and quotes.

    Assumed: nothing is given out before the end.
    """
    which = which.lower()
    if which not in ("successfulresults", "failedresults", "unprocessedrecords"):
        raise not_found()
    if not job.over:
        raise _wrong_state(f"the job is {job.state}: its results are not there yet")
    columns = job.sheet.columns if job.sheet else []
    sent = job.sheet.rows if job.sheet else []
    pairs = list(zip(job.done, sent, strict=False))
    if which == "successfulresults":
        head = ["sf__Id", "sf__Created", *columns]
        lines = [[i, str(new).lower(), *row] for (i, new, error), row in pairs if not error]
    elif which == "failedresults":
        head = ["sf__Id", "sf__Error", *columns]
        lines = [[i, error, *row] for (i, _, error), row in pairs if error]
    else:
        head, lines = columns, sent[len(job.done) :]
    return Response(200, write_sheet(head, lines, job.ending), {"content-type": "text/csv"})
