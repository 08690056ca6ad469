"""What a vendor has no longer, where only a page that tells a whole range shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import and_, literal, select
from sqlalchemy.engine import Connection

from mapping.words import Kind
from state import schema
from state.kinds import SPECS
from state.linking import touch

GONE = "gone"
"""Stands for the content hash of a version that says: the vendor has it no longer."""


@dataclass(frozen=True, slots=True)
class Range:
    """External ids of one kind and source, first and last included, of which a page tells all."""

    kind: Kind
    source: str
    first: str
    last: str


def remove(
    connection: Connection, kind: Kind, whole: Iterable[Range], staged: sa.Table | None, at: int
) -> int:
    """Journal as deleted what the hub has in the ranges and the page has not.

    Args:
        staged: the page's records of the kind; None: it has none.
        at: ms, the version time of the deletions.

    Returns:
        How many clients it concerns.
    """
    concerned: set[tuple[str, str]] = set()
    for told in whole:
        if told.kind is kind:
            concerned |= _remove(connection, told, staged, at)
    touch(connection, concerned)
    return len(concerned)


def _remove(
    connection: Connection, told: Range, staged: sa.Table | None, at: int
) -> set[tuple[str, str]]:
    t, j = SPECS[told.kind].table, schema.journal
    lost = [
        t.c.source == told.source, t.c.external_id >= told.first, t.c.external_id <= told.last,
        t.c.deleted == 0, t.c.version_at < at,
    ]  # fmt: skip
    if staged is not None:
        there = and_(staged.c.source == t.c.source, staged.c.external_id == t.c.external_id)
        lost.append(~sa.exists().where(there))
    rows = connection.execute(select(t.c.brand, t.c.client_id).where(*lost).distinct()).all()
    if not rows:
        return set()
    names = ["source", "kind", "external_id", "version_at", "hash", "brand", "ref_kind",
             "ref_value", "deleted", "payload", "received_at"]  # fmt: skip
    versions = select(
        t.c.source, literal(told.kind.value), t.c.external_id, literal(at), literal(GONE),
        t.c.brand, t.c.ref_kind, t.c.ref_value, literal(1), literal(""), literal(at),
    ).where(*lost)  # fmt: skip
    connection.execute(sa.insert(j).from_select(names, versions))
    connection.execute(sa.update(t).where(*lost).values(deleted=1, version_at=at, hash=GONE))
    return {(brand, client) for brand, client in rows if client}
