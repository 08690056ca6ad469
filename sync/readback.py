"""Read back: what people did in the CRM since the hub last looked, and what follows from it.

Two ways lead to the records: the CRM's own list of changes (fast, but its index lags and is
bounded), and a rotation through all known records (slow, but it misses nothing: archived and
merged records do not appear among changes). Values are always read from the records themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from sqlalchemy.engine import Connection

from connectors.destination import CrmObject, CrmRecord, Destination, NoRightError
from mapping.errors import BrokersyncError
from mapping.ownership import Hold, HoldKind
from state import readback, sources
from state.outbox import encode
from state.readback import ARCHIVED, CLOSED, MERGED, Known, Seen
from sync import stopped
from sync.hub import Guard, Hub
from sync.partners import wanted
from sync.properties import CONTACT, KEY, Properties, properties, unset

OVERLAP_MS = 120_000
"""How far changes are asked for again: longer than the CRM's index lags (up to 30 s, reported)."""
SKEW_MS = 60_000
ONCE_MS = 86_400_000
DELETED_WHY = "its task was deleted by a person in the CRM"
DONE_WHY = "its task was completed by a person in the CRM"


@dataclass(slots=True)
class ReadBack:
    """What one look found. ``stopped`` is the error that ended it early, if one did."""

    looked: int = 0
    edits: int = 0
    restored: int = 0
    held: int = 0
    archived: int = 0
    merged: int = 0
    tasks_closed: int = 0
    owners: int = 0
    calls: int = 0
    stopped: BrokersyncError | None = None


