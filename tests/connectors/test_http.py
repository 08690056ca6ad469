"""The HTTP transport: what no vendor's contract shows."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from connectors.base import Context, HttpSettings
from connectors.http import Api, Auth, RateLimit
from mapping.errors import ConfigError, ProtocolError, RetryableError
from tests.clock import WorldClock
from tests.contracts.world import world


def api(
    answer: Callable[[httpx.Request], httpx.Response], limit: RateLimit | None = None, **more: Any
) -> tuple[Api, WorldClock, list[str]]:
    """An API whose requests ``answer`` answers; its clock; the boundaries it announced."""
    clock = WorldClock(world())
    seen: list[str] = []
    context = Context("vendor-1", {"alpha": "UTC"}, clock, seen.append)
    settings = HttpSettings(**{"base_url": "https://api.vendor.example/root/", **more})
    made = Api(settings, context, limit=limit, transport=httpx.MockTransport(answer))
    return made, clock, seen


def ok(request: httpx.Request) -> httpx.Response:
    """An empty object."""
    return httpx.Response(200, json={})


def test_boundaries_are_announced_around_each_exchange() -> None:
    answers = iter([503, 200])
    made, _, seen = api(lambda _: httpx.Response(next(answers), json={}))
    made.get("/x")
    assert seen == ["http:before:vendor-1", "http:after:vendor-1"] * 2
    assert made.calls == 2


def test_values_are_encoded_and_the_base_path_is_kept() -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.raw_path.decode())
        return httpx.Response(200, json={})

    made, _, _ = api(answer)
    made.get("/a/{id}/b", {"id": "../ü?#%2F"}, {"q": "a b&c=d"})
    assert sent == ["/root/a/..%2F%C3%BC%3F%23%252F/b?q=a%20b%26c%3Dd"]


def test_a_form_is_sent_as_fields_and_signed_as_it_is() -> None:
    sent: list[httpx.Request] = []
    signed: list[bytes] = []

    class Listening(Auth):
        def sign(self, request: httpx.Request, target: bytes, body: bytes) -> None:
            signed.append(target + b" " + body)

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={})

    made, _, _ = api(answer)
    form = {"user": "a&b", "pass": "ü +%"}
    made.send("POST", "/?do=login", query={"x": "1"}, form=form, auth=Listening())
    made.get("/x")
    body = b"user=a%26b&pass=%C3%BC+%2B%25"
    assert signed == [b"/root/?do=login&x=1 " + body]
    assert sent[0].read() == body
    assert sent[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert sent[0].headers["content-length"] == str(len(body))
    assert not {"content-type", "content-length"} & set(sent[1].headers)


def test_what_an_answer_means_can_be_told() -> None:
    made, _, _ = api(lambda _: httpx.Response(200, content=b"plain"))
    assert made.send("GET", "/x", decode=bytes) == b"plain"
    with pytest.raises(ProtocolError, match="not JSON"):
        made.send("GET", "/x", decode=int)


def test_a_link_is_followed_as_written_without_credentials_and_never_told() -> None:
    sent: list[httpx.Request] = []
    statuses = iter([503, 200, 403])

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(next(statuses), content=b"\x00file")

    made, _, _ = api(answer)
    link = "https://files.example:8443/a%2Fb/c+d?Signature=x%2By%3D&n=1"
    assert made.fetch(link, "the file") == b"\x00file"
    assert str(sent[1].url) == link
    assert "authorization" not in sent[1].headers
    with pytest.raises(ConfigError, match=r"vendor-1: GET the file .*HTTP 403") as refused:
        made.fetch(link, "the file")
    assert "files.example" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (204, ProtocolError, "success"),
        (302, ConfigError, "redirects"),
        (400, ProtocolError, "understands"),
        (401, ConfigError, "credentials"),
        (403, ConfigError, "right"),
        (404, ConfigError, "base_url"),
        (408, RetryableError, "waiting"),
        (418, ProtocolError, "refused"),
        (425, RetryableError, "ready"),
        (429, RetryableError, "rate limit"),
        (500, RetryableError, "fault"),
        (501, ProtocolError, "offer"),
        (599, RetryableError, "fault"),
    ],
)
def test_each_status_has_its_consequence(status: int, error: type[Exception], text: str) -> None:
    made, _, _ = api(lambda _: httpx.Response(status, text="secret detail"), max_attempts=1)
    with pytest.raises(error, match=f"vendor-1: GET /a/{{id}} .*HTTP {status}.*{text}") as caught:
        made.get("/a/{id}", {"id": "C-77"}, {"email": "ana@example.com"})
    for word in ("C-77", "ana", "secret detail"):
        assert word not in str(caught.value)


def test_a_missing_object_is_an_answer_only_in_json() -> None:
    made, _, _ = api(lambda _: httpx.Response(404, json={"code": 404}))
    assert made.get("/x", missing_ok=True) is None
    made, _, _ = api(lambda _: httpx.Response(404, text="<html>"))
    with pytest.raises(ConfigError, match="base_url"):
        made.get("/x", missing_ok=True)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 200_000])
def test_what_is_not_json_is_a_protocol_error(body: bytes) -> None:
    made, _, _ = api(lambda _: httpx.Response(200, content=body))
    with pytest.raises(ProtocolError, match="not JSON"):
        made.get("/x")


def test_waits_grow_and_are_capped() -> None:
    made, clock, _ = api(lambda _: httpx.Response(500), max_attempts=10)
    with pytest.raises(RetryableError):
        made.get("/x")
    assert clock.slept == [0.5, 1, 2, 4, 8, 16, 32, 64, 120]


@pytest.mark.parametrize("header", ["soon", "-5", "", "Fri, 99 Mar 2026 09:47:10 GMT"])
def test_an_unreadable_retry_after_counts_as_none(header: str) -> None:
    answers = iter([429, 200])
    made, clock, _ = api(
        lambda _: httpx.Response(next(answers), json={}, headers={"retry-after": header})
    )
    made.get("/x")
    assert clock.slept == [0.5]


@pytest.mark.parametrize(
    "error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.WriteError]
)
def test_network_trouble_is_retried_and_told_without_detail(error: type[Exception]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("to https://user:hunter2@host")

    made, clock, _ = api(answer, max_attempts=3)
    with pytest.raises(RetryableError) as caught:
        made.get("/x")
    assert len(clock.slept) == 2
    assert "hunter2" not in caught.value.admin
    assert caught.value.__cause__ is None


def test_the_rate_limit_spreads_requests_on_the_injected_clock() -> None:
    made, clock, _ = api(ok, RateLimit(3, 10.0))
    began = clock.now_ms()
    times = []
    for _ in range(7):
        made.get("/x")
        times.append(clock.now_ms() - began)
    assert times == [0, 0, 0, 10_000, 10_000, 10_000, 20_000]


def test_a_dripping_answer_is_given_up() -> None:
    clock_of: list[WorldClock] = []

    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            for _ in range(100):
                clock_of[0].sleep(1)
                yield b" "

    made, clock, _ = api(lambda _: httpx.Response(200, stream=Drip()), timeout_s=5, max_attempts=1)
    clock_of.append(clock)
    with pytest.raises(RetryableError, match="timeout_s"):
        made.get("/x")


def test_a_compressed_answer_is_measured_unpacked() -> None:
    packed = gzip.compress(b" " * 500_000 + b"{}")
    answer = httpx.Response(200, content=packed, headers={"content-encoding": "gzip"})
    made, _, _ = api(lambda _: answer, max_bytes=100_000)
    with pytest.raises(ProtocolError, match="max_bytes"):
        made.get("/x")
    broken = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=_Broken())
    made, _, _ = api(lambda _: broken, max_attempts=1)
    with pytest.raises(RetryableError, match="DecodingError"):
        made.get("/x")


class _Broken(httpx.SyncByteStream):
    def __iter__(self) -> Any:
        yield b"not gzip"


@pytest.mark.parametrize(
    "url", ["", "api.example.com", "ftp://x.example", "https://", "https://u:p@x.example", "a b"]
)
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"vendor-1.*base_url"):
        api(ok, base_url=url)


def test_a_crash_at_a_boundary_passes_through() -> None:
    class CrashError(BaseException):
        """A crash."""

    made, _, _ = api(ok)

    def crash(name: str) -> None:
        raise CrashError(name)

    made._boundary = crash
    with pytest.raises(CrashError):
        made.get("/x")
