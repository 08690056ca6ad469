"""Push: claim, deliver a few batches abreast, acknowledge; tasks before everything else."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from connectors.destination import CrmObject, Destination, NoRightError
from mapping.errors import BrokersyncError
from state import outbox, partners, readback, sources, statistics
from state.outbox import Claim
from sync.claim import Claimed, Claimer
from sync.crm_schema import ready
from sync.delivery import Batch, Delivered, in_parts
from sync.heap import steady
from sync.hub import Companies, Guard, Hub
from sync.lanes import Lanes
from sync.partners import wanted
from sync.properties import CONTACT, properties

ORDER = (
    (CrmObject.CONTACT, True),
    (CrmObject.TASK, False),
    (CrmObject.CONTACT, False),
    (CrmObject.COMPANY, False),
)
"""What is delivered first: (object, only what waiting tasks need)."""
ROUNDS = 4
"""Batches claimed at a time, for each lane: a transaction costs as much as some records."""
MANY = 1_000_000_000
"""More records than ever are pending."""
UNSURE_MS = 60_000
"""Longer than the CRM's index lags (30 s, reported) and than a slow write takes to show."""


LOOK_AGAIN_MS = 3_600_000
"""How often a CRM that takes no companies is asked whether it does now."""
_COMPANY = CrmObject.COMPANY.value
_MANY = {
    CrmObject.CONTACT: "contacts",
    CrmObject.TASK: "tasks",
    CrmObject.COMPANY: "companies",
}


@dataclass(slots=True)
class Pushed:
    """What a push wrote. ``stopped`` is the error that ended it early, if one did.

    ``off``: why companies are left out.
    """

    contacts_written: int = 0
    contacts_created: int = 0
    tasks_written: int = 0
    tasks_created: int = 0
    companies_written: int = 0
    companies_created: int = 0
    associations: int = 0
    refused: int = 0
    adopted: int = 0
    claims: Claimed = field(default_factory=Claimed)
    stopped: BrokersyncError | None = None
    off: str = ""

    def count(self, obj: CrmObject, rows: Sequence[Delivered]) -> None:
        """Add a delivered batch."""
        written, created = sum(r.wrote for r in rows), sum(r.created for r in rows)
        self.refused += sum(r.refused is not None for r in rows)
        self.associations += sum(r.associated for r in rows)
        self.adopted += sum(r.adopted for r in rows)
        match obj:
            case CrmObject.CONTACT:
                self.contacts_written += written
                self.contacts_created += created
            case CrmObject.TASK:
                self.tasks_written += written
                self.tasks_created += created
            case CrmObject.COMPANY:
                self.companies_written += written
                self.companies_created += created

    def written(self, obj: CrmObject) -> int:
        """How many records of an object were written."""
        match obj:
            case CrmObject.CONTACT:
                return self.contacts_written
            case CrmObject.TASK:
                return self.tasks_written
            case CrmObject.COMPANY:
                return self.companies_written


