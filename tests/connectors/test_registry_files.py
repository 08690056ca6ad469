"""What files of clients do wrong, and what the registry makes of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.base import Page, Reject
from connectors.registry.files import MOST_LINE
from connectors.registry.settings import COLUMNS, RegistrySettings
from mapping.errors import ConfigError, RecordError, RetryableError
from mapping.payloads import Profile
from tests.connectors.file_rig import FileRig
from tests.connectors.registry_rig import row, utc
from tests.connectors.test_registry_traps import EVERYTHING
from tests.contracts.source import of

HEADER = "brand,client_id,email,registered_at,updated_at,first_name,last_name\n"
BLANKED = set(COLUMNS) - set(HEADER.strip().split(","))
ONLY = dict.fromkeys(BLANKED, "")
TIMES = "2026-03-01 08:00:00,2026-03-02 10:00:00"


@pytest.fixture(name="rig")
def _rig(tmp_path: Path) -> FileRig:
    """A CSV of seven columns."""
    return FileRig(tmp_path, "csv", columns=ONLY)


@pytest.fixture(name="lines")
def _lines(tmp_path: Path) -> FileRig:
    """A JSONL."""
    return FileRig(tmp_path, "jsonl")


def line(client_id: str, name: str = "Ana", times: str = TIMES) -> str:
    """A row of the seven columns."""
    return f"alpha,{client_id},{client_id}@example.com,{times},{name},Roe\n"


def pulled(rig: FileRig, cursor: str | None = None, **settings: Any) -> list[Page]:
    """All pages of a pull."""
    return list(rig.source(**settings).pull(cursor))


def ids(pages: list[Page]) -> list[str]:
    """Client ids."""
    return [r.external_id for r in of(pages)]


def rejects(pages: list[Page]) -> list[Reject]:
    """What was set aside."""
    return [reject for page in pages for reject in page.rejects]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_every_column_arrives(tmp_path: Path, form: str) -> None:
    rig = FileRig(tmp_path, form)
    rig.write(row("C-1", "2026-03-02 10:00:00", **EVERYTHING))
    (record,) = of(pulled(rig))
    assert record.version_at == utc("2026-03-02 10:00:00")
    assert isinstance(record.payload, Profile)
    assert record.payload.last_name == "O'Neil 😀"
    assert record.payload.email_verified
    assert record.payload.merged_into == "C-2"
    assert record.payload.registered_at == utc("2026-03-01 08:00:00")


def test_a_header_in_the_brokers_words_and_another_order(tmp_path: Path) -> None:
    names = {"client_id": "Kundennummer", "registered_at": "Angelegt", "updated_at": "Geändert"}
    rig = FileRig(
        tmp_path, "csv", columns={**ONLY, "brand": "Marke", "email": "E-Mail",
                                  "first_name": "Vorname", "last_name": "Name", **names},
        encoding="cp1252", delimiter=";", date_format="%d.%m.%Y %H:%M", zone="Europe/Berlin",
    )  # fmt: skip
    text = (
        "Angelegt;Kundennummer;Vorname;Name;e-mail;Unbekannt;Marke;Geändert\r\n"
        "01.03.2026 09:00;7;Jörg;Müller;j@example.com;x;alpha;02.03.2026 11:30\r\n"
    )
    rig.put(text.encode("cp1252"))
    (record,) = of(pulled(rig))
    assert isinstance(record.payload, Profile)
    assert (record.payload.first_name, record.payload.last_name) == ("Jörg", "Müller")
    assert record.payload.registered_at == utc("2026-03-01 08:00:00")
    assert record.version_at == utc("2026-03-02 10:30:00")


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("utf-8", "utf-8-sig"), ("UTF_8", "utf-8-sig"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16")],
)
def test_a_byte_order_mark_is_no_part_of_a_name(rig: FileRig, encoding: str, written: str) -> None:
    rig.put((HEADER + line("1", "Zoë")).encode(written))
    assert ids(pulled(rig, encoding=encoding)) == ["1"]


@pytest.mark.parametrize(
    ("times", "settings"),
    [
        ("1772352000,1772445600", {}),
        ("1772352000.0,1772445600000", {}),
        ('"1772352000,0","1.772.445.600,0"', {"decimal_comma": True}),
        ("20260301T080000Z,2026-03-02T10:00:00Z", {}),
        ("2026-03-01 10:00:00+02:00,2026-03-02 12:00:00", {"zone": "Europe/Nicosia"}),
    ],
)
def test_times_as_files_write_them(rig: FileRig, times: str, settings: dict[str, Any]) -> None:
    rig.put(HEADER + line("1", times=times))
    (record,) = of(pulled(rig, **settings))
    assert isinstance(record.payload, Profile)
    assert record.payload.registered_at == utc("2026-03-01 08:00:00")
    assert record.version_at == utc("2026-03-02 10:00:00")


def test_without_a_time_of_its_own_a_row_has_the_files(rig: FileRig) -> None:
    at = rig.world.now_ms
    rig.put(HEADER + line("1", times="2026-03-01,") + line("2"))
    rig.world.advance(3600)
    one, two = of(pulled(rig))
    assert (one.version_at, one.polled) == (at, True)
    assert (two.version_at, two.polled) == (utc("2026-03-02 10:00:00"), False)
    rig.put(HEADER.replace("updated_at,", "") + line("1", times="2026-03-01"))
    (one,) = of(pulled(rig, columns={**ONLY, "updated_at": ""}))
    assert (one.version_at, one.polled) == (at + 3_600_000, True)


BROKEN = {
    "too few fields": ("alpha,9,x\n", "the row has 3 fields, the header has 7"),
    "too many": (line("9").replace("\n", ",more\n"), "the row has 8 fields, the header has 7"),
    "a quote not closed": ('alpha,9,"x@example.com,,\n', "a quote"),
    "a stray quote": ('alpha,9,"x"y@example.com,,,,\n', "a quote stands where none may be"),
    "a NUL": (line("9", "A\0na"), "'first_name' holds a NUL"),
    "a huge field": (line("9", '"' + "a" * 140_000 + '"'), "a field is longer than 131,072"),
    "a huge line": (line("9", "a" * (MOST_LINE * 2)), "a line is longer than 1,000,000"),
    "a long field": (line("9", "a" * 201), "'first_name' is longer than 200"),
    "the header again": (HEADER, "the header stands here again"),
    "no id": (line(""), "'client_id' is missing"),
    "a time in words": (line("9", times="yesterday,"), "'registered_at' is not a time"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_row_is_set_aside_with_its_line_and_the_rest_lands(
    rig: FileRig, case: str
) -> None:
    broken, reason = BROKEN[case]
    good = line("1", '"Ana\nMaria\r\n""Mia"""') + "\n"  # lines 2 to 4, and a blank one
    rig.put(HEADER + good + broken + line("2") + line("3"))
    pages = pulled(rig)
    assert ids(pages) == ["1", "2", "3"]
    (reject,) = rejects(pages)
    assert reject.reason.startswith("clients.csv, line 6: ")
    assert reason in reject.reason
    assert "example.com" not in reject.reason
    with pytest.raises(RecordError) as again:
        rig.source().parse(json.loads(reject.raw))
    assert again.value.admin == reject.reason


