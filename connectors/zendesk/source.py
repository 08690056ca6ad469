"""Zendesk's cursor-based incremental exports: users first, then tickets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr

from connectors.base import Context, ListSource, Page, Reject, WebhookEvent
from connectors.http import Api, Auth, Blame, HeaderAuth, HttpSource, RateLimit, basic
from connectors.webhook import secrets_of
from connectors.zendesk import webhook
from connectors.zendesk.manifest import MANIFEST
from connectors.zendesk.rows import RowReader
from connectors.zendesk.settings import EmailProof, ZendeskSettings
from mapping.errors import ConfigError, ProtocolError
from mapping.records import Record

USERS = "users"
TICKETS = "tickets"
_PATHS = {
    USERS: "/api/v2/incremental/users/cursor.json",
    TICKETS: "/api/v2/incremental/tickets/cursor.json",
}
# READ: what changed in the last minute is withheld, and start_time must be older than that.
WITHHELD_S = 60
# The vendor counts a minute from when a request arrives, we from when it is sent.
_WINDOW_S = 61.0


@dataclass(frozen=True, slots=True)
class _Place:
    """Both exports' cursors as the vendor gave them; blank: not begun."""

    users: str = ""
    tickets: str = ""

    def of(self, export: str) -> str:
        return self.users if export == USERS else self.tickets

    def at(self, export: str, cursor: str) -> _Place:
        return replace(self, **{export: cursor})

    def dump(self) -> str:
        state = {"users": self.users, "tickets": self.tickets}
        return json.dumps(state, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class _Answer:
    rows: Sequence[object]
    cursor: str
    ended: bool
    beside: Sequence[object]
    """What was sent beside the rows: users' identities, tickets' metric sets."""


class ZendeskSource(HttpSource[ZendeskSettings], ListSource[ZendeskSettings]):
    """Two exports behind one pacer; one cursor text holds the place in both."""

    manifest = MANIFEST
    settings_type = ZendeskSettings

    def __init__(
        self,
        settings: ZendeskSettings,
        context: Context,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(settings, context)
        _check_brands(settings, context)
        self._rows = RowReader(self.name, settings, tuple(context.brands))
        blame = Blame(
            credentials="the secret in api_token (with email) or in oauth_token, and that"
            " API token access is on in the Admin Center",
            rights="that the token is an administrator's (only they may use incremental exports),"
            " and an OAuth token's scope read",
        )
        limit = RateLimit(settings.requests_per_minute, _WINDOW_S)
        auth = _auth(settings, self.name)
        self.api = Api(settings, context, auth=auth, limit=limit, blame=blame, transport=transport)

    def check(self) -> None:
        """See :class:`connectors.base.Source`; asks both exports for one row."""
        for export in (USERS, TICKETS):
            self._ask(export, {"start_time": self._start_time(None), "per_page": "1"})

    def pull(self, cursor: str | None) -> Iterator[Page]:
        """See :class:`connectors.base.ListSource`."""
        start = self.clock.now_ms()
        place = self._place(cursor)
        export = USERS
        for _ in self.api.pages():
            answer = self._next(export, place)
            place = place.at(export, answer.cursor)
            now_ms = self.clock.now_ms()
            if export == USERS:
                records, rejects = self._links(answer, now_ms)
                if answer.ended:
                    export = TICKETS
                if not (answer.ended and not records and not rejects):
                    yield Page(records, rejects, place.dump())
                continue
            records, rejects = self._tickets(answer, now_ms)
            if answer.ended:
                until = start - WITHHELD_S * 1000
                yield Page(records, rejects, place.dump(), complete_until=until)
                return
            yield Page(records, rejects, place.dump())

    def parse(self, raw: Mapping[str, Any]) -> Record:
        """See :class:`connectors.base.Source`.

        ``raw``: ``{"user": ..., "brand": ..., "read_at": ms}`` or ``{"ticket": ...}``.
        """
        return self._rows.parse(raw, self.clock.now_ms())

    def webhook(self, headers: Mapping[str, str], raw: bytes) -> WebhookEvent | None:
        """The event of a webhook; None where the signature or its time is wrong (answer 401).

        Raises:
            ConfigError: no webhook secret is set.
            RecordError: well signed but malformed.
        """
        secrets = secrets_of(self.settings.webhook_secrets, self.name, "Zendesk")
        now_ms = self.clock.now_ms()
        if not webhook.verify(headers, raw, secrets, now_ms):
            return None
        return webhook.parse(raw, now_ms)

    def _links(self, answer: _Answer, now_ms: int) -> tuple[list[Record], list[Reject]]:
        records: list[Record] = []
        rejects: list[Reject] = []
        of_user: dict[object, list[object]] = {}
        for one in answer.beside:
            if isinstance(one, dict) and isinstance(one.get("user_id"), int):
                of_user.setdefault(one["user_id"], []).append(one)
        for row in answer.rows:
            user_id = row.get("id") if isinstance(row, dict) else None
            identities = of_user.get(user_id, ()) if isinstance(user_id, int) else ()
            linked, refused = self._rows.of_user(row, identities, now_ms)
            records += linked
            rejects += refused
        return records, rejects

    def _tickets(self, answer: _Answer, now_ms: int) -> tuple[list[Record], list[Reject]]:
        records: list[Record] = []
        rejects: list[Reject] = []
        sets: dict[object, Mapping[str, Any]] = {
            one["ticket_id"]: one
            for one in answer.beside
            if isinstance(one, dict) and isinstance(one.get("ticket_id"), int)
        }
        for row in answer.rows:
            ticket_id = row.get("id") if isinstance(row, dict) else None
            metric_set = sets.get(ticket_id) if isinstance(ticket_id, int) else None
            found = self._rows.of_ticket(row, metric_set, now_ms)
            if isinstance(found, Reject):
                rejects.append(found)
            elif found is not None:
                records.append(found)
        return records, rejects

    def _next(self, export: str, place: _Place) -> _Answer:
        """The next page of an export.

        Raises:
            ProtocolError: the answer does not lead on, though it says that there is more.
        """
        settings = self.settings
        since = settings.start_at if export == TICKETS else settings.users_from
        sent = place.of(export)
        query = {"cursor": sent} if sent else {"start_time": self._start_time(since, export)}
        query["per_page"] = str(settings.page_size)
        if export == TICKETS and settings.metrics:
            query["include"] = "metric_sets"
        if export == USERS and settings.email_proof is EmailProof.IDENTITY:
            query["include"] = "identities"
        answer = self._ask(export, query)
        if not answer.ended and answer.cursor in ("", sent):
            raise ProtocolError(
                f"{self.name}: GET {_PATHS[export]} says that there is more but not where:"
                " after_cursor is missing or the one that was sent"
            )
        # At the end after_cursor is where the next pull goes on; it is not followed now.
        return replace(answer, cursor=answer.cursor or sent)

    def _ask(self, export: str, query: Mapping[str, str]) -> _Answer:
        body = self.api.get(_PATHS[export], query=query)
        rows = body.get(export) if isinstance(body, dict) else None
        ended = body.get("end_of_stream") if isinstance(body, dict) else None
        if not isinstance(rows, list) or not isinstance(ended, bool):
            raise ProtocolError(
                f"{self.name}: GET {_PATHS[export]} should answer with a list {export!r} and"
                " end_of_stream"
            )
        cursor = body.get("after_cursor")
        if cursor is not None and not isinstance(cursor, str):
            raise ProtocolError(f"{self.name}: GET {_PATHS[export]}: after_cursor is no text")
        beside = body.get("identities" if export == USERS else "metric_sets")
        return _Answer(rows, cursor or "", ended, beside if isinstance(beside, list) else ())

    def _start_time(self, since: datetime | None, export: str = TICKETS) -> str:
        """Seconds since 1970, never within the withheld minute; None: users from the first on,
        and of a check the newest."""
        latest = self.clock.now_ms() // 1000 - WITHHELD_S - 1
        if since is None:
            return "0" if export == USERS else str(latest)
        at = since if since.tzinfo else since.replace(tzinfo=UTC)
        return str(max(0, min(latest, int(at.timestamp()))))

    def _place(self, cursor: str | None) -> _Place:
        if not cursor:
            return _Place()
        try:
            state = json.loads(cursor)
            users, tickets = state[USERS], state[TICKETS]
        except (ValueError, KeyError, TypeError):
            users = tickets = None
        if not isinstance(users, str) or not isinstance(tickets, str):
            raise ConfigError(
                f"{self.name}: the stored cursor is not one of this connector; delete it to read"
                " the history from start_at again"
            )
        return _Place(users, tickets)


def _auth(settings: ZendeskSettings, name: str) -> Auth:
    given = {"api_token": settings.api_token, "oauth_token": settings.oauth_token}
    have = [key for key, token in given.items() if token.get_secret_value().strip()]
    if len(have) != 1:
        raise ConfigError(f"{name}: set exactly one of api_token (with email) and oauth_token")
    if have == ["oauth_token"]:
        if settings.email:
            raise ConfigError(f"{name}: the setting email goes with api_token only; remove it")
        token = _token(settings.oauth_token, "oauth_token", name)
        return HeaderAuth("authorization", f"Bearer {token}")
    if not settings.email.strip():
        raise ConfigError(f"{name}: api_token needs the setting email, an administrator's address")
    # READ: the user's name of an API token.
    user = f"{settings.email.strip()}/token"
    return basic(user, _token(settings.api_token, "api_token", name))


def _token(token: SecretStr, setting: str, name: str) -> str:
    text = token.get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(f"{name}: the setting {setting} holds characters that no token has")
    return text


def _check_brands(settings: ZendeskSettings, context: Context) -> None:
    served = list(context.brands)
    named = {*settings.brands.values(), *settings.client_prefixes} - {""}
    unknown = sorted(named - set(served))
    if unknown:
        raise ConfigError(
            f"{context.name}: settings brands and client_prefixes name unknown brands"
            f" {', '.join(unknown)}; this connection serves {', '.join(served)}"
        )
    if len(served) == 1:
        return
    if not settings.brands:
        raise ConfigError(
            f"{context.name}: it serves {len(served)} brands, so the setting brands must say which"
            " Zendesk brand id is which brand"
        )
    missing = [brand for brand in served if brand not in settings.client_prefixes]
    if missing:
        raise ConfigError(
            f"{context.name}: users belong to no brand in Zendesk, so the setting client_prefixes"
            f" must say what stands before the client ids of {', '.join(missing)} (blank: client"
            " ids are unique across these brands)"
        )
