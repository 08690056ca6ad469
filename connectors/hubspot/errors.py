"""HubSpot's answers as what must happen next (reference: HubSpot's "Error handling" page).

The body decides little: the status comes first, every part of the body is optional, and it may
be HTML. HubSpot's own words are never passed on, for they quote clients' values; codes, property
names and scopes are, after a look at their form.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.destination import NoRightError, Refused
from connectors.shapes import as_list, as_mapping, of_form
from mapping.errors import (
    AmbiguousError,
    BrokersyncError,
    ConfigError,
    ProtocolError,
    QuotaError,
    RetryableError,
)

LOCK_S = 2.0  # documented: 423 lasts 2 s
WINDOW_S = 10.0  # 429 without Retry-After: the burst window
_MOVE_S = 3600.0  # 477 without Retry-After: the account moves between data centres
_ALERT_S = 300.0  # 522, 525, 526: documented as "tell somebody", not "retry"
_ALERT = frozenset({522, 525, 526})

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,79}")
_SCOPE = re.compile(r"[a-z][a-z0-9_.-]{0,79}")
_VALUES = "Property values were not valid: "
_UNUSABLE_KEY = re.compile(r"non-unique|^Property \w+ does not exist")


class MissingScopeError(NoRightError):
    """The token lacks rights; ``scopes`` are those HubSpot named."""

    def __init__(self, admin: str, log: str, scopes: tuple[str, ...]) -> None:
        super().__init__(admin, log)
        self.scopes = scopes


class RateLimitError(RetryableError):
    """The burst limit was met: the pacer makes everybody wait."""


@dataclass(frozen=True, slots=True)
class Details:
    """The parts of an error body (or of a 207's entry) that may be told."""

    category: str = ""
    sub_category: str = ""
    problems: tuple[tuple[str, str], ...] = ()  # (property or "", code)
    scopes: tuple[str, ...] = ()
    existing_id: str = ""
    policy: str = ""
    correlation: str = ""
    key_unusable: bool = False

    @property
    def code(self) -> str:
        """The most telling code there is."""
        codes = [code for _, code in self.problems if code]
        return (codes or [self.sub_category or self.category or "UNKNOWN"])[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The properties that were refused, each once."""
        return tuple(dict.fromkeys(name for name, _ in self.problems if name))


class RefusalError(ProtocolError):
    """HubSpot refused a whole request (400, 404, 409 ...).

    Who knows what the request was about turns it into something better; else it says that the
    connector and HubSpot no longer understand each other.
    """

    def __init__(self, status: int, details: Details, what: str) -> None:
        super().__init__(
            f"HubSpot refused a request with status {status} ({details.code}), which this version "
            f"of the hub did not expect. Look for an update of brokersync, or report this.",
            _log(what, status, details),
        )
        self.status = status
        self.details = details


def details(body: Mapping[str, Any]) -> Details:
    """Read an error body or a 207's entry, tolerating every shape."""
    context = as_mapping(body.get("context"))
    errors = [e for e in as_list(body.get("errors")) if isinstance(e, Mapping)]
    message = body.get("message")
    message = message if isinstance(message, str) else ""
    problems = list(_in_message(message))
    scopes = _texts(context.get("requiredGranularScopes"), _SCOPE)
    for error in errors:
        inner = as_mapping(error.get("context"))
        scopes += _texts(inner.get("requiredGranularScopes"), _SCOPE)
        code = of_form(error.get("code"), _CODE)
        names = _texts(inner.get("propertyName"), _NAME)
        problems += [(name, code) for name in names] or ([("", code)] if code else [])
    needed = _texts(context.get("properties"), _NAME)
    problems += [(name, "REQUIRED_PROPERTY") for name in needed]
    return Details(
        category=of_form(body.get("category"), _CODE),
        sub_category=of_form(body.get("subCategory"), _CODE),
        problems=tuple(dict.fromkeys(problems)),
        scopes=tuple(dict.fromkeys(scopes)),
        existing_id="".join(_texts(context.get("existingId"), re.compile(r"\d{1,20}"))[:1]),
        policy=of_form(body.get("policyName"), _CODE),
        correlation=of_form(body.get("correlationId"), re.compile(r"[0-9a-f-]{8,40}")),
        key_unusable=not problems and bool(_UNUSABLE_KEY.search(message)),
    )


def _in_message(message: str) -> Iterable[tuple[str, str]]:
    """Recorded: a 207's entry names properties only inside its message, as JSON."""
    if not message.startswith(_VALUES):
        return
    try:
        rows = json.loads(message.removeprefix(_VALUES))
    except ValueError:
        return
    for row in as_list(rows):
        if isinstance(row, Mapping):
            yield of_form(row.get("name"), _NAME), of_form(row.get("error"), _CODE)


def _texts(value: Any, form: re.Pattern[str]) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in (of_form(v, form) for v in values) if text]


def _log(what: str, status: int, found: Details) -> str:
    parts = [f"hubspot {what}: status {status}"]
    parts += [p for p in (found.category, found.sub_category, found.policy) if p]
    parts += [f"{name}:{code}" for name, code in found.problems]
    if found.correlation:
        parts.append(f"correlation {found.correlation}")
    return " ".join(parts)


def from_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, write: bool, what: str
) -> BrokersyncError:
    """The error for an answer that is no success.

    Args:
        write: the request may have changed something.
        what: method and path, for the log.
    """
    try:
        found = details(as_mapping(json.loads(body)))
    except ValueError:
        found = Details()  # HTML, or cut off
    log = _log(what, status, found)
    wait = retry_after(headers)
    match status:
        case 401 | 403:
            return _forbidden(status, found, log)
        case 423 | 429 | 477:
            return _busy(status, found, log, wait)
        case _ if status in _ALERT:
            return _unsure(
                f"HubSpot cannot be reached through its own network (status {status}). See "
                f"status.hubspot.com; if it lasts, tell HubSpot's support.",
                log,
                write=write,
                wait=wait or _ALERT_S,
            )
        case _ if status >= 500:
            return _unsure(
                f"HubSpot has a problem of its own (status {status}). The hub tries again.",
                log,
                write=write,
                wait=wait,
            )
        case _ if status >= 400 and status not in (405, 406):
            return RefusalError(status, found, what)
        case _:
            return ProtocolError(
                f"HubSpot answered with status {status}, which it should not. Check base_url of "
                f"this destination and look for an update of brokersync.",
                log,
            )


