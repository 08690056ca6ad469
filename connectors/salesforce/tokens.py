"""Signing in: one access token at a time, fetched anew when Salesforce refuses it.

The hub asks the token endpoint itself. simple-salesforce knows no refresh token, takes the time of
a signed assertion from the machine's clock, and speaks to hosts of its own choice.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from connectors.clock import Clock
from connectors.salesforce.errors import RECORD
from connectors.salesforce.settings import LOCAL, SalesforceSettings
from connectors.shapes import of_form
from mapping.errors import BrokersyncError, ConfigError, ProtocolError, RetryableError

PATH = "/services/oauth2/token"
_LIVES_S = 180  # documented: an assertion may live three minutes
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_RETIRED = "Salesforce retires this way of signing in in summer 2027: set auth: jwt or "
_RETIRED += "client_credentials."

Post = Callable[[str, Mapping[str, str]], tuple[int, bytes]]
"""Sends a form to a path of the org: status and body."""


class Kept:
    """The refresh token, which may be good once and be followed by another.

    Args:
        path: where it outlives the process; None: it does not.
        first: the one that was configured.
    """

    def __init__(self, path: Path | None, first: str) -> None:
        self._path = path
        self._token = first

    def token(self) -> str:
        """The one that is good now.

        Raises:
            ConfigError: the file cannot be read.
        """
        if self._path is None or not self._path.exists():
            return self._token
        try:
            return self._path.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise _unusable(type(error).__name__, "read") from None

    def successor(self, token: str) -> None:
        """Keep the next one, before the access token that came with it is used.

        Raises:
            ConfigError: it cannot be written; the next process will not be let in.
        """
        self._token = token
        if self._path is None:
            return
        part = self._path.with_name(f"{self._path.name}.new")
        try:
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(token)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError as error:
            raise _unusable(type(error).__name__, "written") from None


def _unusable(kind: str, what: str) -> ConfigError:
    return ConfigError(
        f"refresh_token_file of the Salesforce destination cannot be {what} ({kind}): let the "
        f"hub's user read and write it and its folder."
    )


class Tokens:
    """The access token of one connection, shared by its threads.

    Args:
        post: how the token endpoint is reached; no token is sent along.
    """

    def __init__(self, settings: SalesforceSettings, clock: Clock, post: Post) -> None:
        self._settings = settings
        self._clock = clock
        self._post = post
        self._lock = threading.Lock()
        self._token = ""
        self._user = ""
        self._kept = Kept(settings.refresh_token_file, _plain(settings.refresh_token))

    def current(self) -> str:
        """The token; the first use fetches it.

        Raises:
            ConfigError: Salesforce refuses the credentials.
            RetryableError: the token endpoint is away.
        """
        with self._lock:
            return self._token or self._fetch()

    def user_id(self) -> str:
        """Whose token it is, as the token's answer says (seen in captures); else blank."""
        self.current()
        return self._user

    def instead_of(self, refused: str) -> str:
        """A token other than ``refused``: another thread's newer one, or one fetched now."""
        with self._lock:
            if self._token and self._token != refused:
                return self._token
            return self._fetch()

    def _fetch(self) -> str:
        self._token = ""
        status, body = self._post(PATH, self._form())
        answer = _decoded(body)
        if status != 200:
            raise self._refusal(status, answer)
        token, instance = answer.get("access_token"), answer.get("instance_url")
        if not isinstance(token, str) or not token:
            raise ProtocolError("Salesforce's token endpoint answered without a token.")
        self._check_instance(instance)
        # With rotation the old refresh token died at this moment.
        if isinstance(rotated := answer.get("refresh_token"), str) and rotated:
            self._kept.successor(rotated)
        self._token = token
        told = answer.get("id")  # https://login.salesforce.com/id/<organisation>/<user>
        self._user = of_form(told.rsplit("/", 1)[-1], RECORD) if isinstance(told, str) else ""
        return token

    def _check_instance(self, instance: Any) -> None:
        """Calls go to the configured host alone: one that the answer names is not followed."""
        told = urlsplit(instance if isinstance(instance, str) else "").hostname or ""
        own = urlsplit(self._settings.base_url).hostname
        if told and told != own and own not in LOCAL:
            name = told if told.endswith((".salesforce.com", ".force.com")) else "another host"
            raise ConfigError(
                f"Salesforce says that this org is at {name}: set base_url of the destination to "
                f"the org's My Domain (Setup > My Domain)."
            )

    def _form(self) -> dict[str, str]:
        s = self._settings
        app = {"client_id": s.consumer_key.get_secret_value()}
        secret = {"client_secret": _plain(s.consumer_secret)}
        match s.auth:
            case "jwt":
                return {"grant_type": _JWT, "assertion": self._assertion()}
            case "client_credentials":
                return {"grant_type": "client_credentials", **app, **secret}
            case "refresh_token":
                return {"grant_type": "refresh_token", **app, **secret,
                        "refresh_token": self._kept.token()}  # fmt: skip
            case "password":
                return {"grant_type": "password", **app, **secret, "username": s.username,
                        "password": _plain(s.password)}  # fmt: skip

    def _assertion(self) -> str:
        import jwt

        s = self._settings
        claims = {
            "iss": s.consumer_key.get_secret_value(),
            "sub": s.username,
            "aud": s.audience,
            "exp": self._clock.now_ms() // 1000 + _LIVES_S,
        }
        try:
            return jwt.encode(claims, _plain(s.private_key), algorithm="RS256")
        except Exception:  # noqa: BLE001 - cryptography's own kinds are many, and may quote the key
            raise ConfigError(
                "private_key of the Salesforce destination is not a private RSA key in PEM form "
                "(-----BEGIN PRIVATE KEY-----)."
            ) from None

    def _refusal(self, status: int, answer: Mapping[str, Any]) -> BrokersyncError:
        code = answer.get("error")
        code = code if isinstance(code, str) and code.isascii() and len(code) < 60 else "no code"
        log = f"salesforce POST {PATH}: status {status} {code}"
        if status >= 500 or status == 429:
            return RetryableError("Salesforce's token endpoint is away.", log)
        auth = self._settings.auth
        advice = _WHY.get((auth, code)) or _WHY.get(("", code)) or _LOOK
        legacy = f" {_RETIRED}" if auth == "password" else ""
        return ConfigError(f"Salesforce does not let the hub in ({code}): {advice}{legacy}", log)


_LOOK = "check its External Client App (Setup > External Client App Manager)."
_WHY: Mapping[tuple[str, str], str] = {
    ("jwt", "invalid_grant"): "the integration user must be pre-authorised in the app's policies "
    "(Permitted Users: admin approved), the certificate must be the one uploaded there, the "
    "username right and this machine's clock too; for a sandbox set audience to "
    "https://test.salesforce.com.",
    ("client_credentials", "invalid_grant"): "the app's client credentials flow needs a run-as "
    "user, and base_url must be the My Domain.",
    ("refresh_token", "invalid_grant"): "the refresh token has expired or was revoked: authorise "
    "the app again and store the new one.",
    ("password", "invalid_grant"): "user name, password or security token are wrong, or the org "
    "blocks this way of signing in.",
    ("", "invalid_client_id"): "consumer_key is not known to this org.",
    ("", "invalid_client"): "consumer_key or consumer_secret is wrong.",
    ("", "unsupported_grant_type"): "this way of signing in is turned off in the app.",
    ("", "inactive_user"): "the integration user is not active.",
    ("", "inactive_org"): "the org is locked or its trial has ended.",
}


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


def _decoded(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}
