"""Whether a contact that stood in the CRM before the hub came is a client's.

Only by a verified e-mail address that exactly one client and one contact have. Everything else is
ambiguous: a person decides, and until then the client has no contact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HOW = (
    " Enter the client's key in the right contact's key property (or correct the address in the "
    "broker's system); the hub takes it from there."
)


@dataclass(frozen=True, slots=True)
class Person:
    """A client group without a contact: its address as compared, and how sure it is.

    Args:
        clients: how many clients have the address.
    """

    email: str
    verified: bool
    clients: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contact of the CRM that has the person's address, primary or not.

    Args:
        key: the hub's key in it, blank if none.
        suitors: how many contacts of the hub have one of its addresses.
    """

    crm_id: str
    key: str
    suitors: int


def ambiguous(key: str, person: Person, candidates: Sequence[Candidate]) -> str:
    """Why the one candidate may not be taken for the client's; blank if it may.

    Args:
        key: the client's key; candidates that carry it need no claim.
    """
    if len(candidates) > 1:
        ids = ", ".join(c.crm_id for c in candidates)
        return f"contacts {ids} of the CRM all have this client's e-mail address.{HOW}"
    (only,) = candidates
    there = f"contact {only.crm_id} of the CRM has this client's e-mail address, but"
    if only.key and only.key != key:
        return f"{there} it carries the key {only.key} already.{HOW}"
    if person.clients > 1:
        return f"{there} {person.clients} clients of the broker share the address.{HOW}"
    if not person.verified:
        return f"{there} the client has not verified the address.{HOW}"
    if only.suitors > 1:
        return f"{there} other addresses of it belong to other clients of the broker.{HOW}"
    return ""
