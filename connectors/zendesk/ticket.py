"""A Zendesk ticket; field names READ in the vendor's specification unless marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.instants import instant
from connectors.zendesk.category import Evidence
from connectors.zendesk.settings import ZendeskSettings
from mapping.errors import RecordError
from mapping.payloads import Ticket
from mapping.records import check_text
from mapping.words import TicketPriority, TicketStatus

# With custom statuses this is the status category, so the list stays closed.
_STATUS = {
    "new": TicketStatus.NEW,
    "open": TicketStatus.OPEN,
    "pending": TicketStatus.PENDING,
    "hold": TicketStatus.ON_HOLD,
    "solved": TicketStatus.SOLVED,
    "closed": TicketStatus.CLOSED,
    "deleted": TicketStatus.DELETED,  # RECALL: not in the specification's list
}
_ENDED = (TicketStatus.SOLVED, TicketStatus.CLOSED)
RANK = {status: place for place, status in enumerate(TicketStatus)}
"""Between versions of one second: the one further on its way."""
# All that is kept of a ticket beside the evidence of its category: no subject, no description,
# no comment, no address, no name.
_KEPT = (
    "id",
    "status",
    "priority",
    "created_at",
    "updated_at",
    "generated_timestamp",
    "requester_id",
    "brand_id",
)
_METRICS = ("reopens", "solved_at")


def version_at(row: Mapping[str, Any], now_ms: int) -> int:
    """The time of a ticket's version, ms.

    ``generated_timestamp`` moves at every change; ``updated_at`` only at those that make a ticket
    event, and is what is left where the former is not sent.

    Raises:
        RecordError: missing or absurd.
    """
    if row.get("generated_timestamp") is not None:
        return instant(row["generated_timestamp"], "generated_timestamp", now_ms)
    return instant(row.get("updated_at"), "updated_at", now_ms)


def ticket(
    row: Mapping[str, Any], now_ms: int, settings: ZendeskSettings, evidence: Evidence
) -> Ticket:
    """A row of the tickets' export, whole or as :func:`kept`.

    Raises:
        RecordError: a field is missing, of the wrong type or absurd, or a value unknown.
    """
    status = _status(row, settings)
    opened_at = instant(row.get("created_at"), "created_at", now_ms)
    updated_at = instant(row.get("updated_at"), "updated_at", now_ms)
    metrics = _metrics(row)
    solved_at = None
    if status in _ENDED:
        # Without metrics: the last change, which the solution precedes or is.
        solved = metrics.get("solved_at")
        solved_at = updated_at if solved is None else instant(solved, "solved_at", now_ms)
    verdict = evidence.verdict(row)
    return Ticket(
        status=status,
        category=verdict.category,
        complaint=verdict.complaint,
        opened_at=opened_at,
        updated_at=updated_at,
        solved_at=solved_at,
        reopens=_count(metrics, "reopens"),
        priority=_priority(row),
        rule=verdict.rule,
    )


def kept(
    row: Mapping[str, Any], metric_set: Mapping[str, Any] | None, evidence: Evidence
) -> dict[str, Any]:
    """What :func:`ticket` reads of a row, with its metrics wherever they were sent."""
    found = {name: row[name] for name in _KEPT if name in row}
    sent = row.get("metric_set") if metric_set is None else metric_set
    if isinstance(sent, dict):
        found["metric_set"] = {name: sent[name] for name in _METRICS if name in sent}
    elif sent is not None:
        found["metric_set"] = "malformed"
    return found | evidence.reduced(row)


def _status(row: Mapping[str, Any], settings: ZendeskSettings) -> TicketStatus:
    name = check_text(row, "status", most=100)
    status = settings.statuses.get(name) or _STATUS.get(name)
    if status is None:
        known = ", ".join(_STATUS)
        raise RecordError(f"unknown status {name[:40]!r}; known are {known} (setting statuses)")
    return status


def _priority(row: Mapping[str, Any]) -> TicketPriority | None:
    name = check_text(row, "priority", most=100)
    try:
        return TicketPriority(name) if name else None
    except ValueError:
        known = ", ".join(TicketPriority)
        raise RecordError(f"unknown priority {name[:40]!r}; known are {known}") from None


def _metrics(row: Mapping[str, Any]) -> Mapping[str, Any]:
    metrics = row.get("metric_set")
    if metrics is None:
        return {}
    if not isinstance(metrics, dict):
        raise RecordError("field 'metric_set' should be an object")
    return metrics


def _count(metrics: Mapping[str, Any], key: str) -> int:
    value = metrics.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100_000:
        raise RecordError(f"field 'metric_set.{key}' should be a count")
    return value
