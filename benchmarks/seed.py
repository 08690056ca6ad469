"""Synthetic brokers' data, made fast from a fixed seed. No vendor and no HTTP is involved.

Client ``i`` is the same whatever the number of clients, so that databases of different sizes hold
the same first clients. Shapes are taken from reference/engine.md §1: skewed (about half of the
clients never pay, a few pay often), about 6 payments a client on average.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from mapping.payloads import KycCase, Profile
from mapping.records import Record, Ref
from mapping.words import KycStatus, ReasonCategory

SEED = 20_260_301
NOW_MS = 1_772_323_200_000  # 2026-03-01T00:00:00Z: the day the hub is installed
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
BRANDS = {"alpha": ("Europe/Nicosia", "EUR", 101), "beta": ("Europe/London", "USD", 202)}
MATES_EVERY = 100  # one client in so many shares its e-mail with another of the brand

_FIRST = ("Anna", "Jürgen", "Олена", "Siân", "Ngọc", "Omar", "María", "Zoë", "محمد", "Liv")
_LAST = ("O'Brien", "Müller", "Коваль", "García", "Nguyễn", "Haddad", "Smith", "Öztürk", "Rossi")
_COUNTRIES = ("CY", "GB", "DE", "ES", "VN", "UA", "AE", "BR")
_SOURCES = ("organic", "paid_search", "affiliate", "referral", "call_request", "social")
_METHODS = ("Creditcard", "BankIban", "Skrill", "Neteller")
_STATUSES = (
    *[("SUCCESS", "SUCCESSFUL")] * 12,
    *[("ERR_DECLINED_NO_FUNDS", "FAILED")] * 5,
    *[("ERR_DECLINED_BANK_REFUSAL", "FAILED")] * 2,
    ("REGISTERED", "REGISTERED"),
)
_KYC = (
    *[KycStatus.APPROVED] * 9,
    *[KycStatus.STARTED] * 4,
    *[KycStatus.IN_REVIEW] * 2,
    *[KycStatus.REJECTED_RETRY] * 2,
    KycStatus.REJECTED_FINAL,
)


@dataclass(frozen=True, slots=True)
class Broker:
    """``contacts`` clients with an e-mail of their own, and some more who share one of these."""

    contacts: int
    mates: bool = True

    @property
    def clients(self) -> int:
        """All clients."""
        return self.contacts + (self.contacts // MATES_EVERY if self.mates else 0)

    def indexes(self, brand: str | None = None, first: int = 0) -> Iterator[int]:
        """The clients of a brand, those who share an e-mail last."""
        for i in range(first, self.clients):
            if brand is None or self.brand(i) == brand:
                yield i

    def brand(self, i: int) -> str:
        """Two brands, 3 : 2."""
        return "alpha" if self._address(i) % 5 < 3 else "beta"

    def _address(self, i: int) -> int:
        return i if i < self.contacts else (i - self.contacts) * MATES_EVERY

    def profile(self, i: int, version: int = 0) -> Record:
        """A client's row of the registry; another ``version`` has another telephone number."""
        rng = random(i, 1)
        began = registered(i)
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        country = rng.choice(_COUNTRIES)
        payload = Profile(
            client_id=client_id(i),
            registered_at=began,
            entity="CySEC",
            email=f"client{self._address(i)}@example.com",
            email_verified=rng.random() < 0.7,
            first_name=first,
            last_name=f"{last} {i}",
            phone=f"+357{25_000_000 + i}{version or ''}",
            country=country,
            language=country.lower(),
            zone="Europe/Nicosia",
            device=rng.choice(("mobile", "desktop")),
            landing_page=f"https://broker.example/start/{rng.randrange(40)}",
            source_type=rng.choice(_SOURCES),
            campaign=f"campaign-{rng.randrange(300)}",
            consents="email:yes;phone:yes",
        )
        at = began + HOUR_MS if not version else NOW_MS + version * HOUR_MS
        return Record("registry", self.brand(i), payload.client_id, at, Ref(client_id(i)), payload)

    def kyc(self, i: int) -> Record | None:
        """A client's verification case; about half of the clients have one."""
        rng = random(i, 2)
        if rng.random() < 0.48:
            return None
        began = registered(i) + rng.randrange(1, 48) * HOUR_MS
        status = rng.choice(_KYC)
        rejected = status in (KycStatus.REJECTED_RETRY, KycStatus.REJECTED_FINAL)
        payload = KycCase(
            status=status,
            attempt=1,
            started_at=began,
            step_at=began + HOUR_MS,
            status_at=None,
            level="basic-kyc",
            reason=ReasonCategory.DOCUMENT_QUALITY if rejected else ReasonCategory.NONE,
            reason_code="BAD_PROOF_OF_IDENTITY" if rejected else "",
            gap="identity document" if rejected else "",
            client_text="Please send a sharper photograph" if rejected else "",
        )
        brand, at = self.brand(i), min(began + rng.randrange(1, 72) * HOUR_MS, NOW_MS)
        raw = json.dumps({"id": f"a{i}", "externalUserId": client_id(i), "review": {"n": i}})
        return Record(
            f"sumsub-{brand}", brand, f"a{i}", at, Ref(client_id(i)), payload, polled=True, raw=raw
        )

    def payments(self, i: int) -> Iterator[dict[str, Any]]:
        """A client's rows in PaymentIQ's transaction list."""
        rng = random(i, 3)
        if rng.random() < 0.45:
            return
        _, base, merchant = BRANDS[self.brand(i)]
        began = registered(i)
        for n in range(1 + int(rng.expovariate(1 / 9.4))):
            at = began + int((NOW_MS - began) * rng.random())
            yield _payment(rng, i, n, at, base, merchant)


