"""The registry's traps: late rows, odd times, hostile rows, wrong settings, on three engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from connectors.base import Context
from connectors.registry.settings import RegistrySettings
from connectors.registry.source import RegistrySource
from mapping.errors import ConfigError, ProtocolError, RecordError, RetryableError
from mapping.payloads import Profile
from mapping.words import Disposition
from tests.connectors.registry_rig import BRANDS, RegistryRig, row, table, utc
from tests.contracts.source import of

EVERYTHING = {
    "entity": "offshore",
    "first_name": "Seán",
    "last_name": "O'Neil 😀",
    "phone": "+35799123456",
    "country": "CY",
    "language": "el",
    "zone": "Europe/Nicosia",
    "device": "ios",
    "landing_page": "https://broker.example/a?b=c",
    "source_type": "affiliate",
    "campaign": "spring",
    "consents": '{"email": true}',
    "disposition": "self_excluded",
    "merged_into": "C-2",
}


@pytest.fixture(name="url", params=["sqlite", "postgres_url", "mariadb_database"])
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'crm.db'}"
    return str(request.getfixturevalue(request.param))


@pytest.fixture(name="lite")
def _lite(tmp_path: Path) -> RegistryRig:
    return RegistryRig(f"sqlite:///{tmp_path / 'crm.db'}")


def settings(**values: Any) -> RegistrySettings:
    """Settings, as read from a file."""
    return RegistrySettings.model_validate(values)


def ids(source: RegistrySource, cursor: str | None = None) -> list[str]:
    """Client ids of a pull."""
    return [r.external_id for r in of(list(source.pull(cursor)))]


def test_every_column_arrives(url: str) -> None:
    rig = RegistryRig(url)
    rig.insert(row("C-1", "2026-03-02 10:00:00", **EVERYTHING))
    source = rig.source()
    (record,) = of(list(source.pull(None)))
    source.close()
    assert record.version_at == utc("2026-03-02 10:00:00")
    assert (record.brand, record.external_id, record.ref.value) == ("alpha", "C-1", "C-1")
    assert (record.deleted, record.polled) == (False, False)
    expected = {
        **EVERYTHING,
        "client_id": "C-1",
        "email": "ana@example.com",
        "email_verified": True,
        "registered_at": utc("2026-03-01 08:00:00"),
        "disposition": Disposition.SELF_EXCLUDED,
    }
    assert record.payload == Profile(**expected)  # type: ignore[arg-type]


def test_the_last_minutes_are_read_again_and_a_late_row_is_found(url: str) -> None:
    rig = RegistryRig(url)
    rig.insert(row("C-1", "2026-03-02 10:00:00"), row("C-2", "2026-03-02 10:10:00"))
    source = rig.source()
    cursor = list(source.pull(None))[-1].cursor
    assert ids(source, cursor) == ["C-2"]
    rig.insert(row("late", "2026-03-02 10:06:00"))  # committed after the pull
    assert ids(source, cursor) == ["late", "C-2"]
    source.close()


@pytest.mark.parametrize(
    ("times", "write"),
    [
        (sa.DateTime(timezone=True), None),
        (sa.String(40), lambda t: t.replace(" ", "T") + "Z"),
        (sa.String(40), lambda t: t + ".000"),
        (sa.String(40), lambda t: t + ".000000+00:00"),
        (sa.BigInteger(), lambda t: utc(t) // 1000),
        (sa.BigInteger(), utc),
    ],
    ids=["aware", "iso-z", "fraction", "offset", "seconds", "milliseconds"],
)
def test_times_may_be_datetimes_texts_or_epochs(url: str, times: Any, write: Any) -> None:
    rig = RegistryRig(url, table(times=times))
    rows = [row(f"C-{n:02}", f"2026-03-02 10:{n:02}:00") for n in range(20)]
    for one in rows:
        for name in ("registered_at", "updated_at"):
            one[name] = write(one[name]) if write else one[name] + "+00:00"
    rig.insert(*rows)
    source = rig.source()
    pages = list(source.pull(None))
    records = of(pages)
    assert [r.version_at for r in records] == [utc(f"2026-03-02 10:{n:02}:00") for n in range(20)]
    assert ids(source, pages[-1].cursor) == [f"C-{n:02}" for n in range(14, 20)]
    source.close()


def test_naive_times_are_read_in_the_zone_of_the_setting(url: str) -> None:
    rig = RegistryRig(url)
    rig.insert(row("C-1", "2026-03-02 10:00:00"), row("C-2", "2026-03-02 10:04:00"))
    source = rig.source(zone="Europe/Nicosia")
    pages = list(source.pull(None))
    assert of(pages)[0].version_at == utc("2026-03-02 08:00:00")
    assert ids(source, pages[-1].cursor) == ["C-1", "C-2"]
    source.close()


def test_ids_that_differ_in_case_or_accent_do_not_tie(url: str) -> None:
    rig = RegistryRig(url)
    names = ["a", "A", "á", "Á", "b", "B", "ß", "ss", "SS"]
    for brand in BRANDS:
        rig.insert(*(row(i, "2026-03-02 10:00:00", brand=brand) for i in names))
    source = rig.source(page_size=1)
    found = [(r.brand, r.external_id) for r in of(list(source.pull(None)))]
    source.close()
    assert sorted(found) == sorted((b, i) for b in BRANDS for i in names)


def test_it_cannot_write(url: str) -> None:
    rig = RegistryRig(url)
    rig.insert(row("C-1", "2026-03-02 10:00:00"))
    source = rig.source()
    with (
        source._registry.connect() as reader,
        pytest.raises(sa.exc.DBAPIError),
        reader.connection.begin(),
    ):
        reader.connection.execute(sa.delete(rig.table))
    source.close()
    assert rig.truth() == {"C-1"}


def test_missing_columns_are_listed_and_may_be_mapped_or_blanked(url: str) -> None:
    rig = RegistryRig(url)
    with rig.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE crm_clients RENAME COLUMN email TO mail")
        connection.exec_driver_sql("ALTER TABLE crm_clients DROP COLUMN device")
    for method in (lambda s: s.check(), lambda s: list(s.pull(None))):
        source = rig.source()
        with pytest.raises(ConfigError, match=r"crm-db.*lacks the columns email, device; it has"):
            method(source)
        source.close()
    source = rig.source(columns={"email": "e_mail", "device": ""})
    with pytest.raises(ConfigError, match=r"e_mail \(for email\)"):
        source.check()
    source.close()
    with rig.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO crm_clients (brand, client_id, mail, registered_at, updated_at) VALUES"
            " ('alpha', 'C-1', 'x@example.com', '2026-03-01 00:00:00', '2026-03-02 00:00:00')"
        )
    source = rig.source(columns={"email": "mail", "device": ""})
    (record,) = of(list(source.pull(None)))
    source.close()
    assert isinstance(record.payload, Profile)
    assert record.payload.email == "x@example.com"


def test_an_own_query_is_wrapped_paged_and_bounded(url: str) -> None:
    rig = RegistryRig(url)
    rig.insert(*(row(f"C-{n:02}", f"2026-03-02 10:{n:02}:00") for n in range(20)))
    query = "SELECT c.*, 'x' AS more FROM crm_clients c WHERE c.client_id <> 'C-07' ;"
    source = rig.source(query=query)
    source.check()
    pages = list(source.pull(None))
    assert {r.external_id for r in of(pages)} == rig.truth() - {"C-07"}
    assert len(ids(source, pages[-1].cursor)) == 6
    source.close()


@pytest.mark.parametrize(
    ("changed", "text"),
    [({"table": "nowhere"}, "table"), ({"query": "SELECT FROM WHERE"}, "query")],
)
def test_a_select_that_fails_needs_an_admin(url: str, changed: dict[str, str], text: str) -> None:
    RegistryRig(url)
    source = RegistryRig(url).source(**changed)
    with pytest.raises(ConfigError, match=f"crm-db.*{text}"):
        source.check()
    source.close()


@pytest.mark.parametrize(
    ("server", "nap"), [("postgres_url", "pg_sleep(9)"), ("mariadb_database", "SLEEP(9)")]
)
def test_a_statement_that_runs_too_long_is_stopped(
    request: pytest.FixtureRequest, server: str, nap: str
) -> None:
    rig = RegistryRig(request.getfixturevalue(server))
    rig.insert(row("C-1", "2026-03-02 10:00:00"))
    query = f"SELECT c.*, {nap} AS nap FROM crm_clients c WHERE updated_at IS NOT NULL"
    source = rig.source(query=query, statement_timeout_s=1, columns={"device": "nap"})
    with pytest.raises(RetryableError, match="statement_timeout_s"):
        list(source.pull(None))
    source.close()


def test_a_wrong_password_and_a_server_that_is_away(url: str, tmp_path: Path) -> None:
    clock = RegistryRig(url).clock
    parts = sa.make_url(url)
    if parts.get_backend_name() == "sqlite":
        wrong, away = f"sqlite:///{tmp_path / 'other.db'}", None
    else:
        wrong = parts.set(database="no_such_database").render_as_string(hide_password=False)
        away = parts.set(port=1, password="hunter2").render_as_string(hide_password=False)
    with pytest.raises(ConfigError, match="crm-db"):
        RegistrySource(settings(url=wrong), Context("crm-db", BRANDS, clock)).check()
    assert not (tmp_path / "other.db").exists()
    if away:
        source = RegistrySource(settings(url=away), Context("crm-db", BRANDS, clock))
        with pytest.raises(RetryableError, match="crm-db") as caught:
            source.check()
        assert "hunter2" not in repr(caught.value)
        assert "hunter2" not in repr(source.settings)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"client_id": None}, "'client_id' is missing"),
        ({"registered_at": None}, "'registered_at' is missing"),
        ({"updated_at": None}, "'updated_at' is missing"),
        ({"registered_at": "1970-01-01 00:00:00"}, "before the year 2000"),
        ({"updated_at": "2026-03-22 00:00:00"}, "more than a day in the future"),
        ({"brand": "gamma"}, "unknown brand 'gamma'; known are alpha, beta"),
        ({"brand": None}, "unknown brand ''"),
        ({"disposition": "sleeping"}, "unknown disposition 'sleeping'; known are open, closed"),
        ({"email": "ana(at)example.com"}, "'email' is not an e-mail address"),
        ({"first_name": "a" * 201}, "'first_name' is longer than 200"),
        ({"last_name": "a\x00b"}, "'last_name' holds a NUL"),
        ({"zone": "Mars/Olympus"}, "'zone' is no IANA time zone"),
        ({"zone": "../../etc/passwd"}, "'zone' is no IANA time zone"),
        ({"email_verified": 7}, "'email_verified' should be yes or no"),
        ({"merged_into": "C-1"}, "'merged_into' names the client itself"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_reason(
    lite: RegistryRig, change: dict[str, Any], reason: str
) -> None:
    lite.insert(row("C-0", "2026-03-02 09:00:00"), row("C-2", "2026-03-02 11:00:00"))
    lite.insert({**row("C-1", "2026-03-02 10:00:00"), **change})
    pages = list(lite.source().pull(None))
    assert {r.external_id for r in of(pages)} == {"C-0", "C-2"}
    (reject,) = [r for p in pages for r in p.rejects]
    assert reason in reject.reason
    assert "ana" not in reject.reason
    assert reject.external_id.startswith("row-" if change.get("client_id", 1) is None else "C-1")


def test_a_time_ahead_of_the_clock_does_not_carry_the_cursor_along(lite: RegistryRig) -> None:
    lite.insert(row("C-1", "2026-03-02 10:00:00"), row("soon", "2026-03-20 20:00:00"))
    lite.insert(row("never", "2099-01-01 00:00:00"))
    source = lite.source()
    cursor = list(source.pull(None))[-1].cursor
    lite.insert(row("C-2", "2026-03-20 00:30:00"))
    lite.world.advance(3600)
    assert "C-2" in ids(source, cursor)


def test_a_deleted_row_is_a_closed_client(lite: RegistryRig) -> None:
    lite.insert(row("C-1", "2026-03-02 10:00:00", deleted=1, disposition="open"))
    (record,) = of(list(lite.source().pull(None)))
    assert record.deleted
    assert isinstance(record.payload, Profile)
    assert record.payload.disposition is Disposition.CLOSED


def test_without_a_brand_column_the_one_brand_is_meant(lite: RegistryRig) -> None:
    lite.insert(row("C-1", "2026-03-02 10:00:00"))
    blanked = settings(url=lite.url, columns={"brand": ""})
    source = RegistrySource(blanked, Context("crm-db", {"beta": "UTC"}, lite.clock))
    assert [r.brand for r in of(list(source.pull(None)))] == ["beta"]
    with pytest.raises(ConfigError, match="brand column"):
        lite.source(columns={"brand": ""})


@pytest.mark.parametrize("columns", [{"mail": "x"}, {"client_id": ""}])
def test_a_column_map_is_checked(columns: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(url="sqlite:///x.db", columns=columns)


@pytest.mark.parametrize("url", ["", "nonsense", "oracle+nodriver://x/y", "sqlite://"])
def test_an_unusable_url_is_a_configuration_error(url: str, lite: RegistryRig) -> None:
    with pytest.raises(ConfigError, match="setting url"):
        RegistrySource(settings(url=url), Context("crm-db", BRANDS, lite.clock))


def test_the_page_bound_and_the_zone_are_named(lite: RegistryRig) -> None:
    lite.filled()
    with pytest.raises(ProtocolError, match="max_pages"):
        list(lite.source(max_pages=1).pull(None))
    with pytest.raises(ConfigError, match=r"crm-db: setting zone.*Mars"):
        lite.source(zone="Mars")


def test_json_consents_have_one_form(lite: RegistryRig) -> None:
    source = lite.source()
    base = row("C-1", "2026-03-02 10:00:00")
    one = source.parse({**base, "consents": {"sms": False, "email": True}})
    two = source.parse({**base, "consents": {"email": True, "sms": False}})
    assert one.content_hash() == two.content_hash()
    with pytest.raises(RecordError, match="consents"):
        source.parse({**base, "consents": "x" * 2001})
