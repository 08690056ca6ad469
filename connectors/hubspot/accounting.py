"""Every input of a batch gets exactly one outcome, whatever order or shape the answer has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.destination import GONE, Applied, Outcome, Refused, Write
from connectors.hubspot import errors
from connectors.hubspot.client import unexpected


def upserted(
    answer: Mapping[str, Any], writes: Sequence[Write], key_property: str
) -> dict[str, Outcome]:
    """Outcomes by key of a batch upsert whose inputs had their place as trace id.

    Results come in any order (recorded). They are matched by trace id, else by the key property.

    Raises:
        ProtocolError: a result nobody asked for, or an input HubSpot did not speak of.
    """
    by_trace = {str(place): write for place, write in enumerate(writes)}
    by_key = {write.key: write for write in writes}
    by_id = {write.crm_id: write for write in writes if write.crm_id}
    out: dict[str, Outcome] = {}
    for row in answer["results"]:
        write = by_trace.get(str(row.get("objectWriteTraceId", "")))
        if write is None:
            write = by_id.get(str(row["id"]))
        if write is None:
            write = by_key.get(str(row["properties"].get(key_property)))
        if write is None:
            raise unexpected("batch/upsert: a result that belongs to no input")
        out[write.key] = _applied(write, row)
    unnamed: list[errors.Details] = []
    for entry in answer.get("errors") or ():
        found = errors.details(entry)
        traces = entry.get("context", {}).get("objectWriteTraceId") or ()
        named = [by_trace[t] for t in _texts(traces) if t in by_trace]
        named = named or [by_id[i] for i in _ids(entry.get("context") or {}) if i in by_id]
        if not named:
            unnamed.append(found)
        for write in named:
            out[write.key] = _refused(write, found)
    _complete(out, [write.key for write in writes], unnamed)
    return out


def _refused(write: Write, found: errors.Details) -> Outcome:
    if write.crm_id and found.category == "OBJECT_NOT_FOUND":
        return Refused(
            write.key, GONE,
            f"Record {write.crm_id} was deleted in HubSpot. The hub does not create it again: "
            f"restore it there (Actions > Restore records in its list), or decide with "
            f"`brokersync crm decide`.",
        )  # fmt: skip
    return errors.refused(write.key, found)


def _applied(write: Write, row: Mapping[str, Any]) -> Outcome:
    email = write.properties.get("email")
    stored = row["properties"].get("email", email)
    if email and (stored or "").lower() != email.lower():
        # Reported by one vendor: an address of another contact is skipped with success.
        return errors.refused(write.key, errors.Details(category="CONFLICT"))
    return Applied(write.key, str(row["id"]), bool(row.get("new")))


def _texts(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)]


def _complete(
    out: dict[str, Outcome], keys: Sequence[str], unnamed: Sequence[errors.Details]
) -> None:
    """An error that names no input is the answer to every input without one."""
    open_keys = [key for key in keys if key not in out]
    if open_keys and not unnamed:
        raise unexpected(f"{len(open_keys)} inputs without result or error")
    for key in open_keys:
        out[key] = errors.refused(key, unnamed[0])


def associated(answer: Mapping[str, Any], pairs: Sequence[tuple[str, str]]) -> list[Outcome]:
    """One outcome for each (task id, contact id), in their order.

    Raises:
        ProtocolError: a pair HubSpot did not speak of.
    """
    done = {(str(row["from"]["id"]), str(row["to"]["id"])) for row in answer["results"]}
    refused: dict[tuple[str, str], errors.Details] = {}
    unnamed: list[errors.Details] = []
    for entry in answer.get("errors") or ():
        found = errors.details(entry)
        ids = _ids(entry.get("context") or {})
        named = [pair for pair in pairs if pair not in done and ids & set(pair)]
        if not named:
            unnamed.append(found)
        refused.update((pair, found) for pair in named)
    out: list[Outcome] = []
    for pair in pairs:
        if pair in done:
            out.append(Applied(pair[0], pair[0]))
        elif pair in refused or unnamed:
            found = refused[pair] if pair in refused else unnamed[0]
            out.append(
                Refused(
                    pair[0],
                    found.code,
                    f"HubSpot could not link task {pair[0]} to contact {pair[1]}: one of them is "
                    f"deleted or merged. The hub looks both up again.",
                )
            )
        else:
            raise unexpected("associate: a pair without result or error")
    return out


def _ids(context: Mapping[str, Any]) -> set[str]:
    names = ("ids", "id", "fromObjectId", "toObjectId")
    return {text for name in names if name in context for text in _texts(context[name])}


def only_absent(answer: Mapping[str, Any], what: str) -> None:
    """A batch read may miss records and links, nothing else.

    Raises:
        ProtocolError: another error than "not found".
    """
    for entry in answer.get("errors") or ():
        found = errors.details(entry)
        if found.category != "OBJECT_NOT_FOUND":
            raise unexpected(f"{what}: {found.code}")
