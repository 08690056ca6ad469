"""A text cut within an emoji (half a surrogate pair) costs its row, never the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Page, Reject, as_json
from tests.connectors.file_rig import FileRig
from tests.connectors.paymentiq_rig import PaymentIqRig
from tests.connectors.registry_rig import row
from tests.connectors.sumsub_rig import SumsubRig
from tests.contracts.source import of

HALF = "cut \ud83d"


def _storable(pages: list[Page], all_ids: set[str], spoiled: str) -> list[Reject]:
    """Everything of the pages can be stored; every other object landed."""
    rejects = [reject for page in pages for reject in page.rejects]
    for record in of(pages):
        for text in (record.content_text(), record.raw, record.external_id, record.content_hash()):
            text.encode()
            assert "\0" not in text
    for reject in rejects:
        for text in (reject.raw, reject.reason, reject.external_id, reject.brand):
            text.encode()
        json.loads(reject.raw)
    assert {r.external_id for r in of(pages)} >= all_ids - {spoiled}
    return rejects


@pytest.mark.parametrize("name", [*row("", ""), "first_name", "consents", "unknown"])
def test_registry(tmp_path: Path, name: str) -> None:
    rig = FileRig(tmp_path, "jsonl").filled()
    ids = rig.truth()
    rig.rows[3][name] = HALF
    rig.put("".join(json.dumps(r) + "\n" for r in rig.rows))
    rejects = _storable(list(rig.source().pull(None)), ids, "C-03")
    if name != "unknown":  # a column nobody reads is nobody's trouble
        (reject,) = rejects
        assert reject.reason.startswith("clients.jsonl, line 4: ")


def _texts(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where texts stand in an object."""
    if isinstance(value, str):
        return [path]
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    return [p for key, inner in items for p in _texts(inner, (*path, key))]


def _put(value: Any, path: tuple[Any, ...], text: str) -> Any:
    """A copy with a text at that place."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = text
    return copy


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        ({"a": "ü", "b": [1, None, True]}, '{"a":"ü","b":[1,null,true]}'),
        ({"n": 2**70}, '{"n":1180591620717411303424}'),
        ({"a": "x\ud83d"}, '{"a":"x\\ud83d"}'),
        ({"a": "x\0"}, '{"a":"x\\u0000"}'),
    ],
)
def test_what_is_kept_of_a_row(row: dict[str, Any], kept: str) -> None:
    assert as_json(row) == kept


def test_sumsub() -> None:
    rig = SumsubRig()
    client = [c for c in rig.world.clients.values() if rig.fake.applicant(c)][2]
    whole = rig.fake.applicant(client)
    assert whole is not None
    for path in _texts(whole):
        broken = _put(whole, path, HALF)
        rig.fake.edits[client.id] = broken
        _storable([rig.source().reread(rig.due())], rig.truth(), str(broken["id"]))
    rig.fake.edits[client.id] = {**whole, "externalUserId": HALF}
    (reject,) = _storable([rig.source().reread(rig.due())], rig.truth(), str(whole["id"]))
    assert "half a character" in reject.reason
    rig.close()


def test_paymentiq() -> None:
    rig = PaymentIqRig()
    ids = rig.truth()
    one = sorted(ids)[3]
    whole = rig.fake.rows()[one]
    for path in _texts(whole):
        rig.fake.edits[one] = _put(whole, path, HALF)
        _storable(list(rig.source(page_size=50).pull(None)), ids, one)
    rig.fake.edits[one] = {"merchantUserId": HALF}
    (reject,) = _storable(list(rig.source(page_size=50).pull(None)), ids, one)
    assert "'merchantUserId' holds half a character" in reject.reason
    rig.close()
