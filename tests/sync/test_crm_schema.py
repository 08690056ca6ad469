"""Rows of fields against a portal's properties: what fits, what is created, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.destination import MARK, CrmObject, CrmProperty, Option
from mapping.fields import Clash, Naming
from sync.crm_schema import KEY, OTHERS, TASK_KEY, SchemaPlan, compare, wishes
from tests.mapping.test_fields import row, rules

THERE = {p.name: replace(p, ours=True) for p in (KEY, OTHERS)}
MAP = "value: kyc_status, map: {approved: ok, reset: again}"


class FakeHub:
    """What `wishes` asks of a hub."""

    class _Brand:
        destination = "crm"

    def __init__(self, rows: str, naming: Naming | None = None) -> None:
        self.naming = naming or Naming()
        self.brands = {"north": self._Brand}
        self.rules = {"north": rules(rows, self.naming)}

    def property_name(self, name: str, *, native: bool = False) -> str:
        """As a hub does."""
        return self.naming.name(name, native=native)


def compared(rows: str, *live: CrmProperty, naming: Naming | None = None) -> SchemaPlan:
    """A plan over a portal with these properties, beside the hub's keys."""
    hub: Any = FakeHub(rows, naming)
    contacts = THERE | {p.name: p for p in live}
    want = wishes(hub, "crm")
    return compare(want, {CrmObject.CONTACT: contacts, CrmObject.TASK: {TASK_KEY.name: TASK_KEY}})


def portal(type_: str, field_type: str = "", *options: str, **more: Any) -> CrmProperty:
    """A property p of the portal."""
    return CrmProperty("p", "P", type_, field_type, tuple(Option(o, o) for o in options), **more)


def ours(type_: str, *options: str) -> CrmProperty:
    """The same, created by the hub."""
    own = portal(type_, "", *options, description=MARK, ours=True)
    return replace(own, name="brokerage_p")


FITS = [
    ("value: country", "string", portal("string", "textarea")),
    ("value: country", "string", portal("phone_number", "phonenumber")),
    ("value: country", "enumeration", portal("enumeration", "select", "CY")),
    (MAP, "enumeration", portal("enumeration", "radio", "ok", "again", "never")),
    (MAP, "enumeration", portal("enumeration", "checkbox", "ok", "again")),
    ("value: deposits > 0", "bool", portal("bool", "booleancheckbox")),
    ("value: deposits > 0", "bool", portal("enumeration", "booleancheckbox", "true", "false")),
    ("value: deposits", "number", portal("number", "number")),
    ("from: profile.states", "checkboxes", portal("enumeration", "checkbox")),
    ("constant: ok", "enumeration", portal("enumeration", "select", "ok")),
]


@pytest.mark.parametrize(("keys", "type_", "there"), FITS)
def test_what_fits(keys: str, type_: str, there: CrmProperty) -> None:
    plan = compared(row(f"{keys}, existing: true", type_=type_), there)
    assert plan.complete, plan.clashes
    assert (plan.status["p"], plan.touched) == ("portal", ["p"])
    assert plan.to_install(CrmObject.CONTACT) == []


MISFITS = [
    ("value: country", "string", portal("number"), "p.type: p is of type number", "not string"),
    ("value: country", "string", portal("enumeration"), "p.type", "`type: enumeration`"),
    ("value: deposits > 0", "bool", portal("enumeration", "select", "yes"), "p.type", "not bool"),
    ("value: registered_at", "date", portal("datetime"), "p.type", "not date"),
    ("from: profile.states", "checkboxes", portal("string"), "p.type", "not checkboxes"),
    ("from: profile.states", "checkboxes", portal("enumeration", "select"), "p.type", "one value"),
    ("value: country", "string", portal("string", read_only=True), "p.property", "read-only"),
    (MAP, "enumeration", portal("enumeration", "", "ok"), "p.map.reset: 'again'", "has: ok"),
    (MAP + ", unmapped: keep", "enumeration", portal("enumeration", "", "ok", "again"), "p.map:",
     "'expired' is no option"),
    ("constant: ok", "enumeration", portal("enumeration", "", "no"), "p.constant: 'ok'", "has: no"),
    ("constant: abcdef", "string", portal("string", max_length=5), "p.constant: 6 characters", "5"),
    (MAP, "string", portal("string", max_length=4), "p.map.reset: 5 characters", "takes 4"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "type_", "there", "place", "says"), MISFITS)