def _busy(status: int, found: Details, log: str, wait: float | None) -> RetryableError:
    """Not now: nothing of the request was applied."""
    if status == 423:
        admin = "HubSpot has locked a record for a moment."
        return RetryableError(admin, log, retry_after_s=wait or LOCK_S)
    if status == 477:
        admin = "HubSpot is moving this account to another data centre. Nothing to do but wait."
        return RetryableError(admin, log, retry_after_s=wait or _MOVE_S)
    if found.policy == "DAILY":
        return QuotaError(
            "HubSpot's daily call limit is used up. What is pending stays pending; the next sync "
            "after midnight of the HubSpot account's time zone goes on. If this happens often, "
            "buy the API add-on or sync less often.",
            log,
            retry_after_s=wait,
        )
    return RateLimitError(
        "HubSpot's limit of calls per 10 seconds was met: other programs use it too. Lower `share` "
        "of this destination if it happens often.",
        log,
        retry_after_s=WINDOW_S if wait is None else wait,
    )


def _forbidden(status: int, found: Details, log: str) -> ConfigError:
    if found.category == "MISSING_SCOPES" or found.scopes:
        names = ", ".join(found.scopes) or "(HubSpot did not say which)"
        return MissingScopeError(
            f"HubSpot's access token lacks a scope, one of: {names}. Add it to the service key "
            f"(Settings > Integrations > Service Keys) and start again.",
            log,
            found.scopes,
        )
    if status == 403:
        return NoRightError(
            "HubSpot does not permit this to the owner of the access token "
            f"({found.code}). Give that user the right, or create the key as another user.",
            log,
        )
    why = "has expired" if found.category == "EXPIRED_AUTHENTICATION" else "is not valid"
    return ConfigError(
        f"HubSpot's access token {why}. Create a service key (Settings > Integrations > Service "
        f"Keys) and put it where this destination's access_token is read from.",
        log,
    )


