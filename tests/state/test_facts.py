"""Facts on both engines: ties, what goes back, and that only the work list's clients are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from config import yaml_file
from config.settings import DEFAULT_RULES
from mapping.facts import ABANDONED_AFTER_MS
from mapping.ruleset import load
from state import episodes, fact_sides, fact_views, facts_sql, projection, readback, schema
from state.evaluate import Evaluator
from state.fact_calendar import Figures
from state.staging import fresh
from state.store import Store

T0 = 1_772_323_200_000
NOW = T0 + 90 * 86_400_000


@pytest.fixture(params=["sqlite", "postgresql", "postgresql, by range"])
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Each engine; the server also as it works out everybody in a range."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.db'}"
    if request.param.endswith("range"):
        monkeypatch.setattr(fact_views, "_LEAST_DENSE", 1)
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    found = Store(database_url)
    found.migrate()
    yield found
    found.close()


def list_work(connection: Connection, *clients: str) -> None:
    fresh(connection, fact_views.work)
    values = [{"brand": "alpha", "client_id": c} for c in clients]
    connection.execute(sa.insert(fact_views.work), values)


def client(connection: Connection, client_id: str) -> None:
    values = {"brand": "alpha", "external_id": client_id, "source": "registry", "version_at": T0}
    connection.execute(sa.insert(schema.client).values(**values, disposition="open"))


def pay(connection: Connection, client_id: str, number: str, at: int, **more: Any) -> None:
    values: dict[str, Any] = {
        "source": "psp", "direction": "deposit", "status": "succeeded", "amount_minor": 100,
        "base_minor": 100, "fee_base_minor": 1, "opened_at": at, "version_at": at,
    }  # fmt: skip
    values |= {"status_at": at, "reached_at": at, "method": f"method of {number}", **more}
    insert = sa.insert(schema.payment)
    connection.execute(
        insert.values(brand="alpha", client_id=client_id, external_id=number, **values)
    )


def move(connection: Connection, payment: str, movement: str, at: int, **more: Any) -> None:
    values = {
        "brand": "alpha", "client_id": "C1", "source": "psp", "external_id": f"{payment}{at}",
        "movement": movement, "status": "succeeded", "payment_id": payment, "amount_minor": 100,
        "base_minor": 100, "at": at, "version_at": at,
    }  # fmt: skip
    connection.execute(sa.insert(schema.movement).values(**values | more))


def facts(connection: Connection, client_id: str = "C1") -> Mapping[str, Any]:
    list_work(connection, client_id)
    facts_sql.compute(connection, "alpha", NOW, Figures())
    return projection.facts_of(connection, [("alpha", client_id)])["alpha", client_id]


def test_a_client_without_anything_has_the_defaults(store: Store) -> None:
    with store.transaction("test") as connection:
        client(connection, "C1")
        found = facts(connection)
    assert found["deposits"] == found["withdrawals"] == found["chargebacks"] == 0
    assert found["total_deposits"] == found["payment_fees"] == found["refunds_chargebacks"] == 0
    assert (found["kyc_status"], found["last_attempt_outcome"]) == ("not_started", "none")
    assert found["first_deposit_at"] is found["second_deposit_at"] is None
    assert found["facts_due_at"] == schema.NEVER


@pytest.mark.parametrize("ids", [("a", "ab"), ("10", "9"), ("Z", "ä"), ("x\x01y", "z\x01")])
def test_at_a_tie_the_id_decides_as_text(store: Store, ids: tuple[str, str]) -> None:
    with store.transaction("test") as connection:
        client(connection, "C1")
        for number in reversed(ids):
            pay(connection, "C1", number, T0)
        found = facts(connection)
    assert found["first_deposit_method"] == f"method of {ids[0]}"
    assert found["last_attempt_method"] == f"method of {ids[1]}"
    assert found["first_deposit_at"] == found["second_deposit_at"] == T0


def test_two_providers_may_use_the_same_id(store: Store) -> None:
    with store.transaction("test") as connection:
        client(connection, "C1")
        pay(connection, "C1", "1", T0, method="early")
        pay(connection, "C1", "1", T0 + 5, source="another", method="late")
        found = facts(connection)
    assert (found["first_deposit_method"], found["last_attempt_method"]) == ("early", "late")
    assert (found["second_deposit_at"], found["last_attempt_ended_at"]) == (T0 + 5, T0 + 5)


def test_an_instant_before_1970_sorts_and_is_found_again(store: Store) -> None:
    with store.transaction("test") as connection:
        client(connection, "C1")
        pay(connection, "C1", "1", -62_135_596_800_000)
        pay(connection, "C1", "2", -5, status="failed")
        found = facts(connection)
    assert found["first_deposit_method"] == "method of 1"
    assert (found["last_attempt_method"], found["last_attempt_ended_at"]) == ("method of 2", -5)


def test_the_first_time_a_status_was_reached_counts(store: Store) -> None:
    with store.transaction("test") as connection:
        client(connection, "C1")
        pay(connection, "C1", "1", T0 + 9, reached_at=T0 + 1)
        pay(connection, "C1", "2", T0 + 5)
        found = facts(connection)
    assert (found["first_deposit_at"], found["second_deposit_at"]) == (T0 + 1, T0 + 5)
    assert found["last_attempt_method"] == "method of 2"


@pytest.mark.parametrize(("times", "second"), [((3, 1, 2), 2), ((1, 1, 9), 1), ((4, 7, 7, 1), 4)])
def test_of_several_deposits_the_second_is_the_next_after_the_first(
    store: Store, times: tuple[int, ...], second: int
) -> None:
    with store.transaction("test") as connection:
        client(connection, "C1")
        for number, at in enumerate(times):
            pay(connection, "C1", str(number), T0 + at)
        pay(connection, "C1", "no deposit yet", T0, status="failed")
        found = facts(connection)
    assert (found["first_deposit_at"], found["second_deposit_at"]) == (T0 + 1, T0 + second)
    assert found["last_deposit_at"] == T0 + max(times)


def test_what_went_back_does_not_count(store: Store) -> None:
    with store.transaction("test") as connection:
        client(connection, "C1")
        for n in range(1, 6):
            pay(connection, "C1", str(n), T0 + n)
        move(connection, "1", "refund", T0)
        move(connection, "2", "refund", T0, amount_minor=40, base_minor=40)
        move(connection, "3", "chargeback_opened", T0)
        move(connection, "4", "chargeback_opened", T0)
        move(connection, "4", "chargeback_won", T0 + 1)
        move(connection, "4", "chargeback_opened", T0 + 2)
        move(connection, "4", "chargeback_lost", T0 + 3)
        move(connection, "5", "refund", T0, status="failed")
        found = facts(connection)
    assert (found["deposits"], found["total_deposits"]) == (2, 160)
    assert (found["first_deposit_at"], found["second_deposit_at"]) == (T0 + 2, T0 + 5)
    assert (found["refunds_chargebacks"], found["chargebacks"]) == (340, 2)
    assert (found["chargebacks_open"], found["chargeback_open_at"]) == (1, T0)


def test_the_newest_case_of_two_providers_is_the_one(store: Store) -> None:
    def case(source: str, number: str, status: str, at: int, deleted: int = 0) -> None:
        key = {"brand": "alpha", "client_id": "C1", "source": source, "external_id": number}
        values = {**key, "status": status, "version_at": at, "status_at": at, "deleted": deleted}
        connection.execute(sa.insert(schema.kyc_case).values(**values))

    with store.transaction("test") as connection:
        client(connection, "C1")
        case("one", "1", "started", T0)
        case("two", "2", "approved", T0)
        case("one", "3", "rejected_retry", T0 + 1, deleted=1)
        found = facts(connection)
    assert (found["kyc_status"], found["kyc_approved_at"]) == ("approved", T0)
    assert found["kyc_rejection_reason"] == "none"


def test_an_attempt_without_an_outcome_fails_when_the_horizon_passes_it(store: Store) -> None:
    with store.transaction("test") as connection:
        client(connection, "C1")
        pay(connection, "C1", "1", T0, status="processing")
        pay(connection, "C1", "2", NOW, status="processing")
        found = facts(connection)
    assert (found["last_attempt_outcome"], found["last_attempt_abandoned"]) == ("failed", 1)
    assert (found["failed_attempts"], found["deposit_attempts"]) == (1, 2)
    assert found["facts_due_at"] == NOW + ABANDONED_AFTER_MS


def test_sqlite_reads_only_the_clients_on_the_list(tmp_path: Any) -> None:
    """It knows no sizes: asked carelessly it begins with all rows of a brand, for one client."""
    store = Store(f"sqlite:///{tmp_path / 'plan.db'}")
    store.migrate()
    rules = load(yaml_file.read(DEFAULT_RULES).data, ["registry", "kyc", "psp"], 2)
    asked: list[tuple[str, Any]] = []
    with store.transaction("test") as connection:
        for table in {one.rows for one in fact_sides.SIDES}:
            row = {"brand": "alpha", "client_id": "", "source": "s", "external_id": "1"}
            connection.execute(sa.insert(table).values(**row))
        list_work(connection, "C1")
        sa.event.listen(
            connection, "before_cursor_execute",
            lambda _c, _cursor, sql, values, *_more: asked.append((sql, values)),
        )  # fmt: skip
        facts_sql.compute(connection, "alpha", NOW, Figures())
        list(Evaluator(rules).rows(connection, "alpha", NOW, {}))
        projection.members(connection, "hubspot")
        episodes.open_of_work(connection)
        episodes.latest_of_work(connection)
        readback.owners_of_work(connection, "hubspot")
        steps = [
            step[-1]
            for sql, values in asked
            if sql.startswith(("INSERT", "SELECT", "WITH")) and not sql.startswith("SELECT EXISTS")
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    stored = {t.name for t in schema.metadata.sorted_tables} | {"last", "first", "asked", "later"}
    of_stored = [s for s in steps if s.split()[0] in {"SCAN", "SEARCH"} and s.split()[1] in stored]
    read = {"payment", "movement", "fact", "contact_member", "trading_day", "ledger_entry",
            "ticket", "attribution", "payout", "risk_flag", "balance", "episode",
            "crm_shadow"}  # fmt: skip
    assert read <= {s.split()[1] for s in of_stored}
    # A number is that of a client on the list.
    known = ("client_id=?", "external_id=?", "key=?", "kind=? AND value=?", "nr=?")
    assert [s for s in of_stored if not any(k in s for k in known)] == []
    store.close()


def test_sqlite_finds_due_clients_by_their_times(tmp_path: Any) -> None:
    """A tick of the clock must not read every client of the brand."""
    store = Store(f"sqlite:///{tmp_path / 'due.db'}")
    store.migrate()
    asked: list[tuple[str, Any]] = []
    with store.transaction("test") as connection:
        sa.event.listen(
            connection, "before_cursor_execute",
            lambda _c, _cursor, sql, values, *_more: asked.append((sql, values)),
        )  # fmt: skip
        assert projection.fill_work(connection, 10, NOW, {"alpha": NOW, "beta": NOW}) == 0
        steps = [
            step[-1]
            for sql, values in list(asked)
            if "due_at" in sql
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    assert sum("due_at<?" in s for s in steps) == 3  # rules, and the facts of each brand
    assert [s for s in steps if s.startswith("SCAN") and s.split()[1] in {"profile", "fact"}] == []
    store.close()


def test_the_nth_deposit_is_paired_with_the_nth_booking_of_its_amount(store: Store) -> None:
    account = {"brand": "alpha", "client_id": "C1", "source": "mt5", "version_at": T0}
    with store.transaction("test") as connection:
        client(connection, "C1")
        real = {"account_class": "real", "currency": "EUR", "external_id": "mt5:1"}
        connection.execute(sa.insert(schema.trading_account).values(**account, **real))
        for n in range(3):
            pay(connection, "C1", f"d{n}", T0 + n, currency="EUR")
        booking = {"entry": "deposit", "currency": "EUR"}
        for number, amount, at in (("b0", 100, T0 + 9), ("b1", 100, T0 + 8), ("b2", 77, T0 + 7)):
            row = {**account, **booking, "external_id": number, "amount_minor": amount, "at": at}
            connection.execute(sa.insert(schema.ledger_entry).values(**row))
        found = facts(connection)
    # Two of three deposits are booked; the booking of another amount is nobody's.
    assert (found["uncredited_at"], found["unpaid_credit_at"]) == (T0 + 2, T0 + 7)


@pytest.mark.parametrize(
    ("steps", "since"),
    [
        ([], None),
        ([999], None),
        ([1000], 1),
        ([600, 600], 2),
        ([1200, -300], None),
        ([1200, -300, 100], 3),  # up, down, up again
        ([1200, -200, 100], 1),  # never below
        ([1200, None], None),  # of one without a rate nobody knows what is left
    ],
)
def test_high_value_since_net_deposits_last_rose_to_it(
    store: Store, steps: list[int | None], since: int | None
) -> None:
    with store.transaction("test") as connection:
        client(connection, "C1")
        for n, base in enumerate(steps, 1):
            out = base is None or base < 0
            more = {"direction": "withdrawal", "status": "paid"} if out else {}
            amount = None if base is None else abs(base)
            pay(connection, "C1", str(n), T0 + n, base_minor=amount, **more)
        list_work(connection, "C1")
        facts_sql.compute(connection, "alpha", NOW, Figures(high_value=1000))
        found = projection.facts_of(connection, [("alpha", "C1")])["alpha", "C1"]
    assert found["high_value_at"] == (None if since is None else T0 + since)
