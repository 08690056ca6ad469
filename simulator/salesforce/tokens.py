"""Sessions, and the token endpoint that gives them out.

Documented: the grants and the shape of their answers and errors. Recorded: the answers to a refresh
token that is not good, a wrong password and a consumer nobody approved; other words are assumed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

from simulator.salesforce.org import FakeUser, Org
from simulator.salesforce.problems import TokenError, no_session
from simulator.salesforce.values import shown
from simulator.wire import Request, Response

JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PASSWORD_SUFFIXES = ("", "fake-security-token")
_LONGEST_S = 180 + 30  # documented: an assertion lives 3 minutes; the leeway is assumed


@dataclass(slots=True)
class FakeApp:
    """An External Client App (or an old Connected App).

    Args:
        client_id: the consumer key.
        certificate: PEM of the certificate registered for JWT bearer; "" for none.
        approved: usernames an administrator has pre-authorised; None: all.
        run_as: username the client-credentials flow runs as; "" for none.
        password_flow: takes passwords, as old organisations do.
        rotates: a refresh token is good once, and its successor comes with the answer.
    """

    client_id: str = "3MVG9fake"
    client_secret: str = "fake-secret"
    certificate: str = field(default="", repr=False)
    approved: tuple[str, ...] | None = None
    run_as: str = ""
    password_flow: bool = True
    rotates: bool = False


@dataclass(slots=True)
class Session:
    """A user logged in, until ``ends_ms``."""

    user_id: str
    ends_ms: int


class Tokens:
    """Apps, sessions and refresh tokens.

    Args:
        life_s: how long a session lives (assumed: from login, whether it is used or not).
        audiences: what the ``aud`` of an assertion may be.
        checks_time: an assertion's ``exp`` is compared with the world's clock; off for clients
            that take it from another clock.
        instance_url: where the answers send their callers.
    """

    def __init__(
        self,
        org: Org,
        apps: Iterable[FakeApp],
        users: dict[str, tuple[str, FakeUser]],
        *,
        life_s: float,
        audiences: Iterable[str],
        instance_url: str,
        checks_time: bool,
    ) -> None:
        self.apps = {app.client_id: app for app in apps}
        self.life_ms = round(life_s * 1000)
        self.audiences = set(audiences)
        self.instance_url = instance_url
        self.checks_time = checks_time
        self.broken = False
        self.logins = 0
        self._org = org
        self._users = users
        self._sessions: dict[str, Session] = {}
        self._refresh: dict[str, tuple[str, str]] = {}
        self._given = 0

    # Sessions

    def open(self, user_id: str) -> str:
        """A new session's id: the organisation's, ``!``, and a secret (recorded form)."""
        self._given += 1
        secret = hashlib.sha256(f"{user_id}/{self._given}".encode()).digest()
        text = base64.urlsafe_b64encode(secret).decode().rstrip("=").replace("-", ".")
        token = f"{self._org_id()[:15]}!AQ{text}"
        self._sessions[token] = Session(user_id, self._org.now_ms + self.life_ms)
        return token

    def _org_id(self) -> str:
        return next(iter(self._org.tables["organization"].rows))

    def user(self, request: Request) -> str:
        """The user who asks.

        Raises:
            SalesforceError: no session, or one that has ended.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        # Documented schemes; the second is that of old clients.
        user_id = self.holder(token) if scheme in ("Bearer", "OAuth") else None
        if user_id is None:
            raise no_session()
        return user_id

    def holder(self, token: str) -> str | None:
        """Whose session it is, if it is good."""
        session = self._sessions.get(token)
        if session is None or self.broken or session.ends_ms <= self._org.now_ms:
            return None
        return session.user_id

    def expire(self) -> None:
        """All sessions end now."""
        self._sessions.clear()

    def refresh_token(self, username: str, client_id: str) -> str:
        """A refresh token, as the web-server flow would have given."""
        self._given += 1
        secret = hashlib.sha256(f"{username}/refresh/{self._given}".encode()).hexdigest()
        token = f"5Aep861{secret}"
        self._refresh[token] = (username, client_id)
        return token

    # The endpoint

    def answer(self, request: Request) -> Response:
        """``POST /services/oauth2/token``"""
        try:
            form = {k: v[-1] for k, v in parse_qs(request.body.decode("latin-1")).items()}
            grants: dict[str, Callable[[Request, dict[str, str]], dict[str, Any]]] = {
                JWT: self._jwt,
                "client_credentials": self._credentials,
                "refresh_token": self._refreshed,
                "password": self._password,
            }
            grant = grants.get(form.get("grant_type", ""), self._no_grant)
            return Response.json(200, grant(request, form))
        except TokenError as refused:
            told = {"error": refused.error, "error_description": refused.description}
            return Response.json(refused.status, told)

    def _no_grant(self, _request: Request, _form: dict[str, str]) -> dict[str, Any]:
        raise TokenError("unsupported_grant_type", "grant type not supported")

    def _jwt(self, _request: Request, form: dict[str, str]) -> dict[str, Any]:
        head, claims, signed, signature = _assertion(form.get("assertion", ""))
        app = self.apps.get(str(claims.get("iss")))
        if app is None:
            raise TokenError("invalid_client_id", "client identifier invalid")
        if head.get("alg") != "RS256" or not _signed(app.certificate, signed, signature):
            raise TokenError("invalid_grant", "invalid assertion")
        if claims.get("aud") not in self.audiences:
            raise TokenError("invalid_grant", "audience is invalid")
        self._check_exp(claims.get("exp"))
        user = str(claims.get("sub", ""))
        if user not in self._users or (app.approved is not None and user not in app.approved):
            raise TokenError("invalid_grant", "user hasn't approved this consumer")
        return self._granted(user, app)

    def _check_exp(self, exp: Any) -> None:
        try:
            left_s = float(exp) - self._org.now_ms / 1000  # recorded: a client sends it as text
        except (TypeError, ValueError):
            raise TokenError("invalid_grant", "invalid assertion") from None
        if self.checks_time and not 0 < left_s <= _LONGEST_S:
            raise TokenError("invalid_grant", "expired authorization code")

    def _credentials(self, request: Request, form: dict[str, str]) -> dict[str, Any]:
        host = request.headers.get("host", "")
        if host.startswith(("login.salesforce", "test.salesforce")):
            # Documented: it needs the host of My Domain.
            raise TokenError("invalid_grant", "request not supported on this domain")
        app = self._client(request, form)
        if not app.run_as:
            raise TokenError("invalid_grant", "no client credentials user enabled")
        return self._granted(app.run_as, app)

    def _refreshed(self, request: Request, form: dict[str, str]) -> dict[str, Any]:
        app = self._client(request, form)
        token = form.get("refresh_token", "")
        username, client_id = self._refresh.get(token, ("", ""))
        if client_id != app.client_id:
            raise TokenError("invalid_grant", "expired access/refresh token")
        out = self._granted(username, app)
        if app.rotates:
            del self._refresh[token]
            out["refresh_token"] = self.refresh_token(username, client_id)
        return out

    def _password(self, request: Request, form: dict[str, str]) -> dict[str, Any]:
        app = self._client(request, form)
        if not app.password_flow:
            raise TokenError("unsupported_grant_type", "grant type not supported")
        username, sent = form.get("username", ""), form.get("password", "")
        user = self._users.get(username)
        known = [user[1].password + suffix for suffix in PASSWORD_SUFFIXES] if user else []
        if user is None or not user[1].password or sent not in known:
            raise TokenError("invalid_grant", "authentication failure")
        return self._granted(username, app)

    def _client(self, request: Request, form: dict[str, str]) -> FakeApp:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, coded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                client_id, _, secret = base64.b64decode(coded).decode().partition(":")
            except ValueError:
                raise TokenError("invalid_client", "invalid client credentials") from None
        app = self.apps.get(client_id)
        if app is None:
            raise TokenError("invalid_client_id", "client identifier invalid")
        if not hmac.compare_digest(secret.encode(), app.client_secret.encode()):
            raise TokenError("invalid_client", "invalid client credentials")
        return app

    def _granted(self, username: str, app: FakeApp) -> dict[str, Any]:
        """Documented: neither a lifetime nor (for these grants) a refresh token is told."""
        user_id, _ = self._users[username]
        if not self._org.row("User", user_id).get("IsActive"):
            raise TokenError("invalid_grant", "inactive user")
        self.logins += 1
        whole_id = f"https://login.salesforce.com/id/{self._org_id()}/{user_id}"
        issued = str(self._org.now_ms)
        key = hmac.new(app.client_secret.encode(), (whole_id + issued).encode(), "sha256")
        return {
            "access_token": self.open(user_id),
            "signature": base64.b64encode(key.digest()).decode(),
            "scope": "api id",
            "instance_url": self.instance_url,
            "id": whole_id,
            "token_type": "Bearer",
            "issued_at": issued,
        }

    def userinfo(self, request: Request) -> Response:
        """``GET /services/oauth2/userinfo`` (documented; the choice of names is ours)."""
        user_id = self.user(request)
        row = self._org.row("User", user_id)
        told = {
            "sub": f"https://login.salesforce.com/id/{self._org_id()}/{user_id}",
            "user_id": user_id,
            "organization_id": self._org_id(),
            "preferred_username": row["Username"],
            "nickname": row["Alias"],
            "name": row["Name"],
            "email": row["Email"],
            "email_verified": True,
            "given_name": row.get("FirstName"),
            "family_name": row["LastName"],
            "zoneinfo": "UTC",
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "active": True,
            "updated_at": shown(self._org.now_ms),
            "urls": {"rest": f"{self.instance_url}/services/data/v{{version}}/"},
        }
        return Response.json(200, told)


def _assertion(text: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, claims, what is signed, and the signature of a JWT."""
    try:
        head, claims, signature = text.split(".")
        parts = json.loads(_decoded(head)), json.loads(_decoded(claims))
        dict.keys(parts[0]), dict.keys(parts[1])  # anything but objects is refused
        return *parts, f"{head}.{claims}".encode(), _decoded(signature)
    except (TypeError, ValueError, binascii.Error):
        raise TokenError("invalid_grant", "invalid assertion") from None


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signed(certificate: str, signed: bytes, signature: bytes) -> bool:
    if not certificate:
        return False
    key = load_pem_x509_certificate(certificate.encode()).public_key()
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
