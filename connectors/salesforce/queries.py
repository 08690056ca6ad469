"""SOQL: rows by keys, by ids, by address, and what changed.

An address has at most 16,384 bytes with its headers (documented): lists of values are asked for
in parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from connectors.salesforce.client import SalesforceClient, soql_text

_LONGEST = 7_000  # bytes of one encoded query
Rows = Iterator[Sequence[Mapping[str, Any]]]


def select(
    client: SalesforceClient, sobject: str, fields: Sequence[str], where: str, *,
    deleted: bool = False,
) -> Rows:  # fmt: skip
    """Pages of rows. ``where`` is a condition whose values are quoted, with ORDER BY if wanted."""
    columns = ", ".join(dict.fromkeys(fields))
    return client.query(f"SELECT {columns} FROM {sobject} {where}".rstrip(), deleted=deleted)


def among(
    client: SalesforceClient, sobject: str, fields: Sequence[str], name: str,
    values: Sequence[str], *, also: str = "", deleted: bool = False,
) -> list[Mapping[str, Any]]:  # fmt: skip
    """Rows whose field has one of some values; ``also`` is a further condition."""
    found: list[Mapping[str, Any]] = []
    for part in parts(values, _room(fields)):
        listed = ", ".join(soql_text(v) for v in part)
        where = f"WHERE {conditions(f'{name} IN ({listed})', also)}"
        for rows in select(client, sobject, fields, where, deleted=deleted):
            found += rows
    return found


def conditions(*some: str) -> str:
    """Conditions that must all hold; blank ones are none."""
    return " AND ".join(one for one in some if one)


def asks(fields: Sequence[str], values: Sequence[str]) -> int:
    """How many queries :func:`among` sends for so many values."""
    return sum(1 for _ in parts(values, _room(fields)))


def _room(fields: Sequence[str]) -> int:
    return _LONGEST - len(quote(", ".join(fields))) - 200


def parts(values: Sequence[str], room: int) -> Iterator[list[str]]:
    """Values in lists that are not longer than ``room`` bytes once encoded."""
    part: list[str] = []
    used = 0
    for value in values:
        size = len(quote(soql_text(value))) + 4
        if part and used + size > room:
            yield part
            part, used = [], 0
        part.append(value)
        used += size
    if part:
        yield part