@dataclass(slots=True)
class Reader:
    """One destination's read-back in one run.

    Args:
        most: calls it may make; what is left over waits for the next time. 0: do not look.
    """

    hub: Hub
    name: str
    destination: Destination
    guard: Guard
    most: int
    done: ReadBack = field(default_factory=ReadBack)
    _until: int = 0  # the count of calls at which the object's share is used up

    def read(self) -> ReadBack:
        """Look at what changed, then at the next records of the rotation."""
        if self.most <= 0:
            return self.done
        before = self.destination.counts.calls
        try:
            # A share each: changes of a whole base of contacts must not hide a finished task.
            companies = wanted(self.hub, self.name)
            self._until = before + self.most - self.most // 4
            self._read(CrmObject.CONTACT)
            self._until = before + self.most - (self.most // 12 if companies else 0)
            self._read(CrmObject.TASK)
            self._until = before + self.most
            if companies:
                self._read_companies()
        except BrokersyncError as error:
            self.done.stopped = error
        self.done.calls = self.destination.counts.calls - before
        return self.done

    def _read_companies(self) -> None:
        """A portal that takes them no longer is the push's to note."""
        known = self.hub.companies.get(self.name)
        if known is not None and known.off:
            return
        with suppress(NoRightError):
            self._read(CrmObject.COMPANY)

    @property
    def _left(self) -> int:
        """Calls that may still be made."""
        return self._until - self.destination.counts.calls

    def _read(self, obj: CrmObject) -> None:
        with self.hub.store.reading() as connection:
            since, last, was = readback.progress(connection, self.name, obj.value)
            size = readback.count_known(connection, self.name, obj.value)
        if not size or self._left < 1:
            return  # nothing there to read yet, or no call left to read it with
        now = self.hub.clock.now_ms()
        # The first time there is nothing to compare with: what is known was read a moment ago.
        reached = now - OVERLAP_MS if since is None else since
        seen: set[str] = set()
        for changed in self.destination.changed(obj, reached):
            known = self._known(obj, [i for i in changed.crm_ids if i not in seen])
            if self._calls_for(known) > self._left:
                self._advance(obj, reached, last)
                return
            self._compare(obj, known)
            seen.update(changed.crm_ids)
            reached = max(reached, changed.until - OVERLAP_MS)
            if self._left < 1:
                self._advance(obj, reached, last)
                return
        # All changes up to now are seen, but for what the index lags and the clocks may differ.
        reached = max(reached, now - OVERLAP_MS - SKEW_MS)
        # Each record once a day, whatever the number of records and of syncs.
        due = max(1, -(-size * max(0, now - was) // (ONCE_MS * self.destination.batch)))
        last = self._rotate(obj, last, min(due, self._left))
        self._advance(obj, reached, last)

    def _known(self, obj: CrmObject, ids: Sequence[str]) -> list[Known]:
        """The hub's own among the records that the CRM says have changed."""
        if not ids:
            return []
        with self.hub.store.reading() as connection:
            return readback.by_crm_id(connection, self.name, obj.value, ids)

    def _calls_for(self, known: Sequence[Known]) -> int:
        return -(-len(known) // self.destination.batch)

    def _rotate(self, obj: CrmObject, last: str, calls: int) -> str:
        """``calls`` batches from where the last rotation stopped; from the top at the end."""
        for _ in range(calls):
            with self.hub.store.reading() as connection:
                known = readback.rotation(
                    connection, self.name, obj.value, last, self.destination.batch
                )
            self._compare(obj, known)
            if len(known) < self.destination.batch:
                return ""
            last = known[-1].key
        return last

    def _advance(self, obj: CrmObject, since: int, last: str) -> None:
        with self.hub.store.transaction(f"readback.{self.name}.advance") as connection:
            self.guard(connection)
            now = self.hub.clock.now_ms()
            readback.advance(connection, self.name, obj.value, since, last, now)

    def _compare(self, obj: CrmObject, known: Sequence[Known]) -> None:
        rows = iter(known)
        rules = properties(self.hub, obj)
        while batch := list(islice(rows, self.destination.batch)):
            names = sorted({n for k in batch for n in k.acknowledged if n != CONTACT})
            found = dict(self.destination.read_ids(obj, [k.crm_id for k in batch], names))
            batch += self._merged_into(obj, found, batch)
            now = self.hub.clock.now_ms()
            with self.hub.store.reading() as connection:
                keys = [k.key for k in batch]
                holds = readback.holds(connection, self.name, obj.value, keys)
            look = Look(obj, rules, now)
            for k in batch:
                look.at(k, found.get(k.crm_id), holds.get(k.key, {}))
            if look.news:
                with self.hub.store.transaction(f"readback.{self.name}.store") as connection:
                    self.guard(connection)
                    self._store(connection, obj, look, now)
            self._count(look, len(batch))

    def _merged_into(
        self, obj: CrmObject, found: dict[str, CrmRecord], batch: Sequence[Known]
    ) -> list[Known]:
        """Records of the hub that were merged into one of these, which they now lead to."""
        survivors = {i: r for r in found.values() for i in r.merged if i not in found}
        if not survivors:
            return []
        with self.hub.store.reading() as connection:
            lost = readback.by_crm_id(connection, self.name, obj.value, list(survivors))
        mine = {k.key for k in batch}
        found.update({k.crm_id: survivors[k.crm_id] for k in lost})
        return [k for k in lost if k.key not in mine]

    def _store(self, connection: Connection, obj: CrmObject, look: Look, now: int) -> None:
        readback.store(connection, self.name, obj.value, look.seen)
        readback.remember(connection, self.name, obj.value, look.holds)
        readback.block(connection, self.name, obj.value, look.blocked)
        readback.close_episodes(connection, look.episodes, now)
        asides = [
            sources.Aside("readback", self.name, obj.value, key, key.split(":", 1)[0], why)
            for key, why in look.alerts.items()
        ]
        sources.set_aside(connection, asides, now)

    def _count(self, look: Look, looked: int) -> None:
        done = self.done
        done.looked += looked
        done.edits += look.edits
        done.restored += sum(s.write for s in look.seen)
        done.held += sum(h is not None and h.kind is HoldKind.HELD for h in look.holds.values())
        done.archived += sum(s == ARCHIVED for s in look.blocked.values())
        done.merged += sum(s == MERGED for s in look.blocked.values())
        done.tasks_closed += len(look.episodes)
        done.owners += look.owners
        self.hub.progress("read back", self.name, done.looked, None)


@dataclass(slots=True)
class Look:
    """One batch: what was found, and what follows."""

    obj: CrmObject
    rules: Properties
    now: int
    seen: list[Seen] = field(default_factory=list)
    holds: dict[tuple[str, str], Hold | None] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    episodes: dict[str, str] = field(default_factory=dict)
    alerts: dict[str, str] = field(default_factory=dict)
    edits: int = 0
    owners: int = 0

    @property
    def news(self) -> bool:
        """Whether there is anything to store."""
        return bool(self.seen or self.holds or self.blocked or self.episodes or self.alerts)

    def at(self, known: Known, record: CrmRecord | None, holds: Mapping[str, Hold]) -> None:
        """Compare one record with what the hub knows of it."""
        if record is None:
            self._gone(known)
        elif record.key not in (known.key, known.acknowledged.get(KEY, known.key)):
            self._rekeyed(known, record)
        else:
            self._values(known, record, holds)

    def _gone(self, known: Known) -> None:
        self.blocked[known.key] = ARCHIVED
        if self.obj is CrmObject.TASK:
            self.episodes[known.key] = DELETED_WHY
        else:
            self.alerts[known.key] = stopped.deleted(known.crm_id)

    def _rekeyed(self, known: Known, record: CrmRecord) -> None:
        """Another client's key: two records were merged. No key: somebody removed it."""
        self.blocked[known.key] = MERGED
        self.seen.append(Seen(known.key, record.crm_id, record.owner, known.text))
        why = stopped.merged(known.crm_id, record.crm_id, record.key)
        self.alerts |= dict.fromkeys(filter(None, (known.key, record.key)), why)

    def _values(self, known: Known, record: CrmRecord, holds: Mapping[str, Hold]) -> None:
        held, wanted = known.acknowledged, known.body
        write = False
        changed = known.crm_id != record.crm_id or known.owner != record.owner
        self.owners += known.owner != record.owner
        for name, last in list(held.items()):
            if name == CONTACT:
                continue
            there = self.rules.ours(name, last, record.properties.get(name, ""))
            if there == last:
                continue
            changed = True
            held[name] = self.rules.ours(name, wanted.get(name, last), there)
            if record.successor and unset(there):
                write |= name in wanted
                continue
            if name == "status" and self.obj is CrmObject.TASK:
                self._outcome(known, there)
            elif name in wanted:
                write |= self._edited(known.key, name, holds.get(name), wanted[name], there)
        if changed:
            self.seen.append(Seen(known.key, record.crm_id, record.owner, encode(held), write))

    def _edited(self, key: str, name: str, hold: Hold | None, wanted: str, there: str) -> bool:
        verdict = self.rules.edited(name, hold, wanted, there, self.now)
        if verdict.hold != hold:
            self.holds[key, name] = verdict.hold
        self.edits += not self.rules.same(name, wanted, there)
        if verdict.hold is not None and verdict.hold.kind is HoldKind.HELD:
            self.alerts[key] = stopped.edited(name, verdict.hold.times)
        return verdict.write

    def _outcome(self, known: Known, status: str) -> None:
        """A person completed the task (one they open again is theirs to finish)."""
        if status == "done":
            self.episodes[known.key] = DONE_WHY
        self.blocked[known.key] = CLOSED
