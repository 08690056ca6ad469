"""What is wrong with a source or a CRM is found and named once, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Reread
from connectors.destination import CrmObject
from mapping.errors import ConfigError
from mapping.policy import Team
from simulator.examples import load
from simulator.story import World
from simulator.wire import Request, Response
from sync import check
from sync.check import Finding, Level
from sync.hub import Hub
from tests.connectors.file_rig import FileRig
from tests.connectors.paymentiq_rig import PaymentIqRig
from tests.connectors.sumsub_rig import SumsubRig
from tests.rig import Rig, rig

OK, WARNING, PROBLEM = Level.OK, Level.WARNING, Level.PROBLEM
EXAMPLE = next(e for e in load(Path(__file__).parent.parent / "data" / "examples.yaml"))


@pytest.fixture(name="one")
def _one(tmp_path: Path) -> Rig:
    world = World(EXAMPLE.clients, {"alpha": EXAMPLE.brand}, EXAMPLE.start_ms, EXAMPLE.rates)
    return rig(world, f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, EXAMPLE.live_from)


@pytest.fixture(name="hub")
def _hub(one: Rig) -> Iterator[Hub]:
    hub = one.hub()
    yield hub
    hub.close()


def crm(hub: Hub) -> dict[str, list[Finding]]:
    """Findings about the CRM, by aspect."""
    found: dict[str, list[Finding]] = {}
    for finding in check.destination(hub, "hubspot", hub.destinations["hubspot"]):
        found.setdefault(finding.what, []).append(finding)
    return found


def levels(found: dict[str, list[Finding]]) -> dict[str, Level]:
    """The worst of each aspect."""
    order = [OK, WARNING, PROBLEM]
    return {what: max((f.level for f in some), key=order.index) for what, some in found.items()}


def said(found: dict[str, list[Finding]], what: str) -> str:
    """All texts of an aspect."""
    return "\n".join(f"{f.text} -> {f.todo}" for f in found[what])


# --- the CRM ------------------------------------------------------------------------------------


def test_a_good_portal(hub: Hub) -> None:
    found = crm(hub)
    assert set(levels(found).values()) == {OK}
    assert set(found) == {
        "access", "scopes", "properties", "contact key", "task key", "owners", "quota",
    }  # fmt: skip
    assert "unique" in said(found, "task key")


def test_an_empty_portal_lacks_properties_and_nothing_else(one: Rig) -> None:
    one.install = False
    hub = one.hub()
    found = crm(hub)
    assert {w: x for w, x in levels(found).items() if x is not OK} == {"properties": WARNING}
    assert "crm install" in said(found, "properties")
    one.portal.remove_scope("crm.schemas.contacts.write")
    found = crm(hub)
    hub.close()
    assert levels(found)["scopes"] is OK
    wanted = "missing for `brokersync crm install`: crm.schemas.contacts.write"
    assert wanted in said(found, "properties")


def test_scopes_that_are_missing_and_scopes_nobody_needs(one: Rig, hub: Hub) -> None:
    one.portal.remove_scope("crm.objects.owners.read")
    one.portal.remove_scope("crm.schemas.contacts.write")
    one.portal.add_scope("crm.objects.deals.write")
    found = crm(hub)
    worst = levels(found)
    assert (worst["access"], worst["scopes"], worst["owners"]) == (PROBLEM, PROBLEM, PROBLEM)
    assert (worst["properties"], worst["task key"]) == (OK, OK), "the rest is looked at"
    assert "missing: crm.objects.owners.read" in said(found, "scopes")
    assert "contacts.write" not in said(found, "scopes"), "the properties are there"
    assert "more than is needed: crm.objects.deals.write" in said(found, "scopes")


def test_a_portal_that_does_not_tell_its_scopes(one: Rig, hub: Hub) -> None:
    one.portal.tells_scopes = False
    found = crm(hub)
    assert (levels(found)["scopes"], "not known" in said(found, "scopes")) == (OK, True)


def test_a_refused_token_is_said_once(one: Rig, hub: Hub) -> None:
    one.portal.rotate_token("another")
    found = crm(hub)
    assert [w for w, x in levels(found).items() if x is PROBLEM] == ["access"]
    assert "same reason" in said(found, "properties")
    assert one.portal.portal  # nothing was written
    assert sum(one.portal.writes.values()) == 0


def test_owners_that_are_gone_deactivated_of_the_wrong_kind_or_nobody(hub: Hub) -> None:
    policy = hub.brands["alpha"]
    payments = policy.teams["payments"]
    teams = {
        "payments": Team("payments", payments.calendar, queue="70121", members=("70110",)),
        "support": Team("support", payments.calendar, members=("70199", "4711", "70131")),
    }
    hub.brands = {"alpha": _with(policy, teams=teams)}
    found = crm(hub)
    texts = said(found, "owners")
    for text in (
        "owner 70121 of team payments is a person, and stands as a queue",
        "owner 70110 of team payments is a queue, and stands as a person",
        "owner 70199 of team support is deactivated",
        "owner 4711 of team support is not in the CRM",
        "team onboarding has no owner: tasks of CS3 are refused",
    ):
        assert text in texts
    assert len(found["owners"]) == 5
    assert "@" not in texts, "owners are named by id"


def _with(policy: Any, **changes: Any) -> Any:
    values = {n: getattr(policy, n) for n in policy.__dataclass_fields__}
    return type(policy)(**{**values, **changes})


def test_keys_without_unique_values(tmp_path: Path) -> None:
    world = World(EXAMPLE.clients, {"alpha": EXAMPLE.brand}, EXAMPLE.start_ms, EXAMPLE.rates)
    one = rig(world, f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, 0, task_unique_keys=False)
    hub = one.hub()
    found = crm(hub)
    hub.close()
    assert (levels(found)["task key"], levels(found)["contact key"]) == (OK, OK)
    assert "made once, then looked up" in said(found, "task key")


def test_a_property_in_the_way_and_rules_that_are_wrong(one: Rig) -> None:
    one.install = False
    hub = one.hub()
    crm_ = hub.destinations["hubspot"]
    wrong = next(p for p in _wanted(hub) if p.name == "brokerage_total_deposit_amount")
    crm_.install(CrmObject.CONTACT, [_with(wrong, type="string", field_type="text")])
    found = crm(hub)
    assert levels(found)["properties"] is PROBLEM
    assert "brokerage_total_deposit_amount" in said(found, "properties")
    hub.rules = {}
    assert "see rules" in said(crm(hub), "properties")
    hub.close()


def _wanted(hub: Hub) -> Any:
    from sync.crm_schema import wanted

    return wanted(hub, "hubspot")[CrmObject.CONTACT]


@pytest.mark.parametrize(("used", "level"), [(649_997, PROBLEM), (600_000, WARNING), (1, OK)])
def test_the_quota_of_the_day(tmp_path: Path, used: int, level: Level) -> None:
    world = World(EXAMPLE.clients, {"alpha": EXAMPLE.brand}, EXAMPLE.start_ms, EXAMPLE.rates)
    one = rig(world, f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, 0)
    hub = one.hub()
    one.portal.limiter.used_today = used
    found = crm(hub)
    hub.close()
    assert max(levels(found).values(), key=[OK, WARNING, PROBLEM].index) is level


def test_a_portal_that_is_away_is_asked_once(one: Rig, hub: Hub) -> None:
    from simulator.hubspot.faults import Fault

    one.portal.fail_next([Fault(status=503)] * 50)
    before = sum(one.portal.calls.values())
    found = crm(hub)
    assert sum(one.portal.calls.values()) - before <= 5
    assert levels(found)["access"] is PROBLEM
    assert said(found, "owners").startswith("not checked, see access")


# --- sources ------------------------------------------------------------------------------------


def looked(one: Any, known: list[Reread] | None = None) -> tuple[dict[str, Finding], list[Reread]]:
    """Findings about a source by aspect, and the clients it named."""
    every = list(check.source(one, known or []))
    return (
        {f.what: f for f in every if isinstance(f, Finding)},
        [r for r in every if isinstance(r, Reread)],
    )


def test_a_good_registry_names_clients_for_the_others(tmp_path: Path) -> None:
    found, clients = looked(FileRig(tmp_path, "csv").filled().source())
    assert {w: f.level for w, f in found.items()} == {"access": OK, "first page": OK}
    assert found["first page"].text == "5 records read"
    assert [(c.value, c.brand) for c in clients] == [(f"C-{n:02}", "alpha") for n in range(3)]


def test_rows_that_would_be_set_aside(tmp_path: Path) -> None:
    rig_ = FileRig(tmp_path, "csv").filled()
    rig_.spoil()
    found, _ = looked(rig_.source())
    assert found["first page"].level is WARNING
    assert "4 records read, 1 would be set aside, the first because: clients.csv, line 5: " in (
        found["first page"].text
    )


def test_a_source_without_a_list_is_asked_about_known_clients() -> None:
    rig_ = SumsubRig()
    found, _ = looked(rig_.source())
    assert "no client is known" in found["first page"].text
    found, _ = looked(rig_.source(), [*rig_.due(), Reread("1001", "beta", 0)])
    assert found["first page"].text == "4 records read"
    rig_.close()


def test_refused_credentials_are_said_once(tmp_path: Path) -> None:
    rig_ = PaymentIqRig()
    found, _ = looked(rig_.source(**rig_.refuse()))
    assert (found["access"].level, found["first page"].level) == (PROBLEM, WARNING)
    assert "client_secret" in found["access"].text
    rig_.close()
    found, _ = looked(FileRig(tmp_path, "csv").source())
    assert "no file" in found["access"].text


@pytest.mark.parametrize(
    ("seconds", "level", "text"),
    [
        (0, OK, "agrees"),
        (12, WARNING, "this machine's clock is 12 s behind"),
        (-90, PROBLEM, "this machine's clock is 90 s ahead"),
    ],
)
def test_clocks_that_differ(seconds: int, level: Level, text: str) -> None:
    rig_ = PaymentIqRig()
    real = rig_.transport.fake

    def dated(request: Request) -> Response:
        answer = real(request)
        date = formatdate(rig_.world.now_ms / 1000 + seconds, usegmt=True)
        return Response(answer.status, answer.body, {**answer.headers, "Date": date}, answer.drop)

    rig_.transport.fake = dated
    found, _ = looked(rig_.source())
    assert (found["clock"].level, found["clock"].text) == (level, text)
    rig_.close()


def test_no_secret_and_no_client_is_said(one: Rig, hub: Hub) -> None:
    one.portal.rotate_token("another")
    every = [str(f) for some in crm(hub).values() for f in some]
    rig_ = PaymentIqRig()
    every += [str(f) for f in looked(rig_.source(**rig_.refuse()))[0].values()]
    rig_.close()
    words = ("pat-na1", "rotated", "secret-of-the-test", "@")
    assert [t for t in every for word in words if word in t] == []


def test_an_error_that_is_no_failure_of_the_thing_is_not_swallowed() -> None:
    look = check.Look("x")

    def broken() -> Iterator[Finding]:
        raise KeyError("a bug")
        yield

    with pytest.raises(KeyError):
        list(look.at("access", broken))
    assert issubclass(ConfigError, Exception)
