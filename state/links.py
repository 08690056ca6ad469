"""Links by hand: records without a client, and what people decided about them, with its trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from mapping.errors import ConfigError
from state import identity, schema
from state.linking import waits
from state.schema import OF_CLIENTS

KINDS = ("client_id", "email", "login", "helpdesk_user")
_d = schema.link_decision


@dataclass(frozen=True, slots=True)
class Waiting:
    """Records of one reference that no client has. ``since`` (ms): when the first one arrived.

    ``external_id`` is the vendor's id of one of them, by which it can be looked up there.
    """

    brand: str
    family: str
    source: str
    record: str
    external_id: str
    kind: str
    value: str
    since: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what, when (ms) and why. Without ``client_id``: that the link be taken back."""

    brand: str
    kind: str
    value: str
    client_id: str
    by: str
    at: int
    reason: str
    standing: bool


def waiting(connection: Connection, limit: int) -> list[Waiting]:
    """References without a client, longest waiting first."""
    found: list[Waiting] = []
    j, s = schema.journal, schema.source_state
    for record, table in OF_CLIENTS.items():
        came = (j.c.source == table.c.source) & (j.c.external_id == table.c.external_id)
        since = func.min(j.c.received_at)
        query = (
            select(
                table.c.brand, func.coalesce(func.min(s.c.family), ""), table.c.source,
                sa.literal(record), func.min(table.c.external_id), table.c.ref_kind,
                table.c.ref_value, since, func.count(table.c.external_id.distinct()),
            )
            .select_from(
                table.outerjoin(j, came & (j.c.kind == record)).outerjoin(
                    s, s.c.source == table.c.source
                )
            )
            .where(waits(table))
            .group_by(table.c.brand, table.c.source, table.c.ref_kind, table.c.ref_value)
            .order_by(since)
            .limit(limit)
        )  # fmt: skip
        found += [Waiting(*row) for row in connection.execute(query)]
    return sorted(found, key=lambda w: (w.since or 0, w.brand, w.value, w.record))[:limit]


def link(connection: Connection, decision: Decision) -> int:
    """Have a reference mean a client from now on, whatever the sources say.

    Returns:
        How many records carry the reference.

    Raises:
        ConfigError: no such client or kind, no record with the reference, or a circle.
    """
    _alone(connection)
    brand, kind, value = decision.brand, decision.kind, decision.value
    if kind not in KINDS:
        raise ConfigError(f"no such kind of reference: {kind[:40]!r}; there is: {', '.join(KINDS)}")
    if not identity.exists(connection, brand, decision.client_id):
        raise ConfigError(
            f"no client {brand}:{decision.client_id}: give brand:client_id as `explain` shows it"
        )
    carried = _carried(connection, decision)
    if not carried:
        raise ConfigError(
            f"no record of brand {brand} carries this {kind}: `brokersync link` lists those that"
            " wait for a client"
        )
    if kind == "client_id":
        end = identity.survivor(connection, (brand, decision.client_id))
        if value in (end, decision.client_id):
            raise ConfigError(
                f"{brand}:{decision.client_id} is, or is linked to, {brand}:{value} itself: nothing"
                " to link (unlink that one first, if it is wrong)"
            )
    _retire(connection, decision)
    _note(connection, decision)
    identity.derive(connection, brand, kind, value, decision.at)
    return carried


def unlink(connection: Connection, decision: Decision) -> int:
    """Take a link by hand back: the sources decide again, or the records wait.

    Returns:
        How many records carry the reference.

    Raises:
        ConfigError: there is no such link by hand.
    """
    _alone(connection)
    if not _retire(connection, decision):
        raise ConfigError(
            f"no link by hand of this {decision.kind[:40]} in brand {decision.brand}: only what"
            " `brokersync link` made can be taken back"
        )
    _note(connection, decision)
    identity.derive(connection, decision.brand, decision.kind, decision.value, decision.at)
    return _carried(connection, decision)


def trail(connection: Connection, brand: str, client_id: str) -> list[Decision]:
    """What was decided about references that mean, or meant, a client; latest first."""
    about = select(_d.c.kind, _d.c.value).where(_d.c.brand == brand, _d.c.client_id == client_id)
    query = (
        select(_d)
        .where(_d.c.brand == brand, sa.tuple_(_d.c.kind, _d.c.value).in_(about))
        .order_by(_d.c.id.desc())
    )
    return [_decision(row) for row in connection.execute(query).mappings()]


def _decision(row: Any) -> Decision:
    return Decision(
        row["brand"], row["kind"], row["value"], row["client_id"], row["by_whom"], row["at"],
        row["reason"], bool(row["standing"]),
    )  # fmt: skip


def _alone(connection: Connection) -> None:
    """No page of an engine beside us: it would store a record by the links of before."""
    connection.execute(select(schema.batch.c.id).with_for_update())


def _carried(connection: Connection, decision: Decision) -> int:
    total = 0
    for table in schema.CURRENT.values():
        query = select(func.count()).where(
            table.c.brand == decision.brand, table.c.ref_kind == decision.kind,
            table.c.ref_value == decision.value,
        )  # fmt: skip
        total += connection.scalar(query) or 0
    return total


def _retire(connection: Connection, decision: Decision) -> int:
    """The standing decision about the reference is history; how many there were (0 or 1)."""
    now = (
        (_d.c.brand == decision.brand)
        & (_d.c.kind == decision.kind)
        & (_d.c.value == decision.value)
        & (_d.c.standing == 1)
    )
    return connection.execute(sa.update(_d).where(now).values(standing=0)).rowcount


def _note(connection: Connection, decision: Decision) -> None:
    connection.execute(
        sa.insert(_d).values(
            brand=decision.brand, kind=decision.kind, value=decision.value,
            client_id=decision.client_id, by_whom=decision.by, at=decision.at,
            reason=decision.reason, standing=int(bool(decision.client_id)),
        )
    )  # fmt: skip
