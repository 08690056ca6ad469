"""An admin maps fields: what `crm plan`, `plan` and `sync` show and write, and what is refused.

The rows are those of the example in docs/fields.md; its table of values was worked out by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from brokersync import crm_fields
from brokersync.output import Output
from config import yaml_file
from config.settings import DEFAULT_RULES
from connectors.destination import CrmObject, CrmProperty, Option
from mapping.errors import ConfigError
from mapping.fields import Clash, Naming
from mapping.problems import RuleSetError
from mapping.ruleset import RuleSet, load
from simulator.hubspot.definitions import built_in
from simulator.story import Brand, Client, Event, World
from sync.crm_schema import ready
from sync.cycle import pull_once, sync_once
from sync.hub import Hub
from sync.plan import plan
from tests.rig import Rig, rig

PAGE = (Path(__file__).parents[2] / "docs" / "fields.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.split("### An example")[1].split("```yaml\n")[1].split("```")[0]
REPLACED = ("kyc_status", "registration_date", "total_deposit_amount")
DEFAULTS = DEFAULT_RULES.read_text(encoding="utf-8")
COLUMNS = ("kyc_state", "member_since", "deposit_volume", "brokerage_origin")
VALUES = {  # by hand; the page shows the same
    "alpha:1001": ("OK", "03.03.2026", "12.3", "CY / referral"),
    "alpha:1002": ("Refused", "02.03.2026", "0.1", "DE"),
    "alpha:1003": ("", "02.03.2026", "0.0", ""),
}
PORTALS_OWN = [
    CrmProperty("kyc_state", "KYC state", "enumeration", options=tuple(
        Option(v, v) for v in ("OK", "Pending", "Refused"))),
    CrmProperty("member_since", "Member since", "string"),
    CrmProperty("deposit_volume", "Volume", "string"),
]  # fmt: skip


def mapped(rows: str = EXAMPLE) -> str:
    """The shipped rules with the example's rows in place of three of theirs."""
    kept = [
        line for line in DEFAULTS.splitlines(keepends=True)
        if not any(line.startswith(f"  - {{property: {name}, ") for name in REPLACED)
    ]  # fmt: skip
    assert len(kept) == len(DEFAULTS.splitlines()) - len(REPLACED)
    return "".join(kept) + rows


def loaded(text: str, naming: Naming | None = None) -> RuleSet:
    """A rule set whose messages name rules.yaml."""
    file = yaml_file.parse(text, "rules.yaml")
    return load(file.data, ["registry", "kyc", "psp"], 2, naming, file.where)


