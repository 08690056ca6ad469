"""Logging in: the grants of the token endpoint, sessions and their end."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed

from simulator.salesforce import FakeApp, FakeUser, Fault
from tests.certificates import key_pair
from tests.simulator.salesforce.rig import Rig

TOKEN = "/services/oauth2/token"
USER = "hub@broker.test"


KEY, CERTIFICATE = key_pair()
OTHER_KEY, _ = key_pair("other")
APP = FakeApp("consumer", "secret", CERTIFICATE, approved=(USER,), run_as=USER)


@pytest.fixture
def org(rigs: Callable[..., Rig]) -> Rig:
    users = (
        FakeUser(USER, "Broker", password="pass"),
        FakeUser("sales@broker.test", "Sam"),
        FakeUser("gone@broker.test", "Gone", active=False, password="pass"),
    )
    rig = rigs(apps=[APP], users=users)
    # simple-salesforce dates its assertions by the real clock.
    rig.world.sleep(time.time() - rig.world.now_ms / 1000)
    return rig


def login(rig: Rig, **how: Any) -> Salesforce:
    return Salesforce(session=rig.session, version="60.0", **how)


def test_jwt_bearer(org: Rig) -> None:
    sf = login(org, username=USER, consumer_key="consumer", privatekey=KEY)
    assert sf.session_id.startswith("00D")
    assert "!" in sf.session_id
    assert sf.sf_instance == "broker.my.salesforce.com"
    assert [o["name"] for o in sf.describe()["sobjects"]][:3] == ["Contact", "Lead", "Account"]
    assert org.fake.tokens.logins == 1


def test_client_credentials(org: Rig) -> None:
    sf = login(org, consumer_key="consumer", consumer_secret="secret", domain="broker.my")
    assert sf.limits()["DailyApiRequests"]["Max"] == 100_000


def test_a_password(org: Rig) -> None:
    how = {"username": USER, "consumer_key": "consumer", "consumer_secret": "secret"}
    assert login(org, password="pass", **how).session_id
    for wrong in ({"password": "wrong"}, {"password": "pass", "username": "no@body.test"}):
        with pytest.raises(SalesforceAuthenticationFailed) as caught:
            login(org, **(how | wrong))
        assert (caught.value.code, caught.value.auth_message) == (
            "invalid_grant",
            "authentication failure",
        )


def _token(rig: Rig, **form: str) -> tuple[int, dict[str, Any]]:
    answer = rig.http.post(TOKEN, data=form)
    assert "sforce-limit-info" not in answer.headers
    return answer.status_code, answer.json()


def _assertion(rig: Rig, key: str = KEY, **claims: Any) -> str:
    told = {
        "iss": "consumer",
        "sub": USER,
        "aud": "https://login.salesforce.com",
        "exp": rig.world.now_ms // 1000 + 170,
    }
    return jwt.encode(told | claims, key, algorithm="RS256")


def _with_jwt(rig: Rig, assertion: str) -> tuple[int, dict[str, Any]]:
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return _token(rig, grant_type=grant, assertion=assertion)


def test_the_answer_of_the_token_endpoint(org: Rig) -> None:
    status, told = _with_jwt(org, _assertion(org))
    assert status == 200
    assert set(told) == {
        "access_token", "instance_url", "id", "token_type", "issued_at", "signature", "scope",
    }  # fmt: skip
    assert told["token_type"] == "Bearer"
    assert told["instance_url"] == "https://broker.my.salesforce.com"
    assert told["issued_at"] == str(org.world.now_ms)
    user_id = next(iter(org.fake.user_ids.values()))
    assert told["id"].startswith("https://login.salesforce.com/id/00D")
    assert told["id"].endswith(f"/{user_id}")


@pytest.mark.parametrize(
    ("claims", "error", "words"),
    [
        ({"sub": "sales@broker.test"}, "invalid_grant", "user hasn't approved this consumer"),
        ({"sub": "no@body.test"}, "invalid_grant", "user hasn't approved this consumer"),
        ({"iss": "nobody"}, "invalid_client_id", "client identifier invalid"),
        ({"aud": "https://test.salesforce.com"}, "invalid_grant", "audience is invalid"),
        ({"exp": 1}, "invalid_grant", "expired authorization code"),
        ({"exp": 4_000_000_000}, "invalid_grant", "expired authorization code"),
        ({"exp": "soon"}, "invalid_grant", "invalid assertion"),
    ],
)
def test_an_assertion_that_is_refused(
    org: Rig, claims: dict[str, Any], error: str, words: str
) -> None:
    if "exp" in claims and claims["exp"] == "soon":
        text = _unchecked(org, claims)
    else:
        text = _assertion(org, **claims)
    assert _with_jwt(org, text) == (400, {"error": error, "error_description": words})


def _unchecked(org: Rig, claims: dict[str, Any]) -> str:
    """The library itself refuses to make this one."""
    return str(jwt.api_jws.encode(_json(org, claims), KEY, algorithm="RS256"))


def _json(org: Rig, claims: dict[str, Any]) -> bytes:
    told = {"iss": "consumer", "sub": USER, "aud": "https://login.salesforce.com"}
    return json.dumps(told | claims).encode()


def test_a_signature_that_is_not_the_certificates(org: Rig) -> None:
    good = _assertion(org)
    head, claims, _ = good.split(".")
    unsigned = jwt.encode({"iss": "consumer", "sub": USER}, "", algorithm="none")
    changed = f"{head}.{claims[:-4]}AAAA.{good.split('.')[2]}"
    for text in (_assertion(org, OTHER_KEY), unsigned, changed, "a.b.c", "", f"{head}.{claims}"):
        assert _with_jwt(org, text)[1]["error_description"] == "invalid assertion"
    assert _with_jwt(org, good)[0] == 200


def test_my_domain_is_an_audience_too(org: Rig) -> None:
    assert _with_jwt(org, _assertion(org, aud="https://broker.my.salesforce.com"))[0] == 200


def test_a_refresh_token_that_is_good_once(org: Rig) -> None:
    org.fake.tokens.apps["consumer"].rotates = True
    first = org.fake.tokens.refresh_token(USER, "consumer")
    form = {"grant_type": "refresh_token", "client_id": "consumer", "client_secret": "secret"}
    status, told = _token(org, refresh_token=first, **form)
    assert status == 200
    gone = {"error": "invalid_grant", "error_description": "expired access/refresh token"}
    assert _token(org, refresh_token=first, **form) == (400, gone)
    assert _token(org, refresh_token=told["refresh_token"], **form)[0] == 200
    org.fake.tokens.apps["consumer"].rotates = False
    lasting = org.fake.tokens.refresh_token(USER, "consumer")
    for _ in range(2):
        assert "refresh_token" not in _token(org, refresh_token=lasting, **form)[1]


def test_other_refusals(org: Rig) -> None:
    basic = base64.b64encode(b"consumer:wrong").decode()
    headers = {"authorization": f"Basic {basic}"}
    answer = org.http.post(TOKEN, data={"grant_type": "client_credentials"}, headers=headers)
    assert answer.json()["error"] == "invalid_client"
    form = {"client_id": "consumer", "client_secret": "secret"}
    assert _token(org, grant_type="magic", **form)[1]["error"] == "unsupported_grant_type"
    on_login = org.http.post(
        TOKEN,
        data={"grant_type": "client_credentials", **form},
        headers={"host": "login.salesforce.com"},
    )
    assert on_login.json()["error_description"] == "request not supported on this domain"
    org.fake.tokens.apps["consumer"].run_as = ""
    told = _token(org, grant_type="client_credentials", **form)[1]
    assert told["error_description"] == "no client credentials user enabled"
    told = _token(org, grant_type="password", username="gone@broker.test", password="pass", **form)[
        1
    ]
    assert told["error_description"] == "inactive user"
    org.fake.tokens.apps["consumer"].password_flow = False
    told = _token(org, grant_type="password", username=USER, password="pass", **form)[1]
    assert told["error"] == "unsupported_grant_type"


EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


def test_a_session_ends(rigs: Callable[..., Rig]) -> None:
    rig = rigs(session_s=600)
    rig.world.sleep(599)
    assert rig.call("GET", "limits").status_code == 200
    rig.world.sleep(1)
    answer = rig.call("GET", "limits")
    assert (answer.status_code, answer.json()) == (401, EXPIRED)
    rig.login()
    assert rig.call("GET", "limits").status_code == 200
    rig.fake.expire_sessions()
    assert rig.call("GET", "query?q=SELECT+Id+FROM+User").status_code == 401
    for sent in ("Bearer nonsense", "Basic abc", ""):
        assert rig.call("GET", "limits", headers={"authorization": sent}).status_code == 401


def test_the_client_logs_in_again_after_one_401(org: Rig) -> None:
    sf = login(org, username=USER, consumer_key="consumer", privatekey=KEY)
    org.fake.expire_sessions()
    assert sf.Contact.create({"LastName": "Berg"})["success"]
    assert org.fake.tokens.logins == 2
    org.fake.fail_next([Fault.lost_session()])
    assert sf.limits()
    assert org.fake.tokens.logins == 3


def test_who_am_i(rig: Rig) -> None:
    told = rig.call("GET", "/services/oauth2/userinfo").json()
    user_id = rig.fake.user_ids["hub@broker.test"]
    assert told["user_id"] == user_id
    assert told["sub"] == f"https://login.salesforce.com/id/{told['organization_id']}/{user_id}"
    assert told["preferred_username"] == "hub@broker.test"
    assert rig.read(user_id, "User")["Name"] == "Broker Hub"
    assert rig.read(told["organization_id"], "Organization")["IsSandbox"] is False
    rig.fake.expire_sessions()
    assert rig.call("GET", "/services/oauth2/userinfo").status_code == 401