@dataclass(slots=True)
class Pusher:
    """One destination's push in one run."""

    hub: Hub
    name: str
    destination: Destination
    fence: int
    guard: Guard
    done: Pushed = field(default_factory=Pushed)
    _after: outbox.Place = outbox.START  # contacts up to here are in hand or done

    def push(self) -> Pushed:
        """Deliver all that is pending; stop cleanly at the first error that is not a record's."""
        try:
            objects = self._objects()
            unsure_until = self._unsure_until()
            with self.hub.store.transaction(f"push.{self.name}.sweep") as connection:
                self.guard(connection)
                statistics.refresh(connection)
                now = self.hub.clock.now_ms()
                outbox.sweep(connection, self.name, now, unsure_until)
                partners.note_off(connection, self.name, _COMPANY, self.done.off, now)
            if CrmObject.CONTACT in objects:
                claimer = Claimer(self.hub, self.name, self.destination, self.guard, self.fence)
                self.done.claims = claimer.claim()
            for obj, needed_by_tasks in ORDER:
                if obj not in objects:
                    continue
                try:
                    self._drain(obj, needed_by_tasks=needed_by_tasks)
                except NoRightError as error:
                    if obj is not CrmObject.COMPANY:
                        raise
                    self._turn_off(error.admin)
        except BrokersyncError as error:
            self.done.stopped = error
        return self.done

    def _turn_off(self, why: str) -> None:
        """The right to write companies was taken while the hub used it."""
        now = self.hub.clock.now_ms()
        self.done.off = why
        self.hub.companies[self.name] = Companies(True, why, now)
        with self.hub.store.transaction(f"push.{self.name}.off") as connection:
            self.guard(connection)
            partners.note_off(connection, self.name, _COMPANY, why, now)

    def _unsure_until(self) -> int:
        """When a task whose creation got no answer may be looked up (0: it can be sent again)."""
        if self.destination.keyed(CrmObject.TASK):
            return 0
        return self.hub.clock.now_ms() + UNSURE_MS

    def _objects(self) -> frozenset[CrmObject]:
        """What the portal is ready to take; asked until it is ready for everything."""
        hub, now = self.hub, self.hub.clock.now_ms()
        known = hub.companies.get(self.name)
        if known is None and not wanted(hub, self.name):
            known = hub.companies[self.name] = Companies(False, "", now)
        fresh = known is not None and not (known.off and now - known.at >= LOOK_AGAIN_MS)
        if known is not None and fresh and hub.schema_checked.get(self.name):
            self.done.off = known.off
            return frozenset(o for o in CrmObject if o is not CrmObject.COMPANY or known.written)
        found = ready(hub, self.name, self.destination)
        self.done.stopped, self.done.off = found.error, found.off
        hub.schema_checked[self.name] = found.error is None
        hub.companies[self.name] = Companies(wanted(hub, self.name), found.off, now)
        return found.objects

    @steady()
    def _drain(self, obj: CrmObject, *, needed_by_tasks: bool = False) -> None:
        """Deliver until nothing is due. What was delivered is stored when the next is claimed."""
        waiting: deque[Batch] = deque()
        delivered: list[Delivered] = []
        last = bulky = False
        self._after = outbox.START
        # Each start finds the processor's caches cold: two at a time cost less than one by one.
        together = max(1, self.hub.in_flight // 2)
        with Lanes(self.hub.in_flight, self.destination) as lanes:
            while True:
                if self.hub.stop.requested:
                    delivered += self._arrived(obj, lanes.rest())
                    self._give_back(obj, delivered)
                    self.hub.stop.check()
                if not waiting and not (lanes.busy and (last or bulky)):
                    waiting += self._exchange(obj, delivered, needed_by_tasks)
                    last = not waiting
                    # One that large is enough to hold in memory.
                    bulky = any(len(b.claims) > self.destination.batch for b in waiting)
                    if last and not lanes.busy:
                        return
                if lanes.free >= together:
                    while waiting and lanes.free:
                        lanes.start(waiting.popleft(), self.hub.clock.now_ms())
                try:
                    delivered += self._arrived(obj, lanes.finished())
                except BrokersyncError:
                    delivered += self._arrived(obj, lanes.rest())
                    self._give_back(obj, delivered)
                    raise

    def _arrived(self, obj: CrmObject, rows: list[Delivered]) -> list[Delivered]:
        if rows:
            self.done.count(obj, rows)
            self.hub.progress("push", _MANY[obj], self.done.written(obj), None)
        return rows

    def _exchange(
        self, obj: CrmObject, delivered: list[Delivered], needed_by_tasks: bool
    ) -> list[Batch]:
        """Store what was delivered and claim the next batches, for some rounds of the lanes.

        ``delivered`` is empty afterwards: the next are not in memory beside what was stored.
        """
        now = self.hub.clock.now_ms()
        with self.hub.store.transaction(f"push.{self.name}.exchange") as connection:
            self.guard(connection)
            self._acknowledge(connection, obj, delivered, now)
            delivered.clear()
            statistics.refresh(connection)
            claims = outbox.claim(
                connection, self.name, obj.value, self.at_once(obj), now, self.fence,
                needed_by_tasks=needed_by_tasks,
                after=None if obj is CrmObject.TASK else self._after,
            )  # fmt: skip
            self._after = claims[-1].place if claims else self._after
            contacts = self._contacts(connection, claims) if obj is CrmObject.TASK else {}
            holds = readback.holds(connection, self.name, obj.value, [c.key for c in claims])
        rules, size = properties(self.hub, obj), self.destination.batch_of(obj, len(claims))
        return [Batch(obj, part, rules, contacts, holds) for part in in_parts(claims, size)]

    def at_once(self, obj: CrmObject) -> int:
        """How many records are claimed at a time.

        Whether they are many enough for the CRM's way for many is seen by what is claimed: what
        stands in the outbox may not be due, or not be needed by tasks.
        """
        size, largest = self.destination.batch, self.destination.batch_of(obj, MANY)
        return largest if largest > size else size * self.hub.in_flight * ROUNDS

    def _give_back(self, obj: CrmObject, delivered: Sequence[Delivered]) -> None:
        unsure_until = self._unsure_until()
        with self.hub.store.transaction(f"push.{self.name}.give_back") as connection:
            self.guard(connection)
            self._acknowledge(connection, obj, delivered, self.hub.clock.now_ms())
            outbox.take_back(connection, self.name, unsure_until)

    def _acknowledge(
        self, connection: Connection, obj: CrmObject, rows: Sequence[Delivered], now: int
    ) -> None:
        held = [r.acknowledged for r in rows if r.acknowledged is not None]
        outbox.acknowledge(connection, self.name, obj.value, held, now, self.fence)
        fine = [r.key for r in rows if r.complete]
        sources.passed(connection, "push", self.name, fine, obj.value)
        asides = [
            sources.Aside("push", self.name, obj.value, r.key,
                          r.key.split(":", 1)[0], f"{r.refused.code}: {r.refused.admin}")
            for r in rows
            if r.refused is not None
        ]  # fmt: skip
        tries = sources.set_aside(connection, asides, now)
        outbox.put_aside(connection, self.name, obj.value, tries)
        edits = {(r.key, name): hold for r in rows for name, hold in r.edits.items()}
        readback.remember(connection, self.name, obj.value, edits)
        stopped = {r.key: r.blocked for r in rows if r.blocked}
        readback.block(connection, self.name, obj.value, stopped)

    def _contacts(self, connection: Connection, claims: Sequence[Claim]) -> dict[str, str]:
        keys = {c.body.get(CONTACT, "") for c in claims}
        return outbox.crm_ids(connection, self.name, CrmObject.CONTACT.value, keys)
