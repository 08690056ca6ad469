"""Rows of the fake Zendesk: users and tickets as its exports show them.

Names of fields: documented. Ids, phrases and which evidence tells a ticket's category: invented.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from simulator.story import Client, Event, ordered

TICKETS = (
    "ticket_opened",
    "ticket_updated",
    "ticket_solved",
    "ticket_reopened",
    "ticket_closed",
    "ticket_deleted",
    "ticket_merged",
)
USERS = ("registered", "profile_updated", "helpdesk_user_deleted")
CATEGORY_FIELD = 360_000_001
COMPLAINT_FIELD = 360_000_002
CATEGORIES = ("kyc", "payment", "withdrawal", "platform", "bonus", "trading", "other")
FORMS = {7001 + n: name for n, name in enumerate(CATEGORIES)}
GROUPS = {8001 + n: name for n, name in enumerate(CATEGORIES)}
# Fields of which no category can be read.
PLAIN_FORM, PLAIN_GROUP = 7000, 8000
STAFF = ((501, "admin", "Ada Admin"), (502, "agent", "Otto O'Agent"))
_EVIDENCE = ("field", "form", "tag", "group", "subject")
_TAGS = {
    "kyc": "verification", "payment": "deposit", "withdrawal": "payout", "platform": "mt5",
    "bonus": "promotion", "trading": "execution",
}  # fmt: skip
_PHRASES = {
    ("en", "kyc"): "Why was my passport not accepted?",
    ("en", "payment"): "My deposit has not arrived",
    ("en", "withdrawal"): "Withdrawal pending for 3 days",
    ("en", "platform"): "I cannot log in",
    ("en", "bonus"): "Where is my welcome bonus",
    ("en", "trading"): "Spread too wide on gold",
    ("de", "withdrawal"): "Wann kommt meine Auszahlung?",
    ("de", "payment"): "Einzahlung fehlt",
    ("es", "withdrawal"): "¿Cuándo llega mi RETIRO?",
    ("ru", "withdrawal"): "Где мой вывод средств",
    ("el", "withdrawal"): "Καθυστέρηση ανάληψης",
    ("ja", "withdrawal"): "出金が届きません",
    ("ar", "withdrawal"): "لم يصل السحب",
    ("vi", "withdrawal"): "Chưa nhận được tiền sau khi rút tiền",
}
_NEUTRAL = "Hello, a question 🙂"


def number(text: str, digits: int = 10) -> int:
    """A stable id of so many digits."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    least = int("1" + "0" * (digits - 1))
    return least + int.from_bytes(digest) % (9 * least)


def user_id(client: Client) -> int:
    """The helpdesk's id of a client."""
    return number(f"{client.key}:user", 12)


def ticket_id(client: Client, key: object) -> int:
    """The helpdesk's id of a client's ticket."""
    return number(f"{client.key}:ticket:{key}", 9)


def stamp(ms: int) -> str:
    """``2026-03-02T08:10:00Z``: whole seconds, as the vendor writes times."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def user_row(client: Client, events: Sequence[Event], prefix: str) -> dict[str, Any]:
    """An end user; about a quarter of them carry no external id."""
    told = ordered(events)
    data: dict[str, Any] = {}
    for event in told:
        data |= event.data
    gone = told[-1].name == "helpdesk_user_deleted"
    named = data.get("helpdesk_id", number(f"{client.key}:named") % 4 != 0)
    names = [str(data[n]) for n in ("first_name", "last_name") if data.get(n)]
    return _user(
        user_id(client),
        " ".join(names) or "Zoë “Z” O'Brien-Ñ 李",
        told,
        email=None if gone else data.get("email") or None,
        external_id=f"{prefix}{client.id}" if named and not gone else None,
        verified=bool(data.get("verified")),
        active=not gone,
        phone=data.get("phone") or None,
    )


def staff_rows(start_ms: int) -> list[dict[str, Any]]:
    """The people who answer."""
    born = [Event(start_ms, "registered")]
    return [
        _user(number_, name, born, email=f"{role}@broker.example", verified=True, role=role)
        for number_, role, name in STAFF
    ]


def identity_rows(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The identities of a user (shape: recalled): the address, and a phone that is verified."""
    if not row.get("email"):
        return []
    both = (("email", row["email"], row["verified"]), ("phone_number", "+357 99000000", True))
    return [
        {"user_id": row["id"], "type": kind, "value": value, "verified": proved,
         "primary": kind == "email"}
        for kind, value, proved in both
    ]  # fmt: skip


