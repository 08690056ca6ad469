"""The hub's words for a task, and Salesforce's.

A task's due date has no time of day (documented): it is the brand's day, and the instant stands
in the reminder and, once `crm install` made it, in a field of the hub's own that people do not
move to be reminded earlier. Closed is what the org's status says, whatever it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.destination import MARK, CrmProperty
from connectors.salesforce.names import TASK, custom
from connectors.salesforce.values import Json, inward, outward
from mapping.calendars import local_date

DUE = custom("broker_task_due")
REMINDER = "ReminderDateTime"
PROPERTY = CrmProperty(
    "broker_task_due", "Due at", "datetime",
    description=f"When the task is due, with its time of day. {MARK}",
)  # fmt: skip
_SUBJECT, _BODY = 255, 32_000  # documented lengths
_PRIORITY = {"HIGH": "High", "MEDIUM": "Normal", "LOW": "Low"}
_PRIORITY_BACK = {theirs: ours for ours, theirs in _PRIORITY.items()}


@dataclass(frozen=True, slots=True)
class Statuses:
    """The org's names of an open and a closed task (documented defaults)."""

    open: str = "Not Started"
    done: str = "Completed"


def statuses(rows: Sequence[Mapping[str, Any]]) -> Statuses:
    """From the rows of TaskStatus (``ApiName``, ``IsClosed``, ``IsDefault``, ``SortOrder``)."""
    ordered = sorted(rows, key=lambda r: (not r["IsDefault"], r["SortOrder"]))
    opened = [str(r["ApiName"]) for r in ordered if not r["IsClosed"]]
    closed = [str(r["ApiName"]) for r in ordered if r["IsClosed"]]
    usual = Statuses()
    return Statuses(
        opened[0] if opened else usual.open,
        usual.done if usual.done in closed or not closed else closed[0],
    )


def outbound(
    properties: Mapping[str, str], zone: str, known: Statuses, due: str = DUE, nobody: str = ""
) -> dict[str, Json]:
    """A write in Salesforce's fields; names the hub does not use pass unchanged.

    Args:
        due: the field of the instant: :data:`DUE`, or the reminder alone.
        nobody: id of the integration user. Each record has an owner: a task that is nobody's is
            its own.

    Raises:
        ValueError: ``due`` is no instant.
    """
    row: dict[str, Json] = {}
    for name, value in properties.items():
        match name:
            case "subject":
                row["Subject"] = _cut(value, _SUBJECT)
            case "body":
                row["Description"] = _cut(value, _BODY) or None
            case "due":
                row |= _due(value, zone, due)
            case "priority":
                row["Priority"] = _PRIORITY.get(value, value)
            case "status":
                row["Status"] = known.done if value == "done" else known.open
            case "owner":
                row["OwnerId"] = value or nobody
            case _:
                row[TASK.get(name, name)] = value or None
    return row


def _due(value: str, zone: str, field: str) -> dict[str, Json]:
    at = outward("datetime", value)
    date = local_date(int(value), zone).isoformat() if value else None
    return {field: at, "ActivityDate": date, REMINDER: at, "IsReminderSet": bool(value)}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def fields(names: Sequence[str], due: str = DUE) -> list[str]:
    """The fields to be read for the asked names."""
    wanted = {"due": due, "status": "IsClosed", **{n: TASK[n] for n in TASK if n != "status"}}
    return [wanted.get(name, name) for name in names]


def inbound(
    names: Sequence[str], row: Mapping[str, Any], due: str = DUE, nobody: str = ""
) -> dict[str, str]:
    """Read values under the names that were asked for. Args as of :func:`outbound`."""
    found: dict[str, str] = {}
    for name, field in zip(names, fields(names, due), strict=True):
        value = row.get(field)
        match name:
            case "due":
                found[name] = inward("datetime", value)
            case "status":
                found[name] = "done" if value else "open"
            case "priority":
                found[name] = _PRIORITY_BACK.get(value or "", value or "")
            case "owner":
                found[name] = "" if value == nobody else str(value or "")
            case _:
                found[name] = "" if value is None else str(value)
    return found


def due(kinds: Mapping[str, str]) -> str:
    """The field of the instant, by the fields the org has: the reminder until `crm install`."""
    return DUE if DUE in kinds else REMINDER


def zone_of(key: str, zones: Mapping[str, str]) -> str:
    """The zone of a task's brand, which its key begins with."""
    return zones.get(key.partition(":")[0], "UTC")