def test_a_quote_that_is_never_closed_costs_its_own_line_only(rig: FileRig) -> None:
    many = [line(f"C-{n}") for n in range(5000)]  # more than a field may hold
    many[10] = many[10].replace("Ana", '"Ana')
    rig.put(HEADER + "".join(many))
    pages = pulled(rig, page_size=1000)
    assert len(ids(pages)) == 4999
    assert [r.reason.split(":")[0] for r in rejects(pages)] == ["clients.csv, line 12"]


def test_what_was_set_aside_without_a_name_is_forgotten_when_the_file_is_mended(
    rig: FileRig,
) -> None:
    rig.put(HEADER + "a\n" + line("1") + "b\n" + "c\n")
    first = pulled(rig)
    assert [r.external_id for r in rejects(first)] == [f"unnamed row {n}" for n in (1, 2, 3)]
    rig.put(HEADER + line("1") + "b\n")
    second = pulled(rig, first[-1].cursor)
    assert [r.external_id for r in rejects(second)] == ["unnamed row 1"]
    assert list(second[-1].forget) == ["unnamed row 2", "unnamed row 3"]


def test_of_a_client_twice_in_a_file_the_last_counts_and_it_is_said(rig: FileRig) -> None:
    rig.put(HEADER + line("1", "Old") + line("2") + line("1", "New"))
    pages = pulled(rig)
    versions = sorted(
        ((r.version_at, r.rank, r.payload.first_name) for r in of(pages)  # type: ignore[union-attr]
         if r.external_id == "1"),
    )  # fmt: skip
    assert [v[2] for v in versions] == ["Old", "New"]
    (reject,) = rejects(pages)
    assert reject.reason == (
        "clients.csv, line 2: this client stands again on line 4; the last one counts"
    )