def registered(i: int) -> int:
    """When client ``i`` registered."""
    return NOW_MS - DAY_MS - (i * 7_919 % 400_000) * DAY_MS // 1000


def client_id(i: int) -> str:
    """The broker's id of client ``i``."""
    return f"C{i:07d}"


def random(i: int, part: int) -> Random:
    """Chance for one part of a client's data: the same in every run."""
    return Random((SEED + i) * 4 + part)


def _payment(rng: Random, i: int, n: int, at: int, base: str, merchant: int) -> dict[str, Any]:
    number = i * 10_000 + n + 1
    withdrawal = n > 1 and rng.random() < 0.12
    status, state = rng.choice(_STATUSES)
    if withdrawal:
        status, state = "SUCCESS_WITHDRAWAL_APPROVAL", "SUCCESSFUL"
    currency = base if rng.random() < 0.8 else rng.choice(("JPY", "KWD", "GBP"))
    digits = {"JPY": 0, "KWD": 3}.get(currency, 2)
    amount = f"{rng.randrange(20, 5000) + rng.randrange(100) / 100:.{digits}f} {currency}"
    suffix = "Withdrawal" if withdrawal else "Deposit"
    row = {
        "id": number,
        "merchantId": merchant,
        "merchantUserId": client_id(i),
        "merchantTxId": f"m-{number}",
        "txType": f"{rng.choice(_METHODS)}{suffix}",
        "state": state,
        "statusCode": status,
        "pspId": 7 + n % 3,
        "initiatedPspId": 7 + n % 3,
        "pspAccount": ("Cardix", "Bankly", "Walletto")[n % 3],
        "txAmount": f"-{amount}" if withdrawal else amount,
        "issuerCountry": rng.choice(("CYP", "GBR", "DEU")),
        "created": _stamp(at),
        "lastUpdated": _stamp(at + rng.randrange(1, 900) * 1000),
    }
    if currency == base:
        row["txAmountBase"] = row["txAmount"]
        row["pspFeeBase"] = f"0.{rng.randrange(10, 99)} {base}"
    return row


def _stamp(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