def _unsure(admin: str, log: str, *, write: bool, wait: float | None = None) -> RetryableError:
    """A write without a clear answer may have been applied."""
    return (AmbiguousError if write else RetryableError)(admin, log, retry_after_s=wait)


def from_transport(error: Exception, *, write: bool, what: str) -> BrokersyncError:
    """The error for a call that ended without an answer (``error`` is urllib3's)."""
    from urllib3 import exceptions as u3

    if isinstance(error, u3.MaxRetryError) and error.reason is not None:
        error = error.reason
    log = f"hubspot {what}: {type(error).__name__}"
    if isinstance(error, u3.SSLError) and isinstance(
        error.__cause__ or (error.args or (None,))[0], ssl.SSLCertVerificationError
    ):
        return ConfigError(
            "HubSpot's certificate could not be verified. Check base_url, this machine's clock "
            "and, behind a proxy, its certificate authority.",
            log,
        )
    if isinstance(error, u3.LocationValueError):
        return ConfigError("base_url of the HubSpot destination is not a usable address.", log)
    if isinstance(error, u3.NewConnectionError | u3.ConnectTimeoutError | u3.ProxyError):
        return RetryableError(
            "HubSpot cannot be reached: no connection. Check this machine's network.", log
        )
    return _unsure("HubSpot did not answer in time or cut the connection.", log, write=write)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header (documented for 477 only, taken wherever it comes)."""
    text = headers.get("Retry-After") or ""
    return float(text) if text.isascii() and text.isdigit() else None


def refused(key: str, found: Details) -> Refused:
    """One input HubSpot refused, with what an admin can do about it."""
    if found.category == "CONFLICT" or found.existing_id:
        record = f" (record {found.existing_id})" if found.existing_id else ""
        return Refused(
            key,
            "EMAIL_CONFLICT",
            f"Another HubSpot contact{record} already has this client's e-mail address. Merge the "
            f"two contacts, or enter this client's key in that contact's key property, or correct "
            f"the address in the registry.",
            ("email",),
        )
    lines = [_advice(name, code) for name, code in found.problems]
    admin = " ".join(dict.fromkeys(lines)) or f"HubSpot refused this record ({found.code})."
    return Refused(key, found.code, admin, found.names)


_ADVICE = {
    "PROPERTY_DOESNT_EXIST": "HubSpot has no property {name}: run `brokersync crm install`, or "
    "take the field out of the mapping.",
    "INVALID_OPTION": "HubSpot's property {name} has no such option: run `brokersync crm install` "
    "to add missing options, or change the field's value map.",
    "READ_ONLY_VALUE": "HubSpot's property {name} is read only: map the field to another one.",
    "INVALID_EMAIL": "HubSpot does not take the client's e-mail address in {name}: correct it in "
    "the registry.",
    "REQUIRED_PROPERTY": "HubSpot needs {name} (or another it named) for a new record.",
    "CONFLICTING_UNIQUE_VALUE": "Another HubSpot record has the same value in {name}, which must "
    "be unique: merge the two records, or clear it in the other one.",
    "INVALID_LENGTH": "The value for HubSpot's property {name} is too long.",
}


def _advice(name: str, code: str) -> str:
    if name == "hubspot_owner_id" and code in ("INVALID_OPTION", "INVALID_OWNER_ID"):
        return "The HubSpot owner does not exist or is deactivated: correct the team's members."
    text = _ADVICE.get(code) if name else None
    if text is None:
        where = f"HubSpot's property {name}" if name else "HubSpot"
        return f"{where} refused the value ({code or 'no code'}): check the field's type and map."
    return text.format(name=name)


def refusals_of(steps: Iterable[Callable[[], Any]]) -> list[MissingScopeError]:
    """The scopes that are missing for these calls, which have no other effect."""
    missing: list[MissingScopeError] = []
    for step in steps:
        try:
            step()
        except MissingScopeError as error:
            missing.append(error)
        except RefusalError as refusal:
            if refusal.status != 400:
                raise
    return missing