def at(text: str) -> int:
    """An instant of March 2026, as ms."""
    moment = datetime.strptime(f"2026-03-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def deposit(number: str, amount: str) -> dict[str, str]:
    """A payment's data."""
    return {"payment": number, "amount": amount, "currency": "USD", "method": "card"}


def world() -> World:
    """The three clients of the page."""
    people = {
        "1001": [
            Event(at("02 22:30"), "registered", {"country": "CY", "source_type": "referral",
                                                  "email": "one@client.example",
                 "landing_page": "/?mail=one@client.example"}),
            Event(at("03 08:00"), "kyc_started", {"attempt": 1}),
            Event(at("03 09:00"), "kyc_approved", {"attempt": 1}),
            Event(at("03 10:00"), "deposit_succeeded", deposit("100101", "12345.67")),
        ],
        "1002": [
            Event(at("02 08:00"), "registered", {"country": "DE", "email": "two@client.example"}),
            Event(at("02 09:00"), "kyc_started", {"attempt": 1}),
            Event(at("02 10:00"), "deposit_succeeded", deposit("100201", "50.00")),
            Event(at("03 11:00"), "kyc_rejected",
                  {"attempt": 1, "final": True, "reason": "fraud_suspected"}),
        ],
        "1003": [
            Event(at("02 09:00"), "registered", {"email": "three@client.example"}),
            Event(at("05 08:00"), "kyc_started", {"attempt": 1}),
            Event(at("05 09:00"), "kyc_approved", {"attempt": 1}),
        ],
    }  # fmt: skip
    brand = Brand("alpha", "Europe/Nicosia", "USD", "offshore", 1980)
    clients = [Client("alpha", key, events) for key, events in people.items()]
    return World(clients, {"alpha": brand}, at("02 00:00"))


@contextmanager
def hub_over(folder: Path, database: str, rules: RuleSet, prefix: str = "brokerage_") -> Iterator[
    tuple[Rig, Hub]
]:  # fmt: skip
    """A hub with these rules over a portal that has properties of its own; nothing installed."""
    one = rig(world(), database, folder, at("01 00:00"), {"*": "fields"})
    one.install = False
    hub = one.hub()
    hub.prefix, hub.rules = prefix, {"alpha": rules}
    hub.destinations["hubspot"].install(CrmObject.CONTACT, PORTALS_OWN)
    one.advance_to(at("04 12:00"))
    try:
        yield one, hub
    finally:
        hub.close()


def crm_plan(hub: Hub, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """`crm plan --json`."""
    capsys.readouterr()
    crm_fields.plan(Output(as_json=True), hub)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["hubspot"]
    return found


def held(one: Rig) -> dict[str, tuple[str, ...]]:
    """What the portal holds of the example's properties."""
    contacts = one.portal.contacts("broker_client_id")
    return {key: tuple(c.get(n) or "" for n in COLUMNS) for key, c in contacts.items()}


def refusal(hub: Hub) -> str:
    """Why the portal is not ready."""
    error = ready(hub, "hubspot", hub.destinations["hubspot"]).error
    assert error is not None
    return error.admin


# --- the way of an admin ------------------------------------------------------------------------


def test_the_page_shows_the_values_worked_out_here() -> None:
    for key, values in VALUES.items():
        line = re.search(rf"^\| {key.removeprefix('alpha:')}: .*$", PAGE, re.M)
        assert line is not None
        shown = [c.strip().strip("`") for c in line[0].strip("|").split("|")[1:]]
        assert tuple("" if c == "left as it is" else c for c in shown) == values


def test_three_fields_of_the_portal_a_value_map_and_a_new_field(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hub_over(tmp_path, database_url, loaded(mapped())) as (one, hub):
        shown = crm_plan(hub, capsys)
        rows = {r["property"]: r for r in shown["fields"]}
        assert [rows[n]["status"] for n in COLUMNS] == ["portal", "portal", "portal", "created"]
        assert rows["kyc_state"] | {"label": ""} == {
            "property": "kyc_state", "type": "enumeration", "value": "kyc_status", "label": "",
            "transform": "map of 5, others: blank", "owner": "hub", "blank": "keep",
            "status": "portal",
        }  # fmt: skip
        assert rows["deposit_volume"]["transform"] == "times 0.001, digits: 1"
        assert rows["brokerage_origin"]["value"] == "join of country, source_type"
        assert "contact.brokerage_origin" in shown["create"]
        assert not {f"contact.{n}" for n in COLUMNS[:3]} & {*shown["create"], *shown["add_options"]}
        assert "brokerage_kyc_status" not in rows
        assert shown["clashes"] == []
        touched = shown["by_hand"]["Workflows, forms and imports that use or set these properties"]
        assert set(COLUMNS[:3]) | {"email"} <= set(touched)
        crm_fields.install(Output(as_json=True), hub)
        assert crm_plan(hub, capsys)["create"] == []

        one.portal.portal.keep_written = True
        pull_once(hub)
        planned = plan(hub)["hubspot"].as_json()
        counts = [sum(bool(v[n]) for v in VALUES.values()) for n in range(4)]
        assert [planned["fields"].get(n, 0) for n in COLUMNS] == counts
        unmapped = {"kyc_state": {"becomes": "blank", "values": {"not_started": 1}, "not_shown": 0}}
        assert planned["unmapped"] == unmapped
        one.sync(hub)
        assert held(one) == VALUES
        writes = [w.properties for w in one.portal.portal.written if w.object == "contacts"]
        assert [sum(n in w for w in writes) for n in COLUMNS] == counts
        assert crm_plan(hub, capsys)["unmapped"] == unmapped
        _what_a_blank_leaves(one, hub)


def _what_a_blank_leaves(one: Rig, hub: Hub) -> None:
    """Somebody fills in what is blank with us; it stays until we know better."""
    contact = one.portal.contacts("broker_client_id")["alpha:1003"]
    one.portal.edit("contacts", contact["hs_object_id"], {"kyc_state": "Pending"})
    for instant, expected in (("04 13:00", "Pending"), ("04 14:00", "Pending"), ("05 12:00", "OK")):
        one.advance_to(at(instant))
        one.sync(hub)
        assert held(one)["alpha:1003"][0] == expected


def test_people_read_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with hub_over(tmp_path, f"sqlite:///{tmp_path / 'hub.db'}", loaded(mapped())) as (one, hub):
        crm_fields.install(Output(as_json=True), hub)
        one.sync(hub)
        capsys.readouterr()
        assert crm_fields.plan(Output(as_json=False), hub) is False
        shown = capsys.readouterr().out
    for words in ("kyc_state", "portal's own", "map of 5", "not_started", "by hand"):
        assert words in shown
    assert "client.example" not in shown


# --- refused ------------------------------------------------------------------------------------

STATE = "label: KYC state\n    type: "
REFUSED = {  # old, new, what stands on the line that is named, and what is said
    "a wrong type": (
        f"{STATE}enumeration", f"{STATE}string", "type: string\n    value: kyc_status",
        ("kyc_state.type: kyc_state is of type enumeration", "not string"),
    ),
    "another wrong type": (
        "property: member_since", "property: createdate", "property: createdate",
        ("fields.createdate.type: createdate is of type datetime", "not string"),
    ),
    "a missing option": (
        "approved: OK", "approved: Fine", "approved: Fine",
        ("kyc_state.map.approved: 'Fine' is no", "which has: OK, Pending, Refused"),
    ),
    "a property that is not there": (
        "property: member_since", "property: membr_since", "property: membr_since",
        ("no contact property membr_since", "Nearest: member_since"),
    ),
    "a read-only one": (
        "property: deposit_volume", "property: hs_additional_emails", "hs_additional_emails",
        ("hs_additional_emails is read-only", "another property"),
    ),
    "a calculated one": (
        "property: deposit_volume", "property: score", "property: score",
        ("score is calculated", "another property"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_portal_does_not_take_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    old, new, anchor, says = REFUSED[case]
    assert old in EXAMPLE
    text = mapped(EXAMPLE.replace(old, new, 1))
    line = text.count("\n", 0, text.index(anchor)) + 1
    with hub_over(tmp_path, f"sqlite:///{tmp_path / 'hub.db'}", loaded(text)) as (one, hub):
        score = built_in("score", "string/text", "contactinformation", read_only=True)
        score.wire["calculated"] = True
        one.portal.portal.contacts.define(score)
        told = refusal(hub)
        assert f"  rules.yaml, line {line}: fields." in told
        assert [words in told for words in says] == [True] * len(says)
        with pytest.raises(ConfigError):
            crm_fields.install(Output(as_json=True), hub)
        cycle = sync_once(hub)
        assert cycle.status == "refused"
        assert one.portal.contacts() == {}


def test_a_double_target_is_refused_with_both_lines() -> None:
    text = mapped(EXAMPLE.replace("property: origin", "property: brokerage_country", 1))
    one, other = (
        text.count("\n", 0, text.index(f"property: {n},")) + 1
        for n in ("brokerage_country", "country")
    )
    with pytest.raises(RuleSetError) as error:
        loaded(text)
    [problem] = error.value.problems
    assert "the property brokerage_country stands twice" in problem.message
    file = yaml_file.parse(text, "rules.yaml")
    assert file.where(problem.path) == f"rules.yaml, line {one}"
    assert file.where(problem.also) == f"rules.yaml, line {other}"


def test_options_are_added_where_the_row_says_so(tmp_path: Path) -> None:
    rows = EXAMPLE.replace("approved: OK", "approved: Fine", 1)
    rows = rows.replace("    blank: keep\n", "    blank: keep\n    add_options: true\n", 1)
    with hub_over(tmp_path, f"sqlite:///{tmp_path / 'hub.db'}", loaded(mapped(rows))) as (one, hub):
        crm_fields.install(Output(as_json=True), hub)
        one.sync(hub)
        assert held(one)["alpha:1001"][0] == "Fine"
        live = hub.destinations["hubspot"].describe(CrmObject.CONTACT)
        assert [o.value for o in live["kyc_state"].options] == ["OK", "Pending", "Refused", "Fine"]


# --- names that are taken -----------------------------------------------------------------------

OWN_STATUS = CrmProperty("kyc_status", "KYC", "enumeration", options=(Option("mine", "Mine"),))


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        (None, "property_clashes: {kyc_status: adopt}"),
        (Clash.REFUSE, "property_clashes: {kyc_status: adopt}"),
        (Clash.ADOPT, "'not_started' is no option of the portal's property kyc_status"),
    ],
)
def test_a_name_that_is_taken_needs_a_decision(
    decision: Clash | None, says: str, tmp_path: Path
) -> None:
    naming = Naming("", {"kyc_status": decision} if decision else {})
    database = f"sqlite:///{tmp_path / 'hub.db'}"
    with hub_over(tmp_path, database, loaded(DEFAULTS, naming), prefix="") as (one, hub):
        hub.destinations["hubspot"].install(CrmObject.CONTACT, [OWN_STATUS])
        told = refusal(hub)
        assert says in told
        line = DEFAULTS.count("\n", 0, DEFAULTS.index("property: kyc_status,")) + 1
        assert f"rules.yaml, line {line}: fields.kyc_status" in told
        assert sync_once(hub).status == "refused"
        assert one.portal.contacts() == {}


def test_renamed_it_stands_beside_the_portals(tmp_path: Path) -> None:
    # The portal of the fake has its own `country`, too, which is of the type that the row needs.
    naming = Naming("", {"kyc_status": Clash.RENAME, "country": Clash.ADOPT})
    database = f"sqlite:///{tmp_path / 'hub.db'}"
    with hub_over(tmp_path, database, loaded(DEFAULTS, naming), prefix="") as (one, hub):
        hub.destinations["hubspot"].install(CrmObject.CONTACT, [OWN_STATUS])
        crm_fields.install(Output(as_json=True), hub)
        assert ready(hub, "hubspot", hub.destinations["hubspot"]).error is None
        one.sync(hub)
        contact = one.portal.contacts("broker_client_id")["alpha:1001"]
        assert contact["kyc_status_hub"] == "approved"
        assert not contact.get("kyc_status")
        assert contact["country"] == "CY"


def test_what_people_may_have_written_is_counted_and_not_shown(tmp_path: Path) -> None:
    rows = (
        "  - {property: a, label: A, type: string, value: country, map: {CY: Cyprus}}\n"
        "  - {property: b, label: B, type: string, value: landing_page, map: {/: home}}\n"
        "  - {property: c, label: C, type: string, from: profile.stage, map: {LS1: new}}\n"
    )
    with hub_over(tmp_path, f"sqlite:///{tmp_path / 'hub.db'}", loaded(DEFAULTS + rows)) as found:
        one, hub = found
        crm_fields.install(Output(as_json=True), hub)
        one.sync(hub)
        left = plan(hub)["hubspot"].as_json()["unmapped"]
        assert left["brokerage_a"] == {"becomes": "blank", "values": {"DE": 1}, "not_shown": 0}
        assert left["brokerage_b"] == {"becomes": "blank", "values": {}, "not_shown": 1}
        assert left["brokerage_c"]["values"] == {"LS0": 1, "LS5": 1}
