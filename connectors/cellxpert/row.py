"""A row of the registration report as attribution, payouts and risk flag.

One row says several things; each is a record of its own, and a cell that cannot be read sets aside
what it is about, not the row. What is kept of a row are the columns a record was made of: names,
e-mails and balances of clients are not among them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any

from connectors.base import Reject, as_json
from connectors.cellxpert.settings import (
    COLUMNS,
    FRAUD_STATUSES,
    CellxpertSettings,
    FraudEffect,
    FraudStatus,
)
from connectors.cellxpert.values import at, money
from mapping.errors import ConfigError, RecordError
from mapping.money import Money
from mapping.payloads import Attribution, Payload, Payout, RiskFlag
from mapping.records import Record, Ref, check_text
from mapping.words import Kind, PayoutPlan, PayoutStatus

_WHO = ("client", "affiliate", "registered")
# What a row may say, with the cells it is said by.
ATTRIBUTION, FRAUD = "attribution", "fraud"
PARTS: Mapping[str, tuple[str, ...]] = {
    ATTRIBUTION: ("sub_id", "campaign", "landing_page", "country", "device"),
    "cpa": ("cpa", "qualified"),
    "cpl": ("cpl",),
    "revshare": ("revshare",),
    "other": ("sub_affiliate", "other"),
    FRAUD: ("fraud",),
}
_PLANS = {plan.value: plan for plan in PayoutPlan}
_KINDS = {ATTRIBUTION: Kind.ATTRIBUTION, FRAUD: Kind.RISK_FLAG}
_NO_ROW = "it is no row: no object, or a CSV line with other columns than its header"
_STATUS_WORDS = re.compile(r"[A-Za-z][A-Za-z _-]{0,39}")


class RowReader:
    """Reads rows of one connection.

    Args:
        brands: the brands it serves.
        zone: of the row's dates.
    """

    def __init__(
        self, source: str, settings: CellxpertSettings, brands: tuple[str, ...], zone: tzinfo
    ) -> None:
        self._source = source
        self._settings = settings
        self._brands = brands
        self._zone = zone
        self._columns = {**COLUMNS, **{k: (v,) for k, v in settings.columns.items()}}
        own = {_words(text): status for text, status in settings.fraud_statuses.items()}
        self._fraud: Mapping[str, FraudStatus] = {**FRAUD_STATUSES, **own}
        _check_brands(source, settings, brands)

    def knows(self, row: object) -> bool:
        """Whether the row has the column of the client's id at all."""
        return isinstance(row, dict) and any(name in row for name in self._columns["client"])

    def key(self, row: object) -> str:
        """The client's id as the row has it; blank if it has none."""
        if not isinstance(row, dict):
            return ""
        return next((str(row[name]) for name in self._columns["client"] if name in row), "")

    def read(self, row: object, read_at: int, *, first: bool) -> Iterator[Record | Reject]:
        """What the row says, and what of it cannot be read.

        Args:
            first: nothing was read before: what stands there is not news.
        """
        try:
            cells = self._cells(row) if isinstance(row, dict) else {}
            brand, vendor_id, _ = self._client(cells)
        except RecordError as error:
            raw = _raw(ATTRIBUTION, read_at, _of(cells, ATTRIBUTION))
            yield Reject(_digest(raw), error.admin, self._only(), Kind.ATTRIBUTION, raw)
            return
        for part in PARTS:
            own = _of(cells, part)
            if part == FRAUD and not first:
                own.pop("registered", None)
            try:
                record = self._record(part, own, read_at)
            except RecordError as error:
                kind = _KINDS.get(part, Kind.PAYOUT)
                external_id = self._external_id(part, own, vendor_id)
                yield Reject(external_id, error.admin, brand, kind, _raw(part, read_at, own))
                continue
            if record is not None:
                yield record

    def again(self, part: str, cells: Mapping[str, Any], read_at: int) -> Record:
        """The record of a part, from what was kept of its row.

        Raises:
            RecordError: it still cannot be read, or says nothing.
        """
        record = self._record(part, cells, read_at)
        if record is None:
            raise RecordError("the row says nothing of that kind")
        return record

    def _record(self, part: str, cells: Mapping[str, Any], read_at: int) -> Record | None:
        brand, vendor_id, client_id = self._client(cells)
        made = self._payload(part, cells, read_at)
        if made is None:
            return None
        payload, gone = made
        return Record(
            source=self._source,
            brand=brand,
            external_id=self._external_id(part, cells, vendor_id),
            version_at=read_at,
            ref=Ref(client_id),
            payload=payload,
            polled=True,
            deleted=gone,
            raw=_raw(part, read_at, cells),
        )

    def _payload(
        self, part: str, cells: Mapping[str, Any], read_at: int
    ) -> tuple[Payload, bool] | None:
        """What a part says, and whether it says that there is nothing (any more)."""
        if part == FRAUD:
            return self._flag(cells, read_at) if "fraud" in cells else None
        affiliate = self._text(cells, "affiliate", 100)
        if not affiliate or affiliate in self._settings.no_affiliate:
            return None
        if part == ATTRIBUTION:
            return self._attribution(affiliate, cells, read_at), False
        amount = self._amount(part, cells)
        if amount is None:
            return None
        named = "qualified" if cells.get("qualified") and amount.minor else "registered"
        payout = Payout(
            affiliate_id=affiliate,
            plan=_PLANS[part],
            status=PayoutStatus.ACCRUED,
            amount=amount,
            at=self._at(cells, named, read_at, needed=amount.minor != 0),
        )
        # The row has a cell for every plan: a zero there is no payout, or one taken back.
        return payout, amount.minor == 0

    def _attribution(self, affiliate: str, cells: Mapping[str, Any], read_at: int) -> Attribution:
        return Attribution(
            affiliate_id=affiliate,
            at=self._at(cells, "registered", read_at),
            sub_id=self._text(cells, "sub_id", 200),
            campaign=self._text(cells, "campaign", 200),
            landing_page=self._text(cells, "landing_page", 500),
            country=self._text(cells, "country", 100),
            device=self._text(cells, "device", 100),
        )

    def _flag(self, cells: Mapping[str, Any], read_at: int) -> tuple[RiskFlag, bool]:
        value = cells["fraud"]
        text = str(value) if isinstance(value, bool) else self._text(cells, "fraud", 200)
        status = self._fraud.get(_words(text))
        if status is None:
            # Only what looks like a status is repeated: the cell could hold a remark on somebody.
            told = repr(text) if _STATUS_WORDS.fullmatch(text) else f"a text of {len(text)} letters"
            name = self._columns["fraud"][0]
            raise RecordError(
                f"field {name!r} is {told}, which has no meaning yet (setting fraud_statuses)"
            )
        nothing = status.effect is FraudEffect.NONE
        # The report does not say since when. A flag that stands there at the first reading is as
        # old as the client may be; a later one begins when it is read.
        dated = cells.get("registered") not in (None, "")
        flag = RiskFlag(
            risk=status.risk,
            open=status.effect is FraudEffect.OPEN,
            at=self._at(cells, "registered", read_at) if dated else None,
            reason=_words(text),
        )
        return flag, nothing

    def _amount(self, part: str, cells: Mapping[str, Any]) -> Money | None:
        total: Money | None = None
        for key in PARTS[part]:
            if key == "qualified":
                continue
            found = money(
                cells.get(key),
                self._columns[key][0],
                self._settings.currency,
                decimal_comma=self._settings.decimal_comma,
            )
            if found is not None:
                total = found if total is None else Money(total.minor + found.minor, found.currency)
        return total

    def _at(self, cells: Mapping[str, Any], key: str, read_at: int, *, needed: bool = True) -> int:
        if not needed and cells.get(key) in (None, ""):
            return 0  # what is not there needs no date
        return at(
            cells.get(key), self._columns[key][0], self._settings.date_format, self._zone, read_at
        )

    def _text(self, cells: Mapping[str, Any], key: str, most: int) -> str:
        value, name = cells.get(key), self._columns[key][0]
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # an id in JSON is to be the same text as in CSV
        return check_text({name: value}, name, most=most)

    def _client(self, cells: Mapping[str, Any]) -> tuple[str, str, str]:
        """Brand, the vendor's id of the client, and the broker's."""
        if not cells:
            raise RecordError(_NO_ROW)
        name = self._columns["client"][0]
        vendor_id = self._text(cells, "client", 200)
        if not vendor_id:
            raise RecordError(f"field {name!r} (the client's id) is missing")
        if not self._settings.client_prefix_rule:
            return self._brands[0], vendor_id, vendor_id
        prefix, dash, rest = vendor_id.partition("-")
        known = self._settings.client_prefixes
        if not dash and len(self._brands) == 1:
            return self._brands[0], vendor_id, vendor_id
        if not rest or not prefix or (known and prefix not in known):
            wanted = f", known are {', '.join(known)} (setting client_prefixes)" if known else ""
            raise RecordError(f"field {name!r} has no brand's prefix before a dash{wanted}")
        return known.get(prefix, self._brands[0]), vendor_id, rest

    def _external_id(self, part: str, cells: Mapping[str, Any], vendor_id: str) -> str:
        # The vendor's id with its prefix: two brands may use the same number.
        client = _piece(vendor_id)
        if part == FRAUD:
            return f"{client}:{FRAUD}"
        last = part
        try:
            affiliate = _piece(self._text(cells, "affiliate", 100))
            if part == ATTRIBUTION:
                last = self._text(cells, "sub_id", 200)
        except RecordError:  # of a row that is set aside for it
            return f"{client}:?:{part}"
        return f"{client}:{affiliate}:{last}"

    def _cells(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row under our own names; a column that is not there has no cell."""
        found: dict[str, Any] = {}
        for key, names in self._columns.items():
            there = [row[name] for name in names if name in row]
            if there:
                # Of several names for one thing, the one that says something.
                found[key] = next((v for v in there if v not in (None, "")), there[0])
        return found

    def _only(self) -> str:
        return self._brands[0] if len(self._brands) == 1 else ""


def _check_brands(source: str, settings: CellxpertSettings, brands: tuple[str, ...]) -> None:
    unknown = sorted(set(settings.client_prefixes.values()) - set(brands))
    if unknown:
        raise ConfigError(
            f"{source}: setting client_prefixes names unknown brands {', '.join(unknown)};"
            f" this connection serves {', '.join(brands)}"
        )
    if len(brands) > 1 and not (settings.client_prefix_rule and settings.client_prefixes):
        raise ConfigError(
            f"{source}: it serves {len(brands)} brands, so client_prefix_rule must be on and"
            " client_prefixes say which prefix is which brand"
        )


def _of(cells: Mapping[str, Any], part: str) -> dict[str, Any]:
    return {key: cells[key] for key in (*_WHO, *PARTS[part]) if key in cells}


def _raw(part: str, read_at: int, cells: Mapping[str, Any]) -> str:
    value = {"part": part, "read_at": read_at, "cells": cells}
    return as_json(value)


def _digest(raw: str) -> str:
    """An id for a row that names nobody: the same at each pull."""
    cells = json.dumps(json.loads(raw)["cells"], sort_keys=True)
    return "row-" + hashlib.blake2b(cells.encode(), digest_size=8).hexdigest()


def _piece(text: str) -> str:
    """A part of an external id, in which a colon cannot be taken for the next part."""
    return text.replace("%", "%25").replace(":", "%3A")


def _words(text: str) -> str:
    return " ".join(re.split(r"[\s_-]+", text.strip().lower()))
