"""A fake Cellxpert admin API over the world: login, registration report, partners, payments.

The vendor publishes no reference. Recorded (what several brokers' programs send and read): the one
address and its commands, form and header of the login, the switches that add columns, M/D/YYYY, the
three shapes of an answer, the empty body, the plain text, the columns of a registration. Assumed:
from how many rows on which shape is used, inclusive ends of a window, the lifetime of a token, the
texts of fraudStatus, the columns afp, Landing_Page and Device, the partner list's columns other
than AffiliateID, AffiliateName and Status, the payment list's Status.

Events: ``attributed`` and ``reattributed`` (affiliate, sub_id, campaign, landing_page, country,
device), ``payout_accrued`` (affiliate, plan, amount, currency), ``payout_disputed`` (affiliate,
plan, amount, currency), ``fraud_flagged`` (kind), ``fraud_cleared``. A client is registered when
it is first attributed.
"""

from __future__ import annotations

import csv
import hmac
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from simulator.story import Client, Event, World, ordered
from simulator.vendor import Listing
from simulator.wire import Request, Response

_TOKEN_LIVES_S = 1800
_LINK_LIVES_S = 300
_PLAN_COLUMNS = {
    "cpa": "CPA_Commission",
    "cpl": "CPL_Commission",
    "revshare": "Revshare_Commission",
    "sub_affiliate": "Sub_Affiliate_Commissions",
    "other": "Other_Commissions",
}
_FRAUD_TEXTS = {"duplicate_account": "Duplicate", "bonus_abuse": "Bonus abuse"}
_LIST_KEYS = {"processregreport": "Registrations", "browseaffiliatesjson": "ManageAffiliatesData"}


@dataclass(frozen=True, slots=True)
class FakePartner:
    """An affiliate of the tenant."""

    id: str
    name: str
    plan: str = ""
    status: str = "Approved"
    country: str = ""


