"""The SDK over one guarded pool: paced, announced, counted, retried, and with our own errors.

The SDK builds a new connection pool at every property access, has no timeout, answers an
unexpected success with None and decodes models for 20 ms a batch. Its ``api_factory`` hook lets us
hold one API object each over :class:`GuardedPool`, which sees every call, and ask for raw answers.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from connectors.base import Context
from connectors.destination import CallCount, CrmObject
from connectors.hubspot import errors
from connectors.hubspot.pacer import Pacer
from connectors.hubspot.settings import WINDOW_S, HubSpotSettings
from connectors.instants import skew_s
from connectors.patience import again, backoff, surely_not_applied, telling
from mapping.errors import ProtocolError

log = logging.getLogger(__name__)

_VERSIONED = re.compile(r"/crm/v[34]/(objects|properties|owners|pipelines|associations)(?=/|$)")
_READS = ("/batch/read", "/search", "/access-token-info")
_CREATES = ("/tasks/batch/create",)  # the one write of the hub that is not idempotent


class Answer(Protocol):
    """What the hub needs of urllib3's response."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, whatever the case of their names."""

    @property
    def data(self) -> bytes:
        """The whole body."""


class Pool(Protocol):
    """What the hub needs of urllib3's pool; tests put a fake portal here."""

    def request(self, method: str, url: str, **kw: Any) -> Answer:
        """Send one request."""

    def clear(self) -> None:
        """Close the connections."""


class GuardedPool:
    """Stands where the SDK expects its urllib3 pool. Every call of the destination passes here.

    Raises:
        ConfigError, RetryableError, QuotaError, ProtocolError: by the table of
            :mod:`connectors.hubspot.errors`; RefusalError where the request itself was refused.
        AmbiguousError: a write whose answer was lost, after all tries. All writes of this
            connector are idempotent and are sent again as they are, but for the creation of tasks
            in a portal without unique task keys, which is tried once.
    """

    def __init__(
        self, settings: HubSpotSettings, context: Context, counts: CallCount, pool: Pool | None
    ) -> None:
        self._pool = pool or _connections(settings)
        self._settings = settings
        self._clock = context.clock
        self._boundary = context.boundary
        self._counts = counts
        self._counting = threading.Lock()
        self._pacer = Pacer(
            context.clock,
            limit=settings.requests_per_10s,
            window_s=WINDOW_S,
            share=settings.share,
            burst=settings.burst,
            headroom=settings.headroom,
        )
        # Documented: searches are counted apart, by account, and other programs search too.
        self._searches = Pacer(
            context.clock, limit=settings.searches_per_second, window_s=1.0, burst=1, headroom=1
        )
        self._retrying = Retrying(
            sleep=self._clock.sleep,
            stop=stop_after_attempt(settings.max_attempts),
            wait=_wait,
            retry=retry_if_exception(again),
            before_sleep=telling(log),
            reraise=True,
        )
        self._creating = self._retrying.copy(retry=retry_if_exception(surely_not_applied))

    def request(
        self,
        method: str,
        url: str,
        *,
        body: str | bytes | None = None,
        fields: Any = None,
        headers: Mapping[str, str] | None = None,
        **ignored: Any,
    ) -> Answer:
        """Send a request as often as it makes sense; the answer is a success.

        The SDK's own ``timeout`` and ``preload_content`` are ignored: every call has the timeouts
        of the settings, and bodies are read here, so that a cut one is noticed here.
        """
        del ignored
        url = versioned(url, self._settings.path_version)
        sent = {"headers": headers} | ({"fields": fields} if fields else {})
        if body is not None:
            sent["body"] = body
        once = url.partition("?")[0].endswith(_CREATES)
        return (self._creating if once else self._retrying)(self._once, method, url, sent)

    def _once(self, method: str, url: str, sent: dict[str, Any]) -> Answer:
        path = urlsplit(url).path
        write = method != "GET" and not path.endswith(_READS)
        pacer = self._searches if path.endswith("/search") else self._pacer
        pacer.take()
        self._boundary("http:before:hubspot")
        with self._counting:
            self._counts.calls += 1
        answer = self._sent(method, url, sent, write=write)
        self._boundary("http:after:hubspot")
        self._observe(answer.headers)
        if 200 <= answer.status < 300:
            return answer
        what = f"{method} {path}"
        error = errors.from_answer(
            answer.status, answer.headers, answer.data, write=write, what=what
        )
        if answer.status == 429:
            with self._counting:
                self._counts.rate_limited += 1
        if isinstance(error, errors.RateLimitError):
            pacer.hold(error.retry_after_s or errors.WINDOW_S)
        raise error

    def _sent(self, method: str, url: str, sent: dict[str, Any], *, write: bool) -> Answer:
        from urllib3.exceptions import HTTPError

        try:
            return self._pool.request(method, url, **sent)
        except HTTPError as error:
            # The cause stays out: urllib3's texts hold whole URLs.
            what = f"{method} {urlsplit(url).path}"
            raise errors.from_transport(error, write=write, what=what) from None

    def _observe(self, headers: Mapping[str, str]) -> None:
        self._counts.clock_skew_s = skew_s(headers.get("Date"), self._clock.now_ms())
        limit = _whole(headers.get("X-HubSpot-RateLimit-Max"))
        self._pacer.observe(limit, _whole(headers.get("X-HubSpot-RateLimit-Remaining")))
        daily = _whole(headers.get("X-HubSpot-RateLimit-Daily"))
        if daily is not None:
            remaining = _whole(headers.get("X-HubSpot-RateLimit-Daily-Remaining"))
            with self._counting:
                self._counts.daily_limit = daily
                self._counts.daily_remaining = remaining

    def clear(self) -> None:
        """Close the connections."""
        self._pool.clear()


