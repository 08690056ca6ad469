"""The twelve facts that decided how Salesforce is spoken to, one test each, over real HTTP.

A fact about simple-salesforce is shown on the bare library first: a new version that behaves
otherwise is noticed here, and says which part of the guard is not needed any more.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceError,
    SalesforceExpiredSession,
    SalesforceGeneralError,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)

from connectors.destination import Applied, CrmObject, Outcome, Refused, Write
from connectors.salesforce.settings import SalesforceSettings
from mapping.errors import AmbiguousError, ConfigError
from simulator.salesforce import DuplicateRule, Fault, Field, ValidationRule
from simulator.wire import Request, Response
from tests.certificates import key_pair
from tests.connectors.salesforce_rig import (
    KEY,
    STAGE,
    TASK_KEY,
    USER,
    SalesforceRig,
    client,
    limits,
    seen,
)
from tests.simulator.salesforce.rig import ToLocal

CONTACT, TASK = CrmObject.CONTACT, CrmObject.TASK
ROOT = Path(__file__).parents[2]
BERG = {"LastName": "Berg"}


class Watched(ToLocal):
    """Sends everything to the fake org, and notes where it was to go and how long it may take."""

    def __init__(self, origin: str) -> None:
        super().__init__(origin)
        self.asked: list[tuple[str, Any]] = []

    def send(self, request: Any, *args: Any, **kw: Any) -> Any:
        self.asked.append((request.url, kw.get("timeout")))
        return super().send(request, *args, **kw)


class Bare:
    """simple-salesforce without the guard, over a session that finds the fake org."""

    def __init__(self, org: SalesforceRig) -> None:
        self.wire = Watched(org.server.url)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.mount("https://", self.wire)

    def signed_in(self, **how: Any) -> Any:
        """By client credentials, unless told otherwise."""
        usual = {"consumer_key": "consumer", "consumer_secret": "secret", "domain": "broker.my"}
        return Salesforce(session=self.session, version="60.0", **(how or usual))


@pytest.fixture
def org() -> Iterator[SalesforceRig]:
    found = SalesforceRig()
    found.install()
    yield found
    found.close()


@pytest.fixture
def bare(org: SalesforceRig) -> Iterator[Bare]:
    found = Bare(org)
    yield found
    found.session.close()


def put(org: SalesforceRig, *writes: Write) -> list[Outcome]:
    return list(org.crm.upsert(CONTACT, writes))


def contact(key: str, **values: str) -> Write:
    return Write(key, {"lastname": "Berg", **values})


def test_fact_01_the_library_writes_https_and_its_own_hosts_whatever_it_is_told(
    org: SalesforceRig, bare: Bare
) -> None:
    told = Salesforce(session_id="x", instance_url=org.server.url, session=bare.session)
    assert told.base_url.startswith(org.server.url.replace("http:", "https:"))
    bare.signed_in().limits()
    assert [url.split("/services")[0] for url, _ in bare.wire.asked] == [
        "https://broker.my.salesforce.com"] * 2  # fmt: skip

    assert client(org.crm).sdk.base_url.startswith("https://127.0.0.1:")
    assert limits(org.crm)["DailyApiRequests"]["Max"] == 100_000


def test_fact_02_the_library_waits_for_ever_and_tries_nothing_again(
    org: SalesforceRig, bare: Bare
) -> None:
    sf = bare.signed_in()
    org.fake.fail_next([Fault.unavailable()])
    with pytest.raises(SalesforceGeneralError):
        sf.Contact.create(BERG)
    assert {timeout for _, timeout in bare.wire.asked} == {None}
    with pytest.raises(TypeError, match="timeout"):
        sf.Contact.create(BERG, timeout=1)

    org.fake.fail_next([Fault.unavailable()])
    assert client(org.crm).sdk.Contact.create(BERG)["success"]
    assert len(org.fake.records("Contact")) == 1, "the library's own try was refused"
    impatient = org.destination(read_timeout_s=0.2, max_attempts=1)
    limits(impatient)
    answered = threading.Event()
    answer = org.answer

    def late(request: Request) -> Response:
        answered.wait(30)
        return answer(request)

    org.fake.handle = late  # type: ignore[method-assign]
    with pytest.raises(AmbiguousError, match="did not answer in time"):
        client(impatient).sdk.Contact.create(BERG)
    answered.set()
    impatient.close()


def test_fact_03_a_session_that_stays_refused_ends_after_two_calls(
    org: SalesforceRig, bare: Bare
) -> None:
    sf = bare.signed_in()
    org.fake.break_sessions()
    asked: Counter[str] = Counter()
    answer = org.answer

    def handle(request: Request) -> Response:
        """Sessions become good again after 30 calls: the library would go on until it broke."""
        asked[request.path.rstrip("/").rpartition("/")[2]] += 1
        if asked["Contact"] > 30:
            org.fake.break_sessions(broken=False)
        return answer(request)

    org.answer = handle
    assert sf.Contact.create(BERG)["success"]
    assert asked == {"Contact": 31, "token": 30}
    asked.clear()
    org.fake.break_sessions()
    with pytest.raises(SalesforceExpiredSession):
        sf.restful("limits")
    assert asked["limits"] == 4

    asked.clear()
    with pytest.raises(ConfigError, match="not even a new one"):
        client(org.crm).sdk.Contact.create(BERG)
    assert asked == {"Contact": 2, "token": 1}


def test_fact_04_the_callers_headers_stay_when_a_session_is_renewed(
    org: SalesforceRig, bare: Bare
) -> None:
    header = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
    limits(org.crm)
    sf = bare.signed_in()
    org.fake.expire_sessions()
    asked = seen(org, lambda request: request)
    sf.restful("sobjects/Contact", method="POST", json=BERG, headers=header)
    org.fake.expire_sessions()
    sf.Contact.create(BERG, headers=header)
    twice = ["allowSave=true", None, None]
    assert [r.headers.get("sforce-duplicate-rule-header") for r in asked] == twice * 2

    asked.clear()
    client(org.crm).call("POST", "sobjects/Contact", body=BERG, headers=header)
    org.fake.expire_sessions()
    client(org.crm).sdk.Contact.create(BERG, headers=header)
    paths = ["Contact", "token", "Contact"]
    assert [r.path.rstrip("/").split("/")[-1] for r in asked] == paths * 2
    assert [r.headers.get("sforce-duplicate-rule-header") for r in asked] == [
        "allowSave=true", None, "allowSave=true"] * 2  # fmt: skip
    assert len(org.fake.records("Contact")) == 4


def test_fact_05_a_bulk_job_outlives_its_session(org: SalesforceRig, bare: Bare) -> None:
    sf = bare.signed_in()
    org.fake.expire_sessions()
    with pytest.raises(SalesforceError, match="INVALID_SESSION_ID"):
        sf.bulk2.Contact.upsert(records=[BERG], external_id_field="Id", wait=0)
    assert org.fake.stats()["logins"] == 2, "the rig's and this one"

    crm = org.destination(bulk_above=200)
    crm.describe(CONTACT)
    answer, steps = org.fake.handle, set()

    def handle(request: Request) -> Response:
        """Every step of a job meets a session that has ended."""
        step = (request.method, request.path.rpartition("/")[2])
        if "jobs/ingest" in request.path and step not in steps:
            steps.add(step)
            org.fake.expire_sessions()
        return answer(request)

    org.answer = handle
    found = crm.upsert(CONTACT, [contact(f"alpha:C{n}") for n in range(201)])
    assert all(isinstance(o, Applied) and o.created for o in found)
    assert len(org.fake.records("Contact")) == 201
    assert {"batches", "successfulResults"} <= {last for _, last in steps}
    assert org.fake.stats()["logins"] == 3 + len(steps)
    crm.close()


def test_fact_06_the_limit_is_read_of_every_answer(org: SalesforceRig, bare: Bare) -> None:
    sf = bare.signed_in()
    made = sf.Contact.create(BERG)
    assert sf.api_usage == {}, "what it was told on this answer it did not keep"

    sdk, crm = client(org.crm).sdk, org.crm
    assert sdk.Contact.get(made["id"])["LastName"] == "Berg"
    left = 100_000 - org.fake.stats()["used_today"]
    assert (crm.counts.daily_limit, crm.counts.daily_remaining) == (100_000, left)


def test_fact_07_two_hundred_rows_are_one_call_and_each_is_accounted_for(
    org: SalesforceRig,
) -> None:
    org.fake.add_validation(
        ValidationRule("Contact", lambda row, _: row.get("FirstName") == "bad", "no bad")
    )
    writes = [
        contact(f"alpha:C{n}", firstname="bad" if n % 20 == 0 else str(n)) for n in range(200)
    ]
    org.crm.describe(CONTACT)
    before = org.fake.calls.copy()
    found = put(org, *writes)
    assert org.fake.calls - before == {"PATCH composite/sobjects/Contact/broker_client_id__c": 1}
    assert [o.key for o in found] == [w.key for w in writes]
    bad = {o.key for o in found if isinstance(o, Refused)}
    assert bad == {f"alpha:C{n}" for n in range(0, 200, 20)}
    assert len(org.fake.records("Contact")) == 190


@pytest.mark.parametrize("block", [False, True], ids=["allow and alert", "block"])
@pytest.mark.parametrize("spelling", ["duplicateResut", "duplicateResult"])
def test_fact_08_a_duplicate_rules_error_is_read_in_both_spellings(
    spelling: str, block: bool
) -> None:
    org = SalesforceRig(duplicate_key=spelling)
    org.install()
    other = org.fake.people.create("Contact", LastName="Private", Email="ann@client.example")
    words = "ann@client.example is here"
    org.fake.add_duplicate_rule(DuplicateRule("Contact", ("Email",), block=block, message=words))
    fine, found = put(
        org, contact("alpha:C2"), contact("alpha:C1", email="ann@client.example")
    )  # fmt: skip
    assert isinstance(fine, Applied)
    assert isinstance(found, Refused)
    assert found.code == "DUPLICATES_DETECTED"
    assert other in found.admin
    assert "merge the two" in found.admin
    assert "ann@" not in repr(found)
    assert len(org.fake.records("Contact")) == 2, "the hub does not save over an alert"
    org.close()


WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "jwt": ("urn:ietf:params:oauth:grant-type:jwt-bearer", {"private_key": key_pair()[0]}),
    "client_credentials": ("client_credentials", {}),
    "password": ("password", {"password": "fake-passfake-security-token"}),
    "refresh_token": ("refresh_token", {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_fact_09_no_way_of_signing_in_is_soap(way: str, org: SalesforceRig, bare: Bare) -> None:
    with pytest.raises(SalesforceAuthenticationFailed, match="SOAP"):
        bare.signed_in(username=USER, password="fake-pass", security_token="")
    assert "/services/Soap/u/" in bare.wire.asked[0][0], "what a password means to the library"

    grant, more = WAYS[way]
    if way == "refresh_token":
        more = {"refresh_token": org.fake.tokens.refresh_token(USER, "consumer")}
    crm = org.destination(auth=way, **more)
    asked = seen(org, lambda request: request)
    crm.check()
    assert [r.path for r in asked if "Soap" in r.path] == []
    forms = [r.body.decode() for r in asked if r.path == "/services/oauth2/token"]
    assert [f"grant_type={grant.replace(':', '%3A')}" in form for form in forms] == [True]
    assert SalesforceSettings.model_fields["auth"].default == "jwt"
    crm.close()


def test_fact_10_admins_are_sent_to_an_external_client_app(org: SalesforceRig) -> None:
    org.fake.break_sessions()
    with pytest.raises(ConfigError, match="External Client App"):
        limits(org.crm)
    readme = (ROOT / "connectors/salesforce/README.md").read_text(encoding="utf-8")
    assert "Setup > External Client App Manager > New" in readme
    told = [*(ROOT / "connectors/salesforce").glob("*.py"), *(ROOT / "brokersync").glob("*.py")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in told}
    assert "External Client App" in texts["init.py"]
    assert [name for name, text in texts.items() if "Connected App" in text] == []


def test_fact_11_an_address_names_nobody_for_sure(org: SalesforceRig, bare: Bare) -> None:
    sf = bare.signed_in()
    assert sf.Contact.upsert("Email/ann@client.example", BERG) == 201
    assert sf.Contact.upsert("Email/ANN@client.example", BERG) == 200, "it would do, but:"
    with pytest.raises(SalesforceResourceNotFound):
        sf.Contact.upsert("Email/bob@client.inc", BERG)
    shared = [contact(f"alpha:C{n}", email="ann@client.example") for n in (1, 2)]
    found = put(org, *shared, contact("alpha:C3", email="bob@client.inc"))
    with pytest.raises(SalesforceMoreThanOneRecord):
        sf.Contact.upsert("Email/ann@client.example", BERG)

    assert all(isinstance(o, Applied) and o.created for o in found)
    again = put(org, *shared)
    assert [o.created for o in again if isinstance(o, Applied)] == [False, False]
    ours = org.fake.records("Contact", by="broker_client_id__c")
    assert {key: row["Email"] for key, row in ours.items()} == {
        "alpha:C1": "ann@client.example", "alpha:C2": "ann@client.example",
        "alpha:C3": "bob@client.inc",
    }  # fmt: skip
    ann = org.crm.by_email(["ann@client.example"])["ann@client.example"]
    assert len(ann) == 3, "all of them are told; whose it is the hub does not guess"


def loose(name: str) -> Field:
    """A key an admin made without the tick at Unique."""
    return Field(name, "string", "Key", 64, external_id=True, id_lookup=True, custom=True)


def test_fact_12_the_hubs_keys_are_unique_and_need_no_right_to_see_all_data() -> None:
    org = SalesforceRig(view_all_data=False, activity_external_ids=True)
    org.install()
    bare = Bare(org)
    org.fake.define("Contact", loose("Other_Key__c"))
    sf = bare.signed_in()
    with pytest.raises(SalesforceResourceNotFound, match="does not exist or is not accessible"):
        sf.Contact.upsert("Other_Key__c/alpha:C1", BERG)
    assert sf.Contact.upsert("broker_client_id__c/alpha:C1", BERG) == 201
    with pytest.raises(SalesforceMalformedRequest, match="DUPLICATE_VALUE"):
        sf.Contact.create(BERG | {"broker_client_id__c": "alpha:C1"})
    (found,) = put(org, contact("alpha:C1"))
    assert isinstance(found, Applied)
    assert not found.created
    assert org.crm.keyed(TASK)
    bare.session.close()
    org.close()


def test_fact_12_a_key_that_an_admin_made_without_unique_is_not_written_by() -> None:
    org = SalesforceRig(view_all_data=False, activity_external_ids=True)
    for sobject, key in (("Contact", KEY), ("Task", TASK_KEY)):
        org.fake.define(sobject, loose(f"{key.name}__c"))
    with pytest.raises(ConfigError, match="does not require unique values"):
        org.crm.install(CONTACT, [KEY, STAGE])
    org.crm.install(TASK, [TASK_KEY])
    assert not org.crm.keyed(TASK), "tasks are created once and looked up instead"
    (made,) = org.crm.create_tasks([Write("alpha:C1:CS5:1", {"subject": "Call"})],
                                   {"alpha:C1:CS5:1": ""})  # fmt: skip
    assert isinstance(made, Applied)
    assert [*org.crm.find_tasks({"alpha:C1:CS5:1": ""}, ["status"])] == ["alpha:C1:CS5:1"]
    org.close()