class CellxpertFake(Listing):
    """The tenant of one brand.

    Args:
        partners: the partner list.
        wrap_from: from how many rows on an answer is an object around its list.
        link_from: from how many rows on it is a link to a file.
        download_base: scheme and host of the links; blank: the API's own, by the Host it is asked.
        download_format: what the files are, ``json`` or ``csv``.
        listed: whether the caller's address is on the tenant's list.
        client_prefix: stands before each client's id (``AL-``).
        zone: of the dates.
        end_included: whether a window holds its last day.
        token_lives_s: after that a token is refused.
        latency_s: what each answer takes, on the world's clock.
    """

    def __init__(
        self,
        world: World,
        brand_id: str,
        admin_url: str,
        user: str,
        password: str,
        *,
        partners: Sequence[FakePartner] = (),
        wrap_from: int = 20,
        link_from: int = 500,
        download_base: str = "",
        download_format: str = "csv",
        listed: bool = True,
        client_prefix: str = "",
        zone: str = "UTC",
        end_included: bool = True,
        token_lives_s: float = _TOKEN_LIVES_S,
        latency_s: float = 0.05,
    ) -> None:
        super().__init__(world, latency_s)
        self.brand_id = brand_id
        self.admin_url = admin_url
        self.user = user
        self.password = password
        self.partners = list(partners)
        self.wrap_from = wrap_from
        self.link_from = link_from
        self.download_base = download_base
        self.download_format = download_format
        self.listed = listed
        self.client_prefix = client_prefix
        self.end_included = end_included
        self.token_lives_s = token_lives_s
        self.edits: dict[str, dict[str, Any]] = {}
        """User_ID -> columns laid over its row, None takes the column away (tests break rows)."""
        self._zone = ZoneInfo(zone)
        self._tokens: dict[str, int] = {}
        self._files: dict[str, tuple[int, bytes, str]] = {}  # by target
        self._registered: dict[str, int] = {}

    def _answer(self, request: Request) -> Response:
        if request.path.startswith("/reports/"):
            return self.faults.padded(self._file(request))
        query = {key: values[-1] for key, values in parse_qs(request.query).items()}
        command = query.get("command", "")
        if request.path != "/":
            return Response(404, b"Not Found")
        if command == "authenticate":
            return self.faults.padded(self._login(request))
        if not self.listed:
            return _text("Access denied. IP 203.0.113.7 is not whitelisted")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        ends_ms = self._tokens.get(token, 0) if scheme.lower() == "bearer" else 0
        named = request.headers.get("admin_url") == self.admin_url
        if self.world.now_ms >= ends_ms or not named:
            return Response.json(401, {"error": "Unauthorized"})
        return self.faults.padded(self._report(request, command, query))

    def revoke(self) -> None:
        """Forget every token given out."""
        self._tokens.clear()

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every row of the registration report shown at the moment, by User_ID."""
        self._fold()
        shown = (self._row(self.world.clients[key]) for key in self._registered)
        return {row["User_ID"]: self._edited(row) for row in shown}

    def _login(self, request: Request) -> Response:
        form = {k: v[-1] for k, v in parse_qs(request.body.decode()).items()}
        kind = request.headers.get("content-type", "")
        if request.method != "POST" or kind != "application/x-www-form-urlencoded":
            return Response.json(400, {"error": "Bad request"})
        given = f"{form.get('user')}\n{form.get('pass')}\n{form.get('url')}"
        wanted = f"{self.user}\n{self.password}\n{self.admin_url}"
        same = hmac.compare_digest(given.encode(), wanted.encode())
        if not same or request.headers.get("admin_url") != self.admin_url:
            return Response.json(401, {"error": "Invalid credentials"})
        token = f"token-{self.brand_id}-{self.calls}"
        self._tokens[token] = self.world.now_ms + round(self.token_lives_s * 1000)
        return Response.json(200, {"token": token})

    def _report(self, request: Request, command: str, query: Mapping[str, str]) -> Response:
        if request.method != "GET" or query.get("json") != "1":
            return _text("Bad request")
        if command == "browseaffiliatesjson":
            wanted = query.get("status", "")
            found = [_partner_row(p) for p in self.partners if wanted in ("", p.status)]
            return self._shaped(request, command, found)
        try:
            first, last = _day(query["startDate"]), _day(query["endDate"])
            if not self.end_included:
                last -= timedelta(days=1)
        except (KeyError, ValueError):
            return _text("Bad request")
        self._fold()
        if command == "processregreport" and query.get("daterange") == "registrationdate":
            return self._shaped(request, command, list(self._registrations(first, last, query)))
        if command == "paymentsReportJSON":
            return self._shaped(request, command, list(self._payments(first, last)))
        return _text("Unknown command")

    def _registrations(
        self, first: date, last: date, query: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        hidden = {
            "Tracking_Code": query.get("TrackingCode"),
            "Qualification_Date": query.get("QualificationDate"),
        }
        gone = [column for column, switch in hidden.items() if switch != "true"]
        for key, registered in self._registered.items():
            if first <= self._local(registered).date() <= last:
                row = self._edited(self._row(self.world.clients[key]))
                yield {k: v for k, v in row.items() if k not in gone}

    def _payments(self, first: date, last: date) -> Iterator[dict[str, Any]]:
        """Payments to partners: no column names a client."""
        for client in self.world.clients.values():
            for event in client.visible(self.world.story_ms):
                if client.brand != self.brand_id or event.name != "payout_disputed":
                    continue
                if first <= self._local(event.at).date() <= last:
                    yield {
                        "created": self._stamp(event.at),
                        "Affiliate_Id": str(event.data["affiliate"]),
                        "Commission_Type": str(event.data.get("plan", "")),
                        "amount": str(event.data.get("amount", "0")),
                        "Status": "Disputed",
                    }

    def _shaped(self, request: Request, command: str, rows: list[dict[str, Any]]) -> Response:
        if not rows:
            return Response(200)
        wrapped = {_LIST_KEYS.get(command, "data"): rows}
        if len(rows) < self.link_from:
            return Response.json(200, rows if len(rows) < self.wrap_from else wrapped)
        if self.download_format == "csv":
            body, kind = _csv(rows), "text/csv"
        else:
            body, kind = Response.json(200, wrapped).body, "application/json"
        name = f"{command}-{self.calls}.{self.download_format}"
        target = f"/reports/{name}?X-Amz-Credential=a%2Fb&X-Amz-Signature=c%2B{self.calls}%3D"
        self._files[target] = (self.world.now_ms + _LINK_LIVES_S * 1000, body, kind)
        base = self.download_base or f"https://{request.headers.get('host', '')}"
        return Response.json(200, {"s3": True, "url": base + target})

    def _file(self, request: Request) -> Response:
        """As object stores do: a second proof beside the signature is an error (documented)."""
        ends_ms, body, kind = self._files.get(request.target, (0, b"", ""))
        if {"authorization", "admin_url"} & set(request.headers):
            return Response(400, b"<Error><Code>InvalidArgument</Code></Error>")
        if self.world.now_ms >= ends_ms:
            return Response(403, b"<Error><Code>AccessDenied</Code></Error>")
        return Response(200, body, {"content-type": kind})

    def _row(self, client: Client) -> dict[str, Any]:
        """The client's row after what is visible of it."""
        events = ordered(client.visible(self.world.story_ms))
        places = [e for e in events if e.name in ("attributed", "reattributed")]
        facts: dict[str, Any] = {}
        for event in places:
            facts.update(event.data)
        affiliate = str(facts.get("affiliate", ""))
        amounts = _amounts(events, affiliate)
        qualified = [e for e in events if e.name == "payout_accrued" and e.data["plan"] == "cpa"]
        return {
            "User_ID": f"{self.client_prefix}{client.id}",
            # A name is shown, as the vendor does, to see that nobody keeps it.
            "Customer_Name": f"Name of {client.id}",
            "Registration_Date": self._stamp(self._registered[client.key]),
            "Country": str(facts.get("country", "")),
            "Status": "Active",
            "Affiliate_ID": affiliate,
            "Tracking_Code": str(facts.get("campaign", "")),
            "afp": str(facts.get("sub_id", "")),
            "Landing_Page": str(facts.get("landing_page", "")),
            "Device": str(facts.get("device", "")),
            "Qualification_Date": self._stamp(qualified[0].at) if qualified else "",
            "Commissions": _plain(sum(amounts.values(), Decimal(0))),
            **{column: _plain(amounts[plan]) for plan, column in _PLAN_COLUMNS.items()},
            "fraudStatus": _fraud(events),
        }

    def _edited(self, row: dict[str, Any]) -> dict[str, Any]:
        edits = self.edits.get(row["User_ID"])
        if edits is None:
            return row
        return {k: v for k, v in {**row, **edits}.items() if v is not None}

    def _forget(self) -> None:
        self._registered.clear()

    def _take(self, client: Client, event: Event) -> None:
        if client.brand == self.brand_id and event.name in ("attributed", "reattributed"):
            self._registered.setdefault(client.key, event.at)

    def _local(self, ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, UTC).astimezone(self._zone)

    def _stamp(self, ms: int) -> str:
        at = self._local(ms)
        return f"{at.month}/{at.day}/{at.year}"


