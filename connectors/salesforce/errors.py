"""Salesforce's answers as what must happen next.

An error body is a list of ``{message, errorCode, fields}``, of a row in a batch ``{message,
statusCode, fields}`` (captures of live orgs). Messages are localised, written by admins and quote
clients' values: they are never passed on, nor matched on but for two markers. Codes and field
names are, after a look at their form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.destination import GONE, NoRightError, Refused
from connectors.shapes import as_list, as_mapping, of_form
from mapping.errors import (
    AmbiguousError,
    BrokersyncError,
    ConfigError,
    ProtocolError,
    QuotaError,
    RetryableError,
)

_QUOTA_S = 900.0  # the window of 24 h rolls: a look every quarter of an hour

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,99}")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,79}")
_JOB_CODE = re.compile(r"[A-Za-z]{1,60}")
RECORD = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
"""A record's id."""
_LISTED = re.compile(r"\[([A-Za-z0-9_, ]{1,400})\]")
_IN_PLACE = re.compile(r"(?:column|fields?:)\s+'?([A-Za-z][A-Za-z0-9_]{0,99})")
_TOO_MANY_LONG = "ConcurrentPerOrgLongTxn"  # documented marker, in no language
_LOCK = "UNABLE_TO_LOCK_ROW"

LOCKED = frozenset({_LOCK, "UNABLE_TO_OBTAIN_EXCLUSIVE_ACCESS"})
TRANSIENT = frozenset({"SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION", "REQUEST_RUNNING_TOO_LONG",
                       "QUERY_TIMEOUT", *LOCKED})  # fmt: skip
ORG_WIDE = frozenset({"STORAGE_LIMIT_EXCEEDED", "REQUEST_LIMIT_EXCEEDED"})
"""Codes of a row that say nothing of the row: the run stops, and no row is to blame."""
_ABSENT = frozenset({"ENTITY_IS_DELETED", "NOT_FOUND", "INVALID_CROSS_REFERENCE_KEY"})
_RIGHTS = frozenset({"API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED", "INSUFFICIENT_ACCESS",
                     "OPERATION_TOO_LARGE", "FUNCTIONALITY_NOT_ENABLED",
                     "INVALID_TYPE"})  # fmt: skip
"""INVALID_TYPE: an object the user may not read is, to her, none (assumed)."""
DENIED = frozenset({"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "INSUFFICIENT_ACCESS",
                    "INSUFFICIENT_ACCESS_OR_READONLY", "INVALID_TYPE",
                    "INVALID_TYPE_FOR_OPERATION"})  # fmt: skip
"""Codes of a row that may mean a missing right on the object (assumed)."""


@dataclass(frozen=True, slots=True)
class Details:
    """What of an error may be told.

    ``existing``: ids of records that stand in the way. ``locked``: the customer's own automation
    failed on a lock.
    """

    code: str = "UNKNOWN"
    fields: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    locked: bool = False
    long_calls: bool = False


def details(body: Any) -> Details:
    """Read an error body or a row's errors, tolerating every shape."""
    entries = [e for e in (body if isinstance(body, list) else [body]) if isinstance(e, Mapping)]
    first: Mapping[str, Any] = entries[0] if entries else {}
    message = first.get("message")
    message = message if isinstance(message, str) else ""
    code = of_form(first.get("errorCode") or first.get("statusCode"), _CODE) or "UNKNOWN"
    # Live captures spell the key without its second l; later versions may not.
    found = first.get("duplicateResut") or first.get("duplicateResult")
    duplicate = found if isinstance(found, Mapping) else {}
    return Details(
        code,
        tuple(dict.fromkeys(_fields(code, first.get("fields"), message))),
        tuple(_existing(code, duplicate, message)),
        _LOCK in message,
        _TOO_MANY_LONG in message,
    )


def _fields(code: str, named: Any, message: str) -> Iterable[str]:
    yield from (n for n in as_list(named) if of_form(n, _NAME))
    if code == "REQUIRED_FIELD_MISSING" and (inside := _LISTED.search(message)):
        yield from (n.strip() for n in inside[1].split(",") if of_form(n.strip(), _NAME))
    if code in ("INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE"):
        yield from (n for n in _IN_PLACE.findall(message) if of_form(n, _NAME))


def _existing(code: str, duplicate: Mapping[str, Any], message: str) -> Iterable[str]:
    for result in as_list(duplicate.get("matchResults")):
        for match in as_list(as_mapping(result).get("matchRecords")):
            record = of_form(as_mapping(as_mapping(match).get("record")).get("Id"), RECORD)
            if record:
                yield record
    if code == "DUPLICATE_VALUE":
        yield from (w for w in message.split()[-1:] if RECORD.fullmatch(w))


class RefusalError(ProtocolError):
    """Salesforce refused a whole request.

    Who knows what the request was about turns it into something better; else it says that the
    connector and Salesforce no longer understand each other.
    """

    def __init__(self, status: int, found: Details, what: str) -> None:
        super().__init__(
            f"Salesforce refused a request with status {status} ({found.code}), which this version "
            f"of the hub did not expect. Look for an update of brokersync, or report this.",
            _log(what, status, found),
        )
        self.status = status
        self.details = found


