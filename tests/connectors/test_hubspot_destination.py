"""What is HubSpot's alone: address conflicts, batches refused whole, keys, merges, numbers."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from connectors.destination import (
    Applied,
    CrmObject,
    CrmProperty,
    Option,
    Outcome,
    Refused,
    Write,
)
from connectors.hubspot import HubSpotDestination
from mapping.errors import ConfigError
from simulator.hubspot import HubSpotFake
from simulator.wire import Request, Response
from tests.fakes.hubspot import TASK_KEY, TestWorld, destination_for, prepare

KYC = CrmProperty("kyc", "KYC", "enumeration", options=(Option("ok", "Ok"),))
STATES = CrmProperty(
    "states", "States", "enumeration", "checkbox", tuple(Option(s, s) for s in ("CS3", "CS5"))
)


def _rig(**options: Any) -> tuple[HubSpotFake, HubSpotDestination]:
    world = TestWorld()
    fake = HubSpotFake(world, **options)
    hub = destination_for(fake, world.clock)
    prepare(hub, [KYC, STATES])
    return fake, hub


def _contacts(hub: HubSpotDestination, *rows: tuple[str, dict[str, str]]) -> list[Outcome]:
    return list(hub.upsert(CrmObject.CONTACT, [Write(key, values) for key, values in rows]))


@pytest.mark.parametrize("behaviour", ["conflict", "ignored"])
def test_an_address_of_another_contact(behaviour: str) -> None:
    """Nobody has measured what HubSpot does on update: both answers end in the same refusal."""
    fake, hub = _rig(email_conflict=behaviour)
    first, _ = _contacts(hub, ("C1", {"email": "a@b.co"}), ("C2", {"email": "c@b.co"}))
    assert isinstance(first, Applied)
    new, old, other = _contacts(
        hub, ("C3", {"email": "A@b.co"}), ("C2", {"email": "A@b.co"}), ("C1", {"email": "A@B.co"})
    )
    for refused in (new, old):
        assert isinstance(refused, Refused)
        assert (refused.code, refused.properties) == ("EMAIL_CONFLICT", ("email",))
        assert "a@b.co" not in repr(refused).lower()
    assert isinstance(other, Applied)
    emails = {k: c["email"] for k, c in fake.contacts("broker_client_id").items()}
    assert emails == {"C1": "a@b.co", "C2": "c@b.co"}


class NoTraces:
    """HubSpot as documented for upserts: trace ids are not looked at, one bad record stops all."""

    def __init__(self, fake: HubSpotFake) -> None:
        self.fake = fake

    def __call__(self, request: Request) -> Response:
        if request.path.endswith("/batch/upsert"):
            body = json.loads(request.body)
            for row in body["inputs"]:
                del row["objectWriteTraceId"]
            sent = json.dumps(body).encode()
            request = Request(request.method, request.target, request.headers, sent)
        return self.fake(request)


@pytest.mark.parametrize("bad", [{"kyc": "mystery"}, {"email": "taken@b.co"}, {"email": "?"}])
def test_one_bad_record_stops_only_itself_even_without_traces(bad: dict[str, str]) -> None:
    fake, hub = _rig()
    _contacts(hub, ("C0", {"email": "taken@b.co"}))
    hub = destination_for(NoTraces(fake), TestWorld().clock)
    rows = [(f"C{n}", {"firstname": "x"} | (bad if n == 57 else {})) for n in range(1, 101)]
    before = sum(fake.calls.values())
    outcomes = _contacts(hub, *rows)
    assert [o.key for o in outcomes if isinstance(o, Refused)] == ["C57"]
    assert len(fake.contacts()) == 1 + 99
    assert sum(fake.calls.values()) - before <= 1 + 1 + 2 * 7


def test_a_property_nobody_knows_does_not_take_a_call_for_each() -> None:
    fake, _ = _rig()
    hub = destination_for(NoTraces(fake), TestWorld().clock)
    rows = [(f"C{n}", {"firstname": "x"} | ({"nope": "1"} if n % 2 else {})) for n in range(100)]
    outcomes = _contacts(hub, *rows)
    assert {o.key for o in outcomes if isinstance(o, Refused)} == {
        f"C{n}" for n in range(1, 100, 2)
    }
    assert fake.calls["POST objects/contacts/batch/upsert"] == 2


def test_without_the_key_property_the_admin_is_sent_to_install() -> None:
    world = TestWorld()
    hub = destination_for(HubSpotFake(world), world.clock)
    for call in (
        lambda: hub.upsert(CrmObject.CONTACT, [Write("C1", {"firstname": "x"})]),
        lambda: hub.read(CrmObject.CONTACT, ["C1"], ["firstname"]),
    ):
        with pytest.raises(ConfigError, match=r"broker_client_id.*crm install"):
            call()
    hub.install(CrmObject.CONTACT, [CrmProperty("broker_client_id", "Id", "string", unique=True)])
    assert isinstance(hub.upsert(CrmObject.CONTACT, [Write("C1", {"firstname": "x"})])[0], Applied)


def test_a_key_property_that_is_not_unique_is_refused_by_install() -> None:
    world = TestWorld()
    hub = destination_for(HubSpotFake(world), world.clock)
    plain = CrmProperty("broker_client_id", "Id", "string")
    unique = CrmProperty("broker_client_id", "Id", "string", unique=True)
    hub.install(CrmObject.CONTACT, [plain])
    with pytest.raises(ConfigError, match="does not require unique values"):
        hub.install(CrmObject.CONTACT, [unique])


def test_a_portal_without_unique_task_keys_gets_a_plain_one_and_says_so() -> None:
    world = TestWorld()
    hub = destination_for(HubSpotFake(world, task_unique_keys=False), world.clock)
    done = hub.install(CrmObject.TASK, [TASK_KEY])
    assert "without unique values" in done[-1]
    assert not hub.keyed(CrmObject.TASK)
    assert hub.install(CrmObject.TASK, [TASK_KEY]) == []


def test_what_another_run_created_meanwhile_is_found() -> None:
    """Both runs read before either wrote: 409 is no error."""
    fake, _ = _rig()
    answers: dict[str, Response] = {}

    def stale(request: Request) -> Response:
        if request.method == "GET" and "/properties/contacts" in request.path:
            return answers[request.path]
        return fake(request)

    empty = HubSpotFake(TestWorld())
    headers = {"authorization": "Bearer pat-na1-fake"}
    for path in ("/crm/v3/properties/contacts", "/crm/v3/properties/contacts/groups"):
        answers[path] = empty(Request("GET", path, headers))
    done = destination_for(stale, TestWorld().clock).install(CrmObject.CONTACT, [KYC])
    assert done == ["found property contacts.kyc (enumeration)"]


def test_several_options_have_one_order() -> None:
    _, hub = _rig()
    _contacts(hub, ("C1", {"firstname": "x", "states": "CS5;CS3"}))
    read = hub.read(CrmObject.CONTACT, ["C1"], ["states"])["C1"]
    assert read.properties == {"states": "CS3;CS5"}


def test_a_merged_contact_still_answers_to_the_surviving_key() -> None:
    fake, hub = _rig(merge_new_id=True)
    one, two = _contacts(hub, ("C1", {"email": "1@b.co"}), ("C2", {"email": "2@b.co"}))
    assert isinstance(one, Applied)
    assert isinstance(two, Applied)
    new = fake.merge(one.crm_id, two.crm_id)
    found = hub.read(CrmObject.CONTACT, ["C1", "C2"], ["email"])
    assert {key: r.crm_id for key, r in found.items()} == {"C1": new}
    (again,) = _contacts(hub, ("C2", {"email": "2@b.co"}))
    assert isinstance(again, Refused)
    assert again.code == "EMAIL_CONFLICT"


def test_missing_scopes_are_named_together() -> None:
    world = TestWorld()
    fake = HubSpotFake(world, scopes=["crm.objects.contacts.read"])
    with pytest.raises(ConfigError) as missing:
        destination_for(fake, world.clock).check()
    for scope in ("crm.objects.contacts.write", "crm.objects.owners.read"):
        assert scope in missing.value.admin
    with pytest.raises(ConfigError, match=r"crm\.schemas\.contacts\.write"):
        destination_for(fake, world.clock).install(CrmObject.CONTACT, [KYC])


def test_only_changed_fields_and_one_call_a_batch_leave_the_house() -> None:
    fake, hub = _rig(keep_writes=True)
    for start in range(0, 250, 100):
        rows = [(f"C{n}", {"firstname": f"n{n}"}) for n in range(start, min(start + 100, 250))]
        _contacts(hub, *rows)
    assert fake.calls["POST objects/contacts/batch/upsert"] == 3
    fake.written.clear()
    _contacts(hub, ("C7", {"kyc": "ok"}))
    (written,) = fake.written
    assert written.properties == {"kyc": "ok"}


def test_what_is_on_the_wire() -> None:
    """Texts only; days and instants as ms (documented; ISO would be taken too); a trace id each."""
    fake, hub = _rig()
    day, moment = CrmProperty("day", "Day", "date"), CrmProperty("moment", "Moment", "datetime")
    hub.install(CrmObject.CONTACT, [day, moment])
    bodies: list[Any] = []

    def heard(request: Request) -> Response:
        bodies.append(request.body)
        return fake(request)

    hub = destination_for(heard, TestWorld().clock)
    values = {"day": "2026-03-29", "moment": "1772323200500", "lastname": "", "kyc": "ok"}
    _contacts(hub, ("C1", {"firstname": "Zoë"} | values), ("C2", {"firstname": "x"}))
    first, second = json.loads(bodies[-1])["inputs"]
    assert first == {
        "idProperty": "broker_client_id",
        "id": "C1",
        "objectWriteTraceId": first["objectWriteTraceId"],
        "properties": {
            "firstname": "Zoë",
            "day": "1774742400000",
            "moment": "1772323200500",
            "lastname": "",
            "kyc": "ok",
        },
    }
    assert first["objectWriteTraceId"] != second["objectWriteTraceId"]


@pytest.mark.slow
def test_cpu_of_a_bulk_write() -> None:
    """DESIGN section 10 gives push 100 us a record; half of it is the connector's."""
    fake, hub = _rig()
    spent = 0.0

    def timed(request: Request) -> Response:
        nonlocal spent
        start = time.thread_time()
        answer = fake(request)
        spent += time.thread_time() - start
        return answer

    hub = destination_for(timed, TestWorld().clock)
    prepare(hub, [CrmProperty(f"p{n}", "p", "string") for n in range(30)])
    values = {f"p{n}": f"some value {n}" for n in range(30)} | {"firstname": "Ana"}
    batches = [[Write(f"C{n}", values) for n in range(b, b + 100)] for b in range(0, 10_000, 100)]
    hub.upsert(CrmObject.CONTACT, batches[0])
    spent, start = 0.0, time.process_time()
    for batch in batches:
        hub.upsert(CrmObject.CONTACT, batch)
    assert (time.process_time() - start - spent) / 10_000 * 1e6 <= 50