def _amounts(events: Sequence[Event], affiliate: str) -> dict[str, Decimal]:
    sums = dict.fromkeys(_PLAN_COLUMNS, Decimal(0))
    for event in events:
        if event.name == "payout_accrued" and str(event.data["affiliate"]) == affiliate:
            sums[str(event.data["plan"])] += Decimal(str(event.data["amount"]))
    return sums


def _fraud(events: Sequence[Event]) -> str:
    told = [e for e in events if e.name in ("fraud_flagged", "fraud_cleared")]
    if not told:
        return ""
    if told[-1].name == "fraud_cleared":
        return "Cleared"
    return _FRAUD_TEXTS.get(str(told[-1].data.get("kind", "")), "Suspected")


def _partner_row(partner: FakePartner) -> dict[str, Any]:
    return {
        "AffiliateID": partner.id,
        "AffiliateName": partner.name,
        "Status": partner.status,
        "Commission_Plan": partner.plan,
        "Country": partner.country,
        "Email": f"partner{partner.id}@example.com",
    }


def _plain(amount: Decimal) -> str:
    return f"{amount:,f}"


def _day(text: str) -> date:
    """A day such as ``3/14/2026``; a padded one is refused, as nobody is known to send it."""
    month, day, year = text.split("/")
    if month.startswith("0") or day.startswith("0"):
        raise ValueError(text)
    return date(int(year), int(month), int(day))


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    # With the mark of its encoding, as files for spreadsheets have it.
    return b"\xef\xbb\xbf" + out.getvalue().encode(errors="backslashreplace")


def _text(text: str) -> Response:
    return Response(200, text.encode(), {"content-type": "text/plain"})