class BusyError(RetryableError):
    """Too many long calls run at the moment."""


def _log(what: str, status: int, found: Details) -> str:
    return " ".join([f"salesforce {what}: status {status} {found.code}", *found.fields])


def from_answer(status: int, body: bytes, *, write: bool, what: str) -> BrokersyncError:
    """The error for an answer that is no success, other than 401.

    Args:
        write: the request may have changed something.
        what: method and path, for the log.
    """
    try:
        found = details(json.loads(body))
    except ValueError:
        found = Details()  # HTML, or cut off
    log = _log(what, status, found)
    if found.code == "REQUEST_LIMIT_EXCEEDED":
        return _limited(found, log)
    if status == 403 or found.code in _RIGHTS:
        return NoRightError(
            f"Salesforce does not permit this to the integration user ({found.code}). Give its "
            f"permission set the API and the objects: `brokersync doctor` lists what is missing.",
            log,
        )
    if found.code == "STORAGE_LIMIT_EXCEEDED":
        return full(log)
    if (status >= 500 and status != 501) or status == 429:
        # Documented for 5xx; whether the request was applied is not known.
        made = AmbiguousError if write and status != 503 else RetryableError
        return made(
            f"Salesforce has a problem of its own (status {status}). The hub tries again.", log
        )
    if found.code in TRANSIENT:
        return RetryableError("Salesforce was busy with these records.", log)
    if status == 410:
        return ConfigError(
            "Salesforce does not offer this API version any more: raise api_version of this "
            "destination.",
            log,
        )
    if 300 < status < 400:
        return ConfigError(
            "Salesforce redirects elsewhere: base_url must be the org's My Domain (Setup > My "
            "Domain), like https://acme.my.salesforce.com.",
            log,
        )
    return RefusalError(status, found, what)


def _limited(found: Details, log: str) -> RetryableError:
    if found.long_calls:
        return BusyError("Salesforce's limit of calls that run long at the same time was met.", log)
    return QuotaError(
        "Salesforce's API calls of the last 24 hours are used up, by all programs of the org. What "
        "is pending stays pending and goes on by itself. If this happens often, buy API calls or "
        "sync less often.",
        log,
        retry_after_s=_QUOTA_S,
    )


def full(log: str) -> ConfigError:
    """The org takes no more data: no record is to blame."""
    return ConfigError(
        "The Salesforce org's data storage is full (Setup > Storage Usage): free or buy storage. "
        "What is pending stays pending.",
        log,
    )


def org_wide(found: Details) -> BrokersyncError:
    """A row met a limit of the whole org."""
    log = f"salesforce row: {found.code}"
    return full(log) if found.code == "STORAGE_LIMIT_EXCEEDED" else _limited(found, log)


def refused(key: str, found: Details) -> Refused:
    """One row Salesforce refused, with what an admin can do about it."""
    if found.code in _ABSENT:
        return Refused(key, GONE, _advice(found), found.fields)
    return Refused(key, found.code, _advice(found), found.fields)


# Bulk jobs


def of_bulk_row(text: str) -> Details:
    """``sf__Error`` of a row: ``CODE:message:fields--`` (seen in captures), fields by comma."""
    code, _, rest = text.partition(":")
    message, _, fields = rest.rpartition(":")
    named = [name.strip() for name in fields.strip().removesuffix("--").split(",")]
    return details({"statusCode": code.strip(), "message": message, "fields": named})


def no_job(refusal: RefusalError, sobject: str, key: str) -> BrokersyncError:
    """A bulk job that Salesforce does not open (codes are documented, when they come assumed)."""
    code = refusal.details.code.replace("_", "")
    if "NOTENABLED" in code or "DISABLED" in code:
        return NoRightError(
            "The Salesforce org or the integration user may not use Bulk API 2.0. Permit it, or "
            "set bulk_above: 0 of this destination, which writes 200 records a call instead.",
            refusal.log,
        )
    if "QUOTA" in code or "LIMIT" in code:
        return QuotaError(
            "Salesforce takes no more bulk jobs today, of all programs of the org. What is pending "
            "stays pending and goes on by itself.",
            refusal.log,
            retry_after_s=_QUOTA_S,
        )
    if code in ("INVALIDJOB", "INVALIDENTITY"):
        return ConfigError(
            f"Salesforce's {sobject} has no unique external id {key} that the integration user "
            f"sees, or cannot be written in bulk: run `brokersync crm install`.",
            refusal.log,
        )
    return refusal


