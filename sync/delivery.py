"""Delivery: one claimed batch against the CRM. No database here, so that batches can run abreast.

A record the hub knows nothing of in the CRM is read first and adopted; only what differs is
written; every input ends as applied or refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from connectors.destination import (
    GONE,
    Applied,
    CrmObject,
    CrmRecord,
    Destination,
    Outcome,
    Refused,
    Write,
)
from mapping.ownership import Hold, HoldKind, Policy
from state.outbox import Acknowledged, Claim, encode
from state.readback import ARCHIVED, MERGED, Holds
from sync import stopped
from sync.properties import CONTACT, KEY, Properties, unset

T = TypeVar("T")
_NO_CONTACT = "its contact is not in the CRM yet: see the contact's own reason"


@dataclass(frozen=True, slots=True)
class Batch:
    """Claims of one object with what delivery must know of the CRM.

    Args:
        rules: what the hub knows of the object's properties.
        contacts: contact key -> CRM id as far as the hub knows it, for the tasks' associations.
        holds: properties that people edited.
    """

    obj: CrmObject
    claims: Sequence[Claim]
    rules: Properties
    contacts: Mapping[str, str] = field(default_factory=dict)
    holds: Holds = field(default_factory=dict)


@dataclass(slots=True)
class Delivered:
    """What became of one record. ``acknowledged`` is what the CRM holds now, if it has it.

    ``blocked`` is why the record may not be written any more (archived, merged), ``edits`` the
    properties that a person turned out to have edited.
    """

    key: str
    acknowledged: Acknowledged | None
    complete: bool
    refused: Refused | None
    wrote: bool
    created: bool
    associated: bool
    adopted: bool
    blocked: str = ""
    edits: Mapping[str, Hold] = field(default_factory=dict)


@dataclass(slots=True)
class _Row:
    """One record on its way. ``held`` is what the CRM holds, in our names and spelling."""

    claim: Claim
    body: dict[str, str] = field(repr=False)
    crm_id: str
    held: dict[str, str] = field(repr=False)
    holds: Mapping[str, Hold]
    as_stored: bool = False  # what the CRM holds is the desired state to the letter
    refused: Refused | None = None
    blocked: str = ""
    wrote: bool = False
    created: bool = False
    associated: bool = False
    edits: dict[str, Hold] = field(default_factory=dict)

    def block(self, status: str, code: str, admin: str) -> None:
        """A person has to decide on this record."""
        self.blocked = status
        self.refused = Refused(self.claim.key, code, admin)

    def delivered(self) -> Delivered:
        """Short: bodies are many and large, and are not needed any more."""
        complete = self.refused is None and self.held.get(CONTACT) == self.body.get(CONTACT)
        acknowledged = None
        if self.crm_id:
            as_wanted = complete and self.as_stored
            text = self.claim.text if as_wanted else encode(self.held)
            hash_ = self.claim.hash if complete else ""
            acknowledged = Acknowledged(self.claim.key, self.crm_id, text, hash_, as_wanted)
        return Delivered(
            self.claim.key, acknowledged, complete, self.refused, self.wrote, self.created,
            self.associated, bool(self.crm_id) and not self.wrote and not self.claim.crm_id,
            self.blocked, self.edits,
        )  # fmt: skip


def deliver(destination: Destination, batch: Batch, now: int) -> list[Delivered]:
    """Bring the CRM in line with the claims.

    Args:
        now: ms UTC.

    Raises:
        ConfigError, RetryableError, ProtocolError: nothing is known to be wrong with a record;
            all claims stay pending.
    """
    if batch.obj is CrmObject.TASK:
        batch = replace(batch, contacts={**batch.contacts, **_unknown_contacts(destination, batch)})
    rows = _looked_up(destination, batch, now)
    _refuse_without_contact(batch, rows)
    _heed_people(destination, batch, rows, now)
    writes = {
        r.claim.key: diff
        for r in rows
        if r.refused is None and ((diff := _difference(batch.rules, r)) or not r.crm_id)
    }
    if writes:
        _write(destination, batch, rows, writes, now)
    if batch.obj is CrmObject.TASK:
        _associate(destination, batch, rows)
    return [row.delivered() for row in rows]


def _unknown_contacts(destination: Destination, batch: Batch) -> dict[str, str]:
    """CRM ids of contacts the hub has lost sight of: a merged client's, say."""
    needed = {
        contact
        for c in batch.claims
        if (contact := c.body[CONTACT]) != c.acknowledged.get(CONTACT) or not c.crm_id
    }
    missing = sorted(needed - batch.contacts.keys())
    found = destination.read(CrmObject.CONTACT, missing, ()) if missing else {}
    return {key: record.crm_id for key, record in found.items()}