def _connections(settings: HubSpotSettings) -> Pool:
    import urllib3

    class Connections(urllib3.PoolManager):
        """Redirects are not followed: they would carry the token elsewhere."""

        def request(self, method: str, url: str, **kw: Any) -> Any:  # type: ignore[override]
            return super().request(method, url, redirect=False, **kw)

    return Connections(
        num_pools=1,
        maxsize=settings.in_flight,
        block=False,
        retries=False,
        timeout=urllib3.Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s),
    )


def versioned(url: str, version: str) -> str:
    """The one place that knows the path version: the SDK emits v3 and v4 paths only.

    Dated paths (read in HubSpot's API specifications) name the family first:
    ``/crm/v3/objects/contacts`` -> ``/crm/objects/2026-09/contacts``.
    """
    if version == "v3":
        return url
    return _VERSIONED.sub(rf"/crm/\1/{version}", url, count=1).removesuffix("/")


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, errors.RateLimitError):
        return 0.0  # the pacer makes everybody wait, this call among them
    return backoff(state)


class HubSpotClient:
    """The SDK's API objects, each built once, and raw answers.

    Args:
        pool: instead of real connections (tests).
    """

    def __init__(
        self,
        settings: HubSpotSettings,
        context: Context,
        counts: CallCount,
        pool: Pool | None = None,
    ) -> None:
        self._settings = settings
        self._guarded = GuardedPool(settings, context, counts, pool)
        self._apis: dict[tuple[str, str], Any] = {}
        self._building = threading.Lock()
        self._sdk: Any = None

    @property
    def crm(self) -> Any:
        """The SDK's ``client.crm``. The first use imports the SDK (half a second)."""
        if self._sdk is None:
            from hubspot import HubSpot

            self._sdk = HubSpot(api_factory=self._api)
        return self._sdk.crm

    def of(self, obj: CrmObject) -> Any:
        """The SDK's ``batch_api``, ``basic_api`` and ``search_api`` of an object."""
        match obj:
            case CrmObject.CONTACT:
                return self.crm.contacts
            case CrmObject.TASK:
                return self.crm.objects.tasks
            case CrmObject.COMPANY:
                return self.crm.companies

    def _api(self, package: Any, name: str, config: Mapping[str, Any]) -> Any:
        """The SDK's hook: the API object ``name`` of ``package``, one for all time."""
        del config
        with self._building:
            key = (package.__name__, name)
            if key not in self._apis:
                configuration = package.Configuration()
                configuration.host = self._settings.base_url
                configuration.access_token = self._settings.access_token.get_secret_value()
                client = package.ApiClient(configuration=configuration)
                client.rest_client.pool_manager = self._guarded
                client.rest_client.request = _faster(client.rest_client.request, self._guarded)
                client.user_agent = "brokersync"
                # Our bodies are in wire form already; the SDK's deep copy costs 10 us a record.
                client.sanitize_for_serialization = _as_it_is
                self._apis[key] = getattr(package, name)(api_client=client)
            return self._apis[key]

    def call(
        self, method: Callable[..., Any], *args: Any, expect: Collection[int] = (200,), **kw: Any
    ) -> Any:
        """Call an SDK method for its decoded JSON body (None where there is none).

        Raises:
            ProtocolError: another success than documented, or no JSON; and see `GuardedPool`.
        """
        answer = method(*args, _preload_content=False, **kw)
        if answer is None or answer.status not in expect:
            status = getattr(answer, "status", None)
            raise unexpected(f"{method.__name__}: status {status}")
        if not answer.data:
            return None
        try:
            return _decoded(answer.data)
        except ValueError:
            raise unexpected(f"{method.__name__}: no JSON") from None

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Decoded JSON of a call the SDK does not have.

        Raises:
            ProtocolError: no JSON; and see `GuardedPool`.
        """
        token = self._settings.access_token.get_secret_value()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url = self._settings.base_url.rstrip("/") + path
        answer = self._guarded.request("POST", url, body=json.dumps(body), headers=headers)
        try:
            return _decoded(answer.data)
        except ValueError:
            raise unexpected(f"{path}: no JSON") from None

    def token_body(self) -> dict[str, str]:
        """How HubSpot wants to be asked about the token itself (in a body, never in a path)."""
        return {"tokenKey": self._settings.access_token.get_secret_value()}

    def close(self) -> None:
        """Give back connections."""
        self._guarded.clear()


def _faster(request: Callable[..., Any], pool: GuardedPool) -> Callable[..., Any]:
    """The SDK's ``request``, but raw calls with a body are encoded by the faster library.

    The answer is a success: the pool raises for everything else.
    """

    def send(method: str, url: str, **kw: Any) -> Any:
        body = kw.get("body")
        if body is None or kw.get("_preload_content", True) or kw.get("query_params"):
            return request(method, url, **kw)
        return pool.request(method, url, body=orjson.dumps(body), headers=kw.get("headers"))

    return send


def _as_it_is(value: Any) -> Any:
    return value


def _decoded(body: bytes) -> Any:
    """JSON; half a surrogate pair (a text that was cut within an emoji) becomes ``?``."""
    try:
        return orjson.loads(body)
    except ValueError:
        text = json.dumps(json.loads(body), ensure_ascii=False)
        return orjson.loads(text.encode("utf-8", "replace"))


def unexpected(what: str) -> ProtocolError:
    """HubSpot answered in a shape this version does not know."""
    return ProtocolError(
        "HubSpot answered in a form this version of the hub does not know. Check base_url of this "
        "destination and look for an update of brokersync.",
        f"hubspot {what}",
    )


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Within it, a part that is missing or of another type than documented is a ProtocolError."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise unexpected(f"{what}: {type(error).__name__}") from None
