"""Partners: each one of a brand with an affiliate platform is a company of the CRM.

A company is named ``brand:id`` by the partner's id on its platform. Everything in it is the hub's
but its name: once a person has edited that, it is the person's. Nothing is ever deleted.
"""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy.engine import Connection

from connectors.destination import MARK, CrmProperty, Option
from mapping.calendars import local_date
from mapping.words import PayoutPlan
from state import outbox, partners
from state.outbox import Desired
from state.partners import Known
from sync.hub import Hub

KEY = CrmProperty(
    "broker_partner_key", "Broker partner key", "string", unique=True,
    description=f"brand:id of the affiliate; the hub finds its companies by it. {MARK}",
)  # fmt: skip
NAME = "name"
"""The portal's own property."""
STEP = 2000
_FAMILY = "affiliate"
_PRIORITY = 4  # behind all that staff work with
_PLANS = tuple(Option(p.value, p.name if len(p) == 3 else p.capitalize()) for p in PayoutPlan)
_OWN = (
    CrmProperty("partner_id", "Partner id", "string", description=MARK),
    CrmProperty("partner_brand", "Partner of brand", "string", description=MARK),
    CrmProperty("partner_plan", "Partner plan", "enumeration", options=_PLANS, description=MARK),
    CrmProperty("partner_status", "Partner status", "string", description=MARK),
    CrmProperty("partner_country", "Partner country", "string", description=MARK),
    CrmProperty("partner_registered", "Partner since", "date", description=MARK),
)


def wanted(hub: Hub, destination: str) -> bool:
    """Whether a brand of the destination has an affiliate platform connected."""
    return any(
        _FAMILY in rules.connected and hub.brands[brand].destination == destination
        for brand, rules in hub.rules.items()
    )


def properties(hub: Hub) -> list[CrmProperty]:
    """The properties the hub keeps in companies, as they are named in the CRM."""
    return [
        CrmProperty(
            hub.property_name(p.name), p.label, p.type, options=p.options,
            description=p.description,
        )
        for p in _OWN
    ]  # fmt: skip


def want_companies(connection: Connection, hub: Hub, now: int) -> tuple[int, int]:
    """Work out the companies of some partners that were touched, for the CRM to have.

    Returns:
        How many were touched, and how many companies are to be written.
    """
    touched, known = partners.take(connection, STEP)
    companies: dict[str, list[Desired]] = defaultdict(list)
    for partner in known:
        rules = hub.rules.get(partner.brand)
        if rules is not None and _FAMILY in rules.connected:
            brand = hub.brands[partner.brand]
            body = company_body(hub, partner, brand.zone)
            key = f"{partner.brand}:{partner.partner}"
            companies[brand.destination].append(Desired("company", key, body, _PRIORITY))
    changed = sum(outbox.want(connection, n, rows, now) for n, rows in companies.items())
    return touched, changed


def company_body(hub: Hub, partner: Known, zone: str) -> dict[str, str]:
    """All properties of a company as canonical texts; without a name the key stands in."""
    since = partner.registered_at
    own = {
        "partner_id": partner.partner,
        "partner_brand": partner.brand,
        "partner_plan": partner.plan,
        "partner_status": partner.status,
        "partner_country": partner.country,
        "partner_registered": "" if since is None else local_date(since, zone).isoformat(),
    }
    name = partner.name.strip() or f"Partner {partner.brand}:{partner.partner}"
    return {NAME: name, **{hub.property_name(n): text for n, text in own.items()}}
