"""The transport of every HTTP source: one place for auth, limits, retries and what errors say.

It drives :class:`httpx.HTTPTransport` itself rather than :class:`httpx.Client`: nothing of a
client's redirects, cookies, environment or request log is wanted here (httpx logs whole URLs,
which hold client ids), and a small GET costs a fifth less CPU without it.
"""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, urlencode

import httpx
import orjson
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from connectors.base import Context, HttpSettings, Source
from connectors.clock import Clock
from connectors.instants import skew_s
from mapping.errors import BrokersyncError, ConfigError, ProtocolError, RetryableError

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
# A wait longer than this is the scheduler's, not a sleep inside a pull.
LONGEST_WAIT_S = 120.0

_ADDRESS = "check the setting base_url"
_STATUS: Mapping[int, tuple[type[BrokersyncError], str]] = {
    400: (ProtocolError, "the vendor no longer understands the request"),
    401: (ConfigError, "the credentials were refused: check {credentials}"),
    403: (ConfigError, "the credentials lack a right: check {rights}"),
    404: (ConfigError, f"there is no such address: {_ADDRESS}"),
    405: (ConfigError, f"the address takes no such request: {_ADDRESS}"),
    407: (ConfigError, "a proxy wants credentials: the hub must reach the vendor directly"),
    408: (RetryableError, "the vendor gave up waiting"),
    409: (RetryableError, "the vendor reports a conflict"),
    413: (ProtocolError, "the vendor finds the request too large"),
    423: (RetryableError, "the vendor has locked the resource"),
    425: (RetryableError, "the vendor is not ready yet"),
    429: (RetryableError, "the vendor's rate limit is reached"),
    501: (ProtocolError, "the vendor does not offer this request any more"),
}
_STATUS_CLASS: Mapping[int, tuple[type[BrokersyncError], str]] = {
    1: (ProtocolError, "the vendor sent an informational answer only"),
    2: (ProtocolError, "the vendor sent a success without the documented answer"),
    3: (ConfigError, f"the vendor redirects elsewhere: {_ADDRESS}"),
    4: (ProtocolError, "the vendor refused the request"),
    5: (RetryableError, "the vendor has a fault"),
}


Decode = Callable[[bytes], Any]


class Auth:
    """How requests of one vendor prove who asks; this one proves nothing."""

    def sign(self, request: httpx.Request, target: bytes, body: bytes) -> None:
        """Add headers; ``target`` (path with query) and ``body`` are the bytes that are sent."""

    def refresh(self) -> bool:
        """After a 401: whether there may be better credentials for one more try."""
        return False


class HeaderAuth(Auth):
    """One header that is always the same."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value

    def sign(self, request: httpx.Request, target: bytes, body: bytes) -> None:
        """See :class:`Auth`."""
        del target, body
        request.headers[self._name] = self._value


def basic(user: str, secret: str) -> HeaderAuth:
    """Basic credentials."""
    pair = b64encode(f"{user}:{secret}".encode()).decode()
    return HeaderAuth("authorization", f"Basic {pair}")


class TokenAuth(Auth):
    """A bearer token, fetched when needed and kept until shortly before it expires.

    Args:
        fetch: returns the token and the seconds it lives.
        slack_s: how long before its end a token is no longer used.
    """

    def __init__(
        self, fetch: Callable[[], tuple[str, float]], clock: Clock, slack_s: float = 60.0
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._slack_s = slack_s
        self._header = ""
        self._ends_ms = 0

    def sign(self, request: httpx.Request, target: bytes, body: bytes) -> None:
        """See :class:`Auth`."""
        del target, body
        if self._clock.now_ms() >= self._ends_ms:
            asked_ms = self._clock.now_ms()
            token, lives_s = self._fetch()
            self._header = f"Bearer {token}"
            self._ends_ms = asked_ms + round(max(0.0, lives_s - self._slack_s) * 1000)
        request.headers["authorization"] = self._header

    def refresh(self) -> bool:
        """See :class:`Auth`."""
        self._ends_ms = 0
        return True


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``requests`` in any ``window_s`` seconds."""

    requests: int
    window_s: float


@dataclass(frozen=True, slots=True)
class Blame:
    """Which settings or rights to name when credentials are refused (401, 403)."""

    credentials: str = "the credentials of the connection"
    rights: str = "the rights of the credentials"


