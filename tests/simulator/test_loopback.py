"""The small servers: what HTTP clients send, what breaks a request, and the clock's lines."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest

from simulator import loopback
from simulator.loopback import ClockServer, HttpServer
from simulator.wire import Request, Response

Serve = Callable[[Callable[[Request], Response]], HttpServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[HttpServer] = []

    def start(handle: Callable[[Request], Response]) -> HttpServer:
        servers.append(HttpServer(handle))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def _echo(request: Request) -> Response:
    seen = {"method": request.method, "target": request.target, "length": len(request.body)}
    return Response.json(200, seen, {"x-seen": request.headers.get("x-mine", "")})


def _raw(server: HttpServer, sent: bytes) -> bytes:
    """What comes back until the server hangs up."""
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_request_arrives_as_sent(serve: Serve) -> None:
    server = serve(_echo)
    target = "/resources/applicants/-;externalUserId=a%2Fb/one?x=1&y=%20"
    with httpx.Client(base_url=server.url) as client:
        answer = client.post(target, content=b"x" * 300_000, headers={"X-Mine": "yes"})
        assert answer.json() == {"method": "POST", "target": target, "length": 300_000}
        assert answer.headers["x-seen"] == "yes"
        assert client.get("/").json()["length"] == 0
    assert server.requests == 2


def test_requests_sent_in_one_go_are_answered_in_order(serve: Serve) -> None:
    sent = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n\r\n"
    answer = _raw(serve(_echo), sent)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert answer.index(b'"/a"') < answer.index(b'"/b"')


@pytest.mark.parametrize("head", [b"Connection: close\r\n", b""])
def test_the_connection_ends_when_the_client_says_so(serve: Serve, head: bytes) -> None:
    version = b"1.1" if head else b"1.0"
    server = serve(_echo)
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/" + version + b"\r\n" + head + b"\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", 413),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * loopback.MAX_HEAD, 431),
    ],
)
def test_unreadable_requests_are_refused(serve: Serve, sent: bytes, status: int) -> None:
    assert _raw(serve(_echo), sent).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_body_in_chunks(serve: Serve) -> None:
    server = serve(_echo)
    with httpx.Client() as client:
        for parts in ([b"ab", b"c" * 300_000], [b"x"], []):
            answer = client.post(server.url, content=iter(parts))
            assert answer.json()["length"] == sum(map(len, parts))
    assert server.requests == 3
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n"
    with_trailer = head + b"3;a=b\r\nabc\r\n0\r\nX-After: 1\r\n\r\n"
    assert b'"length":3' in _raw(server, with_trailer)
    assert _raw(server, head + b"5\r\nab") == b""


def test_half_a_request_is_no_request(serve: Serve) -> None:
    server = serve(_echo)
    assert _raw(server, b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc") == b""
    assert server.requests == 0


def test_a_dropped_answer_closes_the_connection(serve: Serve) -> None:
    server = serve(lambda _: Response(0, drop=True))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url)


def test_a_broken_fake_answers_500_and_is_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(request: Request) -> Response:
        raise RuntimeError("as ordered")

    with caplog.at_level(logging.ERROR):
        assert httpx.get(serve(broken).url).status_code == 500
    assert "as ordered" in caplog.text


def test_after_close_nobody_answers(serve: Serve) -> None:
    server = serve(_echo)
    with httpx.Client() as client:
        assert client.get(server.url).status_code == 200
        server.close()
        with pytest.raises(httpx.TransportError):
            client.get(server.url)


@pytest.fixture
def clock() -> Iterator[ClockServer]:
    now = [1_000]

    def sleep(seconds: float) -> int:
        now[0] += round(seconds * 1000)
        return now[0]

    server = ClockServer(lambda: now[0], sleep)
    yield server
    server.close()


def _ask(clock: ClockServer, *lines: str) -> list[str]:
    host, _, port = clock.address.partition(":")
    answers = []
    with (
        closing(socket.create_connection((host, int(port)), timeout=10)) as connection,
        connection.makefile("rw", newline="\n") as stream,
    ):
        for line in lines:
            stream.write(f"{line}\n")
            stream.flush()
            answers.append(stream.readline())
    return answers


def test_the_clock_tells_the_time_and_sleeps(clock: ClockServer) -> None:
    assert _ask(clock, "now", "sleep 1.5", "now") == ["1000\n", "2500\n", "2500\n"]


@pytest.mark.parametrize("line", ["", "later", "sleep", "sleep -1", "sleep nan", "sleep x y"])
def test_the_clock_refuses_other_lines(clock: ClockServer, line: str) -> None:
    refused, told = _ask(clock, line, "now")
    assert refused.startswith("error")
    assert told == "1000\n"


def test_many_ask_the_clock_at_once(clock: ClockServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: _ask(clock, *["now"] * 50), range(8)))
    assert told == [["1000\n"] * 50] * 8
