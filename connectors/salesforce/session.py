"""The one way to the org: every request of simple-salesforce passes the guard.

simple-salesforce has no timeout and no retry, tries a session that stays refused for ever, loses
its caller's headers when it signs in anew, never does so in bulk, and sees no limits
(each measured). So it is given a session whose adapter does all of this, and sees successes only.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from tenacity import Retrying, retry_if_exception, stop_after_attempt

from connectors.base import Context
from connectors.destination import CallCount
from connectors.instants import skew_s
from connectors.patience import again, backoff, surely_not_applied, telling
from connectors.salesforce import errors
from connectors.salesforce.quota import Quota
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.tokens import Tokens
from mapping.errors import (
    AmbiguousError,
    ConfigError,
    ProtocolError,
    QuotaError,
    RetryableError,
)

log = logging.getLogger(__name__)

ONCE = "X-Brokersync-Once"
"""A header of a write that must not be sent twice; it does not leave the hub."""
_FREE = "/services/data"  # documented: the list of versions is not counted


class Download(requests.PreparedRequest):
    """A request for a file that is read as it arrives and kept by nobody.

    Args:
        take: is given the file's chunks, at each try from the beginning.
    """

    def __init__(self, take: Callable[[Iterator[bytes]], None]) -> None:
        super().__init__()
        self.take = take


class Guard(HTTPAdapter):
    """Sends requests to the configured host, signed in, announced, counted, bounded, retried.

    Raises:
        ConfigError, RetryableError, QuotaError, ProtocolError: by :mod:`connectors.salesforce
            .errors`; RefusalError where the request itself was refused.
        AmbiguousError: a write whose answer was lost, after all tries. Writes of this connector are
            idempotent and are sent again as they are, but for those marked with :data:`ONCE`.
    """

    def __init__(self, settings: SalesforceSettings, context: Context, counts: CallCount) -> None:
        super().__init__(pool_connections=1, pool_maxsize=settings.in_flight, max_retries=0)
        self._base = urlsplit(settings.base_url)
        self._timeout = (settings.connect_timeout_s, settings.read_timeout_s)
        self._most = settings.max_bytes
        self._clock = context.clock
        self._boundary = context.boundary
        self._name = context.name
        self._counts = counts
        self._counting = threading.Lock()
        self._quota = Quota(counts, settings.share, context.clock)
        self._tokens = Tokens(settings, context.clock, self._post)
        self._retrying = Retrying(
            sleep=context.clock.sleep,
            stop=stop_after_attempt(settings.max_attempts),
            wait=backoff,
            retry=retry_if_exception(again),
            before_sleep=telling(log),
            reraise=True,
        )
        self._once = self._retrying.copy(retry=retry_if_exception(surely_not_applied))

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **ignored: Any
    ) -> requests.Response:
        """Send a request as often as it makes sense; the answer is a success."""
        del ignored
        request.url = self._at_home(request.url or "")
        retrying = self._once if request.headers.pop(ONCE, None) else self._retrying
        answer: requests.Response = retrying(self._signed_in, request)
        return answer

    def user_id(self) -> str:
        """Whom the hub is signed in as; blank if Salesforce did not say."""
        return self._tokens.user_id()

    def _at_home(self, url: str) -> str:
        """simple-salesforce writes https whatever it is told: scheme and host are the setting's.

        Raises:
            ProtocolError: a key that was not quoted has led to another host.
        """
        asked = urlsplit(url)
        if asked.hostname != self._base.hostname or asked.username:
            raise ProtocolError("A Salesforce request was to leave for another host.")
        return urlunsplit((self._base.scheme, self._base.netloc, asked.path, asked.query, ""))

    def _signed_in(self, request: requests.PreparedRequest) -> requests.Response:
        """One try, and one more with a new token if the session has ended."""
        token = self._tokens.current()
        answer = self._counted(request, token)
        if answer.status_code == 401:
            answer = self._counted(request, self._tokens.instead_of(token))
        if answer.status_code == 401:
            raise ConfigError(
                "Salesforce takes no token of this hub, not even a new one. In the External Client "
                "App's policies check the scope api and the IP restrictions, and that the "
                "integration user has API Enabled.",
                f"salesforce {_what(request)}: status 401 twice",
            )
        return self._success(request, answer)

    def _counted(self, request: requests.PreparedRequest, token: str) -> requests.Response:
        request.headers["Authorization"] = f"Bearer {token}"
        if (request.path_url or "").rstrip("/") != _FREE:
            self._quota.check()
        self._boundary(f"http:before:{self._name}")
        with self._counting:
            self._counts.calls += 1
        answer = self._exchange(request)
        self._boundary(f"http:after:{self._name}")
        self._quota.observe(answer.headers.get("Sforce-Limit-Info"))
        self._counts.clock_skew_s = skew_s(answer.headers.get("Date"), self._clock.now_ms())
        return answer

    def _exchange(self, request: requests.PreparedRequest) -> requests.Response:
        write = request.method not in ("GET", "HEAD")
        try:
            answer = super().send(request, stream=True, timeout=self._timeout)
            self._read(request, answer)
        except requests.exceptions.SSLError:
            raise ConfigError(
                "Salesforce's certificate could not be verified. Check base_url, this machine's "
                "clock and, behind a proxy, its certificate authority."
            ) from None
        except (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError) as error:
            raise self._away(request, error) from None
        except requests.exceptions.ConnectionError as error:
            if "NewConnectionError" in repr(error):  # nothing was sent
                raise self._away(request, error) from None
            raise _unsure(request, error, write=write) from None
        except requests.exceptions.RequestException as error:
            raise _unsure(request, error, write=write) from None
        return answer

    def _away(self, request: requests.PreparedRequest, error: Exception) -> RetryableError:
        return RetryableError(
            "Salesforce cannot be reached: no connection. Check this machine's network and "
            "base_url of the destination.",
            f"salesforce {_what(request)}: {type(error).__name__}",
        )

    def _read(self, request: requests.PreparedRequest, answer: requests.Response) -> None:
        """Read the body here, so that one that is cut or endless is noticed here."""
        chunks, body = self._chunks(answer), b""
        if isinstance(request, Download) and answer.status_code == 200:
            request.take(chunks)
        else:
            body = b"".join(chunks)
        answer._content = body  # noqa: SLF001 - what requests itself fills

    def _chunks(self, answer: requests.Response) -> Iterator[bytes]:
        size = 0
        for chunk in answer.iter_content(256 * 1024):
            size += len(chunk)
            if size > self._most:
                answer.close()
                raise ProtocolError(
                    f"Salesforce answered with more than max_bytes ({self._most}) bytes."
                )
            yield chunk

    def _success(
        self, request: requests.PreparedRequest, answer: requests.Response
    ) -> requests.Response:
        if 200 <= answer.status_code < 300:
            return answer
        write = request.method not in ("GET", "HEAD")
        error = errors.from_answer(
            answer.status_code, answer.content, write=write, what=_what(request)
        )
        if isinstance(error, QuotaError | errors.BusyError):
            with self._counting:
                self._counts.rate_limited += 1
        raise error

    def _post(self, path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        """The token endpoint: no token is sent along, and no limit counts the call."""
        url = urlunsplit((self._base.scheme, self._base.netloc, path, "", ""))
        request = requests.Request("POST", url, data=dict(form)).prepare()
        self._boundary(f"http:before:{self._name}")
        answer = self._exchange(request)
        self._boundary(f"http:after:{self._name}")
        return answer.status_code, answer.content


def _what(request: requests.PreparedRequest) -> str:
    """Method and address, as far as a log may know it: keys and queries are values of clients."""
    parts = urlsplit(request.url or "").path.split("/")
    return f"{request.method} {'/'.join(parts[:7])}"


def _unsure(request: requests.PreparedRequest, error: Exception, *, write: bool) -> RetryableError:
    made = AmbiguousError if write else RetryableError
    return made(
        "Salesforce did not answer in time or cut the connection.",
        f"salesforce {_what(request)}: {type(error).__name__}",
    )


def guarded(
    settings: SalesforceSettings, context: Context, counts: CallCount, pool: Any = None
) -> tuple[requests.Session, Guard]:
    """A session for simple-salesforce: nothing of the environment, no redirects, no cookies.

    Args:
        pool: instead of urllib3's pools of connections.
    """
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    guard = Guard(settings, context, counts)
    if pool is not None:
        guard.poolmanager = pool
    session.adapters.clear()
    session.mount("https://", guard)
    session.mount("http://", guard)
    return session, guard
