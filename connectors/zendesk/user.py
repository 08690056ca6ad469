"""A Zendesk user as a link: which client the helpdesk's user id means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.instants import instant
from connectors.zendesk.settings import EmailProof, ZendeskSettings
from mapping.errors import RecordError
from mapping.records import Ref, check_text

NAME_KIND = "helpdesk_user"
# The last minute is withheld from the exports: of a user who last changed within a minute of
# being made, no earlier state was ever exported.
_SETTLED_MS = 60_000
_STAFF = ("agent", "admin")
_END_USER = "end-user"
# All that is kept of a user; no name, phone, note or picture.
_KEPT = ("id", "role", "active", "external_id", "verified", "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class User:
    """What a user says of its client.

    ``ref`` None: nothing (any more). ``silent``: it never said anything either.
    """

    user_id: str
    ref: Ref | None
    deleted: bool
    silent: bool


def id_text(row: Mapping[str, Any], key: str = "id") -> str:
    """A vendor's numeric id as text.

    Raises:
        RecordError: missing or no positive whole number.
    """
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise RecordError(f"field {key!r} should be a positive whole number")
    return str(value)


def client_id(text: str, brand: str, settings: ZendeskSettings) -> str:
    """The client id within an external id; blank where it is none of the brand's."""
    prefix = settings.client_prefixes.get(brand, settings.client_prefix)
    return text[len(prefix) :].strip() if text.startswith(prefix) else ""


def user(row: Mapping[str, Any], brand: str, now_ms: int, settings: ZendeskSettings) -> User:
    """What a row of the users' export says for one brand.

    Raises:
        RecordError: a field is missing, of the wrong type or absurd, or the role is unknown.
    """
    user_id = id_text(row)
    created_at = instant(row.get("created_at"), "created_at", now_ms)
    updated_at = instant(row.get("updated_at"), "updated_at", now_ms)
    deleted = not _flag(row, "active", default=True)
    ref = _ref(row, brand, settings)
    silent = not deleted and ref is None and updated_at - created_at <= _SETTLED_MS
    return User(user_id, ref, deleted, silent)


def kept(row: Mapping[str, Any], identities: Sequence[object], brand: str,
         settings: ZendeskSettings) -> dict[str, Any]:  # fmt: skip
    """What :func:`user` reads of a row; the e-mail address only where it is the reference.

    ``identities``: those of this user, where they were asked for.
    """
    found = {name: row[name] for name in _KEPT if name in row}
    email = row.get("email")
    if settings.email_proof is EmailProof.IDENTITY:
        found["email_verified"] = _proved(email, identities)
    external_id = row.get("external_id")
    named = isinstance(external_id, str) and client_id(external_id.strip(), brand, settings)
    mark = found.get("verified" if settings.email_proof is EmailProof.USER else "email_verified")
    if not named and mark is True and row.get("role") == _END_USER:
        found["email"] = email
    return found


def _ref(row: Mapping[str, Any], brand: str, settings: ZendeskSettings) -> Ref | None:
    role = check_text(row, "role", most=40)
    if role in _STAFF:
        return None
    if role != _END_USER:
        raise RecordError(f"unknown role {role!r}; known are {', '.join((_END_USER, *_STAFF))}")
    named = client_id(check_text(row, "external_id", most=255), brand, settings)
    if named:
        return Ref(named)
    if settings.email_proof is EmailProof.NOTHING:
        return None
    mark = "verified" if settings.email_proof is EmailProof.USER else "email_verified"
    if not _flag(row, mark, default=False):
        return None
    email = check_text(row, "email", most=320)
    return Ref(email, kind="email") if email else None


def _flag(row: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = row.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise RecordError(f"field {key!r} should be true or false")
    return value


def _proved(email: object, identities: Sequence[object]) -> bool:
    """Whether the address itself is verified: ``verified`` of a user may be of another identity."""
    return isinstance(email, str) and any(
        isinstance(one, dict)
        and one.get("type") == "email"
        and one.get("verified") is True
        and str(one.get("value")).casefold() == email.casefold()
        for one in identities
    )