def _refuse_without_contact(batch: Batch, rows: Sequence[_Row]) -> None:
    """A task without a client helps nobody: it waits until the CRM takes the contact."""
    for row in rows:
        contact = row.body.get(CONTACT)
        if contact and contact not in batch.contacts and row.held.get(CONTACT) != contact:
            row.refused = Refused(row.claim.key, "NO_CONTACT", _NO_CONTACT)


def _looked_up(destination: Destination, batch: Batch, now: int) -> list[_Row]:
    """The claims with what the CRM holds; looked for in the small, however large the batch."""
    bodies = {c.key: c.body for c in batch.claims}
    rows: dict[str, _Row] = {}
    for part in in_parts([c for c in batch.claims if not c.crm_id], destination.batch):
        wanted = sorted({n for c in part for n in bodies[c.key] if n != CONTACT})
        found = _found(destination, batch, {c.key: bodies[c.key] for c in part}, wanted)
        rows |= {c.key: _known(batch, c, bodies[c.key], found.get(c.key), now) for c in part}
    return [rows.get(c.key) or _known(batch, c, bodies[c.key], None, now) for c in batch.claims]


def in_parts(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The rows, so many at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _found(
    destination: Destination, batch: Batch, bodies: Mapping[str, Mapping[str, str]],
    wanted: Sequence[str],
) -> Mapping[str, CrmRecord]:  # fmt: skip
    if destination.keyed(batch.obj):
        return destination.read(batch.obj, [*bodies], wanted)
    contacts = {k: batch.contacts.get(b.get(CONTACT, ""), "") for k, b in bodies.items()}
    return destination.find_tasks(contacts, wanted)


def _known(
    batch: Batch, claim: Claim, body: dict[str, str], record: CrmRecord | None, now: int
) -> _Row:  # fmt: skip
    holds = batch.holds.get(claim.key, {})
    if record is None:
        return _Row(claim, body, claim.crm_id, claim.acknowledged, holds)
    held = {
        name: batch.rules.ours(name, ours, record.properties.get(name, ""))
        for name, ours in body.items()
        if name != CONTACT
    }
    contact = body.get(CONTACT, "")
    if contact and batch.contacts.get(contact) in record.associated:
        held[CONTACT] = contact
    row = _Row(claim, body, record.crm_id, held, holds)
    if batch.obj is not CrmObject.TASK:
        # What stands there and is a person's to say was not written by the hub, as far as it knows.
        for name, policy in batch.rules.policies.items():
            if policy is Policy.PERSON and held.get(name) and held[name] != body[name]:
                row.edits[name] = Hold(HoldKind.PERSON, 1, now, now)
    return row


def _heed_people(
    destination: Destination, batch: Batch, rows: Sequence[_Row], now: int
) -> None:  # fmt: skip
    """Read known records first where a person may own a property that is to be written.

    A person's edit that the last read-back did not see yet must not be written over.
    """
    theirs, asked, names = batch.rules.policies, {}, set()
    for r in rows:
        if r.refused is None and r.claim.crm_id:
            held = r.held
            unlike = [n for n in theirs if r.body.get(n, "") != held.get(n, "") and n in r.body]
            if unlike:
                unlike = [
                    n for n in unlike if batch.rules.may_write(n, r.holds.get(n), held.get(n, ""))
                ]
            if unlike:
                asked[r.crm_id] = r
                names.update(unlike)
    if not asked:
        return
    for part in in_parts(list(asked), destination.batch):
        found = dict(destination.read_ids(batch.obj, part, sorted(names)))
        moved = {i: asked[i] for i, record in found.items() if record.successor}
        if moved:  # of another record all is news
            names.update(_names(moved.values()))
            found |= destination.read_ids(batch.obj, list(moved), _names(moved.values()))
        for crm_id in part:
            _heed(batch.rules, asked[crm_id], found.get(crm_id), sorted(names), now)


def _names(rows: Iterable[_Row]) -> list[str]:
    return sorted({name for row in rows for name in row.body if name != CONTACT})


def _heed(
    rules: Properties, row: _Row, record: CrmRecord | None, names: Sequence[str], now: int
) -> None:  # fmt: skip
    if record is None:
        row.block(ARCHIVED, GONE, stopped.deleted(row.crm_id))
        return
    # A contact that was just claimed has no key yet: it is among what is to be written.
    if record.key not in (row.claim.key, row.held.get(KEY, row.claim.key)):
        row.block(MERGED, "MERGED", stopped.merged(row.crm_id, record.crm_id, record.key))
        return
    row.crm_id = record.crm_id  # another one if a foreign record was merged with this one
    for name in names:
        if name not in row.body or name not in record.properties:
            continue
        wanted, last = row.body[name], row.held.get(name, "")
        there = rules.ours(name, last, record.properties[name])
        if there == last:
            continue
        row.held[name] = rules.ours(name, wanted, there)
        if record.successor and unset(there):
            continue
        verdict = rules.edited(name, row.holds.get(name), wanted, there, now)
        if verdict.hold is not None:
            row.edits[name] = verdict.hold


def _difference(rules: Properties, row: _Row) -> dict[str, str]:
    """What the CRM holds otherwise and has to be told."""
    held, body, spelled = row.held, row.body, rules.spelled
    unlike = {n: v for n, v in body.items() if v != held.get(n, "") and n != CONTACT}
    told = {
        n: v for n, v in unlike.items() if n not in spelled or not rules.same(n, v, held.get(n, ""))
    }
    if row.holds or row.edits or not rules.policies.keys().isdisjoint(told):
        known = {**row.holds, **row.edits}
        told = {n: v for n, v in told.items() if rules.may_write(n, known.get(n), held.get(n, ""))}
    row.as_stored = len(told) == len(unlike) and held.keys() <= body.keys()
    return told


def _write(
    destination: Destination, batch: Batch, rows: Sequence[_Row],
    writes: Mapping[str, Mapping[str, str]], now: int,
) -> None:  # fmt: skip
    moved: dict[str, _Row] = {}
    new: set[str] = set()
    by_key = {r.claim.key: r for r in rows}
    inputs = [Write(key, diff, by_key[key].crm_id) for key, diff in writes.items()]
    for outcome in _sent(destination, batch, inputs, by_key):
        row = by_key[outcome.key]
        if isinstance(outcome, Refused):
            row.refused = outcome
            row.blocked = ARCHIVED if outcome.code == GONE else ""
            continue
        row.held |= writes[outcome.key]
        row.wrote, row.created = True, outcome.created
        if row.crm_id and outcome.crm_id != row.crm_id:
            moved[row.crm_id] = row
            new |= {outcome.crm_id} if outcome.successor else set()
        row.crm_id = outcome.crm_id
    for part in in_parts(list(moved), destination.batch):
        _moved(destination, batch, {i: moved[i] for i in part}, new, now)


def _moved(
    destination: Destination, batch: Batch, moved: Mapping[str, _Row], new: Collection[str],
    now: int,
) -> None:  # fmt: skip
    """What was written reached other records than were asked for, by their former ids.

    A merged one may be another client's now. A successor (``new`` holds their ids) is the
    client's, and has to be told what its predecessor was told before.
    """
    found = destination.read_ids(batch.obj, list(moved), _names(moved.values()))
    again: dict[str, dict[str, str]] = {}
    by_key = {row.claim.key: row for row in moved.values()}
    for crm_id, row in moved.items():
        record = found.get(crm_id)
        key = record.key if record else ""
        if record is None or key != row.claim.key:
            row.block(MERGED, "MERGED", stopped.merged(crm_id, row.crm_id, key))
        elif record.crm_id in new:
            successor = replace(record, successor=True)
            _heed(batch.rules, row, successor, _names([row]), now)
            if diff := _difference(batch.rules, row):
                again[key] = diff
    inputs = [Write(key, diff, by_key[key].crm_id) for key, diff in again.items()]
    for outcome in destination.upsert(batch.obj, inputs) if inputs else ():
        if isinstance(outcome, Refused):
            by_key[outcome.key].refused = outcome
        else:
            by_key[outcome.key].held |= again[outcome.key]


def _sent(
    destination: Destination, batch: Batch, inputs: Sequence[Write], rows: Mapping[str, _Row]
) -> Sequence[Outcome]:
    new = [w for w in inputs if not w.crm_id]
    if not new or destination.keyed(batch.obj):
        return destination.upsert(batch.obj, inputs)
    contacts = {w.key: batch.contacts.get(rows[w.key].body.get(CONTACT, ""), "") for w in new}
    created = destination.create_tasks(new, contacts)
    for outcome in created:
        if isinstance(outcome, Applied) and contacts[outcome.key]:
            row = rows[outcome.key]
            row.held[CONTACT], row.associated = row.body[CONTACT], True
    known = [w for w in inputs if w.crm_id]
    return [*(replace(o, created=True) if isinstance(o, Applied) else o for o in created),
            *(destination.upsert(batch.obj, known) if known else ())]  # fmt: skip


def _associate(destination: Destination, batch: Batch, rows: Sequence[_Row]) -> None:
    waiting = {
        r.crm_id: r
        for r in rows
        if r.refused is None and r.held.get(CONTACT) != r.body.get(CONTACT)
    }
    if not waiting:
        return
    pairs = [(i, batch.contacts[r.body[CONTACT]]) for i, r in waiting.items()]
    for outcome in destination.associate(pairs):
        row = waiting[outcome.key]
        if isinstance(outcome, Applied):
            row.held[CONTACT] = row.body[CONTACT]
            row.associated = True
        else:
            row.refused = Refused(row.claim.key, outcome.code, outcome.admin)
