"""PaymentIQ rows out of the story's payment events.

Field names: documented. Numbers of transaction types other than 101, 108 and 97x: assumed, so those
rows carry the type's name, as other answers of the vendor do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from simulator.story import Brand, Client, Event

DEPOSITS: Mapping[str, tuple[str, str]] = {
    "deposit_attempted": ("REGISTERED", "REGISTERED"),
    "deposit_pending": ("WAITING_3D_SECURE", "WAITING_INPUT"),
    "deposit_review": ("WAITING_DEPOSIT_APPROVAL", "WAITING_APPROVAL"),
    "deposit_authorized": ("SUCCESS_WAITING_CAPTURE", "SUCCESSFUL"),
    "deposit_failed": ("ERR_DECLINED_OTHER_REASON", "FAILED"),
    "deposit_cancelled": ("ERR_CANCELLED_BY_USER", "CANCELLED"),
    "deposit_succeeded": ("SUCCESS", "SUCCESSFUL"),
}
WITHDRAWALS: Mapping[str, tuple[str, str]] = {
    "withdrawal_requested": ("WAITING_WITHDRAWAL_APPROVAL", "WAITING_APPROVAL"),
    "withdrawal_approved": ("PROCESSING_PROVIDER", "PROCESSING"),
    "withdrawal_rejected": ("ERR_CANCELLED_BY_MERCHANT", "CANCELLED"),
    "withdrawal_paid": ("SUCCESS_WITHDRAWAL_APPROVAL", "SUCCESSFUL"),
    "withdrawal_cancelled": ("ERR_CANCELLED_BY_USER", "CANCELLED"),
}
# Type name, type number (0: none documented), status, state.
CHILDREN: Mapping[str, tuple[str, int, str, str]] = {
    "refunded": ("Refund", 0, "SUCCESS", "SUCCESSFUL"),
    "chargeback_opened": ("", 971, "SUCCESS", "SUCCESSFUL"),
    "chargeback_won": ("", 972, "SUCCESS", "SUCCESSFUL"),
    "chargeback_lost": ("", 972, "ERR_CANCELLED_BY_MERCHANT", "CANCELLED"),
}
_DECLINES = {
    "insufficient_funds": "ERR_DECLINED_NO_FUNDS",
    "do_not_honor": "ERR_DECLINED_BANK_REFUSAL",
    "card_expired": "ERR_DECLINED_CARD_EXPIRED",
    "card_invalid": "ERR_DECLINED_CVV_FAIL",
    "lost_stolen": "ERR_DECLINED_LOST_OR_STOLEN",
    "authentication_3ds": "ERR_DECLINED_3D_VALIDATION_FAILED",
    "fraud_suspected": "ERR_DECLINED_FRAUD",
    "limit_exceeded": "ERR_ABOVE_LIMIT",
    "kyc_required": "ERR_DECLINED_KYC_BLOCK",
    "restricted_country_or_bin": "ERR_DECLINED_BIN_BLOCKED",
    "currency_not_supported": "ERR_DECLINED_CURRENCY_NOT_SUPPORTED",
    "psp_unavailable": "ERR_PSP_OUT_OF_SERVICE",
    "issuer_unavailable": "ERR_DECLINED_ISSUER_UNAVAILABLE",
    "merchant_config": "ERR_DECLINED_CONFIG_ERROR",
    "timeout": "ERR_DECLINED_EXPIRED",
    "account_blocked": "ERR_USER_ACCOUNT_BLOCKED",
}
_CARD_DEPOSITS = (101, 108)
_DIGITS_MOST = 15


def payment_row(client: Client, events: Sequence[Event], brand: Brand) -> dict[str, Any]:
    """The row of one payment after ``events`` (in order of happening, at least one)."""
    last = events[-1]
    facts: dict[str, Any] = {}
    for event in events:
        facts.update(event.data)
    deposit = last.name in DEPOSITS
    status, state = (DEPOSITS if deposit else WITHDRAWALS)[last.name]
    if last.name == "deposit_failed":
        category = "kyc_required" if facts.get("kyc_blocked") else str(facts.get("decline", ""))
        status = _DECLINES.get(category, status)
    number = payment_number(client, str(facts["payment"]))
    currency = str(facts.get("currency", brand.base_currency))
    sign = "" if deposit else "-"
    psp = str(facts.get("psp", "Cardix"))
    row: dict[str, Any] = {
        "id": number,
        "merchantId": brand.merchant_id,
        "merchantUserId": client.id,
        "merchantTxId": f"m-{number}",
        **_type(str(facts.get("method", "card")), deposit=deposit, number=number),
        "state": state,
        "statusCode": str(last.data.get("status_code", status)),
        "pspId": _psp_number(psp),
        "initiatedPspId": _psp_number(str(facts.get("first_psp", psp))),
        "pspAccount": psp,
        "txAmount": f"{sign}{facts.get('amount', '0')} {currency}",
        "issuerCountry": str(facts.get("country", "ZZZ")),
        "created": _stamp(events[0].at),
        "lastUpdated": _stamp(last.at),
    }
    if currency == brand.base_currency:
        row["txAmountBase"] = row["txAmount"]
    if facts.get("fee") is not None:
        row["pspFee"] = f"{facts['fee']} {facts.get('fee_currency', currency)}"
    return row


def child_row(
    client: Client, event: Event, number: int, parent: Mapping[str, Any], brand: Brand
) -> dict[str, Any]:
    """The row of a refund or dispute step, the ``number``-th of its kind on its payment."""
    name, type_number, status, state = CHILDREN[event.name]
    data = event.data
    payment = str(data["payment"])
    own_id = str(data.get("id", "")) or f"{payment}:{event.name}:{number}"
    amount = str(parent.get("txAmount", ""))
    if "amount" in data:
        known = amount.partition(" ")[2] or brand.base_currency
        amount = f"{data['amount']} {data.get('currency', known)}"
    row: dict[str, Any] = {
        "id": payment_number(client, own_id),
        "originTxId": payment_number(client, payment),
        "merchantId": brand.merchant_id,
        "merchantUserId": client.id,
        "state": str(data.get("state", state)),
        "statusCode": str(data.get("status_code", status)),
        "txAmount": amount,
        "created": _stamp(event.at),
        "lastUpdated": _stamp(event.at),
    }
    if type_number:
        row["txTypeInt"] = type_number
    else:
        row["txType"] = name
    if amount.endswith(f" {brand.base_currency}"):
        row["txAmountBase"] = amount
    return row


def payment_number(client: Client, payment: str) -> int:
    """The vendor's number of a payment: the story's own if it is one, else derived from it."""
    if payment.isascii() and payment.isdigit() and len(payment) <= _DIGITS_MOST:
        return int(payment)
    digest = hashlib.blake2b(f"{client.key}:{payment}".encode(), digest_size=6).digest()
    return 10**15 + int.from_bytes(digest, "big")


def _type(method: str, *, deposit: bool, number: int) -> dict[str, Any]:
    suffix = "Deposit" if deposit else "Withdrawal"
    if method == "card":
        if deposit:
            return {"txTypeInt": _CARD_DEPOSITS[number % 2]}
        return {"txType": f"Creditcard{suffix}"}
    return {"txType": "".join(w.capitalize() for w in method.split("_")) + suffix}


def _psp_number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=2).digest(), "big")


def _stamp(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
