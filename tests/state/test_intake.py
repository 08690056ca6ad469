"""Intake on both engines: versions, current records, milestones, links, touched clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from mapping.money import Money
from mapping.payloads import KycCase, Payment, Profile
from mapping.records import Record, Ref
from mapping.words import Direction, KycStatus, PaymentStatus
from state import identity, intake, schema
from state.store import Store

T0 = 1_772_323_200_000
MINUTE = 60_000


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    found = Store(database_url)
    found.migrate()
    yield found
    found.close()


def profile(client: str, at: int = T0, **more: Any) -> Record:
    payload = Profile(client_id=client, registered_at=T0, **more)
    return Record("registry", "alpha", client, at, Ref(client), payload)


def kyc(client: str, status: KycStatus, at: int) -> Record:
    case = KycCase(status, 1, T0, T0, waiting_for="client")
    return Record("sumsub", "alpha", f"case-{client}", at, Ref(client), case, polled=True)


def payment(client: str, status: PaymentStatus, at: int, number: str = "1") -> Record:
    money = Money(5000, "USD")
    payload = Payment(Direction.DEPOSIT, status, money, T0, at, base=money)
    return Record("psp", "alpha", number, at, Ref(client), payload)


def base(brand: str, amount: Money, vendor: Money | None, at: int) -> int | None:
    return amount.minor if amount.currency == "USD" else None


def take(store: Store, *records: Record) -> intake.Taken:
    with store.transaction("test") as connection:
        return intake.take(connection, intake.prepare(records, base), T0)


def rows(store: Store, table: sa.Table) -> list[dict[str, Any]]:
    with store.reading() as connection:
        return [dict(r) for r in connection.execute(sa.select(table)).mappings()]


def one(store: Store, table: sa.Table) -> dict[str, Any]:
    (found,) = rows(store, table)
    return found


def touched(store: Store) -> list[str]:
    with store.transaction("test") as connection:
        found = sorted(connection.scalars(sa.select(schema.touched.c.client_id)))
        connection.execute(sa.delete(schema.touched))
    return found


def test_the_newest_version_wins_and_the_earliest_milestone_stays(store: Store) -> None:
    failed = payment("7", PaymentStatus.FAILED, T0 + MINUTE)
    paid = payment("7", PaymentStatus.SUCCEEDED, T0 + 3 * MINUTE)
    again = payment("7", PaymentStatus.FAILED, T0 + 2 * MINUTE)
    take(store, profile("7"), paid, again, failed, failed)
    assert one(store, schema.payment)["status"] == "succeeded"
    reached = {r["status"]: r["first_at"] for r in rows(store, schema.milestone)
               if r["kind"] == "payment"}  # fmt: skip
    assert reached == {"failed": T0 + MINUTE, "succeeded": T0 + 3 * MINUTE}
    assert [r["kind"] for r in rows(store, schema.journal)].count("payment") == 3


def test_a_payment_knows_when_it_first_reached_its_status(store: Store) -> None:
    """Whatever comes first: of the same status, the earliest; of another, nothing."""
    failed, succeeded = PaymentStatus.FAILED, PaymentStatus.SUCCEEDED
    versions = ((failed, 1), (succeeded, 2), (succeeded, 3))
    for n, order in enumerate(permutations(versions)):
        for status, minute in order:
            take(store, payment("7", status, T0 + minute * MINUTE, f"one by one {n}"))
        take(store, *[payment("7", s, T0 + m * MINUTE, f"together {n}") for s, m in order])
    reached = {row["reached_at"] for row in rows(store, schema.payment)}
    assert reached == {T0 + 2 * MINUTE}
    assert len(rows(store, schema.payment)) == 12


def test_the_same_version_twice_does_nothing(store: Store) -> None:
    take(store, profile("7"), payment("7", PaymentStatus.FAILED, T0))
    assert touched(store) == ["7"]
    again = take(store, profile("7"), payment("7", PaymentStatus.FAILED, T0))
    assert (again.journalled, touched(store)) == (0, [])


def test_polled_rows_are_versions_only_when_they_differ(store: Store) -> None:
    for minute, status in enumerate(
        [KycStatus.STARTED, KycStatus.STARTED, KycStatus.SUBMITTED, KycStatus.STARTED]
    ):
        take(store, profile("7"), kyc("7", status, T0 + minute * MINUTE))
    kept = [r["version_at"] for r in rows(store, schema.journal) if r["kind"] == "kyc_case"]
    assert kept == [T0, T0 + 2 * MINUTE, T0 + 3 * MINUTE], "A, A, B, A is three versions"
    assert one(store, schema.kyc_case)["status"] == "started"


def test_an_unchanged_poll_still_shields_from_older_news(store: Store) -> None:
    take(store, profile("7"), kyc("7", KycStatus.STARTED, T0))
    take(store, kyc("7", KycStatus.STARTED, T0 + 2 * MINUTE))
    take(store, kyc("7", KycStatus.SUBMITTED, T0 + MINUTE))
    assert one(store, schema.kyc_case)["status"] == "started"


def test_records_wait_for_their_client_and_are_linked_when_it_appears(store: Store) -> None:
    take(store, payment("9", PaymentStatus.FAILED, T0))
    assert one(store, schema.payment)["client_id"] == ""
    assert touched(store) == []
    with store.reading() as connection:
        assert [u.count for u in identity.unlinked(connection)] == [1]
    take(store, profile("9"))
    assert one(store, schema.payment)["client_id"] == "9"
    assert touched(store) == ["9"]


def _payment_clients(store: Store) -> dict[str, str]:
    return {r["external_id"]: r["client_id"] for r in rows(store, schema.payment)}


def test_a_merge_moves_the_records_and_can_be_taken_back(store: Store) -> None:
    take(store, profile("1"), profile("2"), payment("2", PaymentStatus.FAILED, T0))
    touched(store)
    take(store, profile("2", T0 + MINUTE, merged_into="1"))
    assert _payment_clients(store) == {"1": "1"}
    assert touched(store) == ["1", "2"]
    take(store, payment("2", PaymentStatus.FAILED, T0 + MINUTE, number="2"))
    assert _payment_clients(store) == {"1": "1", "2": "1"}
    take(store, profile("2", T0 + 2 * MINUTE))
    assert _payment_clients(store) == {"1": "2", "2": "2"}
    assert touched(store) == ["1", "2"]


@pytest.mark.parametrize(
    "order", [("1", "2", "3"), ("3", "2", "1"), ("2", "3", "1"), ("3", "1", "2")]
)
def test_a_chain_of_merges_ends_at_its_survivor_in_any_order(
    order: Sequence[str], store: Store
) -> None:
    into = {"1": "", "2": "1", "3": "2"}
    take(store, payment("3", PaymentStatus.FAILED, T0))
    for client in order:
        take(store, profile(client, merged_into=into[client]))
    assert _payment_clients(store) == {"1": "1"}


def test_a_circle_and_a_missing_target_lose_nothing(store: Store) -> None:
    take(store, profile("1", merged_into="2"), profile("2", merged_into="1"),
         profile("5", merged_into="404"), payment("1", PaymentStatus.FAILED, T0),
         payment("5", PaymentStatus.FAILED, T0, number="2"))  # fmt: skip
    assert _payment_clients(store) == {"1": "1", "2": "5"}


def test_a_base_amount_is_frozen_and_may_be_unknown(store: Store) -> None:
    take(store, profile("7"), payment("7", PaymentStatus.SUCCEEDED, T0))
    with store.transaction("test") as connection:
        again = payment("7", PaymentStatus.SUCCEEDED, T0)
        intake.take(connection, intake.prepare([again], lambda *_: 1), T0)
    assert one(store, schema.payment)["base_minor"] == 5000
    foreign = Payment(Direction.DEPOSIT, PaymentStatus.SUCCEEDED, Money(5, "KWD"), T0, T0)
    take(store, Record("psp", "alpha", "2", T0, Ref("7"), foreign))
    assert {r["external_id"]: r["base_minor"] for r in rows(store, schema.payment)} == {
        "1": 5000, "2": None,
    }  # fmt: skip


def test_one_client_id_in_two_brands_is_two_clients(store: Store) -> None:
    other = Record("registry", "beta", "7", T0, Ref("7"), Profile("7", T0))
    take(store, profile("7"), other)
    assert sorted(r["brand"] for r in rows(store, schema.client)) == ["alpha", "beta"]
    assert len(rows(store, schema.journal)) == 2


def test_a_failed_step_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.transaction("test") as connection:
            intake.take(connection, intake.prepare([profile("7")], base), T0)
            raise KeyError("half-way")

    with pytest.raises(KeyError):
        fail()
    assert rows(store, schema.client) == []
    take(store, profile("7"))
    assert one(store, schema.client)["external_id"] == "7"


def test_texts_of_every_kind_survive(store: Store) -> None:
    name = 'Zoë O\'Brien \\ "quoted" \t 李 🦊 \n NULL'
    take(store, profile("7", first_name=name, campaign="\\N"))
    found = one(store, schema.client)
    assert (found["first_name"], found["campaign"]) == (name, "\\N")


def pages(rng: Random) -> Iterator[list[Record]]:
    """As vendors send them: most go on, some are of what was, some of both, some of two sources."""
    newest = 100
    statuses = [PaymentStatus.CREATED, PaymentStatus.FAILED, PaymentStatus.SUCCEEDED]
    for n in range(40):
        first = newest if rng.random() < 0.6 else rng.randrange(100, newest + 1)
        numbers = range(first, first + rng.randrange(1, 9), rng.choice((1, 1, 2)))
        newest = max(newest, *numbers) + 1
        found = [
            replace(
                payment(f"C{rng.randrange(6)}", rng.choice(statuses), T0 + n * MINUTE, str(number)),
                source=rng.choice(("psp", "psp", "psp", "other")) if n % 5 == 0 else "psp",
                raw=f"row {n}.{number}",
            )
            for number in numbers
        ]
        yield found + found[:1] if rng.random() < 0.2 else found


def test_a_page_of_news_is_taken_in_like_any_other(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing between its first and last id is known: so it is not asked record by record."""
    slow = Store(f"sqlite:///{tmp_path / 'slow.db'}")
    slow.migrate()
    news = {True: 0, False: 0}
    usual = intake._unheard_of

    def told(*args: Any) -> bool:
        found = usual(*args)
        news[found] += 1
        return found

    for here, judge in ((store, told), (slow, lambda *_: False)):
        monkeypatch.setattr(intake, "_unheard_of", judge)
        take(here, *[profile(f"C{n}") for n in range(4)])  # two are unknown, and wait
        touched(here)
        for page in pages(Random(7)):
            take(here, *page)
    assert min(news.values()) > 8, news
    tables = (schema.payment, schema.milestone, schema.journal, schema.journal_raw, schema.touched)
    for table in tables:
        kept = [{k: v for k, v in row.items() if k != "seq"} for row in rows(store, table)]
        other = [{k: v for k, v in row.items() if k != "seq"} for row in rows(slow, table)]
        assert sorted(map(str, kept)) == sorted(map(str, other)), table.name
    assert len(rows(store, schema.payment)) > 80
    slow.close()
