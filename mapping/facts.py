"""The fact catalogue: what is known of a client, one typed column each, declared as data.

``view`` names a row source that :mod:`state.facts_sql` builds for the touched clients; ``where``
names yes/no columns of that view that must all hold; ``pick`` is how the rows become one value:
``count``, ``distinct``, ``any``, ``sum`` (blank as soon as one row is blank), ``min``, ``max``,
``latest`` (``column@time``), or ``one`` for what is one a client.
Meanings: docs/decisions/0002-meaning.md and 0015-meaning-of-all-sources.md.
"""

from __future__ import annotations

from mapping import facts_more
from mapping.fact import FactDef, define
from mapping.rules import Fact, FactType
from mapping.words import DeclineCategory, Disposition, KycStatus, ReasonCategory

_T, _C, _M, _B = FactType.TIME, FactType.COUNT, FactType.MONEY, FactType.BOOL
_X, _E = FactType.TEXT, FactType.ENUM


def _values(
    enum: type[DeclineCategory | Disposition | KycStatus | ReasonCategory],
) -> tuple[str, ...]:
    return tuple(member.value for member in enum)


def _registry() -> list[FactDef]:
    def column(name: str, type_: FactType, help_: str, default: int | str | None) -> FactDef:
        return define(name, type_, "registry", ("client", "one", name), help_, default=default)

    return [
        column("registered_at", _T, "when the client registered", 0),
        define(
            "disposition",
            _E,
            "registry",
            ("client", "one", "disposition"),
            "whether the broker still deals with the client",
            default="open",
            values=_values(Disposition),
        ),
        column("disposition_at", _T, "when the disposition became what it is", None),
        column("email_verified", _B, "the client proved the e-mail address", 0),
        column("entity", _X, "regulatory entity", ""),
        column("country", _X, "ISO country code", ""),
        column("language", _X, "language code", ""),
        column("zone", _X, "time zone", ""),
        column("device", _X, "device at registration", ""),
        column("landing_page", _X, "first page seen", ""),
        column("source_type", _X, "where the client came from", ""),
        column("campaign", _X, "campaign of the first touch", ""),
    ]


def _kyc() -> list[FactDef]:
    def one(
        name: str,
        column: str,
        type_: FactType,
        help_: str,
        default: int | str | None = None,
        values: tuple[str, ...] = (),
        where: tuple[str, ...] = (),
    ) -> FactDef:
        source = ("kyc", "max", column, ("current", *where))
        return define(name, type_, "kyc", source, help_, default=default, values=values)

    return [
        one(
            "kyc_status",
            "status",
            _E,
            "where verification stands",
            "not_started",
            _values(KycStatus),
        ),
        one("kyc_attempt", "attempt", _C, "number of the current attempt", 0),
        one("kyc_started_at", "started_at", _T, "when the case was created"),
        one("kyc_step_at", "step_at", _T, "first step of the current attempt"),
        one("kyc_status_at", "status_at", _T, "when the current status was reached"),
        one(
            "kyc_approved_at",
            "status_at",
            _T,
            "when KYC was approved, while it is",
            where=("approved",),
        ),
        one(
            "kyc_rejection_reason",
            "reason",
            _E,
            "why KYC is rejected, while it is",
            "none",
            _values(ReasonCategory),
            ("rejected",),
        ),
        one(
            "kyc_reason_code",
            "reason_code",
            _X,
            "the provider's own reason",
            "",
            where=("rejected",),
        ),
        one("kyc_gap", "gap", _X, "the document or step that is missing", "", where=("rejected",)),
        one(
            "kyc_client_text",
            "client_text",
            _X,
            "what the client was told",
            "",
            where=("rejected",),
        ),
    ]


def _psp(
    name: str,
    type_: FactType,
    source: tuple[str, str, str, tuple[str, ...]],
    help_: str,
    default: int | str | None = None,
    values: tuple[str, ...] = (),
) -> FactDef:
    return define(name, type_, "psp", source, help_, default=default, values=values)


def _attempts() -> list[FactDef]:
    last = ("last_ended",)
    return [
        _psp(
            "deposit_attempts", _C, ("deposit", "count", "", ()), "deposit attempts of any kind", 0
        ),
        _psp(
            "last_attempt_opened_at",
            _T,
            ("deposit", "max", "opened_at", ()),
            "latest deposit attempt",
        ),
        _psp("first_attempt_at", _T, ("deposit", "min", "opened_at", ()), "first deposit attempt"),
        _psp(
            "last_attempt_outcome",
            _E,
            ("deposit", "max", "outcome", last),
            "how the attempt with the latest outcome ended",
            "none",
            ("none", "succeeded", "failed"),
        ),
        _psp("last_attempt_ended_at", _T, ("deposit", "max", "ended_at", last), "when it ended"),
        _psp(
            "last_attempt_abandoned",
            _B,
            ("deposit", "max", "abandoned", last),
            "it never had an outcome",
            0,
        ),
        _psp("last_attempt_method", _X, ("deposit", "max", "method", last), "its method", ""),
        _psp("last_attempt_psp", _X, ("deposit", "max", "psp", last), "its PSP", ""),
        _psp("last_attempt_amount", _X, ("deposit", "max", "amount_text", last), "its amount", ""),
        _psp(
            "last_attempt_decline",
            _E,
            ("deposit", "max", "decline", last),
            "why it failed",
            "none",
            _values(DeclineCategory),
        ),
        _psp(
            "last_attempt_kyc_blocked",
            _B,
            ("deposit", "max", "kyc_blocked", last),
            "it failed because the client is not verified",
            0,
        ),
        _psp(
            "failed_attempts", _C, ("deposit", "count", "", ("failed",)), "attempts that failed", 0
        ),
    ]


