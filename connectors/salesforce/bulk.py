"""Bulk API 2.0: many records by one file.

A job is opened, given one file, closed, waited for, and its files of answers are read; each step
is a call (documented). simple-salesforce carries the calls; its own helper for whole jobs sleeps by
itself, hides what became of the rows, and cannot clear a field. Every write is by id or by the
unique key, so a job that is lost is met by another; the lost one is aborted where that is possible,
lest it write old values later.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from connectors.clock import Clock
from connectors.destination import Applied, Outcome
from connectors.salesforce import errors, sheet
from connectors.salesforce.client import SalesforceClient, reading, unexpected
from connectors.shapes import of_form
from mapping.errors import AmbiguousError, BrokersyncError, ConfigError, RetryableError

log = logging.getLogger(__name__)

_JOBS = "jobs/ingest"
_FILES = (_GOOD, _BAD, _UNDONE) = ("successfulResults", "failedResults", "unprocessedrecords")
_OVER = frozenset({"JobComplete", "Failed", "Aborted"})
_WAITS_S = (1.0, 2.0, 4.0, 8.0, 15.0)
_LONGEST_WAIT_S = 30.0
_TRIES = 3
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
RowOf = Callable[[str], Mapping[str, Any] | None]
"""The hub's key -> fields by API names, the target's key among them; None: not to be sent."""
CALLS = 4
"""Of a job whose rows are all written, without the looks whether it is done."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a job writes to. ``key``: the unique external id, or ``Id`` for known records.

    ``fields``: those of the object that the integration user sees; one other in a file fails all.
    """

    sobject: str
    key: str
    fields: frozenset[str]

    @property
    def job(self) -> dict[str, str]:
        """The job's description (documented)."""
        kind = {"operation": "update"}
        if self.key != "Id":
            kind = {"operation": "upsert", "externalIdFieldName": self.key}
        return {"object": self.sobject, **kind, "contentType": "CSV",
                "columnDelimiter": "COMMA", "lineEnding": "LF"}  # fmt: skip

    def is_job(self, told: Mapping[str, Any]) -> bool:
        """Whether a job does the same as one of these."""
        mine = ("object", "operation", "externalIdFieldName")
        return all(told.get(name) == self.job.get(name) for name in mine)