def test_what_does_not(keys: str, type_: str, there: CrmProperty, place: str, says: str) -> None:
    plan = compared(row(f"{keys}, existing: true", type_=type_), there)
    assert plan.status["p"] == "clash"
    assert any(
        line.startswith("rules.yaml, line ") and place in line and says in line
        for line in plan.clashes
    ), plan.clashes
    assert plan.to_install(CrmObject.CONTACT) == []


def test_a_property_that_is_not_there_is_named_with_its_nearest() -> None:
    named = replace(portal("string"), name="cf_0042", label="Kyc stat")
    near = replace(portal("string"), name="kyc_state")
    plan = compared(row("value: country, existing: true", "kyc_stat"), named, near)
    assert "no contact property kyc_stat. Nearest: kyc_state, cf_0042" in plan.clashes[0]


def test_ours_are_created_and_get_options() -> None:
    plan = compared(row(MAP, type_="enumeration"))
    [made] = plan.to_install(CrmObject.CONTACT)
    assert (made.name, [o.value for o in made.options]) == ("brokerage_p", ["ok", "again"])
    assert MARK in made.description
    assert plan.status["brokerage_p"] == "created"
    plan = compared(row(MAP, type_="enumeration"), ours("enumeration", "ok"))
    [made] = plan.to_install(CrmObject.CONTACT)
    assert [o.value for o in made.options] == ["again"]
    assert (plan.status["brokerage_p"], plan.touched) == ("added to", [])
    plan = compared(row(MAP, type_="enumeration"), ours("enumeration", "ok", "again"))
    assert (plan.complete, plan.status["brokerage_p"]) == (True, "there")
    plan = compared(row(MAP, type_="enumeration"), ours("string"))
    assert "is of type string" in plan.clashes[0]


@pytest.mark.parametrize(
    ("decision", "status", "says"),
    [
        (None, "clash", "property_clashes: {p: adopt}"),
        (Clash.REFUSE, "clash", "property_clashes: {p: adopt}"),
        (Clash.ADOPT, "adopted", ""),
        (Clash.RENAME, "created", ""),
    ],
)
def test_a_name_that_is_taken(decision: Clash | None, status: str, says: str) -> None:
    naming = Naming("", {"p": decision} if decision else {})
    plan = compared(row("value: country"), portal("string"), naming=naming)
    name = "p_hub" if decision is Clash.RENAME else "p"
    assert plan.status[name] == status
    assert (says in plan.clashes[0]) if says else plan.clashes == []
    assert plan.touched == (["p"] if decision is Clash.ADOPT else [])


def test_adopted_with_another_type_or_without_an_option_is_refused() -> None:
    naming = Naming("", {"p": Clash.ADOPT})
    plan = compared(row("value: country"), portal("number"), naming=naming)
    assert "p is of type number" in plan.clashes[0]
    enum = portal("enumeration", "select", "ok")
    plan = compared(row(MAP, type_="enumeration"), enum, naming=naming)
    assert "'again' is no option" in plan.clashes[0]
    more = row(f"{MAP}, add_options: true", type_="enumeration")
    plan = compared(more, enum, naming=naming)
    assert [o.value for o in plan.to_install(CrmObject.CONTACT)[0].options] == ["again"]


def test_what_could_tip_off_a_client_is_named_for_the_portals_field_permissions() -> None:
    rows = row("value: duplicate_flag", "s", "bool") + row("value: kyc_client_text", "t")
    rows += row("value: country", "c") + row("value: kyc_gap, map: {x: y}, unmapped: keep", "m")
    rows += row("from: card.text", "card")
    plan = compared(rows)
    assert plan.by_hand() == {
        "Sidebar of the contact record: these are worth showing": ["brokerage_card"],
        "Field permissions: for the risk team only": ["brokerage_s", "brokerage_t"],
    }
    made = {p.name: p for p in plan.to_install(CrmObject.CONTACT)}
    assert (made["brokerage_card"].type, made["brokerage_card"].field_type) == (
        "string", "textarea"
    )  # fmt: skip


def test_what_is_to_be_checked_by_hand_and_too_many_fields() -> None:
    rows = row("value: country, existing: true") + row("from: profile.stage", "s", "enumeration")
    plan = compared(rows, portal("string"))
    assert list(plan.by_hand().values()) == [["p"], ["brokerage_s"], ["brokerage_s"]]
    assert plan.notes == []
    plan = compared("".join(row("value: country", f"p{n}") for n in range(41)))
    assert "41 fields are more than staff can read" in plan.notes[0]
