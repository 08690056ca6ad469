"""Cellxpert's admin API: one address, commands, and the three shapes in which rows come back.

READ (several brokers' integrations; the vendor publishes no reference): the login, the commands,
the shapes. An answer is an array; an object with one array under a known key; or an object (or a
value of one) with ``s3`` and ``url``, a signed link behind which the rows are JSON or CSV. No rows
are an empty body, and a caller whose address is not allowed gets plain text with HTTP 200.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import httpx

from connectors.base import Context
from connectors.cellxpert.settings import CellxpertSettings
from connectors.http import Api, Blame, HeaderAuth, TokenAuth, decoded
from mapping.errors import ConfigError, ProtocolError, RetryableError

LOGIN = "/?command=authenticate"
REGISTRATIONS = "/?command=processregreport"
PARTNERS = "/?command=browseaffiliatesjson"
DOWNLOAD = "the signed link of a report"
# A refusal in plain text is a sentence; what is longer or looks like markup is no refusal.
_LONGEST_REFUSAL = 500
_PORTS = {"https": 443, "http": 80}


class AdminAuth(TokenAuth):
    """A bearer token beside the tenant's name."""

    def __init__(self, tenant: str, *token: Any, **options: Any) -> None:
        super().__init__(*token, **options)
        self._tenant = _tenant(tenant)

    def sign(self, request: httpx.Request, target: bytes, body: bytes) -> None:
        """See :class:`connectors.http.Auth`."""
        super().sign(request, target, body)
        self._tenant.sign(request, target, body)


