"""Signing in and the guarded session, through simple-salesforce over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.destination import CrmObject
from mapping.errors import (
    AmbiguousError,
    ConfigError,
    ProtocolError,
    QuotaError,
    RetryableError,
)
from simulator.salesforce import FakeApp, Fault
from tests.certificates import key_pair
from tests.connectors.salesforce_rig import USER, SalesforceRig, client, limits


@pytest.fixture
def org() -> Iterator[SalesforceRig]:
    found = SalesforceRig()
    yield found
    found.close()


# --- signing in ------------------------------------------------------------------------------


WAYS: dict[str, dict[str, Any]] = {
    "jwt": {"auth": "jwt", "private_key": key_pair()[0]},
    "client_credentials": {"auth": "client_credentials"},
    "password": {"auth": "password", "password": "fake-passfake-security-token"},
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_signing_in(org: SalesforceRig, way: str) -> None:
    crm = org.destination(**WAYS[way])
    assert limits(crm)["DailyApiRequests"]["Max"] == 100_000
    assert org.fake.stats()["logins"] == 1
    org.world.sleep(7200)
    assert limits(crm)
    assert org.fake.stats()["logins"] == 2, "the session had lived its two hours"


def test_a_stored_refresh_token(org: SalesforceRig) -> None:
    token = org.fake.tokens.refresh_token(USER, "consumer")
    crm = org.destination(auth="refresh_token", refresh_token=token)
    limits(crm)
    org.fake.expire_sessions()
    assert limits(crm)
    assert org.fake.stats()["logins"] == 2


def test_a_refresh_token_that_is_good_once_is_followed_by_its_successor() -> None:
    app = FakeApp("consumer", "secret", run_as=USER, rotates=True)
    org = SalesforceRig(apps=(app,))
    crm = org.destination(
        auth="refresh_token", refresh_token=org.fake.tokens.refresh_token(USER, "consumer")
    )
    for _ in range(3):
        org.fake.expire_sessions()
        assert limits(crm)
    org.close()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"consumer_secret": "wrong"}, ("consumer_key or consumer_secret",)),
        ({"consumer_key": "unknown"}, ("consumer_key",)),
        ({"auth": "jwt", "private_key": "no key"}, ("private_key", "PEM")),
        ({"auth": "jwt", "private_key": key_pair()[0], "username": "x@y.test"}, ("username",)),
        ({"auth": "jwt", "private_key": key_pair()[0], "audience": "https://test.salesforce.com"},
         ("audience",)),
        ({"auth": "refresh_token", "refresh_token": "dead-token"}, ("expired or was revoked",)),
        ({"auth": "password", "password": "wrong"}, ("password", "summer 2027")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_credentials_is_said_without_them(
    org: SalesforceRig, changed: dict[str, Any], words: tuple[str, ...]
) -> None:
    crm = org.destination(**changed)
    with pytest.raises(ConfigError) as caught:
        limits(crm)
    assert all(word in caught.value.admin for word in words), caught.value.admin
    told = f"{caught.value.admin} {caught.value.log} {crm.settings!r}"
    for secret in ("wrong", "no key", "dead-token", key_pair()[0]):
        assert secret not in told.replace("is wrong", "").replace("are wrong", "")


@pytest.mark.parametrize(
    ("app", "way", "words"),
    [
        (FakeApp("consumer", "secret"), {}, "run-as user"),
        (FakeApp("consumer", "secret", password_flow=False), WAYS["password"], "turned off"),
        (FakeApp("consumer", "secret", key_pair()[1], approved=()), WAYS["jwt"], "pre-authorised"),
        (FakeApp("consumer", "secret", key_pair("other")[1]), WAYS["jwt"], "certificate"),
    ],
    ids=["no run-as user", "no password flow", "nobody approved", "another certificate"],
)
def test_what_the_app_lacks_is_said(app: FakeApp, way: dict[str, Any], words: str) -> None:
    org = SalesforceRig(apps=(app,))
    with pytest.raises(ConfigError) as caught:
        limits(org.destination(**way))
    assert words in caught.value.admin
    org.close()


def test_the_token_endpoint_may_be_away_for_a_while(org: SalesforceRig) -> None:
    org.fake.fail_next([Fault(status=503), None])
    assert limits(org.crm)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"base_url": "http://acme.my.salesforce.com"}, "https"),
        ({"base_url": "https://acme.lightning.force.com"}, "my.salesforce.com"),
        ({"base_url": "https://acme.my.salesforce.com/services"}, "host only"),
        ({"api_version": "45.0"}, "46.0"),
        ({"auth": "jwt"}, "private_key"),
        ({"auth": "refresh_token"}, "refresh_token"),
        ({"auth": "client_credentials", "consumer_secret": None}, "consumer_secret"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    org: SalesforceRig, changed: dict[str, Any], word: str
) -> None:
    with pytest.raises(ValidationError, match=word):
        org.settings(**changed)


# --- the session -----------------------------------------------------------------------------


def test_threads_that_meet_an_ended_session_sign_in_once(org: SalesforceRig) -> None:
    limits(org.crm)
    org.fake.expire_sessions()
    together = threading.Barrier(4)

    def call() -> None:
        together.wait()
        limits(org.crm)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert org.fake.stats()["logins"] == 2


@pytest.mark.parametrize("key", ["http://127.0.0.2:9/x", "https://evil.example/x"])
def test_a_key_that_was_not_quoted_leads_to_no_other_host(org: SalesforceRig, key: str) -> None:
    with pytest.raises(ProtocolError, match="another host"):
        client(org.crm).sdk.Contact.get(key)


def test_another_host_that_the_answer_names_is_not_followed(org: SalesforceRig) -> None:
    crm = org.destination()
    tokens = client(crm)._session.get_adapter("https://")._tokens  # type: ignore[attr-defined]
    own = org.settings(base_url="https://acme.my.salesforce.com")
    tokens._settings = own
    with pytest.raises(ConfigError, match=r"broker\.my\.salesforce\.com"):
        limits(crm)


def test_calls_are_announced_and_counted() -> None:
    names: list[str] = []
    org = SalesforceRig(names.append)
    limits(org.crm)
    assert names == ["http:before:crm", "http:after:crm"] * 2
    assert org.crm.counts.calls == 1, "a token costs nothing"
    org.close()


# --- faults ----------------------------------------------------------------------------------


BAD = [
    Fault(status=503),
    Fault(status=503, html=True),
    Fault(status=500),
    Fault(drop="before"),
    Fault(drop="after"),
]


@pytest.mark.parametrize("fault", BAD, ids=str)
def test_a_passing_fault_is_tried_again(org: SalesforceRig, fault: Fault) -> None:
    limits(org.crm)
    org.fake.fail_next([fault, fault, None])
    before = org.world.now_ms
    assert limits(org.crm)
    assert org.world.now_ms - before >= 3000, "1 s, then 2 s"


def test_a_lasting_fault_is_told_after_the_last_try(org: SalesforceRig) -> None:
    limits(org.crm)
    org.fake.fail_next([Fault(status=503)] * 5)
    with pytest.raises(RetryableError, match="problem of its own"):
        limits(org.crm)


def test_a_write_whose_answer_is_lost_is_ambiguous_if_it_may_not_be_repeated(
    org: SalesforceRig,
) -> None:
    limits(org.crm)
    body = {"allOrNone": False,
            "records": [{"attributes": {"type": "Contact"}, "LastName": "Berg"}]}  # fmt: skip
    org.fake.fail_next([Fault(drop="after")])
    with pytest.raises(AmbiguousError):
        client(org.crm).call("POST", "composite/sobjects", body=body, once=True)
    assert len(org.fake.records("Contact")) == 1, "applied, and not sent twice"


def test_nobody_there_is_told_with_what_to_check(org: SalesforceRig) -> None:
    crm = org.destination(base_url="http://127.0.0.1:1", max_attempts=1)
    with pytest.raises(RetryableError, match="base_url"):
        limits(crm)


def test_the_daily_limit_stops_the_hub_and_is_not_hammered(org: SalesforceRig) -> None:
    limits(org.crm)
    org.fake.use_up_quota()
    calls = org.crm.counts.calls
    with pytest.raises(QuotaError) as caught:
        limits(org.crm)
    assert caught.value.retry_after_s == 900
    assert org.crm.counts.calls == calls + 1
    with pytest.raises(QuotaError):
        limits(org.crm)
    assert org.crm.counts.calls <= calls + 2


def test_the_hub_pauses_at_its_share_of_the_day() -> None:
    org = SalesforceRig(daily_limit=100, used_today=78)
    limits(org.crm)
    limits(org.crm)
    with pytest.raises(QuotaError, match="80 of 100"):
        limits(org.crm)
    assert org.fake.stats()["used_today"] == 80
    org.close()


def test_an_endless_answer_is_cut(org: SalesforceRig) -> None:
    crm = org.destination(max_bytes=1000)
    with pytest.raises(ProtocolError, match="max_bytes"):
        crm.describe(CrmObject.CONTACT)


def test_a_version_the_org_does_not_offer(org: SalesforceRig) -> None:
    with pytest.raises(ConfigError, match="api_version"):
        org.destination(api_version="99.0").check()


def test_secrets_are_in_no_form_of_the_settings(org: SalesforceRig) -> None:
    settings = org.settings(auth="jwt", private_key=key_pair()[0], password="pw-4711")
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "pw-4711" not in text
        assert "PRIVATE KEY" not in text
        assert json.dumps("secret") not in text
