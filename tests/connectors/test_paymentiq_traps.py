"""PaymentIQ's traps (reference kyc_psp §1 and §3.1), one test each."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from connectors.base import Context
from connectors.http import TokenAuth
from connectors.paymentiq.source import PaymentIqSource
from mapping.errors import ConfigError, ProtocolError, RecordError
from mapping.money import Money
from mapping.payloads import Movement, Payment
from simulator.story import Event
from simulator.wire import Response
from tests.connectors.paymentiq_rig import PaymentIqRig
from tests.connectors.test_paymentiq_codes import row
from tests.contracts.source import of
from tests.contracts.world import at, client, event


def payment(**changes: Any) -> Payment:
    """A row's payment."""
    found = PaymentIqRig(client("1001")).source().parse(row(**changes)).payload
    assert isinstance(found, Payment)
    return found


def movement(**changes: Any) -> Movement:
    """A row's movement."""
    found = PaymentIqRig(client("1001")).source().parse(row(originTxId=7, **changes)).payload
    assert isinstance(found, Movement)
    return found


@pytest.mark.parametrize(
    ("text", "minor", "currency"),
    [
        ("12.00 EUR", 1200, "EUR"),
        ("-12.00 EUR", 1200, "EUR"),
        ("1000 JPY", 1000, "JPY"),
        ("1000.00 JPY", 1000, "JPY"),
        ("50.125 KWD", 50125, "KWD"),
        ("0.10 USD", 10, "USD"),
        ("90071992547.93 USD", 9007199254793, "USD"),
    ],
)
def test_amounts_with_the_currency_glued_on_are_exact(text: str, minor: int, currency: str) -> None:
    assert payment(txAmount=text).amount == Money(minor, currency)


@pytest.mark.parametrize(
    "amount",
    [
        "12.00 XXZ",
        "12.005 EUR",
        "12.00",
        "EUR 12.00",
        "twelve EUR",
        "",
        12.0,
        "NaN EUR",
        "1e400 EUR",
    ],
)
def test_a_bad_amount_or_currency_is_set_aside(amount: object) -> None:
    with pytest.raises(RecordError, match="txAmount"):
        payment(txAmount=amount)


@pytest.mark.parametrize("missing", [None, "", "   "])
def test_a_payment_without_a_client_is_set_aside(missing: object) -> None:
    with pytest.raises(RecordError, match="payment without a client id"):
        payment(merchantUserId=missing)


