"""simple-salesforce over the guarded session, with our own errors and bounded reading."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from connectors.base import Context
from connectors.destination import CallCount
from connectors.salesforce.session import ONCE, Download, guarded
from connectors.salesforce.settings import SalesforceSettings
from mapping.errors import ProtocolError

MOST = 200
"""Rows of one sObject Collections call (documented)."""


class SalesforceClient:
    """Calls of the data API; safe to use from several threads.

    Raises:
        ConfigError, RetryableError, QuotaError, AmbiguousError, ProtocolError, RefusalError: see
            :class:`connectors.salesforce.session.Guard`.
    """

    def __init__(
        self, settings: SalesforceSettings, context: Context, counts: CallCount, pool: Any = None
    ) -> None:
        self._settings = settings
        self._session, self._guard = guarded(settings, context, counts, pool)
        self._building = threading.Lock()
        self._sdk: Any = None

    @property
    def sdk(self) -> Any:
        """simple-salesforce's object. The first use imports it (a quarter of a second)."""
        if self._sdk is None:
            with self._building:
                if self._sdk is None:
                    from simple_salesforce.api import Salesforce

                    self._sdk = Salesforce(
                        # The guard puts the token in each request itself.
                        session_id="guarded",
                        instance=urlsplit(self._settings.base_url).netloc,
                        version=self._settings.api_version,
                        session=self._session,
                    )
        return self._sdk

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> Any:
        """Decoded JSON of one call below ``/services/data/vNN.0/``; None where there is no body.

        Args:
            once: a write that must not be sent twice.
        """
        extra = {**(headers or {}), **({ONCE: "1"} if once else {})}
        kw: dict[str, Any] = {"headers": extra} if extra else {}
        if body is not None:
            kw["json"] = body
        try:
            return self.sdk.restful(path, params=params, method=method, **kw)
        except ValueError:  # requests' kind for a body that is no JSON
            raise unexpected(f"{method} {path.split('/')[0]}: no JSON") from None

    def upload(self, path: str, body: bytes) -> None:
        """Send a CSV file, once: simple-salesforce wants JSON for an answer, and there is none.

        Raises:
            AmbiguousError: the answer was lost.
        """
        headers = {"Content-Type": "text/csv; charset=UTF-8", ONCE: "1"}
        self._session.put(self._address(path), data=body, headers=headers)

    def download(self, path: str, take: Callable[[Iterator[bytes]], None]) -> None:
        """Hand over a file in chunks as it arrives: simple-salesforce would hold it twice.

        Args:
            take: called anew with each try; one that was cut off counts for nothing.
        """
        asked = Download(take)
        asked.prepare(method="GET", url=self._address(path), headers={"Accept": "text/csv"})
        self._session.send(asked)

    def _address(self, path: str) -> str:
        return f"{self._settings.base_url}/services/data/v{self._settings.api_version}/{path}"

    def describe(self, sobject: str) -> Mapping[str, Any]:
        """An object as Salesforce describes it to the integration user."""
        found = self.call("GET", f"sobjects/{quote(sobject, safe='')}/describe")
        if not isinstance(found, Mapping) or not isinstance(found.get("fields"), list):
            raise unexpected("describe: no fields")
        return found

    def query(self, soql: str, *, deleted: bool = False) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Pages of a query's rows (2,000 by default); ``deleted`` rows too.

        Values in ``soql`` are quoted by :func:`soql_text`.
        """
        page = self.call("GET", "queryAll" if deleted else "query", params={"q": soql})
        while True:
            with reading("query"):
                yield page["records"]
                if page["done"]:
                    return
                # It begins with /services/data/vNN.0/, which `restful` puts before it.
                following = str(page["nextRecordsUrl"]).split("/", 4)[4]
            page = self.call("GET", following)

    def version_list(self) -> Sequence[str]:
        """API versions the org offers, oldest first. Not counted by the limit (documented)."""
        answer = self._session.get(f"{self._settings.base_url}/services/data")
        with reading("versions"):
            return [str(row["version"]) for row in answer.json()]

    def user_id(self) -> str:
        """The integration user."""
        if told := self._guard.user_id():
            return told
        answer = self._session.get(f"{self._settings.base_url}/services/oauth2/userinfo")
        with reading("userinfo"):
            return str(answer.json()["user_id"])

    def close(self) -> None:
        """Give back connections."""
        self._session.close()


def soql_text(value: str) -> str:
    """A text as a SOQL literal."""
    from simple_salesforce.format import quote_soql_value

    quoted: str = quote_soql_value(value)
    return quoted


def unexpected(what: str) -> ProtocolError:
    """Salesforce answered in a shape this version does not know."""
    return ProtocolError(
        "Salesforce answered in a form this version of the hub does not know. Check base_url and "
        "api_version of this destination and look for an update of brokersync.",
        f"salesforce {what}",
    )


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Within it, a part that is missing or of another type than documented is a ProtocolError."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise unexpected(f"{what}: {type(error).__name__}") from None
