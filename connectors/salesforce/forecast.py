"""How many calls a push will take: what each step of it sends at once.

A bulk job's looks whether it is done depend on the org and are not forecast.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.destination import Cost, CrmObject, Work
from connectors.salesforce import bulk, queries
from connectors.salesforce.client import MOST


def cost(
    obj: CrmObject, work: Work, *, read_fields: Sequence[Sequence[str]],
    look_fields: Sequence[str], in_bulk: int, keyed: bool, again: bool,
) -> Cost:  # fmt: skip
    """The calls for one batch.

    Args:
        read_fields: API names that are asked for, in each place; ``look_fields`` in the one.
        in_bulk: records of one kind above which they go by bulk jobs.
        keyed: tasks have a unique key; else they are linked as they are created.
        again: keys are looked for once more right before new records are made.
    """
    found = Cost(_asked(work.look, look_fields))
    for fields in read_fields:
        found.calls += _asked(work.read, fields)
        found.calls += again and _asked(work.read, fields[:1])
    for count in (work.created, work.updated):
        if obj is CrmObject.CONTACT and count > in_bulk:
            found.calls += bulk.CALLS
            found.jobs += 1
        else:
            found.calls += -(-count // MOST)
    linked = work.linked if keyed else max(0, work.linked - work.created)
    found.calls += -(-linked // MOST)
    return found


def _asked(values: Sequence[str], fields: Sequence[str]) -> int:
    """Queries for so many values, which are asked for by 200 and in addresses of some length."""
    return sum(
        queries.asks(fields, values[start : start + MOST]) for start in range(0, len(values), MOST)
    )