def test_missing_and_doubled_columns_are_named(rig: FileRig) -> None:
    rig.put(HEADER.replace("email", "mail") + line("1"))
    with pytest.raises(ConfigError, match=r"crm-db: clients.csv lacks the columns email; it has"):
        rig.source().check()
    rig.put(HEADER.replace("last_name", "Email") + line("1"))
    with pytest.raises(ConfigError, match=r"the columns email twice"):
        pulled(rig)
    rig.put(HEADER.replace(",", ";") + line("1"))
    with pytest.raises(ConfigError, match="another delimiter"):
        pulled(rig)
    rig.put('"never closed\n')
    with pytest.raises(ConfigError, match="header that cannot be read"):
        pulled(rig)
    rig.put("\n\n")
    with pytest.raises(ConfigError, match="no header"):
        pulled(rig)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_empty_file_is_an_export_that_failed(tmp_path: Path, form: str) -> None:
    rig = FileRig(tmp_path, form)
    rig.put("")
    with pytest.raises(RetryableError, match=f"crm-db: clients.{form} is empty"):
        pulled(rig)


def test_a_header_alone_is_a_broker_without_clients(rig: FileRig) -> None:
    rig.put(HEADER)
    (page,) = pulled(rig)
    assert page.complete_until == rig.world.now_ms


def test_a_wrong_encoding_names_the_line(rig: FileRig) -> None:
    rig.put((HEADER + line("1") + line("2", "Zoë")).encode("latin-1"))
    with pytest.raises(ConfigError, match=r"clients.csv, line 3: this is not utf-8; set encoding"):
        pulled(rig)
    rig.put(HEADER + line("1"))
    with pytest.raises(ConfigError, match=r"clients.csv.* line \d+: this is not utf-16"):
        pulled(rig, encoding="utf-16")


def test_no_file_and_a_folder(rig: FileRig) -> None:
    with pytest.raises(ConfigError, match=r"crm-db: no file 'clients.csv' \(setting file\)"):
        rig.source().check()
    with pytest.raises(ConfigError, match="no file"):
        pulled(rig, file=".")


def test_the_newest_file_of_a_pattern_is_read(rig: FileRig) -> None:
    rig.put(HEADER + line("old"))
    rig.path.rename(rig.folder / "clients-2.csv")
    first = pulled(rig, file="clients-*.csv")
    assert ids(first) == ["old"]
    rig.world.advance(60)
    rig.put(HEADER + line("new"))
    rig.path.rename(rig.folder / "clients-1.csv")
    assert ids(pulled(rig, first[-1].cursor, file="clients-*.csv")) == ["new"]


