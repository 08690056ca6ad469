"""Delivery: one claimed batch against the CRM. No database here, so that batches can run abreast.

A record the hub knows nothing of in the CRM is read first and adopted; only what differs is
written; every input ends as applied or refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.destination import Applied, CrmObject, CrmRecord, Destination, Refused, Write
from mapping.texts import same
from state.outbox import Claim

CONTACT = "contact"
_NO_CONTACT = "its contact is not in the CRM yet: see the contact's own reason"


@dataclass(frozen=True, slots=True)
class Batch:
    """Claims of one object with what delivery must know of the CRM.

    Args:
        types: property -> field type, for comparing values.
        contacts: contact key -> CRM id as far as the hub knows it, for the tasks' associations.
    """

    obj: CrmObject
    claims: Sequence[Claim]
    types: Mapping[str, str]
    contacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Delivered:
    """Where one record stands after delivery. ``held`` is what the CRM holds now, in our names."""

    claim: Claim
    crm_id: str
    held: dict[str, str] = field(repr=False)
    refused: Refused | None = None
    wrote: bool = False
    created: bool = False
    associated: bool = False

    @property
    def complete(self) -> bool:
        """Whether the CRM holds all of the desired state."""
        linked = self.held.get(CONTACT) == self.claim.body.get(CONTACT)
        return self.refused is None and linked


def deliver(destination: Destination, batch: Batch) -> list[Delivered]:
    """Bring the CRM in line with the claims.

    Raises:
        ConfigError, RetryableError, ProtocolError: nothing is known to be wrong with a record;
            all claims stay pending.
    """
    if batch.obj is CrmObject.TASK:
        batch = replace(batch, contacts={**batch.contacts, **_unknown_contacts(destination, batch)})
    rows = _looked_up(destination, batch)
    _refuse_without_contact(batch, rows)
    writes = {
        r.claim.key: diff
        for r in rows
        if r.refused is None and ((diff := _difference(batch, r)) or not r.crm_id)
    }
    if writes:
        _write(destination, batch, rows, writes)
    if batch.obj is CrmObject.TASK:
        _associate(destination, batch, rows)
    return rows


def _unknown_contacts(destination: Destination, batch: Batch) -> dict[str, str]:
    """CRM ids of contacts the hub has lost sight of: a merged client's, say."""
    needed = {
        c.body[CONTACT]
        for c in batch.claims
        if not c.crm_id or c.acknowledged.get(CONTACT) != c.body[CONTACT]
    }
    missing = sorted(needed - batch.contacts.keys())
    found = destination.read(CrmObject.CONTACT, missing, ()) if missing else {}
    return {key: record.crm_id for key, record in found.items()}


def _refuse_without_contact(batch: Batch, rows: Sequence[Delivered]) -> None:
    """A task without a client helps nobody: it waits until the CRM takes the contact."""
    for row in rows:
        contact = row.claim.body.get(CONTACT)
        if contact and contact not in batch.contacts and row.held.get(CONTACT) != contact:
            row.refused = Refused(row.claim.key, "NO_CONTACT", _NO_CONTACT)


def _looked_up(destination: Destination, batch: Batch) -> list[Delivered]:
    unknown = [c for c in batch.claims if not c.crm_id]
    found: Mapping[str, CrmRecord] = {}
    if unknown:
        wanted = sorted({n for c in unknown for n in c.body if n != CONTACT})
        found = destination.read(batch.obj, [c.key for c in unknown], wanted)
    return [_known(batch, claim, found.get(claim.key)) for claim in batch.claims]


def _known(batch: Batch, claim: Claim, record: CrmRecord | None) -> Delivered:
    if record is None:
        return Delivered(claim, claim.crm_id, dict(claim.acknowledged))
    held = {
        name: _as_ours(batch.types.get(name, "string"), ours, record.properties.get(name, ""))
        for name, ours in claim.body.items()
        if name != CONTACT
    }
    contact = claim.body.get(CONTACT, "")
    if contact and batch.contacts.get(contact) in record.associated:
        held[CONTACT] = contact
    return Delivered(claim, record.crm_id, held)


def _as_ours(type_: str, ours: str, theirs: str) -> str:
    """Our spelling of a value where the CRM's means the same (``500`` and ``500.00``)."""
    return ours if same(type_, ours, theirs) else theirs


def _difference(batch: Batch, row: Delivered) -> dict[str, str]:
    held, types = row.held, batch.types
    return {
        name: value
        for name, value in row.claim.body.items()
        # Most are equal as they stand: only the others are worth a closer look.
        if value != (there := held.get(name, ""))
        and name != CONTACT
        and not same(types.get(name, "string"), value, there)
    }


def _write(
    destination: Destination, batch: Batch, rows: Sequence[Delivered],
    writes: Mapping[str, Mapping[str, str]],
) -> None:  # fmt: skip
    inputs = [Write(key, diff) for key, diff in writes.items()]
    by_key = {r.claim.key: r for r in rows}
    for outcome in destination.upsert(batch.obj, inputs):
        row = by_key[outcome.key]
        if isinstance(outcome, Applied):
            row.crm_id = outcome.crm_id
            row.held |= writes[outcome.key]
            row.wrote = True
            row.created = outcome.created
        else:
            row.refused = outcome


def _associate(destination: Destination, batch: Batch, rows: Sequence[Delivered]) -> None:
    waiting = {
        r.crm_id: r
        for r in rows
        if r.refused is None and r.held.get(CONTACT) != r.claim.body.get(CONTACT)
    }
    if not waiting:
        return
    pairs = [(i, batch.contacts[r.claim.body[CONTACT]]) for i, r in waiting.items()]
    for outcome in destination.associate(pairs):
        row = waiting[outcome.key]
        if isinstance(outcome, Applied):
            row.held[CONTACT] = row.claim.body[CONTACT]
            row.associated = True
        else:
            row.refused = Refused(row.claim.key, outcome.code, outcome.admin)