class Reports:
    """Rows of reports, whatever shape they come in.

    Args:
        transport: instead of the network (tests).
    """

    def __init__(
        self,
        settings: CellxpertSettings,
        context: Context,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = context.name
        self._settings = settings
        # A token is given up early by choice (token_minutes), so nothing is taken off again.
        auth = AdminAuth(settings.admin_url, self._token, context.clock, slack_s=0)
        blame = Blame(
            credentials="user and password (the secret of the connection)",
            rights="the rights of the user, and that admin_url is the tenant's name",
        )
        self.api = Api(settings, context, auth=auth, blame=blame, transport=transport)
        self.files = Api(settings, context, transport=transport)

    def close(self) -> None:
        """Give back connections."""
        self.api.close()
        self.files.close()

    def rows(self, command: str, query: Mapping[str, str]) -> list[Any]:
        """Every row of one answer.

        An item that is no object is a line that has not the columns of its CSV header, or what
        the vendor put between its rows.

        Raises:
            ConfigError: refused in plain text, or a link to a host that no setting names.
            ProtocolError: another shape than documented.
            RetryableError: the vendor is away.
        """
        where = f"GET {command}"
        body = self.api.send("GET", command, query={**query, "json": "1"}, decode=bytes)
        value = self._json(where, body)
        link = _link(value)
        if link is None:
            return self._list(where, value)
        return self._downloaded(self._fetched(where, self._allowed(where, link)))

    def _json(self, where: str, body: bytes) -> Any:
        if not body.strip():
            return []
        try:
            value = decoded(body)
        except (ValueError, RecursionError):
            text = body.decode("utf-8", "replace").strip()
            if text[0] in "<{[" or len(text) > _LONGEST_REFUSAL:
                raise ProtocolError(
                    f"{self.name}: {where} answered with something that is not JSON; check that"
                    " base_url is the API's address, else the vendor changed its answer"
                ) from None
            raise self._refused(where) from None
        if isinstance(value, str):
            raise self._refused(where)
        return value

    def _refused(self, where: str) -> ConfigError:
        return ConfigError(
            f"{self.name}: {where} was refused in plain text instead of JSON: ask Cellxpert to"
            " allow the address from which this machine reaches the internet, and check admin_url"
            " and the rights of the user"
        )

    def _list(self, where: str, value: Any) -> list[Any]:
        if isinstance(value, list):
            return value
        if isinstance(value, dict):
            found = [v for k in self._settings.list_keys if isinstance(v := value.get(k), list)]
            if len(found) == 1:
                return found[0]
        keys = ", ".join(self._settings.list_keys)
        raise ProtocolError(
            f"{self.name}: {where} should answer with a list, or an object with one list under one"
            f" of {keys} (setting list_keys), or a link to a file"
        )

    def _allowed(self, where: str, link: str) -> str:
        """``link``, if its host is the API's or one that the settings name."""
        try:
            url = httpx.URL(link)
        except httpx.InvalidURL:
            url = httpx.URL()
        base = httpx.URL(self._settings.base_url)
        if url.scheme not in {"https", base.scheme} or not url.host or url.userinfo:
            raise ProtocolError(f"{self.name}: {where} answered with a link that is no web address")
        place = _place(url)
        own = {_place(base), *self._settings.download_hosts}
        if place not in own:
            raise ConfigError(
                f"{self.name}: {where} is answered by a file on the host {place}, which no setting"
                f" names; if it belongs to Cellxpert, add it to download_hosts"
            )
        return link

    def _fetched(self, where: str, link: str) -> bytes:
        try:
            return self.files.fetch(link, DOWNLOAD)
        except ConfigError as error:
            # Nothing is set for files: a link that is refused is old, and another one is to be had.
            raise RetryableError(
                f"{self.name}: {where} gave a link to a file that was refused; the next pull asks"
                " for another one, and if that stays so, its host refuses this machine",
                error.log,
            ) from None

    def _downloaded(self, data: bytes) -> list[Any]:
        head = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if head in {b"[", b"{"}:
            value = self._json(DOWNLOAD, data.removeprefix(b"\xef\xbb\xbf"))
            return self._list(DOWNLOAD, value)
        if head == b"<":
            raise ProtocolError(f"{self.name}: {DOWNLOAD} leads to a page instead of JSON or CSV")
        return self._csv(data)

    def _csv(self, data: bytes) -> list[Any]:
        try:
            text = data.decode("utf-8-sig")
            lines = csv.reader(
                io.StringIO(text, newline=""), delimiter=self._settings.csv_delimiter, strict=True
            )
            header = [name.strip().replace(" ", "_") for name in next(lines, [])]
            if len(set(header)) < len(header):
                raise ProtocolError(f"{self.name}: {DOWNLOAD} names a column twice")
            # A line of blanks ends some files; one with other columns is set aside by its reader.
            return [
                dict(zip(header, line, strict=True)) if len(line) == len(header) else []
                for line in lines
                if any(cell.strip() for cell in line)
            ]
        except (UnicodeDecodeError, csv.Error) as error:
            raise ProtocolError(
                f"{self.name}: {DOWNLOAD} is neither JSON nor CSV in UTF-8 ({type(error).__name__})"
            ) from None

    def _token(self) -> tuple[str, float]:
        form = {
            "user": self._settings.user,
            "url": self._settings.admin_url,
            "pass": self._settings.password.get_secret_value(),
        }
        auth = _tenant(self._settings.admin_url)
        body = self.api.send("POST", LOGIN, auth=auth, once=True, form=form, decode=bytes)
        value = self._json(f"POST {LOGIN}", body)
        token = value.get("token") if isinstance(value, dict) else None
        if isinstance(token, str) and token.isascii() and token.isprintable() and token:
            return token, self._settings.token_minutes * 60
        if isinstance(value, dict) and ("error" in value or "message" in value):
            raise ConfigError(
                f"{self.name}: POST {LOGIN} gave no token: check user and password (the secret of"
                " the connection) and admin_url"
            )
        raise ProtocolError(f"{self.name}: POST {LOGIN} should answer with an object with a token")


def _tenant(name: str) -> HeaderAuth:
    """Names the tenant; of a login the form says the rest."""
    return HeaderAuth("admin_url", name)


def _link(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    for part in (value, *value.values()):
        if isinstance(part, dict) and part.get("s3") and isinstance(part.get("url"), str):
            return str(part["url"])
    return None


def _place(url: httpx.URL) -> str:
    """``host``, or ``host:port`` where the port is not the scheme's own."""
    host = url.raw_host.decode("ascii").lower()
    if url.port is None or url.port == _PORTS.get(url.scheme):
        return host
    return f"{host}:{url.port}"
