"""PaymentIQ's public samples: a row of the list, the token, every status code; and the messages of
the Integration API and the cashier, which are no rows of the list."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.paymentiq.source import PAYMENTS, TOKEN
from mapping.errors import RecordError
from mapping.money import Money
from mapping.payloads import Payment
from mapping.records import Record, Ref
from mapping.words import Direction, PaymentStatus
from simulator.wire import Request, Response
from tests.connectors import samples
from tests.connectors.paymentiq_rig import PaymentIqRig
from tests.connectors.test_paymentiq_codes import row
from tests.contracts.world import at, client

ROW, ACCESS, CODES = "admin-search-transaction-1.json", "oauth-token-1.json", "status-codes.json"
SHOWN = "front-status-1.json"
# What PaymentIQ asks of the broker's own platform, and what that answers: not for the hub.
ASKED = ("authorize-1.json", "cancel-1.json", "notification-1.json", "transfer-1.json")
OTHERS = (
    "authorize-2.json", "cancel-2.json", "notification-2.json", "transfer-2.json",
    "lookupuser-1.json", "lookupuser-2.json", "verifyuser-1.json", "verifyuser-2.json",
)  # fmt: skip

# Reference §3.1: the status of a deposit and of a withdrawal by state, and the codes that say more.
STATES: dict[str, tuple[str, str]] = {
    "SUCCESSFUL": ("succeeded", "paid"),
    "REGISTERED": ("created", "requested"),
    "PROCESSING": ("processing", "processing"),
    "WAITING_INPUT": ("pending_customer", "pending_customer"),
    "WAITING_APPROVAL": ("manual_review", "requested"),
    "INCONSISTENT": ("needs_reconciliation", "needs_reconciliation"),
    "FAILED": ("failed", "failed"),
    "CANCELLED": ("cancelled", "cancelled"),
}
MORE: dict[int, tuple[str, str]] = {
    **dict.fromkeys((3, 4, 7), ("authorized", "")),
    **dict.fromkeys((50, 51, 52, 53, 60, 61), ("processing", "processing")),
    **dict.fromkeys((303, 304, 306), ("pending_customer", "processing")),
    355: ("manual_review", "on_hold"),
    601: ("cancelled", "rejected"),
    602: ("cancelled", "failed"),
    603: ("failed", "failed"),
}
# Names of one direction; in the other one they are set aside.
OF_WITHDRAWALS, OF_DEPOSITS = (1, 2), (3, 4, 5, 6, 7, 350, 352, 354)


def expected(record: Record) -> None:
    """The sample row, read off by hand; its ``amountAbs`` is of another payment and is not read."""
    assert (record.external_id, record.ref, record.brand) == ("193027", Ref("TEST_USER"), "alpha")
    assert record.version_at == at("2021-04-27 14:10:40")
    twelve = Money(1200, "EUR")
    assert record.payload == Payment(
        direction=Direction.DEPOSIT,
        status=PaymentStatus.SUCCEEDED,
        amount=twelve,
        opened_at=at("2021-04-27 14:10:38"),
        status_at=at("2021-04-27 14:10:40"),
        base=twelve,
        fee=Money(100, "EUR"),
        method="card",
        psp="3DS",
        vendor_status="SUCCESS",
        country="MLT",  # the issuer's is ZZZ: unknown
    )


def test_no_sample_is_left_out() -> None:
    assert samples.names("paymentiq") == {ROW, ACCESS, CODES, SHOWN, *ASKED, *OTHERS}


def test_a_row_of_the_list_is_a_payment() -> None:
    source = PaymentIqRig(client("1001")).source(merchant_id=1980)
    expected(source.parse(samples.load(f"paymentiq/{ROW}")))


def test_a_pull_with_the_sampled_token_reads_the_sampled_row() -> None:
    token, listed = samples.raw(f"paymentiq/{ACCESS}"), samples.raw(f"paymentiq/{ROW}")
    rig = PaymentIqRig(client("1001"))

    def vendor(request: Request) -> Response:
        return Response(200, token if request.path == TOKEN else b"[" + listed + b"]")

    rig.transport.fake = vendor
    source = rig.source(merchant_id=1980, window_days=366)
    (page,) = source.pull(None)
    assert page.rejects == []
    (record,) = page.records
    expected(record)
    assert rig.transport.requests[1].path == PAYMENTS
    assert rig.transport.requests[1].headers["authorization"] == "Bearer REDACTED"
    # It lives 7200 s; a minute before its end another one is fetched.
    for wait_s, fetched in ((7139, 1), (1, 2)):
        rig.world.advance(wait_s)
        source.check()
        assert [r.path for r in rig.transport.requests].count(TOKEN) == fetched
    source.close()


@pytest.mark.parametrize("name", ASKED)
def test_the_types_that_messages_name_are_card_deposits(name: str) -> None:
    message = samples.load(f"paymentiq/{name}")
    source = PaymentIqRig(client("1001")).source()
    for named in ({"txName": message["txName"]}, {"txTypeInt": message["txTypeId"]}):
        payment = source.parse(row(txTypeInt=None) | named).payload
        assert isinstance(payment, Payment)
        assert (payment.direction, payment.method) == (Direction.DEPOSIT, "card")


@pytest.mark.parametrize("name", [*ASKED, *OTHERS, SHOWN, ACCESS])
def test_what_is_no_row_of_the_list_is_no_payment(name: str) -> None:
    source = PaymentIqRig(client("1001")).source()
    with pytest.raises(RecordError):
        source.parse(samples.load(f"paymentiq/{name}"))


def test_the_status_that_the_cashier_shows_is_one_of_the_table() -> None:
    shown = samples.load(f"paymentiq/{SHOWN}")
    source = PaymentIqRig(client("1001")).source()
    found = source.parse(row(statusCode=shown["statusCode"], state=shown["txState"])).payload
    assert isinstance(found, Payment)
    assert (found.status, found.vendor_status) == (PaymentStatus.SUCCEEDED, "SUCCESS")


@pytest.mark.parametrize("direction", [Direction.DEPOSIT, Direction.WITHDRAWAL])
def test_every_code_has_the_status_of_its_state_or_its_own(direction: Direction) -> None:
    codes = samples.load(f"paymentiq/{CODES}")
    assert len(codes) == 145
    source = PaymentIqRig(client("1001")).source()
    deposit = direction is Direction.DEPOSIT
    kind = "BankDeposit" if deposit else "BankWithdrawal"
    for code in codes:
        number, state = code["code"], code["state"]
        status = MORE.get(number, STATES[state])[0 if deposit else 1]
        for written in (number, str(number), code["status"]):
            raw: dict[str, Any] = row(statusCode=written, state=state, txType=kind)
            if number in (OF_WITHDRAWALS if deposit else OF_DEPOSITS):
                with pytest.raises(RecordError, match="is not known for a"):
                    source.parse(raw)
                continue
            found = source.parse(raw).payload
            assert isinstance(found, Payment)
            assert (found.status, found.vendor_status) == (status, code["status"]), code
