"""A row of PaymentIQ's transaction list as a payment or a movement.

Field names READ (Admin API documentation, copy of April 2023). Amounts are texts with the currency
glued on ("12.00 EUR"); their sign tells the direction again and is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from functools import lru_cache
from typing import Any

from connectors.base import as_json
from connectors.instants import instant
from connectors.paymentiq.settings import Effect, PaymentIqSettings, TxType
from connectors.paymentiq.tables import Code, Tables
from mapping.errors import RecordError
from mapping.money import Money
from mapping.payloads import Movement, Payment
from mapping.records import Record, Ref, check_text
from mapping.words import DeclineCategory, Direction, MovementStatus, MovementType, PaymentStatus

# The row was handed to a fallback PSP: a further attempt (READ).
_FALLBACK = (250, 251)
_ENDED = ("FAILED", "CANCELLED", "INCONSISTENT")
_NO_COUNTRY = "ZZZ"
_RANK = {
    PaymentStatus.CREATED: 1,
    PaymentStatus.REQUESTED: 1,
    PaymentStatus.PENDING_CUSTOMER: 1,
    PaymentStatus.PROCESSING: 2,
    PaymentStatus.ON_HOLD: 3,
    PaymentStatus.MANUAL_REVIEW: 3,
    PaymentStatus.AUTHORIZED: 3,
    PaymentStatus.NEEDS_RECONCILIATION: 3,
    PaymentStatus.SUCCEEDED: 5,
    PaymentStatus.PAID: 5,
}
_MOVEMENT_RANK = {MovementStatus.PENDING: 1, MovementStatus.FAILED: 4, MovementStatus.SUCCEEDED: 5}
_FINAL_RANK = 4
# Named once: reading a member of an enumeration costs more than all else a clean field needs.
_DEPOSIT, _WITHDRAWAL = Effect.DEPOSIT, Effect.WITHDRAWAL
_IN, _OUT = Direction.DEPOSIT, Direction.WITHDRAWAL
_IGNORED, _NOT_DECLINED = Effect.IGNORED, DeclineCategory.NONE


class RowReader:
    """Reads rows of one connection.

    Args:
        brands: merchant id -> brand.
        zone: of the row's dates.
    """

    def __init__(
        self, source: str, settings: PaymentIqSettings, brands: Mapping[int, str], zone: tzinfo
    ) -> None:
        self._source = source
        self._brands = brands
        self._zone = zone
        self._tables = Tables(settings)
        self._psps = settings.psps

    def kind(self, row: object) -> TxType:
        """What kind of transaction the row is.

        Raises:
            RecordError: an unknown type, or not even an object.
        """
        if not isinstance(row, dict):
            raise RecordError(f"the row should be an object, found {type(row).__name__}")
        # The list documents txTypeInt alone; other answers of the vendor name the type (assumed).
        name = _text(row, "txType", 100) or _text(row, "txName", 100)
        return self._tables.type(_text(row, "txTypeInt", 20), name)

    def record(self, row: Mapping[str, Any], kind: TxType, now_ms: int) -> Record:
        """The record of a row whose type is ``kind``.

        Raises:
            RecordError: a field is missing, malformed or absurd, or a code is unknown.
        """
        effect = kind.effect
        if effect is _IGNORED:
            raise RecordError("transactions of this type are ignored (setting types)")
        external_id = _text(row, "id", 40)
        if not external_id:
            raise RecordError("field 'id' is missing")
        client_id = _text(row, "merchantUserId", 200)
        if not client_id:
            raise RecordError("payment without a client id (field 'merchantUserId')")
        updated = instant(row.get("lastUpdated"), "lastUpdated", now_ms, self._zone)
        state = _text(row, "state", 100)
        code = self._tables.code(_text(row, "statusCode", 100), state)
        payload: Payment | Movement
        if effect is _DEPOSIT or effect is _WITHDRAWAL:
            payload = self._payment(row, kind, code, updated, now_ms)
            rank = _RANK.get(payload.status, _FINAL_RANK)
        else:
            payload = _movement(row, effect, code, updated)
            rank = _MOVEMENT_RANK[payload.status]
        return Record(
            source=self._source,
            brand=self._brand(row),
            external_id=external_id,
            version_at=updated,
            ref=Ref(client_id),
            payload=payload,
            rank=rank,
            raw=as_json(row),
        )

    def _brand(self, row: Mapping[str, Any]) -> str:
        merchant = row.get("merchantId")
        try:
            return self._brands[int(merchant)]  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError):
            known = ", ".join(str(m) for m in self._brands)
            raise RecordError(
                f"field 'merchantId' is {str(merchant)[:40]!r}, which has no brand; known are"
                f" {known} (setting merchants)"
            ) from None

    def _payment(
        self, row: Mapping[str, Any], kind: TxType, code: Code, updated: int, now_ms: int
    ) -> Payment:
        direction = _IN if kind.effect is _DEPOSIT else _OUT
        opened = instant(row.get("created"), "created", now_ms, self._zone)
        if opened > updated:
            raise RecordError("field 'created' is later than 'lastUpdated'")
        failed = code.decline is not _NOT_DECLINED
        # The row keeps the first PSP tried, so a fallback stays visible after it succeeded.
        first, psp = row.get("initiatedPspId"), row.get("pspId")
        fell_back = first is not None and psp is not None and first != psp
        return Payment(
            direction=direction,
            status=code.status(direction),
            amount=_money(row, "txAmount"),
            opened_at=opened,
            status_at=updated,
            attempt=2 if fell_back or code.number in _FALLBACK else 1,
            base=_money_if_any(row, "txAmountBase"),
            # The PSP's fee in the merchant's base currency needs no rate of ours.
            fee=_money_if_any(row, "pspFeeBase") or _money_if_any(row, "pspFee"),
            method=kind.method,
            psp=self._psp(row, psp),
            decline_code=code.name if failed else "",
            decline=code.decline,
            kyc_blocked=code.kyc_blocked,
            vendor_status=code.name,
            country=_country(row),
        )

    def _psp(self, row: Mapping[str, Any], number: object) -> str:
        if isinstance(number, int) and number in self._psps:
            return self._psps[number]
        return _text(row, "pspAccount", 100) or _text(row, "pspId", 100)


def _movement(row: Mapping[str, Any], effect: Effect, code: Code, updated: int) -> Movement:
    payment_id = _text(row, "originTxId", 40)
    if not payment_id:
        raise RecordError("field 'originTxId' (the payment it belongs to) is missing")
    done = code.deposit is PaymentStatus.SUCCEEDED or code.withdrawal is PaymentStatus.PAID
    status = MovementStatus.PENDING
    if done:
        status = MovementStatus.SUCCEEDED
    elif code.state in _ENDED:
        status = MovementStatus.FAILED
    movement = MovementType.REFUND
    if effect is Effect.DISPUTE_FILED:
        movement = MovementType.CHARGEBACK_OPENED
    elif effect is Effect.DISPUTE_RESOLVED:
        # Assumed: a resolution that was not successful is a dispute lost, and that is a fact.
        movement = MovementType.CHARGEBACK_WON if done else MovementType.CHARGEBACK_LOST
        if status is MovementStatus.FAILED:
            status = MovementStatus.SUCCEEDED
    return Movement(
        movement=movement,
        status=status,
        payment_id=payment_id,
        amount=_money(row, "txAmount"),
        at=updated,
        base=_money_if_any(row, "txAmountBase"),
    )


def _money(row: Mapping[str, Any], key: str) -> Money:
    money = _money_if_any(row, key)
    if money is None:
        raise RecordError(f"field {key!r} is missing")
    return money


def _money_if_any(row: Mapping[str, Any], key: str) -> Money | None:
    text = row.get(key)
    if text is None or text == "":
        return None
    if not isinstance(text, str) or len(text) > 60:
        raise RecordError(f"field {key!r} should be a text such as '12.00 EUR'")
    try:
        return _money_of(text)
    except RecordError as error:
        raise RecordError(f"field {key!r}: {error.admin}") from None


@lru_cache(maxsize=1_000)
def _money_of(text: str) -> Money:
    """The absolute amount of ``12.00 EUR`` (cached: a row repeats its amounts, rows their fees)."""
    amount, space, currency = text.partition(" ")
    if not space:
        raise RecordError("it should hold amount and currency ('12.00 EUR')")
    money = Money.parse(amount, currency)
    return money if money.minor >= 0 else Money(-money.minor, money.currency)


def _text(row: Mapping[str, Any], key: str, most: int) -> str:
    """:func:`check_text`, with a short way for what clean rows hold (rows are many)."""
    value = row.get(key)
    if value is None:
        return ""
    if type(value) is str and len(value) <= most and value.isprintable():
        return value.strip()
    if type(value) is int and len(text := str(value)) <= most:
        return text
    return check_text(row, key, most=most)


def _country(row: Mapping[str, Any]) -> str:
    """The issuer's country, else that of the address (ISO 3166 alpha-3 as sent)."""
    issuer = _text(row, "issuerCountry", 3)
    return issuer if issuer and issuer != _NO_COUNTRY else _text(row, "ipCountry", 3)