def ticket_row(
    client: Client, events: Sequence[Event], key: object, brand_id: int, changed_ms: int
) -> dict[str, Any]:
    """A ticket with its metrics, as of its visible events; empty before it was opened."""
    told = ordered(events)
    if told[0].name != "ticket_opened":
        return {}
    state = _State(told)
    first = told[0].data
    requester = STAFF[1][0] if first.get("by_staff") else user_id(client)
    row: dict[str, Any] = {
        "id": ticket_id(client, key),
        "url": "https://simulated.zendesk.example/api/v2/tickets/1.json",
        "external_id": None,
        "via": {"channel": "email", "source": {"from": {"address": "somebody@example.com"}}},
        "created_at": stamp(told[0].at),
        "updated_at": stamp(state.updated_ms),
        # Documented: moved by every change, system changes included.
        "generated_timestamp": changed_ms // 1000,
        "type": None,
        "description": "My card 4111 was declined, call me at +357 99000000.",
        "priority": state.priority,
        "status": state.status,
        "requester_id": requester,
        "submitter_id": requester,
        "group_id": PLAIN_GROUP,
        "ticket_form_id": PLAIN_FORM,
        "brand_id": brand_id,
        "tags": [],
        "custom_fields": [{"id": CATEGORY_FIELD, "value": None}],
        "satisfaction_rating": {"score": "unoffered"},
        "metric_set": {
            "ticket_id": ticket_id(client, key),
            "reopens": state.reopens,
            "replies": 1,
            "solved_at": stamp(state.solved_ms) if state.solved_ms else None,
        },
    }
    _tell(row, f"{client.key}:{key}", first)
    row["tags"] += state.tags
    row["raw_subject"] = row["subject"]
    return row


class _State:
    """What a ticket's events add up to."""

    def __init__(self, told: Sequence[Event]) -> None:
        self.status = "new"
        self.priority: str | None = None
        self.updated_ms = told[0].at
        self.solved_ms = 0
        self.reopens = 0
        self.tags: list[str] = []
        for event in told:
            self._take(event)

    def _take(self, event: Event) -> None:
        data, name = event.data, event.name
        self.priority = data.get("priority", self.priority)
        self.tags += data.get("tags", [])
        if not data.get("system"):
            # Documented: changes by the system do not move updated_at.
            self.updated_ms = event.at
        if name == "ticket_updated":
            self.status = data.get("status", "open" if self.status == "new" else self.status)
        elif name == "ticket_solved":
            self.status, self.solved_ms = "solved", event.at
        elif name == "ticket_reopened":
            self.status, self.solved_ms, self.reopens = "open", 0, self.reopens + 1
        elif name == "ticket_closed":
            self.status = "closed"
            self.solved_ms = self.solved_ms or event.at
        elif name == "ticket_deleted":
            self.status = "deleted"
        elif name == "ticket_merged":
            # Documented: the merged ticket is closed and tagged.
            self.status = "closed"
            self.solved_ms = self.solved_ms or event.at
            self.tags.append("closed_by_merge")


def _tell(row: dict[str, Any], seed: str, data: Any) -> None:
    """Put the category where this ticket tells it, and the complaint mark."""
    category = str(data.get("category", "other"))
    kind = data.get("evidence") or _EVIDENCE[number(f"{seed}:evidence") % len(_EVIDENCE)]
    row["subject"] = data.get("subject") or _NEUTRAL
    if category == "other":
        kind = "none"
    if kind == "field":
        row["custom_fields"] = [{"id": CATEGORY_FIELD, "value": category}]
        row["tags"].append(category)  # documented: a list field's value is a tag, too
    elif kind == "form":
        row["ticket_form_id"] = next(f for f, name in FORMS.items() if name == category)
    elif kind == "tag":
        row["tags"].append(_TAGS[category])
    elif kind == "group":
        row["group_id"] = next(g for g, name in GROUPS.items() if name == category)
    elif kind == "subject" and not data.get("subject"):
        lang = str(data.get("lang", "en"))
        row["subject"] = _PHRASES.get((lang, category)) or _PHRASES["en", category]
    if data.get("complaint"):
        if number(f"{seed}:complaint") % 2:
            row["tags"].append("complaint")
        else:
            row["custom_fields"] = [
                *row["custom_fields"],
                {"id": COMPLAINT_FIELD, "value": True},
            ]


def _user(
    number_: int,
    name: str,
    told: Sequence[Event],
    *,
    email: str | None,
    verified: bool,
    external_id: str | None = None,
    role: str = "end-user",
    active: bool = True,
    phone: str | None = None,
) -> dict[str, Any]:
    return {
        "id": number_,
        "url": "https://simulated.zendesk.example/api/v2/users/1.json",
        "name": name,
        "email": email,
        "phone": phone,
        "created_at": stamp(told[0].at),
        "updated_at": stamp(told[-1].at),
        "role": role,
        "verified": verified,
        "external_id": external_id,
        "active": active,
        "suspended": False,
        "tags": [],
        "notes": "Was rude on the phone.",
        "user_fields": {},
    }
