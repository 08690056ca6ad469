"""The client card: twelve headed lines and a brief, for staff who see nothing but the CRM.

Both are made of the client's own facts, with absolute local times, so that they change only when
something they cite changes. What no source tells says "not connected", a blank "not known"; late
sources are named (:mod:`mapping.freshness`). What is behind the compliance wall
(:mod:`mapping.wall`) is in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mapping.brief import Briefs, OpenTask, Standing
from mapping.card_words import OFF, UNKNOWN, Amounts, said, told, why_failed, words
from mapping.freshness import NAMES
from mapping.local_times import local_times
from mapping.ruleset import RuleSet, Stage
from mapping.wall import HOLD, RISK_TEAMS, UNDER_REVIEW, held

Facts = Mapping[str, Any]
_Line = Callable[[Facts, bool], str]
LONGEST = 4000
"""Characters of a card at most: every text of a vendor is cut (HubSpot would take 65,536)."""
CITED = (
    "registered_at", "disposition", "country", "language", "zone", "device", "landing_page",
    "source_type", "campaign", "affiliate_id", "sub_id", "attributed_at", "attribution_conflict",
    "kyc_status", "kyc_status_at", "kyc_attempt", "kyc_rejection_reason", "kyc_gap",
    "kyc_client_text", "deposit_attempts", "failed_attempts", "deposits", "total_deposits",
    "first_deposit_at", "first_deposit_method", "second_deposit_at", "last_deposit_at",
    "last_attempt_opened_at", "last_attempt_outcome", "last_attempt_ended_at",
    "last_attempt_abandoned", "last_attempt_method", "last_attempt_psp", "last_attempt_amount",
    "last_attempt_decline", "withdrawals", "withdrawals_open", "total_withdrawals",
    "first_withdrawal_at", "first_withdrawal_amount", "first_withdrawal_method",
    "first_withdrawal_status", "first_withdrawal_settled_at", "last_withdrawal_at",
    "last_withdrawal_paid_at", "trading_accounts", "trading_days", "first_trade_at",
    "last_trade_at", "last_trade_group", "trading_revenue", "bonuses", "bonus_used",
    "last_bonus_at", "uncredited_at", "unpaid_credit_at", "partner_payouts", "payment_fees",
    "refunds_chargebacks", "chargebacks", "chargebacks_open", "open_risk_flags", "duplicate_flag",
    "possible_duplicates", "tickets", "tickets_open", "complaints_open", "last_ticket_at",
    "last_ticket_category",
)  # fmt: skip
"""Every fact that card, brief or wall look at."""


class Cards:
    """Makes the cards of a brand's clients.

    Args:
        zone: the brand's IANA zone; in it are all times.
        currency: the brand's base currency, with its ``digits``.
        late: family -> ms up to which it is complete, where that is worth naming.
        console: where the console is; blank if there is none.
    """

    def __init__(
        self, rules: RuleSet, zone: str, currency: str, digits: int,
        late: Mapping[str, int] | None = None, console: str = "",
    ) -> None:  # fmt: skip
        times = local_times(zone, UNKNOWN)
        self._at, self._day = times.at, times.day
        self._money = Amounts(currency, digits).shown
        self._console = console.rstrip("/")
        self._stages = {s.id: s for s in rules.stages}
        self._states = {s.id: s for s in rules.states}
        self._connected = rules.connected
        self._late = {f: self._complete(f, at) for f, at in sorted((late or {}).items())}
        self._briefs = Briefs(rules, self._at, "; ".join(self._late.values()))
        # In their order, but for those that are not of one family alone.
        self._lines = [
            self._line("Source", "registry", self._source),
            self._line("KYC", "kyc", self._kyc),
            self._line("Deposits", "psp", self._deposits),
            self._line("Withdrawals", "psp", self._withdrawals),
            self._line("Trading", "trading", self._trading),
            self._line("Campaigns", "registry", self._campaigns, named=False),
            self._line("Support", "helpdesk", self._support),
            self._line("Bonuses", "ledger", self._bonuses),
        ]

    def of(self, client: Standing) -> tuple[str, str]:
        """(card, brief) of a client."""
        stage = self._stages[client.stage]
        hold = client.with_held or held(client.facts, stage.team)
        task = None
        for one in client.tasks:
            if self._shown(one):
                task = one
                break
        brief = self._briefs.of(client, stage, task, hold=hold)
        return self._card(client, stage, task, hold), brief

    def _shown(self, task: OpenTask) -> bool:
        """Whether a task is not one of the risk team's, which is no one else's to know of."""
        state = self._states.get(task.state)
        return state is not None and state.owner not in RISK_TEAMS

    def _complete(self, family: str, until: int) -> str:
        return f"{NAMES.get(family, family)} complete up to {self._at(until)}"

    def _line(self, head: str, family: str, make: _Line, *, named: bool = True) -> _Line:
        """A line of one family of sources; what does not depend on the client is made once."""
        late, off = self._late.get(family), f"{head}: {OFF}"

        def not_connected(f: Facts, hold: bool) -> str:
            del f, hold
            return off

        def behind(f: Facts, hold: bool) -> str:
            line = make(f, hold)
            return line if line.endswith(HOLD) else f"{line}; {late}"

        if family not in self._connected:
            return not_connected
        return behind if late and named else make

    # --- the card ------------------------------------------------------------------------------

    def _card(
        self, client: Standing, stage: Stage, task: OpenTask | None, hold: bool
    ) -> str:  # fmt: skip
        f = client.facts
        source, *between, support, bonuses = [make(f, hold) for make in self._lines]
        lines = [
            source, self._sales(client.facts, stage, task), *between, support, bonuses,
            self._risk(f, hold), self._economics(f, hold), self._trail(client, stage),
        ]  # fmt: skip
        if self._console:
            lines.append(f"Full card: {self._console}/clients/{client.key}")
        text = "\n".join(lines)
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

    def _source(self, f: Facts, hold: bool) -> str:
        del hold
        if "affiliate" not in self._connected:
            partner = f"affiliate {OFF}"
        elif f["affiliate_id"]:
            conflict = ", another affiliate was named later" if f["attribution_conflict"] else ""
            partner = (
                f"affiliate {said(f['affiliate_id'])}, sub-id {said(f['sub_id'])}, "
                f"attributed {self._at(f['attributed_at'])}{conflict}"
            )
        else:
            partner = f"affiliate {UNKNOWN}"
        if late := self._late.get("affiliate"):
            partner = f"{partner}; {late}"
        return (
            f"Source: {said(f['source_type'])}, campaign {said(f['campaign'])}, "
            f"landing page {said(f['landing_page'])}, country {said(f['country'])}, "
            f"device {said(f['device'])}, registered {self._at(f['registered_at'])}; {partner}"
        )

    def _sales(self, f: Facts, stage: Stage, task: OpenTask | None) -> str:
        owned = "" if stage.team == UNDER_REVIEW else f"team {words(stage.team)}; "
        following = "no open task"
        if task is not None:
            action = self._states[task.state].action
            following = f"next task: {action}, due {self._at(task.due_at)}"
        return (
            f"Sales: {owned}{following}; language {said(f['language'])}, "
            f"time zone {said(f['zone'])}; last contact and call outcome {OFF}"
        )

    def _kyc(self, f: Facts, hold: bool) -> str:
        if hold:
            return f"KYC: {HOLD}"
        status = f["kyc_status"]
        if status == "not_started":
            return "KYC: not started"
        line = (
            f"KYC: {words(status)} since {self._at(f['kyc_status_at'])}, attempt {f['kyc_attempt']}"
        )
        reason = f["kyc_rejection_reason"]
        if reason == "none":
            return line
        return (
            f"{line}; reason {words(reason)}, missing or failed {said(f['kyc_gap'])}, "
            f"the client was told: {told(f['kyc_client_text'])}"
        )

    def _deposits(self, f: Facts, hold: bool) -> str:
        del hold
        if not f["deposit_attempts"]:
            return "Deposits: no attempt"
        line = (
            f"Deposits: attempts {f['deposit_attempts']} (failed {f['failed_attempts']}, "
            f"counted {f['deposits']}), total {self._money(f['total_deposits'])}"
        )
        first, second, last = f["first_deposit_at"], f["second_deposit_at"], f["last_deposit_at"]
        if first is not None:
            line += f"; first {self._at(first)} by {said(f['first_deposit_method'])}"
        if second is not None:
            line += f", second {self._at(second)}"
            if last is not None and last != second:
                line += f", latest {self._at(last)}"
        return f"{line}; {self._attempt(f)}"

    def _attempt(self, f: Facts) -> str:
        """The attempt that ended last, else the one that is open."""
        outcome = f["last_attempt_outcome"]
        if outcome == "none":
            return f"latest attempt {self._at(f['last_attempt_opened_at'])} without an outcome"
        what = (
            f"{said(f['last_attempt_amount'])} by {said(f['last_attempt_method'])} "
            f"through {said(f['last_attempt_psp'])}"
        )
        if outcome == "failed":
            what = f"{what}, {why_failed(f)}"
        return f"latest attempt {outcome} {self._at(f['last_attempt_ended_at'])}: {what}"

    def _withdrawals(self, f: Facts, hold: bool) -> str:
        if not f["withdrawals"]:
            return "Withdrawals: none requested"
        settled = f["first_withdrawal_settled_at"]
        # A review of the payout is not to be named while there is one of the client.
        status = "open" if hold and settled is None else words(f["first_withdrawal_status"])
        if settled is not None:
            status = f"{status} {self._at(settled)}"
        line = (
            f"Withdrawals: requested {f['withdrawals']} (open {f['withdrawals_open']}), "
            f"paid {self._money(f['total_withdrawals'])}; "
            f"first {self._at(f['first_withdrawal_at'])}: "
            f"{said(f['first_withdrawal_amount'])} by {said(f['first_withdrawal_method'])}, "
            f"{status}"
        )
        if f["last_withdrawal_at"] != f["first_withdrawal_at"]:
            line += f"; latest requested {self._at(f['last_withdrawal_at'])}"
        paid = f["last_withdrawal_paid_at"]
        return line if paid is None else f"{line}; latest paid {self._at(paid)}"

    def _trading(self, f: Facts, hold: bool) -> str:
        del hold
        first, last = f["first_trade_at"], f["last_trade_at"]
        if first is None or last is None:
            return f"Trading: no trade, accounts {f['trading_accounts']}"
        # Days, not times: who trades all day has one card a day.
        return (
            f"Trading: first {self._day(first)}, latest {self._day(last)} in "
            f"{said(f['last_trade_group'])}, trading days {f['trading_days']}, "
            f"accounts {f['trading_accounts']}"
        )

    def _campaigns(self, f: Facts, hold: bool) -> str:
        del hold
        return f"Campaigns: first touch {said(f['campaign'])}; messages, calls and offers {OFF}"

    def _support(self, f: Facts, hold: bool) -> str:
        del hold
        if not f["tickets"]:
            return "Support: no ticket"
        return (
            f"Support: tickets {f['tickets']} (open {f['tickets_open']}), "
            f"open complaints {f['complaints_open']}; latest {self._at(f['last_ticket_at'])} "
            f"about {said(f['last_ticket_category'])}"
        )

    def _bonuses(self, f: Facts, hold: bool) -> str:
        del hold
        if not f["bonuses"]:
            return "Bonuses: none granted"
        return (
            f"Bonuses: granted {f['bonuses']}, latest "
            f"{self._day(f['last_bonus_at'])}, "
            f"used {self._money(f['bonus_used'])}; terms and expiry {OFF}"
        )

    def _risk(self, f: Facts, hold: bool) -> str:
        if hold:
            return f"Risk: {HOLD}"
        disputes = f["chargebacks"] if "psp" in self._connected else OFF
        return f"Risk: no open review; chargebacks {disputes}"

    def _economics(self, f: Facts, hold: bool) -> str:
        on = self._connected
        parts = [
            f"trading revenue {self._money(f['trading_revenue']) if 'trading' in on else OFF}",
            f"payment fees {self._money(f['payment_fees']) if 'psp' in on else OFF}",
            f"bonuses {self._money(f['bonus_used']) if 'ledger' in on else OFF}",
            f"partner payouts {self._money(f['partner_payouts']) if 'affiliate' in on else OFF}",
            f"tickets {f['tickets'] if 'helpdesk' in on else OFF}",
        ]
        if not hold:
            back = self._money(f["refunds_chargebacks"]) if "psp" in on else OFF
            parts.append(f"refunds and chargebacks {back}")
        return f"Economics: {', '.join(parts)}"

    def _trail(self, client: Standing, stage: Stage) -> str:
        records = f"history and reasons: brokersync explain {client.key}"
        if stage.team == UNDER_REVIEW:
            return f"Trail: {records}"
        return f"Trail: {stage.id} {stage.label} since {self._at(client.since)}; {records}"