def test_a_file_that_did_not_change_is_not_read_again(
    rig: FileRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.put(HEADER + line("1"))
    first = pulled(rig)
    monkeypatch.setattr(Path, "open", lambda *a, **k: pytest.fail("it was opened"))
    (page,) = pulled(rig, first[-1].cursor)
    assert (page.records, page.complete_until) == ([] or (), first[-1].complete_until)
    monkeypatch.undo()
    rig.world.advance(60)
    rig.put(HEADER + line("1"))  # the same bytes in a new file: its content was true then too
    (page,) = pulled(rig, first[-1].cursor)
    assert (page.records, page.complete_until) == ((), rig.world.now_ms)
    stamp = rig.path.stat()
    rig.path.write_text(HEADER + line("2"))
    os.utime(rig.path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as `cp -p` does
    assert ids(pulled(rig, page.cursor)) == ["2"]


def test_a_file_written_to_while_it_is_read_is_read_again(rig: FileRig) -> None:
    rig.put(HEADER + "".join(line(f"C-{n}") for n in range(12)))
    pages = rig.source().pull(None)
    first = next(pages)
    with rig.path.open("a") as file:
        file.write("alpha,99,half a ro")
    with pytest.raises(RetryableError, match="written to while it was read"):
        list(pages)
    rig.put(HEADER + "".join(line(f"C-{n}") for n in range(12)))
    assert len(ids(pulled(rig, first.cursor))) == 12


def test_a_file_replaced_while_it_is_read_is_read_to_its_end_and_the_new_one_next(
    rig: FileRig,
) -> None:
    rig.put(HEADER + "".join(line(f"C-{n}") for n in range(12)))
    pages = rig.source().pull(None)
    read = [next(pages)]
    rig.world.advance(60)
    rig.put(HEADER + line("new"))
    read += list(pages)
    assert len(ids(read)) == 12
    assert ids(pulled(rig, read[-1].cursor)) == ["new"]


def test_a_file_from_the_future_is_of_now(rig: FileRig) -> None:
    now = rig.world.now_ms
    rig.world.advance(9 * 86_400)
    rig.put(HEADER + line("1", times="2026-03-01,"))
    rig.world.now_ms = now
    pages = pulled(rig)
    assert (of(pages)[0].version_at, pages[-1].complete_until) == (now, now)


def test_broken_lines_of_json(lines: FileRig) -> None:
    good = json.dumps(row("1", "2026-03-02 10:00:00"))
    bad = ["{", "[1]", "7", '{"client_id": NaN', "[" * 5000]
    lines.put(good + "\n\n" + "\n".join(bad) + "\n" + good.replace('"1"', '"2"'))
    pages = pulled(lines)
    assert ids(pages) == ["1", "2"]
    wanted = [f"clients.jsonl, line {n}: the line is not a JSON object" for n in range(3, 8)]
    assert [r.reason for r in rejects(pages)] == wanted
    lines.put('{"id": 1}\n')
    with pytest.raises(ConfigError, match="lacks the columns client_id, registered_at, updated_at"):
        pulled(lines)


def test_a_key_that_is_not_there_is_null_and_objects_are_consents(lines: FileRig) -> None:
    lines.write(row("1", "2026-03-02 10:00:00", consents={"sms": True}), row("2", None, device=[1]))
    pages = pulled(lines)
    (record,) = of(pages)
    assert isinstance(record.payload, Profile)
    assert (record.payload.consents, record.payload.country) == ('{"sms": true}', "")
    assert "line 2: field 'device' should be a text, found list" in rejects(pages)[0].reason


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": "sqlite://", "file": "x.csv"},
        {"file": "x.csv", "encoding": "klingon"},
        {"file": "x.csv", "encoding": "hex"},
        {"file": "x.csv", "delimiter": "||"},
        {"file": "x.csv", "delimiter": '"'},
        {"file": "x.csv", "format": "xlsx"},
        {"file": "x.csv", "columns": {"client_id": ""}},
        {"url": "sqlite://", "columns": {"updated_at": ""}},
    ],
)
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RegistrySettings(**settings)
