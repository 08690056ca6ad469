"""Every row of a call gets exactly one outcome.

sObject Collections answer 200 even if every row failed, in the order of the rows (documented); a
failed row has no id, and its code is its ``statusCode``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.destination import Applied, Outcome, Write
from connectors.salesforce import errors
from connectors.salesforce.client import unexpected


@dataclass(slots=True)
class Counted:
    """What became of the rows: outcomes by key, and rows that met a lock, to be sent alone."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    locked: list[Write] = field(default_factory=list)


def counted(answer: Any, writes: Sequence[Write]) -> Counted:
    """Outcomes of the rows that were sent, by their places.

    Raises:
        ConfigError, QuotaError: a row met a limit of the whole org: none is to blame.
        ProtocolError: not one result a row.
    """
    if not isinstance(answer, list) or len(answer) != len(writes):
        raise unexpected("collections: not one result a row")
    found = Counted()
    for write, row in zip(writes, answer, strict=True):
        if not isinstance(row, Mapping):
            raise unexpected("collections: a result is no object")
        if row.get("success") is True:
            found.outcomes[write.key] = _applied(write, row)
            continue
        told = errors.details(row.get("errors"))
        if told.code in errors.ORG_WIDE:
            raise errors.org_wide(told)
        if told.code in errors.LOCKED or told.locked:
            found.locked.append(write)
        else:
            found.outcomes[write.key] = errors.refused(write.key, told)
    return found


def _applied(write: Write, row: Mapping[str, Any]) -> Applied:
    crm_id = row.get("id")
    if not isinstance(crm_id, str) or not crm_id:
        raise unexpected("collections: a success without an id")
    return Applied(write.key, crm_id, row.get("created") is True)
