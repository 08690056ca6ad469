"""Counts over all clients of values that a field's value map does not name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import and_, func, select
from sqlalchemy.engine import Connection

from mapping.fields import Field
from mapping.rules import FactType
from mapping.texts import plain
from mapping.transforms import ValueMap
from state import schema
from state.evaluate import Evaluator, parameters

_f, _p, _m = schema.fact, schema.profile, schema.contact_member
_MOST = 1000
"""Different values counted of one field: a map of more would be no map."""


def unmapped(
    connection: Connection, brand: str, evaluator: Evaluator, now: int, horizons: Mapping[str, int]
) -> Iterator[tuple[Field, Counter[str]]]:
    """Each field of a brand with a value map, and the contacts by value that is not in it.

    By the facts as they were last worked out.
    """
    bound = parameters(now, horizons, evaluator.families)
    for f in evaluator.rules.mapped:
        if not isinstance(f.transform, ValueMap):
            continue
        found: Counter[str] = Counter()
        if f.hub == "profile.states":
            for text, contacts in _groups(connection, brand, _p.c.states, bound):
                for state in json.loads(str(text)):
                    found[state] += contacts
        elif f.hub == "profile.stage":
            found.update(dict(_groups(connection, brand, _p.c.stage, bound)))
        elif f.expr is not None:
            value = evaluator.compiler.value(f.expr)
            known = list(f.transform.values) if f.expr.type in _TEXTS else []
            for raw, contacts in _groups(connection, brand, value, bound, known):
                found[plain(raw, f.expr.type, 0)] += contacts
        for name in ["", *f.transform.values]:
            found.pop(name, None)
        yield f, found


_TEXTS = (FactType.ENUM, FactType.TEXT)


def _groups(
    connection: Connection,
    brand: str,
    value: Any,
    bound: Mapping[str, Any],
    known: Sequence[str] = (),
) -> Iterator[tuple[Any, int]]:
    """Value -> contacts; blanks and ``known`` values are left out."""
    joined = _f.join(
        _p, and_(_p.c.brand == _f.c.brand, _p.c.client_id == _f.c.client_id)
    ).join(
        _m,
        and_(
            _m.c.brand == _f.c.brand, _m.c.client_id == _f.c.client_id,
            _m.c.contact == sa.literal(f"{brand}:") + _f.c.client_id,
        ),
    )  # fmt: skip
    inner = select(value.label("value")).select_from(joined).where(_f.c.brand == brand).subquery()
    query = select(inner.c.value, func.count()).where(inner.c.value.is_not(None))
    if known:
        query = query.where(inner.c.value.not_in(known))
    query = query.group_by(inner.c.value).order_by(func.count().desc(), inner.c.value).limit(_MOST)
    for raw, contacts in connection.execute(query, dict(bound)):
        yield raw, int(contacts)
