"""PaymentIQ's status codes and transaction types against the reference (kyc_psp §3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from mapping.errors import RecordError
from mapping.payloads import Movement, Payment
from tests.connectors.paymentiq_rig import PaymentIqRig
from tests.contracts.world import client


def row(**changes: Any) -> dict[str, Any]:
    """A card deposit; None takes a field away."""
    base = {
        "id": 193027,
        "merchantId": 1001,
        "merchantUserId": "1001",
        "txTypeInt": 108,
        "statusCode": "SUCCESS",
        "txAmount": "12.00 EUR",
        "created": "2026-03-02 10:00:00",
        "lastUpdated": "2026-03-02 10:05:00",
        **changes,
    }
    return {k: v for k, v in base.items() if v is not None}


@pytest.fixture(name="read")
def _read() -> Any:
    source = PaymentIqRig(client("1001")).source()

    def read(**changes: Any) -> Payment | Movement:
        payload = source.parse(row(**changes)).payload
        assert isinstance(payload, Payment | Movement)
        return payload

    return read


def span(*parts: int | tuple[int, int]) -> list[int]:
    """Codes, ranges included."""
    found: list[int] = []
    for part in parts:
        found += [part] if isinstance(part, int) else range(part[0], part[1] + 1)
    return found


DEPOSITS: dict[str, Iterable[int]] = {
    "succeeded": (0, 5, 6),
    "authorized": (3, 4, 7),
    "processing": span((50, 53), 60, 61, (200, 206), 250, 251),
    "created": (100,),
    "pending_customer": span((300, 306)),
    "manual_review": span((350, 356)),
    "needs_reconciliation": span((400, 413)),
    "failed": (500, 504, 519, 531, 564, 597, 603),
    "cancelled": (600, 601, 602),
}
WITHDRAWALS: dict[str, Iterable[int]] = {
    "paid": (0, 1, 2),
    "requested": (100, 351, 353, 356),
    "on_hold": (355,),
    "processing": span((50, 53), (200, 206), 250, 251, 304),
    "needs_reconciliation": span((400, 413)),
    "failed": (500, 504, 602, 603),
    "cancelled": (600,),
    "rejected": (601,),
}
DECLINES: dict[str, Iterable[int]] = {
    "none": (0, 100, 205, 305, 351, 400),
    "insufficient_funds": (504,),
    "card_expired": (531,),
    "card_invalid": (519, 532, 536, 540),
    "lost_stolen": (539,),
    "do_not_honor": (530,),
    "issuer_unavailable": (538,),
    "authentication_3ds": span(550, 551, (553, 555), 582, 587, 589, 596),
    "fraud_suspected": (503, 534, 543, 571, 579),
    "limit_exceeded": (521, 526, 528, 546),
    "kyc_required": (564, 565, 566, 588, 595),
    "restricted_country_or_bin": (511, 541, 561, 562, 567, 578, 581),
    "psp_unavailable": (501, 512, 523, 574, 575),
    "merchant_config": (508, 520, 522, 524, 525, 572, 573),
    "account_blocked": (505, 515, 516, 517, 547),
    "timeout": (568,),
    "currency_not_supported": (570,),
    "user_cancelled": (600,),
    "other": (500, 502, 506, 507, 518, 603),
}
CASES = [
    *(("deposit", s, c) for s, codes in DEPOSITS.items() for c in codes),
    *(("withdrawal", s, c) for s, codes in WITHDRAWALS.items() for c in codes),
]


@pytest.mark.parametrize(("direction", "status", "code"), CASES)
def test_the_status_of_a_code(read: Any, direction: str, status: str, code: int) -> None:
    kind = {"deposit": "CreditcardDeposit", "withdrawal": "BankWithdrawal"}[direction]
    found = read(statusCode=code, txType=kind)
    assert (found.direction, found.status) == (direction, status)


@pytest.mark.parametrize(
    ("category", "code"), [(k, c) for k, codes in DECLINES.items() for c in codes]
)
def test_the_decline_category_of_a_code(read: Any, category: str, code: int) -> None:
    found = read(statusCode=str(code), txType="BankWithdrawal" if code == 351 else None)
    assert found.decline == category
    assert bool(found.decline_code) == (category != "none")


def test_exactly_these_codes_mean_that_kyc_blocks(read: Any) -> None:
    every = [0, 3, *range(50, 54), 60, 61, 100, *range(200, 207), 250, 251, *range(300, 307)]
    every += [350, *range(400, 414), 500, 504, *range(560, 598), 600, 601, 602, 603]
    blocked = {c for c in every if read(statusCode=c).kyc_blocked}
    assert blocked == {205, 305, 564, 565, 566, 588, 595}


def test_two_codes_of_one_name_are_told_apart_by_the_state(read: Any) -> None:
    assert (
        read(statusCode="ERR_IO_EXCEPTION", state="INCONSISTENT").status == "needs_reconciliation"
    )
    assert read(statusCode="ERR_IO_EXCEPTION", state="FAILED").status == "failed"


def test_reprocessing_is_a_state_of_the_fallback_codes(read: Any) -> None:
    assert read(statusCode=250, state="REPROCESSING").status == "processing"


@pytest.mark.parametrize(
    "changes",
    [
        {"statusCode": "ERR_BRAND_NEW"},
        {"statusCode": 999},
        {"statusCode": None},
        {"state": "DREAMING"},
        {"state": "FAILED", "statusCode": "SUCCESS"},
        {"statusCode": 1},
        {"statusCode": 350, "txType": "BankWithdrawal"},
        {"txTypeInt": 555},
        {"txTypeInt": None},
        {"txTypeInt": 108, "txType": "Mystery"},
    ],
)
def test_an_unknown_type_or_status_is_set_aside(read: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match=r"unknown|contradicts|not known"):
        read(**changes)


def test_the_admin_says_what_an_unknown_code_or_type_means() -> None:
    source = PaymentIqRig(client("1001")).source(
        statuses={
            "ERR_BRAND_NEW": {"deposit": "failed", "decline": "timeout"},
            "601": {"deposit": "failed", "withdrawal": "failed", "decline": "other"},
        },
        types={"555": {"effect": "withdrawal", "method": "bank"}, "Mystery": {"effect": "deposit"}},
        methods={"Skrill": "e_wallet"},
    )

    def read(**changes: Any) -> Payment:
        payload = source.parse(row(**changes)).payload
        assert isinstance(payload, Payment)
        return payload

    assert read(statusCode="ERR_BRAND_NEW", state="FAILED").decline == "timeout"
    assert read(statusCode="ERR_CANCELLED_BY_MERCHANT", txTypeInt=555).status == "failed"
    assert read(txTypeInt=555).method == "bank"
    assert read(txType="Mystery").direction == "deposit"
    assert read(txType="SkrillWithdrawal").method == "e_wallet"


@pytest.mark.parametrize(
    ("changes", "direction", "method"),
    [
        ({"txTypeInt": 101}, "deposit", "card"),
        ({"txTypeInt": 108}, "deposit", "card"),
        ({"txTypeInt": "108"}, "deposit", "card"),
        ({"txTypeInt": 555, "txType": "BankDeposit"}, "deposit", "bank"),
        ({"txTypeInt": 101, "txType": "SkrillWithdrawal"}, "withdrawal", "skrill"),
        ({"txTypeInt": None, "txType": "CreditcardWithdrawal"}, "withdrawal", "card"),
        ({"txTypeInt": None, "txName": "BankTransferDeposit"}, "deposit", "bank_transfer"),
        ({"txTypeInt": None, "txType": "BankIBANDeposit"}, "deposit", "bank_iban"),
        ({"txTypeInt": None, "txType": "EWalletDeposit"}, "deposit", "e_wallet"),
    ],
)
def test_the_name_decides_direction_and_method(
    read: Any, changes: dict[str, Any], direction: str, method: str
) -> None:
    found = read(**changes)
    assert (found.direction, found.method) == (direction, method)