def of_job(told: Mapping[str, Any], job_id: str) -> BrokersyncError:
    """Why a bulk job was not completed. Its ``errorMessage`` is ``Code : words`` (captures)."""
    message = str(told.get("errorMessage") or "")
    head, _, words = message.partition(":")
    code = of_form(head.strip(), _JOB_CODE) or "Unknown"
    where = f"Setup > Bulk Data Load Jobs, {job_id}"
    log = f"salesforce bulk job {job_id}: {of_form(told.get('state'), _NAME)} {code}"
    if told.get("state") == "Aborted":
        return RetryableError(
            f"A Salesforce bulk job of the hub was aborted by somebody ({where}). The hub tries "
            f"again.",
            log,
        )
    if code == "InvalidBatch":
        name = of_form(words.rpartition(":")[2].strip(), _NAME)
        return ConfigError(
            f"Salesforce refused a bulk job's file ({where}): it does not show the hub the field "
            f"{name or 'that is named there'}. Run `brokersync crm install`, which creates it and "
            f"lets the integration user see it.",
            f"{log} {name}".rstrip(),
        )
    if code == "ClientInputError":
        return ProtocolError(
            f"Salesforce could not read the file of a bulk job ({where}). Look for an update of "
            f"brokersync, or report this; bulk_above: 0 of this destination does without.",
            log,
        )
    return RetryableError(
        f"Salesforce did not finish a bulk job ({code}; {where}). The hub tries again.", log
    )


_ADVICE = {
    "REQUIRED_FIELD_MISSING": "Salesforce needs {fields} for this record: map {fields}, or make it "
    "optional in Setup > Object Manager.",
    "INVALID_FIELD": "Salesforce does not show the hub the field {fields}: run `brokersync crm "
    "install`, which creates it and lets the integration user see it.",
    "INVALID_FIELD_FOR_INSERT_UPDATE": "The integration user may not write {fields}: run "
    "`brokersync crm install` for the hub's own fields; a formula or read-only field cannot be a "
    "target.",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "The restricted picklist {fields} has no such "
    "value: run `brokersync crm install` to add missing values, or change the field's value map.",
    "STRING_TOO_LONG": "The value for {fields} is longer than Salesforce's field takes: lengthen "
    "the field, or map another.",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "A validation rule of the org refused the record"
    "{at}: exempt the integration user from it, or meet it.",
    "DUPLICATE_VALUE": "Another Salesforce record{existing} has the same unique value: merge the "
    "two, or clear it in the other one.",
    "DUPLICATE_EXTERNAL_ID": "Several Salesforce records have this client's key: merge them, or "
    "clear the key in the wrong ones.",
    "DUPLICATES_DETECTED": "A duplicate rule of the org found a record like this one{existing}: "
    "merge the two or enter the client's key in it, or exempt the integration user from the rule.",
    "ENTITY_IS_DELETED": "The record was deleted in Salesforce. The hub does not create it again: "
    "restore it from the recycle bin, or decide with `brokersync crm decide`.",
    "NOT_FOUND": "Salesforce has no such record any more. The hub does not create it again: decide "
    "with `brokersync crm decide`.",
    "INVALID_CROSS_REFERENCE_KEY": "The record, or one it refers to, is not there any more or not "
    "visible to the integration user.",
    "REFERENCE_GONE": "What this record refers to (its owner, client or record type) is not there "
    "any more or not visible to the integration user: correct the team's queue or members.",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "The integration user may not touch a record "
    "this one refers to (its owner or account): widen its sharing.",
    "INSUFFICIENT_ACCESS_OR_READONLY": "The integration user may not edit this record: widen its "
    "sharing or object rights.",
    "CANNOT_UPDATE_CONVERTED_LEAD": "The lead was converted in Salesforce, and is read only: the "
    "hub goes on with its contact.",
    "CONVERTED_INTO_ANOTHER": "The client's lead was converted into the contact of another client"
    "{existing}: if they are one, merge the clients at the broker; else clear the key in the lead.",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "The org's own automation (an Apex trigger) failed on "
    "this record: ask who built it.",
    "FIELD_INTEGRITY_EXCEPTION": "Salesforce does not take the value of {fields} (an owner of the "
    "wrong kind, say): correct the team's queue or members.",
    "INVALID_EMAIL_ADDRESS": "Salesforce does not take the client's e-mail address: correct it in "
    "the registry.",
    "INVALID_TYPE_ON_FIELD_IN_RECORD": "The value for {fields} is not of the field's type: check "
    "the field's type and map.",
    "MALFORMED_ID": "The id for {fields} is none of Salesforce's: correct the team's queue or "
    "members in the configuration.",
    "JSON_PARSER_ERROR": "The value for {fields} is not of the field's type: check the field's "
    "type and map.",
}


def _advice(found: Details) -> str:
    text = _ADVICE.get(found.code)
    if text is None:
        where = f" ({', '.join(found.fields)})" if found.fields else ""
        return f"Salesforce refused this record: {found.code}{where}."
    existing = f" ({', '.join(found.existing[:3])})" if found.existing else ""
    fields = ", ".join(found.fields)
    at = f" at {fields}" if fields else ""
    return text.format(fields=fields or "a field", at=at, existing=existing)
