"""Bulk API 2.0 ingest: jobs that are worked off on the world's clock.

Documented: Open, UploadComplete, InProgress, then JobComplete, Failed or Aborted; a job stays open
for a day, its results are kept for seven. Assumed: how long the queue and the rows take, and that
rows are taken by 200, in order, so that an aborted job has a beginning that was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator.salesforce import rows, writing
from simulator.salesforce.batches import Step, attempt, upserts
from simulator.salesforce.ids import whole
from simulator.salesforce.org import Org
from simulator.salesforce.problems import (
    NotBuiltError,
    SalesforceError,
    malformed_id,
    not_found,
)
from simulator.salesforce.requests import Caller
from simulator.salesforce.sheets import Header, Sheet, SheetError, read_sheet
from simulator.salesforce.store import Table

CHUNK = 200
DAY_MS = 86_400_000
OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")
Record = dict[str, Any]


@dataclass(slots=True)
class Job:
    """One job. ``done``: (id, created, error) of each row taken, in order."""

    id: str
    table: Table
    operation: str
    key: str
    delimiter: str
    ending: str
    version: int
    caller: Caller
    created_ms: int
    state: str = "Open"
    upload: bytes | None = None
    sheet: Sheet | None = None
    header: Header | None = None
    start_ms: int = 0
    changed_ms: int = 0
    error: str = ""
    fails_at: int | None = None
    done: list[tuple[str, bool, str]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Rows refused."""
        return sum(1 for _, _, error in self.done if error)

    @property
    def over(self) -> bool:
        """Nothing will be done any more."""
        return self.state in ("JobComplete", "Failed", "Aborted")


class Jobs:
    """All jobs.

    Args:
        queue_s: from UploadComplete to InProgress.
        rows_per_s: how many rows are taken a second.
    """

    def __init__(self, org: Org, queue_s: float, rows_per_s: float) -> None:
        self.jobs: dict[str, Job] = {}
        self.queue_s = queue_s
        self.rows_per_s = rows_per_s
        self.breaks: list[tuple[int, str]] = []
        self._org = org

    def get(self, job_id: str) -> Job:
        """A job by its id."""
        job = self.jobs.get(whole(job_id) or "")
        if job is None or (job.over and self._org.now_ms > job.changed_ms + 7 * DAY_MS):
            raise not_found()
        return job

    def add(self, job: Job) -> None:
        """A new job."""
        self.jobs[job.id] = job

    def close(self, job: Job) -> None:
        """UploadComplete: the rows go into the queue."""
        job.state = "UploadComplete"
        job.start_ms = self._org.now_ms + round(self.queue_s * 1000)
        job.changed_ms = self._org.now_ms
        if self.breaks:
            job.fails_at, job.error = self.breaks.pop(0)

    def abort(self, job: Job) -> None:
        """What is not done is left."""
        if job.state == "UploadComplete":
            self._open(job)
        self._end(job, "Aborted", self._org.now_ms)

    # The work

    def catch_up(self) -> None:
        """Do all that is due by now, in the order in which it became due."""
        now = self._org.time.now_ms
        for job in list(self.jobs.values()):
            if job.state == "Open" and now > job.created_ms + DAY_MS:
                self._end(job, "Aborted", job.created_ms + DAY_MS)
        while True:
            waiting = [job for job in self.jobs.values() if job.start_ms and not job.over]
            first = min(waiting, key=self._due_ms, default=None)
            if first is None or self._due_ms(first) > now:
                return
            self._advance(first, self._due_ms(first))

    def _due_ms(self, job: Job) -> int:
        """When the next step of a job is due: its start, or the end of its next rows."""
        if job.state == "UploadComplete" or job.sheet is None:
            return job.start_ms
        behind = min(len(job.done) + CHUNK, len(job.sheet.rows))
        return job.start_ms + round(behind / self.rows_per_s * 1000)

    def _advance(self, job: Job, at_ms: int) -> None:
        self._org.acting_ms = at_ms
        try:
            if job.state == "UploadComplete":
                job.state, job.changed_ms = "InProgress", at_ms
                self._open(job)
            else:
                self._take(job, at_ms)
        except SalesforceError as gone:  # the key is no key any more, say
            job.error = f"InvalidBatch : {gone.message}"
            self._end(job, "Failed", at_ms)
        except NotBuiltError as missing:
            job.error = f"the simulator has no {missing}"
            self._end(job, "Failed", at_ms)
        finally:
            self._org.acting_ms = None

    def _open(self, job: Job) -> None:
        try:
            job.sheet = read_sheet(job.upload or b"", job.delimiter, job.ending)
            view = self._org.view(job.table, job.caller.user_id)
            job.header = Header(self._org, view, job.table, job.sheet.columns)
        except SheetError as broken:
            job.error = str(broken)
            job.sheet = job.sheet or Sheet([], [])
            self._end(job, "Failed", self._org.now_ms)

    def _take(self, job: Job, at_ms: int) -> None:
        if job.sheet is None or job.header is None:
            return
        start = len(job.done)
        end = min(start + CHUNK, len(job.sheet.rows))
        if job.fails_at is not None:
            end = min(end, max(start, job.fails_at))
        records = [job.header.record(cells) for cells in job.sheet.rows[start:end]]
        for step in self._steps(job, records):
            result = attempt(step, upsert=True, error=SalesforceError.csv)
            error = "" if result["success"] else result["errors"][0]
            job.done.append((result.get("id", ""), result["created"], error))
        if job.fails_at is not None and end >= job.fails_at:
            self._end(job, "Failed", at_ms)
        elif end == len(job.sheet.rows):
            self._end(job, "JobComplete", at_ms)

    def _end(self, job: Job, state: str, at_ms: int) -> None:
        job.state, job.changed_ms = state, at_ms

    def _steps(self, job: Job, records: Sequence[Record]) -> list[Step]:
        if job.operation == "upsert":
            key = rows.key_field(self._org, job.caller, job.table, job.key)
            return upserts(self._org, job.caller, job.table, key, records)
        works = {"insert": self._insert, "update": self._update}
        work = works.get(job.operation, self._delete)
        return [_bound(work, job, record) for record in records]

    def _insert(self, job: Job, record: Record) -> tuple[str, bool]:
        return writing.create(self._org, job.caller, job.table, record), True

    def _update(self, job: Job, record: Record) -> tuple[str, bool]:
        row_id = _id_of(record)
        sent = {name: value for name, value in record.items() if name != "Id"}
        writing.update(self._org, job.caller, job.table, row_id, sent)
        return row_id, False

    def _delete(self, job: Job, record: Record) -> tuple[str, bool]:
        row_id = _id_of(record)
        writing.delete(self._org, job.caller, job.table, row_id)
        if job.operation == "hardDelete":  # documented: not even the recycle bin keeps it
            job.table.put(row_id, None)
        return row_id, False


def _bound(work: Callable[[Job, Record], tuple[str, bool]], job: Job, record: Record) -> Step:
    return lambda: work(job, record)


def _id_of(record: Record) -> str:
    value = record.get("Id")
    row_id = whole(str(value or ""))
    if value is None:
        raise SalesforceError("MISSING_ARGUMENT", "Id not specified in an update call", ["Id"])
    if row_id is None:
        raise malformed_id("Record ID", value, "Id")
    return row_id