def _deposits() -> list[FactDef]:
    first = ("counted", "counted_first")
    return [
        _psp("deposits", _C, ("deposit", "count", "", ("counted",)), "counted deposits", 0),
        _psp(
            "first_deposit_at",
            _T,
            ("deposit", "min", "status_at", ("counted",)),
            "first counted deposit",
        ),
        _psp("first_deposit_method", _X, ("deposit", "max", "method", first), "its method", ""),
        _psp(
            "second_deposit_at",
            _T,
            ("deposit", "min", "status_at", ("counted", "counted_later")),
            "second counted deposit",
        ),
        _psp(
            "last_deposit_at",
            _T,
            ("deposit", "max", "status_at", ("counted",)),
            "latest counted deposit",
        ),
        _psp(
            "total_deposits",
            _M,
            ("deposit", "sum", "net_base", ("counted",)),
            "counted deposits less partial refunds, base currency",
        ),
    ]


def _withdrawals() -> list[FactDef]:
    return [
        _psp("withdrawals", _C, ("withdrawal", "count", "", ()), "withdrawals requested", 0),
        _psp(
            "withdrawals_open",
            _C,
            ("withdrawal", "count", "", ("open",)),
            "withdrawals not settled",
            0,
        ),
        _psp(
            "last_withdrawal_at",
            _T,
            ("withdrawal", "max", "opened_at", ()),
            "request of the latest withdrawal",
        ),
        _psp(
            "last_withdrawal_settled_at",
            _T,
            ("withdrawal", "max", "settled_at", ()),
            "latest settling of a withdrawal",
        ),
        _psp(
            "first_withdrawal_at",
            _T,
            ("withdrawal", "min", "opened_at", ()),
            "request of the first withdrawal",
        ),
        _psp(
            "first_withdrawal_settled_at",
            _T,
            ("withdrawal", "max", "settled_at", ("first_requested",)),
            "when it was settled",
        ),
        _psp(
            "first_withdrawal_status",
            _X,
            ("withdrawal", "max", "status", ("first_requested",)),
            "where it stands",
            "",
        ),
        _psp(
            "first_withdrawal_amount",
            _X,
            ("withdrawal", "max", "amount_text", ("first_requested",)),
            "its amount",
            "",
        ),
        _psp(
            "first_withdrawal_method",
            _X,
            ("withdrawal", "max", "method", ("first_requested",)),
            "its payout method",
            "",
        ),
        _psp(
            "last_withdrawal_paid_at",
            _T,
            ("withdrawal", "max", "settled_at", ("paid",)),
            "latest withdrawal paid",
        ),
        _psp(
            "total_withdrawals",
            _M,
            ("withdrawal", "sum", "base_minor", ("paid",)),
            "withdrawals paid, base currency",
        ),
    ]


def _charges() -> list[FactDef]:
    return [
        _psp("payment_fees", _M, ("fee", "sum", "base_minor", ()), "PSP fees, base currency"),
        _psp(
            "refunds_chargebacks",
            _M,
            ("taken", "sum", "base_minor", ()),
            "refunds and disputes not won, base currency",
        ),
        _psp(
            "disputes_amount",
            _M,
            ("dispute", "sum", "base_minor", ("standing",)),
            "disputes not won, base currency",
        ),
        _psp("chargebacks", _C, ("dispute", "count", "", ("standing",)), "disputes not won", 0),
        _psp("chargebacks_open", _C, ("dispute", "count", "", ("open",)), "disputes open", 0),
        _psp(
            "chargeback_open_at",
            _T,
            ("dispute", "min", "opened_at", ("open",)),
            "the earliest open dispute",
        ),
    ]


CATALOGUE: tuple[FactDef, ...] = (
    *_registry(),
    *_kyc(),
    *_attempts(),
    *_deposits(),
    *_withdrawals(),
    *_charges(),
    *facts_more.trading(),
    *facts_more.ledger(),
    *facts_more.affiliates(),
    *facts_more.risk(),
    *facts_more.helpdesk(),
    *facts_more.meaningful(),
)
FACTS: dict[str, Fact] = {d.name: d.fact for d in CATALOGUE}
ABANDONED_AFTER_MS = 30 * 60_000
FAMILIES: list[str] = sorted({d.fact.family for d in CATALOGUE})
"""Every family of sources that some fact reads."""