@dataclass(slots=True)
class Done:
    """What became of the rows, by the hub's keys.

    ``again``: rows to be sent by calls of their own: they met a lock, were not processed, or are
    such that no file can say them.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)


class Bulk:
    """Bulk jobs of one org.

    Args:
        deadline_s: how long a job may take.
        most_bytes: of one file.
    """

    def __init__(
        self, client: SalesforceClient, clock: Clock, deadline_s: float,
        most_bytes: int = sheet.MOST_BYTES,
    ) -> None:  # fmt: skip
        self._client = client
        self._clock = clock
        self._deadline_s = deadline_s
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._left_behind: set[str] = set()  # jobs that could not be aborted
        self._looked: set[tuple[str, str]] = set()  # for jobs of an earlier process

    def write(
        self, target: Target, names: Collection[str], keys: Iterable[str], row_of: RowOf
    ) -> Done:
        """Write records in as many jobs as their files need.

        Args:
            names: the fields that the rows have among them; each line has a cell for each.
            keys: the hub's, of the rows to be written.
            row_of: gives a row when its line is written, and again if it has to be sent again.

        Raises:
            ConfigError, RetryableError, QuotaError, ProtocolError: nothing is known of rows that
                may have been written all the same; they may be sent again.
        """
        self.abort_left_behind()
        self._settle(target)
        done = Done()
        columns = [target.key, *(n for n in names if n in target.fields and n != target.key)]
        strange = {*names} - target.fields
        failures = 0
        left = deque(keys)
        while left:
            part = _Part(sheet.Writing(columns, self._most_bytes), target.key, strange)
            part.fill(left, row_of, done)
            if not part.sent_as:
                return done
            ended = self._job(target, part, done)
            undone = [*ended.left.values()]
            if not undone or ended.failure is None:
                done.again += undone
                continue
            failures += 1
            if not ended.goes_on or len(undone) == len(part.sent_as) or failures >= _TRIES:
                raise ended.failure
            left.extendleft(reversed(undone))
        return done

    def _job(self, target: Target, part: _Part, done: Done) -> _Ended:
        """One file from the opening of its job to the end."""
        job_id = self._uploaded(target, part.sheet.body())
        try:
            self._close(job_id)
            told = self._waited(job_id)
        except BrokersyncError:
            self._abort(job_id)
            raise
        state = told["state"]
        failure = None if state == "JobComplete" else errors.of_job(told, job_id)
        ended = _Ended(dict(part.sent_as), failure, state == "Failed")
        for which in _FILES:
            if ended.left:
                _account(which, self._answers(job_id, which, target), ended, done)
        return ended

    # The steps of a job

    def _uploaded(self, target: Target, body: bytes) -> str:
        """A job with its file. One whose upload got no answer is aborted, and another made."""
        for tried in range(1, _TRIES + 1):
            job_id = self._opened(target)
            try:
                self._client.upload(f"{_JOBS}/{job_id}/batches", body)
            except AmbiguousError as lost:
                self._abort(job_id)
                if tried == _TRIES:
                    raise
                log.info("%s; another job is made", lost.log)
                self._clock.sleep(_WAITS_S[tried])
            except BrokersyncError:
                self._abort(job_id)
                raise
            else:
                return job_id
        raise AssertionError  # the last try returned or raised

    def _opened(self, target: Target) -> str:
        """A new job. If the answer is lost another is opened; Salesforce ends empty ones itself."""
        try:
            told = self._client.call("POST", _JOBS, body=target.job)
        except errors.RefusalError as refusal:
            raise errors.no_job(refusal, target.sobject, target.key) from None
        with reading("bulk job"):
            job_id = of_form(told["id"], _ID)
        if not job_id:
            raise unexpected("bulk job: no id")
        return job_id

    def _close(self, job_id: str) -> None:
        """The file is whole. Where the answer was lost, the second try is refused."""
        try:
            self._client.call("PATCH", f"{_JOBS}/{job_id}", body={"state": "UploadComplete"})
        except errors.RefusalError:
            if self._state(job_id)["state"] == "Open":
                raise

    def _waited(self, job_id: str) -> Mapping[str, Any]:
        """The job once it is over."""
        until_ms = self._clock.now_ms() + self._deadline_s * 1000
        for wait_s in _waits():
            self._clock.sleep(min(wait_s, max(0.1, (until_ms - self._clock.now_ms()) / 1000)))
            told = self._state(job_id)
            if told["state"] in _OVER:
                return told
            if self._clock.now_ms() >= until_ms:
                raise RetryableError(
                    f"A Salesforce bulk job was not done after {self._deadline_s:,.0f} s and was "
                    f"aborted (Setup > Bulk Data Load Jobs, {job_id}). The hub tries again. If "
                    f"this happens often, lower bulk_rows or raise bulk_wait_s of this "
                    f"destination.",
                    f"salesforce bulk job {job_id}: late",
                )
        raise AssertionError  # the waits have no end

    def _state(self, job_id: str) -> Mapping[str, Any]:
        told = self._client.call("GET", f"{_JOBS}/{job_id}")
        if not isinstance(told, Mapping) or not isinstance(told.get("state"), str):
            raise unexpected("bulk job: no state")
        return told

    def _answers(self, job_id: str, which: str, target: Target) -> list[sheet.Answer]:
        found: list[sheet.Answer] = []

        def take(chunks: Iterator[bytes]) -> None:
            found.clear()  # of a try that was cut off
            with reading(f"bulk {which}"):
                found.extend(sheet.answers(chunks, target.key))

        self._client.download(f"{_JOBS}/{job_id}/{which}", take)
        return found

    # Jobs nobody waits for

    def _abort(self, job_id: str) -> None:
        """End a job that was given up; if that cannot be now, before the next one."""
        self._left_behind.add(job_id)
        try:
            self._client.call("PATCH", f"{_JOBS}/{job_id}", body={"state": "Aborted"})
        except errors.RefusalError:
            pass  # it is over already
        except BrokersyncError as error:
            log.warning("salesforce bulk job %s could not be aborted: %s", job_id, error.log)
            return
        self._left_behind.discard(job_id)

    def abort_left_behind(self) -> None:
        """End what was given up and could not be ended then: it holds old values."""
        if self._left_behind:
            with self._lock:
                for job_id in [*self._left_behind]:
                    self._abort(job_id)

    def _settle(self, target: Target) -> None:
        """Abort what an earlier process, ended in the midst of it, left to run.

        Before the first job of its kind, so that none of this process is among them.
        """
        with self._lock:
            if not self.looked(target.sobject, target.key):
                for job_id in self._unfinished(target):
                    log.info("salesforce bulk job %s of an earlier run is aborted", job_id)
                    self._abort(job_id)
                self._looked.add((target.sobject, target.key))

    def looked(self, sobject: str, key: str) -> bool:
        """Whether this process has looked for jobs that an earlier one left: it does so once."""
        return (sobject, key) in self._looked

    def _unfinished(self, target: Target) -> list[str]:
        """Jobs of this user that do what these do, and are not over."""
        try:
            told = self._client.call("GET", _JOBS, params={"jobType": "V2Ingest"})
            with reading("bulk jobs"):
                jobs = [job for job in told["records"] if target.is_job(job)]
                jobs = [job for job in jobs if job["state"] not in _OVER]
                mine = self._client.user_id() if jobs else ""
                return [of_form(j["id"], _ID) for j in jobs if j["createdById"] == mine]
        except (errors.RefusalError, ConfigError) as refused:
            log.info("salesforce bulk jobs cannot be listed: %s", refused.log)
            return []


@dataclass(slots=True)
class _Ended:
    """A job that is over.

    ``left``: what it says nothing of, key as sent -> hub's key. ``failure``: why it was not
    completed. ``goes_on``: what is left may be sent again at once; not where somebody wanted it
    to end.
    """

    left: dict[str, str]
    failure: BrokersyncError | None
    goes_on: bool


def _waits() -> Iterator[float]:
    yield from _WAITS_S
    while True:
        yield _LONGEST_WAIT_S


@dataclass(slots=True)
class _Part:
    """A file and the keys of its lines, key as sent -> hub's key.

    ``strange``: fields the org does not have, of which one fails the whole file.
    """

    sheet: sheet.Writing
    key: str
    strange: Set[str]
    sent_as: dict[str, str] = field(default_factory=dict)

    def fill(self, left: deque[str], row_of: RowOf, done: Done) -> None:
        """Take rows while there is room. Those no file can say are refused, or left for a call."""
        while left:
            key = left[0]
            row = row_of(key)
            try:
                if row is None:
                    pass
                elif self.strange and not self.strange.isdisjoint(row):
                    done.again.append(key)
                elif self.sheet.takes(row):
                    self.sent_as[str(row[self.key])] = key
                else:
                    return
            except sheet.TooLongError as error:
                told = errors.Details("STRING_TOO_LONG", (str(error.args[0]),))
                done.outcomes[key] = errors.refused(key, told)
            except sheet.UnfitError:
                done.again.append(key)
            left.popleft()


def _account(
    which: str, answers: Sequence[sheet.Answer], ended: _Ended, done: Done
) -> None:  # fmt: skip
    """Each answer to the row it belongs to, by its key: places mean nothing.

    Raises:
        ConfigError, QuotaError: a row met a limit of the whole org: none is to blame.
        ProtocolError: an answer for a row that was not sent, or a second one.
    """
    for answer in answers:
        key = ended.left.get(answer.key)
        if key is None:
            raise unexpected(f"bulk {which}: an answer too many")
        if which == _UNDONE:
            continue  # sent again, as is what no file tells of
        del ended.left[answer.key]
        if which == _GOOD:
            if not answer.crm_id:
                raise unexpected("bulk: a success without an id")
            done.outcomes[key] = Applied(key, answer.crm_id, answer.created)
            continue
        told = errors.of_bulk_row(answer.error)
        if told.code in errors.ORG_WIDE:
            raise errors.org_wide(told)
        if told.code in errors.LOCKED or told.locked:
            done.again.append(key)
        else:
            done.outcomes[key] = errors.refused(key, told)
