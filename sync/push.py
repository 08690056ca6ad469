"""Push: claim, deliver a few batches abreast, acknowledge; tasks before everything else."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from connectors.destination import CrmObject, Destination
from mapping.errors import BrokersyncError
from state import outbox, sources
from state.outbox import Acknowledged, Claim
from sync.crm_schema import ready
from sync.delivery import CONTACT, Batch, Delivered, deliver
from sync.hub import Hub

Guard = Callable[[Connection], None]
ORDER = ((CrmObject.CONTACT, True), (CrmObject.TASK, False), (CrmObject.CONTACT, False))
"""What is delivered first: (object, only what waiting tasks need)."""


@dataclass(slots=True)
class Pushed:
    """What a push wrote. ``stopped`` is the error that ended it early, if one did."""

    contacts_written: int = 0
    contacts_created: int = 0
    tasks_written: int = 0
    tasks_created: int = 0
    associations: int = 0
    refused: int = 0
    adopted: int = 0
    stopped: BrokersyncError | None = None

    def count(self, obj: CrmObject, rows: Sequence[Delivered]) -> None:
        """Add a delivered batch."""
        written, created = sum(r.wrote for r in rows), sum(r.created for r in rows)
        self.refused += sum(r.refused is not None for r in rows)
        self.associations += sum(r.associated for r in rows)
        self.adopted += sum(not r.wrote and not r.claim.crm_id and bool(r.crm_id) for r in rows)
        if obj is CrmObject.CONTACT:
            self.contacts_written += written
            self.contacts_created += created
        else:
            self.tasks_written += written
            self.tasks_created += created


@dataclass(slots=True)
class Pusher:
    """One destination's push in one run."""

    hub: Hub
    name: str
    destination: Destination
    fence: int
    guard: Guard
    done: Pushed = field(default_factory=Pushed)

    def push(self) -> Pushed:
        """Deliver all that is pending; stop cleanly at the first error that is not a record's."""
        with self.hub.store.transaction(f"push.{self.name}.sweep") as connection:
            self.guard(connection)
            outbox.sweep(connection, self.name, self.hub.clock.now_ms())
        try:
            objects = self._objects()
            for obj, needed_by_tasks in ORDER:
                if obj in objects:
                    self._drain(obj, needed_by_tasks=needed_by_tasks)
        except BrokersyncError as error:
            self.done.stopped = error
        return self.done

    def _objects(self) -> frozenset[CrmObject]:
        """What the portal is ready to take; asked until it is ready for everything."""
        if self.hub.schema_checked.get(self.name):
            return frozenset(CrmObject)
        objects, self.done.stopped = ready(self.hub, self.name, self.destination)
        self.hub.schema_checked[self.name] = self.done.stopped is None
        return objects

    def _drain(self, obj: CrmObject, *, needed_by_tasks: bool = False) -> None:
        with closing(self._batches(obj, needed_by_tasks)) as batches:
            if self.hub.in_flight > 1:
                self._deliver_abreast(batches)
                return
            for batch in batches:
                self._deliver_here(batch)

    def _deliver_abreast(self, batches: Iterator[Batch]) -> None:
        running: dict[Future[list[Delivered]], Batch] = {}
        failure: BrokersyncError | None = None
        with ThreadPoolExecutor(self.hub.in_flight, thread_name_prefix="push") as pool:
            more = True
            while more or running:
                while more and failure is None and len(running) < self.hub.in_flight:
                    following = next(batches, None)
                    more = following is not None
                    if following is not None:
                        running[pool.submit(deliver, self.destination, following)] = following
                if failure is not None and not running:
                    break
                finished, _ = wait(running, return_when=FIRST_COMPLETED) if running else ([], [])
                for future in finished:
                    batch = running.pop(future)
                    failure = self._finish(batch, future) or failure
        if failure is not None:
            raise failure

    def _deliver_here(self, batch: Batch) -> None:
        try:
            rows = deliver(self.destination, batch)
        except BrokersyncError:
            self._give_back(batch)
            raise
        self._acknowledge(batch, rows)

    def _finish(self, batch: Batch, future: Future[list[Delivered]]) -> BrokersyncError | None:
        try:
            rows = future.result()
        except BrokersyncError as error:
            self._give_back(batch)
            return error
        self._acknowledge(batch, rows)
        return None

    def _batches(self, obj: CrmObject, needed_by_tasks: bool) -> Generator[Batch]:
        """Batches as they are claimed, as many at a time as are sent at a time.

        Closed early, it gives back what it claimed and did not yield.
        """
        size, types = self.destination.batch, self.types(obj)
        while True:
            now = self.hub.clock.now_ms()
            with self.hub.store.transaction(f"push.{self.name}.claim") as connection:
                self.guard(connection)
                claims = outbox.claim(
                    connection, self.name, obj.value, size * self.hub.in_flight, now, self.fence,
                    needed_by_tasks=needed_by_tasks,
                )  # fmt: skip
                contacts = self._contacts(connection, claims) if obj is CrmObject.TASK else {}
            if not claims:
                return
            for start in range(0, len(claims), size):
                batch = Batch(obj, claims[start : start + size], types, contacts)
                try:
                    yield batch
                except GeneratorExit:
                    self._give_back(Batch(obj, claims[start + size :], types))
                    raise

    def _contacts(self, connection: Connection, claims: Sequence[Claim]) -> dict[str, str]:
        keys = {c.body.get(CONTACT, "") for c in claims}
        return outbox.crm_ids(connection, self.name, CrmObject.CONTACT.value, keys)

    def types(self, obj: CrmObject) -> dict[str, str]:
        """Property -> field type, for comparing values."""
        if obj is CrmObject.TASK:
            return {"due": "datetime"}
        return {
            self.hub.property_name(f.property, native=f.native):
                "email" if f.hub == "client.email" else f.type
            for rules in self.hub.rules.values()
            for f in rules.fields
        }  # fmt: skip

    def _acknowledge(self, batch: Batch, rows: Sequence[Delivered]) -> None:
        now = self.hub.clock.now_ms()
        obj = batch.obj.value
        with self.hub.store.transaction(f"push.{self.name}.acknowledge") as connection:
            self.guard(connection)
            known = [r for r in rows if r.crm_id]
            held = [_acknowledged(r) for r in known]
            outbox.acknowledge(connection, self.name, obj, held, now, self.fence)
            sources.passed(connection, "push", self.name, [r.claim.key for r in rows if r.complete])
            self._set_aside(connection, batch, rows, now)
        self.done.count(batch.obj, rows)
        self.hub.progress("push", f"{obj}s", self._so_far(batch.obj), None)

    def _so_far(self, obj: CrmObject) -> int:
        done = self.done
        return done.contacts_written if obj is CrmObject.CONTACT else done.tasks_written

    def _set_aside(
        self, connection: Connection, batch: Batch, rows: Sequence[Delivered], now: int
    ) -> None:
        asides = [
            sources.Aside("push", self.name, batch.obj.value, r.claim.key,
                          r.claim.key.split(":", 1)[0], f"{r.refused.code}: {r.refused.admin}")
            for r in rows
            if r.refused is not None
        ]  # fmt: skip
        tries = sources.set_aside(connection, asides, now)
        outbox.put_aside(connection, self.name, batch.obj.value, tries)

    def _give_back(self, batch: Batch) -> None:
        if not batch.claims:
            return
        with self.hub.store.transaction(f"push.{self.name}.give_back") as connection:
            self.guard(connection)
            outbox.release(connection, self.name, batch.obj.value, [c.key for c in batch.claims])


def _acknowledged(row: Delivered) -> Acknowledged:
    """What the CRM holds now; mostly it is the desired state, whose text is at hand."""
    body = row.claim.body
    # What was blank from the beginning was never written.
    as_desired = row.complete and {**dict.fromkeys(body, ""), **row.held} == body
    text = row.claim.text if as_desired else ""
    return Acknowledged(
        row.claim.key, row.crm_id, row.held, row.claim.hash if row.complete else "", text
    )
