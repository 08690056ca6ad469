"""A row of the partner list as a partner: no client, and nothing of how to reach it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any

from connectors.base import Reject, as_json, storable
from connectors.cellxpert.settings import PARTNER_COLUMNS, PLANS, CellxpertSettings
from connectors.cellxpert.values import at
from mapping.errors import RecordError
from mapping.payloads import Partner
from mapping.records import Record, Ref, check_text
from mapping.words import Kind

PART = "partner"


class PartnerReader:
    """Reads the partner list of one connection; a partner belongs to every brand it serves."""

    def __init__(
        self, source: str, settings: CellxpertSettings, brands: tuple[str, ...], zone: tzinfo
    ) -> None:
        self._source = source
        self._settings = settings
        self._brands = brands
        self._zone = zone
        own = {k: (v,) for k, v in settings.partner_columns.items()}
        self._columns = {**PARTNER_COLUMNS, **own}
        self._plans = {**PLANS, **{k.strip().lower(): v for k, v in settings.plans.items()}}

    def read(self, row: object, read_at: int) -> Iterator[Record | Reject]:
        """The partner, once a brand."""
        cells = self._cells(row) if isinstance(row, dict) else {}
        for brand in self._brands:
            try:
                yield self.again(brand, cells, read_at)
            except RecordError as error:
                raw = _raw(brand, read_at, cells)
                yield Reject(self._name(brand, cells), error.admin, brand, Kind.PARTNER, raw)

    def again(self, brand: str, cells: Mapping[str, Any], read_at: int) -> Record:
        """The partner, from what was kept of its row.

        Raises:
            RecordError: a field is missing or malformed, or its plan is unknown.
        """
        if brand not in self._brands:
            known = ", ".join(self._brands)
            raise RecordError(f"unknown brand {brand[:40]!r}; this connection serves {known}")
        partner_id = self._text(cells, "id", 100)
        if not partner_id:
            raise RecordError(f"field {self._columns['id'][0]!r} (the partner's id) is missing")
        text = self._text(cells, "plan", 100)
        plan = self._plans.get(text.lower())
        if plan is None:
            name = self._columns["plan"][0]
            raise RecordError(f"field {name!r} is {text[:40]!r}, an unknown plan (setting plans)")
        registered = cells.get("registered")
        payload = Partner(
            name=self._text(cells, "name", 200),
            plan=plan,
            status=self._text(cells, "status", 100),
            country=self._text(cells, "country", 100),
            registered_at=None
            if registered in (None, "")
            else at(
                registered, self._columns["registered"][0], self._settings.date_format, self._zone,
                read_at,
            ),
        )  # fmt: skip
        return Record(
            source=self._source,
            brand=brand,
            external_id=self._name(brand, cells),
            version_at=read_at,
            ref=Ref(partner_id, "partner"),
            payload=payload,
            polled=True,
            raw=_raw(brand, read_at, cells),
        )

    def _name(self, brand: str, cells: Mapping[str, Any]) -> str:
        try:
            partner_id = self._text(cells, "id", 100)
        except RecordError:
            partner_id = ""
        if not partner_id:
            text = storable(json.dumps(cells, sort_keys=True))
            partner_id = "row-" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        # One record has one brand.
        return partner_id if len(self._brands) == 1 else f"{partner_id}:{brand}"

    def _text(self, cells: Mapping[str, Any], key: str, most: int) -> str:
        value, name = cells.get(key), self._columns[key][0]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return check_text({name: value}, name, most=most)

    def _cells(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: row[name]
            for key, names in self._columns.items()
            if (name := next((n for n in names if n in row), None)) is not None
        }


def _raw(brand: str, read_at: int, cells: Mapping[str, Any]) -> str:
    value = {"part": PART, "read_at": read_at, "brand": brand, "cells": cells}
    return as_json(value)
