"""Names and ranges: what leads to a client beside its id, and what a vendor has no longer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from mapping.money import Money
from mapping.payloads import LedgerEntry, Link, Payload, Profile, Ticket, TradingAccount
from mapping.records import Record, Ref
from mapping.words import AccountClass, Kind, LedgerKind, TicketCategory, TicketStatus
from state import intake, schema
from state.gone import Range
from state.store import Store

T0 = 1_772_323_200_000
MINUTE = 60_000
Email = Ref("Ann@Client.example", "email")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    found = Store(database_url)
    found.migrate()
    yield found
    found.close()


def record(source: str, key: str, ref: Ref, payload: Payload, at: int = T0, **more: Any) -> Record:
    return Record(source, "alpha", key, at, ref, payload, **more)


def profile(client: str, at: int = T0, **more: Any) -> Record:
    payload = Profile(client_id=client, registered_at=T0, **more)
    return record("registry", client, Ref(client), payload, at)


def account(login: int, ref: Ref, at: int = T0) -> Record:
    payload = TradingAccount(AccountClass.REAL, "USD")
    return record("mt5", f"live:{login}", ref, payload, at)


def booking(number: int, login: int, at: int = T0, **more: Any) -> Record:
    payload = LedgerEntry(LedgerKind.DEPOSIT, Money(5000, "USD"), at)
    ref = Ref(f"live:{login}", "login")
    return record("mt5", f"live:{number:020d}", ref, payload, at, **more)


def user(number: int, ref: Ref, at: int = T0) -> Record:
    return record("desk", f"user:{number}", ref, Link("helpdesk_user", f"desk:{number}"), at)


def ticket(number: int, by: int) -> Record:
    payload = Ticket(TicketStatus.OPEN, TicketCategory.KYC, False, T0, T0)
    return record("desk", str(number), Ref(f"desk:{by}", "helpdesk_user"), payload)


def take(
    store: Store, *records: Record, at: int = T0, whole: Sequence[Range] = ()
) -> intake.Taken:  # fmt: skip
    with store.transaction("test") as connection:
        sheets = intake.prepare(records, lambda *_: None, copied=store.postgres)
        return intake.take(connection, sheets, at, whole)


def owners(store: Store, table: sa.Table) -> dict[str, str]:
    with store.reading() as connection:
        rows = connection.execute(sa.select(table.c.external_id, table.c.client_id))
        return {str(key): str(client) for key, client in rows}


def touched(store: Store) -> set[str]:
    with store.transaction("test") as connection:
        found = set(connection.scalars(sa.select(schema.touched.c.client_id)))
        connection.execute(sa.delete(schema.touched))
    return found


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_a_login_leads_to_the_accounts_client_in_any_order(
    store: Store, order: Sequence[int]
) -> None:
    pages = [profile("C1"), account(70001, Ref("C1")), booking(5, 70001)]
    for n in order:
        take(store, pages[n])
    assert owners(store, schema.trading_account) == {"live:70001": "C1"}
    assert owners(store, schema.ledger_entry) == {f"live:{5:020d}": "C1"}
    assert "C1" in touched(store)


def test_the_same_login_on_another_server_is_somebody_elses(store: Store) -> None:
    take(store, profile("C1"), profile("C2"))
    other = record("mt5", "cent:70001", Ref("C2"), TradingAccount(AccountClass.CENT, "USD"))
    take(store, account(70001, Ref("C1")), other, booking(5, 70001))
    assert owners(store, schema.ledger_entry) == {f"live:{5:020d}": "C1"}


def test_a_merge_takes_the_login_and_its_bookings_along_and_back(store: Store) -> None:
    take(store, profile("C1"), profile("C2"), account(70001, Ref("C1")), booking(5, 70001))
    take(store, profile("C1", T0 + MINUTE, merged_into="C2"))
    assert set(owners(store, schema.ledger_entry).values()) == {"C2"}
    touched(store)
    take(store, profile("C1", T0 + 2 * MINUTE))
    assert set(owners(store, schema.ledger_entry).values()) == {"C1"}
    assert touched(store) == {"C1", "C2"}


def test_an_account_that_changes_hands_takes_its_bookings_along(store: Store) -> None:
    take(store, profile("C1"), profile("C2"), account(70001, Ref("C1")), booking(5, 70001))
    touched(store)
    take(store, account(70001, Ref("C2"), T0 + MINUTE))
    assert set(owners(store, schema.ledger_entry).values()) == {"C2"}
    assert touched(store) == {"C1", "C2"}


# --- addresses -----------------------------------------------------------------------------------


def verified(client: str, email: str = "Ann@Client.example ", at: int = T0) -> Record:
    return profile(client, at, email=email, email_verified=True)


def test_a_verified_address_that_one_client_has_leads_to_it(store: Store) -> None:
    take(store, ticket(9, 4), user(4, Email))
    assert owners(store, schema.ticket) == {"9": ""}
    take(store, verified("C1"))
    assert owners(store, schema.ticket) == {"9": "C1"}
    assert owners(store, schema.link) == {"user:4": "C1"}


def test_an_address_of_two_clients_or_an_unverified_one_leads_nowhere(store: Store) -> None:
    take(store, verified("C1"), user(4, Email), ticket(9, 4))
    assert owners(store, schema.ticket) == {"9": "C1"}
    take(store, verified("C2"))
    assert owners(store, schema.ticket) == {"9": ""}, "never a guess"
    take(store, profile("C2", T0 + MINUTE, email="ann@client.example"))  # no longer verified
    assert owners(store, schema.ticket) == {"9": "C1"}
    take(store, verified("C1", "other@client.example", T0 + MINUTE))
    assert owners(store, schema.ticket) == {"9": ""}


def test_two_clients_who_are_one_do_not_make_an_address_ambiguous(store: Store) -> None:
    take(store, verified("C1"), verified("C2"), user(4, Email), ticket(9, 4))
    assert owners(store, schema.ticket) == {"9": ""}
    merged = profile("C2", T0 + MINUTE, email=Email.value, email_verified=True, merged_into="C1")
    take(store, merged)
    assert owners(store, schema.ticket) == {"9": "C1"}


# --- ranges --------------------------------------------------------------------------------------


def span(first: int, last: int) -> Range:
    return Range(Kind.LEDGER_ENTRY, "mt5", f"live:{first:020d}", f"live:{last:020d}")


def states(store: Store) -> dict[int, int]:
    with store.reading() as connection:
        t = schema.ledger_entry
        rows = connection.execute(sa.select(t.c.external_id, t.c.deleted))
        return {int(key.removeprefix("live:")): gone for key, gone in rows}


def test_what_a_whole_page_lacks_is_gone(store: Store) -> None:
    take(store, profile("C1"), account(70001, Ref("C1")), *[booking(n, 70001) for n in range(1, 6)])
    touched(store)
    later = T0 + MINUTE
    take(store, booking(2, 70001), booking(4, 70001), at=later, whole=[span(2, 4)])
    assert states(store) == {1: 0, 2: 0, 3: 1, 4: 0, 5: 0}
    assert touched(store) == {"C1"}
    with store.reading() as connection:
        j = schema.journal
        gone = sa.select(j.c.external_id, j.c.version_at).where(j.c.deleted == 1)
        assert connection.execute(gone).all() == [(f"live:{3:020d}", later)]


def test_a_whole_page_without_records_empties_its_range(store: Store) -> None:
    take(store, profile("C1"), account(70001, Ref("C1")), booking(1, 70001), booking(7, 70001))
    take(store, at=T0 + MINUTE, whole=[span(1, 3)])
    assert states(store) == {1: 1, 7: 0}


def test_what_was_gone_comes_back(store: Store) -> None:
    take(store, profile("C1"), account(70001, Ref("C1")), booking(1, 70001, polled=True))
    take(store, at=T0 + MINUTE, whole=[span(1, 3)])
    take(store, booking(1, 70001, T0 + 2 * MINUTE, polled=True), at=T0 + 2 * MINUTE)
    assert states(store) == {1: 0}


def test_a_range_of_another_source_is_left_alone(store: Store) -> None:
    take(store, profile("C1"), account(70001, Ref("C1")), booking(1, 70001))
    other = Range(Kind.LEDGER_ENTRY, "mt5-beta", "live:", "live:~")
    take(store, at=T0 + MINUTE, whole=[other])
    assert states(store) == {1: 0}


def test_a_vendor_that_lacks_what_the_hub_never_had_says_nothing(store: Store) -> None:
    taken = take(store, profile("C1"), booking(1, 70001, polled=True, deleted=True))
    assert taken.journalled == 1
    assert states(store) == {}
    take(store, booking(1, 70001, polled=True))
    take(store, booking(1, 70001, T0 + MINUTE, polled=True, deleted=True))
    assert states(store) == {1: 1}


def test_texts_that_a_copy_would_trip_over_arrive_as_they_are(store: Store) -> None:
    name = "a\\b\tc\nd\re \\N 'f' \"g\" \u2028 🚀"
    take(store, profile("C1", first_name=name, last_name="\\N", phone="\\."))
    with store.reading() as connection:
        c = schema.client
        row = connection.execute(sa.select(c.c.first_name, c.c.last_name, c.c.phone)).one()
        assert tuple(row) == (name, "\\N", "\\.")