class Api:
    """JSON over HTTP for one connection.

    Errors and logs name the connection and the path *template*; never ids, query values, header
    values or anything the vendor answered.
    """

    def __init__(
        self,
        settings: HttpSettings,
        context: Context,
        *,
        auth: Auth | None = None,
        limit: RateLimit | None = None,
        blame: Blame | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = context.name
        self.calls = 0
        self._settings = settings
        self._clock = context.clock
        self._boundary = context.boundary
        self._auth = auth or Auth()
        self.clock_skew_s: float | None = None
        self._limit = limit
        self._sent_ms: deque[int] = deque(maxlen=limit.requests if limit else 1)
        self._blame = blame or Blame()
        self._before, self._after = f"http:before:{self.name}", f"http:after:{self.name}"
        self._base = _base_url(settings.base_url, self.name)
        self._timeout = {"timeout": httpx.Timeout(settings.timeout_s).as_dict()}
        self._transport = transport or httpx.HTTPTransport(trust_env=False)
        self._retrying = Retrying(
            retry=retry_if_exception(_worth_retrying),
            stop=stop_after_attempt(settings.max_attempts),
            wait=_wait_s,
            sleep=context.clock.sleep,
            before_sleep=self._log_retry,
            reraise=True,
        )

    def close(self) -> None:
        """Close the pooled connections."""
        self._transport.close()

    def get(
        self,
        template: str,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        *,
        missing_ok: bool = False,
    ) -> Any:
        """The JSON of ``template`` with ``{names}`` filled from ``path``, percent-encoded.

        ``missing_ok``: None where the vendor itself answers 404 (an answer in JSON; any other 404
        is a wrong address).

        Raises:
            ConfigError, RetryableError, ProtocolError: see :mod:`mapping.errors`.
        """
        return self.send("GET", template, path, query, missing_ok=missing_ok)

    def send(
        self,
        method: str,
        template: str,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        *,
        auth: Auth | None = None,
        missing_ok: bool = False,
        once: bool = False,
        form: Mapping[str, str] | None = None,
        decode: Decode | None = None,
    ) -> Any:
        """Like :meth:`get`, for any method that may be repeated.

        ``auth`` instead of the usual one; ``once``: no retry here (a token is fetched inside a
        request that is retried itself). ``form`` is sent as the fields of a form. ``decode``
        instead of JSON: what an answer's bytes mean, or ValueError.
        """
        target = template
        if path:
            target = template.format_map({k: quote(v, safe="") for k, v in path.items()})
        if query:
            # A vendor with one address for everything names the command in the template.
            joint = "&" if "?" in template else "?"
            target = f"{target}{joint}{urlencode(query, quote_via=quote)}"
        body = None if form is None else urlencode(form).encode()
        call = _Call(
            method, template, self._base + target, auth or self._auth, missing_ok, body,
            decode or decoded,
        )  # fmt: skip
        return self._authorised(call) if once else self._retrying(self._authorised, call)

    def fetch(self, url: str, label: str) -> bytes:
        """The bytes behind a whole ``url`` that the vendor handed out, exactly as it is written.

        The caller has checked its host. Nothing proves who asks, and errors say ``label``: a
        signed link is a secret by itself.
        """
        call = _Call("GET", label, url, Auth(), False, None, bytes)
        body: bytes = self._retrying(self._authorised, call)
        return body

    def pages(self) -> Iterator[int]:
        """0, 1, 2 ... for a paging loop, which must end before the page bound.

        Raises:
            ProtocolError: the list did not end within ``max_pages``.
        """
        yield from range(self._settings.max_pages)
        raise ProtocolError(
            f"{self.name}: the list did not end within max_pages ({self._settings.max_pages});"
            " what was read is kept and the next pull goes on from there; raise max_pages if the"
            " history is that long"
        )

    def _authorised(self, call: _Call) -> Any:
        answer = self._exchange(call)
        if answer.status == 401 and call.auth.refresh():
            answer = self._exchange(call)
        if answer.status == 200:
            return self._decode(call, answer.body)
        if answer.status == 404 and call.missing_ok and _is_answer(answer.body):
            return None
        raise self._refusal(call, answer)

    def _exchange(self, call: _Call) -> _Answer:
        headers = _HEADERS if call.body is None else _FORM_HEADERS
        request = httpx.Request(
            call.method, call.url, headers=headers, content=call.body, extensions=self._timeout
        )
        call.auth.sign(request, request.url.raw_path, call.body or b"")
        deadline_ms = self._pace() + round(self._settings.timeout_s * 1000)
        self._boundary(self._before)
        self.calls += 1
        try:
            response = self._transport.handle_request(request)
            try:
                body = self._read(call, response, deadline_ms)
            finally:
                response.close()
        except httpx.TimeoutException:
            raise self._too_slow(call) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            kind = type(error).__name__
            raise RetryableError(f"{self.name}: {call} did not get through ({kind})") from None
        self._boundary(self._after)
        self.clock_skew_s = skew_s(response.headers.get("date"), self._clock.now_ms())
        return _Answer(response.status_code, body, response.headers.get("retry-after", ""))

    def _read(self, call: _Call, response: httpx.Response, deadline_ms: int) -> bytes:
        most = self._settings.max_bytes
        size = 0
        chunks: list[bytes] = []
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > most:
                raise ProtocolError(
                    f"{self.name}: {call} answered with more than max_bytes ({most}) bytes;"
                    " ask for smaller pages or raise max_bytes"
                )
            # The transport times each read; a vendor that drips bytes is caught here.
            if self._clock.now_ms() > deadline_ms:
                raise self._too_slow(call)
            chunks.append(chunk)
        return b"".join(chunks)

    def _decode(self, call: _Call, body: bytes) -> Any:
        try:
            return call.decode(body)
        except (ValueError, RecursionError):
            raise ProtocolError(
                f"{self.name}: {call} answered with something that is not JSON; check that base_url"
                " is the API's address, else the vendor changed its answer"
            ) from None

    def _refusal(self, call: _Call, answer: _Answer) -> BrokersyncError:
        fallback = _STATUS_CLASS.get(answer.status // 100, _STATUS_CLASS[2])
        kind, text = _STATUS.get(answer.status, fallback)
        cause = text.format(credentials=self._blame.credentials, rights=self._blame.rights)
        admin = f"{self.name}: {call} was answered with HTTP {answer.status}: {cause}"
        if issubclass(kind, RetryableError):
            wait_s = _asked_wait_s(answer.retry_after, self._clock.now_ms())
            return kind(admin, retry_after_s=wait_s)
        return kind(admin)

    def _too_slow(self, call: _Call) -> RetryableError:
        most_s = self._settings.timeout_s
        return RetryableError(f"{self.name}: {call} took longer than timeout_s ({most_s:g} s)")

    def _pace(self) -> int:
        """Wait until the vendor's limit has room; the instant after."""
        now_ms = self._clock.now_ms()
        if self._limit is None:
            return now_ms
        if len(self._sent_ms) == self._limit.requests:
            free_ms = self._sent_ms[0] + round(self._limit.window_s * 1000)
            if free_ms > now_ms:
                self._clock.sleep((free_ms - now_ms) / 1000)
                now_ms = self._clock.now_ms()
        self._sent_ms.append(now_ms)
        return now_ms

    def _log_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        text = error.log if isinstance(error, BrokersyncError) else ""
        most = self._settings.max_attempts
        log.info(
            "%s: try %d of %d failed, next in %.1f s: %s",
            self.name, state.attempt_number, most, state.upcoming_sleep, text,
        )  # fmt: skip


S = TypeVar("S", bound=HttpSettings)


class HttpSource(Source[S]):
    """What sources over HTTP have in common; subclasses set ``api``."""

    api: Api

    @property
    def clock_skew_s(self) -> float | None:
        """See :class:`connectors.base.Source`."""
        return self.api.clock_skew_s

    def close(self) -> None:
        """See :class:`connectors.base.Source`."""
        self.api.close()


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    template: str
    url: str = field(repr=False)
    auth: Auth = field(repr=False)
    missing_ok: bool
    body: bytes | None = field(repr=False)
    decode: Decode = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    retry_after: str


_HEADERS = [
    ("accept", "application/json"),
    ("accept-encoding", "gzip"),
    ("user-agent", "brokersync"),
]
_FORM_HEADERS = [*_HEADERS, ("content-type", "application/x-www-form-urlencoded")]


def _base_url(text: str, name: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("https", "http") or not url.host or url.query or url.userinfo:
        raise ConfigError(
            f"{name}: the setting base_url should be scheme and host such as"
            " https://api.example.com, without query or credentials"
        )
    return text.rstrip("/")


def _worth_retrying(error: BaseException) -> bool:
    if not isinstance(error, RetryableError):
        return False
    return error.retry_after_s is None or error.retry_after_s <= LONGEST_WAIT_S


def _wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.retry_after_s if isinstance(error, RetryableError) else None
    grown_s: float = FIRST_WAIT_S * 2 ** (state.attempt_number - 1)
    return min(LONGEST_WAIT_S, max(asked_s or 0.0, grown_s))


def _asked_wait_s(header: str, now_ms: int) -> float | None:
    """Retry-After (seconds, or an HTTP date) as seconds from now; None where unreadable."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    utc = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, utc.timestamp() - now_ms / 1000)


def _is_answer(body: bytes) -> bool:
    """Whether a 404 comes from the API (a JSON object) and not from a wrong address."""
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def decoded(body: bytes | str) -> Any:
    """The JSON of a vendor's answer, half characters included: a row answers for its own texts.

    Raises:
        ValueError: not JSON. NaN and infinities are not.
        RecursionError: nested without end.
    """
    try:
        return orjson.loads(body)
    except ValueError:
        return json.loads(body, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
