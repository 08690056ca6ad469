"""Rows of the exports as records of a connection, and what is kept of them as raw text.

The raw text holds what the record is made of and no more: no subject, description, name or phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.base import Reject, as_json, row_id
from connectors.zendesk import ticket as tickets
from connectors.zendesk import user as users
from connectors.zendesk.category import Evidence, field_value
from connectors.zendesk.settings import ZendeskSettings
from mapping.errors import RecordError
from mapping.payloads import Link
from mapping.records import Record, Ref, check_text
from mapping.words import Kind, TicketStatus

_NO_USER = "a row of the users' export should be an object"
_NO_TICKET = "a row of the tickets' export should be an object"


class RowReader:
    """Reads rows for one connection.

    Args:
        brands: the brands the connection serves.
    """

    def __init__(self, name: str, settings: ZendeskSettings, brands: Sequence[str]) -> None:
        self._name = name
        self._settings = settings
        self._brands = tuple(brands)
        self._evidence = Evidence(settings)

    def of_user(
        self, row: object, identities: Sequence[object], read_at: int
    ) -> tuple[list[Record], list[Reject]]:
        """The links of a user, one a brand; none where it never said which client it is."""
        records: list[Record] = []
        rejects: list[Reject] = []
        for brand in self._brands:
            kept = row
            if isinstance(row, dict):
                kept = users.kept(row, identities, brand, self._settings)
            user = kept if isinstance(kept, dict) else None
            raw = {"user": user, "brand": brand, "read_at": read_at}
            try:
                found, record = self._link(raw)
            except RecordError as error:
                external_id = self._user_key(row_id(row), brand)
                text = as_json(raw)
                rejects.append(Reject(external_id, error.admin, brand, Kind.LINK, text))
                continue
            if not found.silent:
                records.append(record)
        return records, rejects

    def of_ticket(
        self, row: object, metric_set: Mapping[str, Any] | None, now_ms: int
    ) -> Record | Reject | None:
        """A ticket's record; None where its brand is not read."""
        kept = tickets.kept(row, metric_set, self._evidence) if isinstance(row, dict) else None
        raw = {"ticket": kept}
        try:
            brand = self._brand(kept) if kept is not None else None
            return None if brand == "" else self._ticket(raw, now_ms)
        except RecordError as error:
            brand = self._brands[0] if len(self._brands) == 1 else ""
            return Reject(row_id(row), error.admin, brand, Kind.TICKET, as_json(raw))

    def parse(self, raw: Mapping[str, Any], now_ms: int) -> Record:
        """A raw text of this class as a record again.

        Raises:
            RecordError: see the row's own errors.
        """
        if "ticket" in raw:
            return self._ticket(raw, now_ms)
        return self._link(raw)[1]

    def _link(self, raw: Mapping[str, Any]) -> tuple[users.User, Record]:
        row, brand, read_at = raw.get("user"), raw.get("brand"), raw.get("read_at")
        if not isinstance(row, dict):
            raise RecordError(_NO_USER)
        if brand not in self._brands or not isinstance(read_at, int):
            raise RecordError("a set-aside user needs 'brand' and 'read_at' of this connection")
        found = users.user(row, brand, read_at, self._settings)
        name = f"{self._name}:{found.user_id}"
        gone = found.deleted or found.ref is None
        record = Record(
            source=self._name,
            brand=brand,
            external_id=self._user_key(found.user_id, brand),
            version_at=read_at,
            # A link that says nothing any more stands for itself alone.
            ref=found.ref or Ref(name, kind=users.NAME_KIND),
            payload=Link(name_kind=users.NAME_KIND, name=name),
            rank=int(gone),
            polled=True,
            deleted=gone,
            raw=as_json(raw),
        )
        return found, record

    def _user_key(self, user_id: str, brand: str) -> str:
        """``user:ID``; with the brand behind it where one user may be a client of several."""
        return f"user:{user_id}" if len(self._brands) == 1 else f"user:{user_id}:{brand}"

    def _ticket(self, raw: Mapping[str, Any], now_ms: int) -> Record:
        row = raw.get("ticket")
        if not isinstance(row, dict):
            raise RecordError(_NO_TICKET)
        ticket_id = users.id_text(row)
        brand = self._brand(row)
        if not brand:
            raise RecordError("field 'brand_id' is of a Zendesk brand that is not read")
        payload = tickets.ticket(row, now_ms, self._settings, self._evidence)
        deleted = payload.status is TicketStatus.DELETED
        return Record(
            source=self._name,
            brand=brand,
            external_id=ticket_id,
            version_at=tickets.version_at(row, now_ms),
            ref=self._client(row, brand) or self._requester(row, deleted=deleted),
            payload=payload,
            rank=tickets.RANK[payload.status],
            deleted=deleted,
            raw=as_json(raw),
        )

    def _brand(self, row: Mapping[str, Any]) -> str:
        if not self._settings.brands:
            return self._brands[0]
        brand_id = row.get("brand_id")
        if isinstance(brand_id, bool) or not isinstance(brand_id, int):
            raise RecordError("field 'brand_id' should be a whole number (setting brands)")
        try:
            return self._settings.brands[brand_id]
        except KeyError:
            raise RecordError(
                f"unknown brand_id {brand_id}: add it to the setting brands"
            ) from None

    def _client(self, row: Mapping[str, Any], brand: str) -> Ref | None:
        """The client id in the ticket's own field, where there is one."""
        value = field_value(row, self._settings.client_field)
        if value is None:
            return None
        text = check_text({"client_field": value}, "client_field", most=255)
        found = users.client_id(text, brand, self._settings)
        return Ref(found) if found else None

    def _requester(self, row: Mapping[str, Any], *, deleted: bool) -> Ref:
        if deleted and row.get("requester_id") is None:
            # The deletion counts, whoever asked.
            return Ref(f"{self._name}:gone", kind=users.NAME_KIND)
        return Ref(f"{self._name}:{users.id_text(row, 'requester_id')}", kind=users.NAME_KIND)