@pytest.mark.parametrize(
    "changes",
    [
        {"created": "0001-01-01 00:00:00"},
        {"lastUpdated": "2031-01-01 00:00:00"},
        {"lastUpdated": None},
        {"created": "2026-03-02 10:05:01"},
        {"merchantId": 4711},
        {"id": None},
        {"merchantUserId": "a\x00b"},
        {"merchantUserId": "a" * 201},
    ],
)
def test_an_absurd_row_is_set_aside(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        payment(**changes)


def test_dates_are_read_in_the_configured_zone() -> None:
    utc = payment()
    assert (utc.opened_at, utc.status_at) == (at("2026-03-02 10:00"), at("2026-03-02 10:05"))
    source = PaymentIqRig(client("1001")).source(zone="Europe/Nicosia")
    found = source.parse(row()).payload
    assert isinstance(found, Payment)
    assert found.opened_at == at("2026-03-02 08:00")


def test_base_amount_and_fee_prefer_the_merchants_base_currency() -> None:
    found = payment(txAmountBase="13.20 USD", pspFee="0.50 EUR", pspFeeBase="0.55 USD")
    assert (found.base, found.fee) == (Money(1320, "USD"), Money(55, "USD"))
    plain = payment(pspFee="0.50 EUR")
    assert (plain.base, plain.fee) == (None, Money(50, "EUR"))


def test_a_fallback_psp_is_a_further_attempt_also_once_it_succeeded() -> None:
    assert payment().attempt == 1
    assert payment(initiatedPspId=9, pspId=9).attempt == 1
    assert payment(statusCode=250).attempt == 2
    assert payment(statusCode="REPROCESSING_MERCHANT").attempt == 2
    assert payment(initiatedPspId=9, pspId=12).attempt == 2


def test_the_newer_of_two_versions_of_one_second_is_the_more_final() -> None:
    source = PaymentIqRig(client("1001")).source()
    codes = (100, 200, 350, 504, 0)  # created, processing, review, failed, succeeded
    ranks = [source.parse(row(statusCode=code)).rank for code in codes]
    assert ranks == sorted(set(ranks))


@pytest.mark.parametrize("name", ["Refund", "ManualRefund", "Reversal"])
def test_refunds_hang_on_their_payment_and_only_succeeded_ones_count(name: str) -> None:
    found = movement(txTypeInt=None, txType=name, txAmount="-5.00 EUR")
    assert (found.movement, found.payment_id) == ("refund", "7")
    assert (found.amount, found.status) == (Money(500, "EUR"), "succeeded")
    assert found.at == at("2026-03-02 10:05")
    # An operator that does not answer leaves many failed duplicates of one reversal.
    assert movement(txType=name, statusCode=500).status == "failed"
    assert movement(txType=name, statusCode=200).status == "pending"
    with pytest.raises(RecordError, match="originTxId"):
        PaymentIqRig(client("1001")).source().parse(row(txType=name))


@pytest.mark.parametrize(
    ("number", "code", "step", "status"),
    [
        (971, 0, "chargeback_opened", "succeeded"),
        (971, 200, "chargeback_opened", "pending"),
        (971, 500, "chargeback_opened", "failed"),
        (972, 0, "chargeback_won", "succeeded"),
        (972, 601, "chargeback_lost", "succeeded"),
        (972, 500, "chargeback_lost", "succeeded"),
        (972, 200, "chargeback_lost", "pending"),
    ],
)
def test_disputes(number: int, code: int, step: str, status: str) -> None:
    found = movement(txTypeInt=number, statusCode=code)
    assert (found.movement, found.status) == (step, status)


def test_a_notification_is_neither_a_record_nor_set_aside() -> None:
    rig = PaymentIqRig(client("1001", event("2026-03-02 10:00", "deposit_succeeded", payment="1")))
    rig.fake.edits["1"] = {"txTypeInt": 970}
    (page,) = rig.source(window_days=366).pull(None)
    assert (page.records, page.rejects) == ([], [])


def test_a_row_that_is_no_object_is_set_aside() -> None:
    rig = PaymentIqRig()
    handle = rig.transport.fake

    def spoiled(request: Any) -> Response:
        answer = handle(request)
        return answer if answer.body[:1] != b"[" else Response(200, b'["x",null]')

    rig.transport.fake = spoiled
    pages = list(rig.source().pull(None))
    assert [r.reason for r in pages[0].rejects] == [
        "the row should be an object, found str",
        "the row should be an object, found NoneType",
    ]


def late(n: int, when: str) -> Event:
    """A payment opened on the 2nd that changes at ``when``."""
    return event(when, "deposit_succeeded", payment=str(n))


def test_rows_that_leave_the_window_while_it_is_paged_hide_no_others() -> None:
    # Forty payments of one hour; while the first page is read, some of them change.
    opened = [
        event(f"2026-03-19 10:{n:02}", "deposit_attempted", payment=str(n)) for n in range(40)
    ]
    for gone in (1, 3, 30):
        changes = [late(n, "2026-03-20 00:30") for n in range(gone)]
        rig = PaymentIqRig(client("1001", *opened, *changes))
        pull = rig.source(start_at="2026-03-19T00:00:00Z").pull(None)
        pages = [next(pull)]
        rig.world.advance(3600)
        pages += pull
        found = {r.external_id for r in of(pages)}
        assert found >= {str(n) for n in range(gone, 40)}, f"{gone} rows left"
        again = rig.source().pull(pages[-1].cursor)
        assert found | {r.external_id for r in of(list(again))} == rig.truth()


def test_resuming_in_a_window_that_rows_have_left_since() -> None:
    opened = [
        event(f"2026-03-19 10:{n:02}", "deposit_attempted", payment=str(n)) for n in range(40)
    ]
    changes = [late(n, "2026-03-20 00:30") for n in range(12)]
    rig = PaymentIqRig(client("1001", *opened, *changes))
    first = next(rig.source(start_at="2026-03-19T00:00:00Z").pull(None))
    rig.world.advance(86_400)
    rest = list(rig.source().pull(first.cursor))
    assert {r.external_id for r in of([first, *rest])} == rig.truth()


def test_a_vendor_that_ignores_the_offset_is_named() -> None:
    rig = PaymentIqRig()
    handle = rig.transport.fake

    def stuck(request: Any) -> Response:
        body = handle(request)
        if body.body[:1] != b"[":
            return body
        ids = ",".join(f'{{"id":{n}}}' for n in range(8))
        return Response(200, f"[{ids}]".encode())

    rig.transport.fake = stuck
    with pytest.raises(ProtocolError, match=r"psp-main.*offset"):
        list(rig.source().pull(None))


def test_a_long_history_is_cut_into_windows_and_the_next_pull_overlaps() -> None:
    rig = PaymentIqRig()
    source = rig.source(page_size=1000)
    pages = list(source.pull(None))
    targets = [r.target for r in rig.transport.requests if "payments" in r.target]
    assert len(targets) == 4  # 25 February to 20 March in weeks
    assert all("offset=0" in t and "descOrder=false" in t for t in targets)
    assert "txLastUpdatedDateFrom=2026-02-25%2000%3A00%3A00" in targets[0]
    assert "txLastUpdatedDateTo=2026-03-04%2000%3A00%3A00" in targets[0]
    rig.world.advance(3600)
    list(source.pull(pages[-1].cursor))
    assert "txLastUpdatedDateFrom=2026-03-19%2023%3A55%3A00" in rig.transport.requests[-1].target


def test_the_token_is_kept_until_shortly_before_it_expires() -> None:
    rig = PaymentIqRig()
    source = rig.source()

    def tokens() -> int:
        source.check()
        return sum(r.method == "POST" for r in rig.transport.requests)

    assert [tokens(), tokens()] == [1, 1]
    rig.world.advance(7_000)
    assert tokens() == 1
    rig.world.advance(150)
    assert tokens() == 2


def test_a_revoked_token_is_fetched_again_once() -> None:
    rig = PaymentIqRig()
    source = rig.source()
    source.check()
    rig.fake.revoke()
    source.check()
    assert sum(r.method == "POST" for r in rig.transport.requests) == 2
    rig.fake.client_secret = "rotated"
    rig.fake.revoke()
    with pytest.raises(ConfigError, match="client_secret"):
        source.check()


def test_another_merchant_needs_an_admin() -> None:
    with pytest.raises(ConfigError, match="merchant_id"):
        PaymentIqRig().source(merchant_id=4711).check()


def test_the_merchants_brand_is_unambiguous() -> None:
    rig = PaymentIqRig()
    settings = rig.source().settings
    both = Context("psp", {"alpha": "UTC", "beta": "UTC"}, rig.clock)
    with pytest.raises(ConfigError, match="merchants"):
        PaymentIqSource(settings, both)
    with pytest.raises(ConfigError, match="gamma"):
        PaymentIqSource(settings.model_copy(update={"merchants": {1001: "gamma"}}), both)
    mapped = settings.model_copy(update={"merchants": {1001: "alpha", 1002: "beta"}})
    source = PaymentIqSource(mapped, both)
    assert source.parse(row(merchantId=1002)).brand == "beta"
    source.close()


def test_rows_under_a_key_are_found_by_the_setting() -> None:
    rig = PaymentIqRig()
    handle = rig.transport.fake

    def wrapped(request: Any) -> Response:
        body = handle(request).body
        return Response(200, body if body[:1] != b"[" else b'{"result":' + body + b"}")

    rig.transport.fake = wrapped
    assert {
        r.external_id for r in of(list(rig.source(list_key="result").pull(None)))
    } == rig.truth()


def test_a_token_without_lifetime_is_not_trusted_for_ever() -> None:
    rig = PaymentIqRig()
    lives = iter([30.0, 30.0])  # shorter than the slack: fetched for every request
    auth = TokenAuth(lambda: ("t", next(lives)), rig.clock)
    for _ in range(2):
        auth.sign(httpx.Request("GET", "https://x.example/"), b"/", b"")
    assert list(lives) == []
