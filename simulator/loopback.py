"""Small servers on 127.0.0.1: HTTP/1.1 with keep-alive for the fakes, lines for the clock.

Lean on purpose: one thread a connection and a parser for what HTTP clients really send, because
the standard library's server costs more time than a fake's answer, and the figures of a benchmark
are to be the hub's.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus

from simulator.wire import Fake, Request, Response

LOGGER = logging.getLogger(__name__)
MAX_HEAD = 64 * 1024
MAX_BODY = 128 * 1024 * 1024  # the file of a bulk job, at most
_RECEIVE = 256 * 1024
_REASONS = {int(s): s.phrase for s in HTTPStatus}


class _UnreadableError(Exception):
    """The request cannot be read: answer with this status and close."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Listener:
    """Accepts connections on a port of its own and gives each to ``serve`` in a thread."""

    def __init__(self, serve: Callable[[socket.socket], None], port: int = 0) -> None:
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._closing = False
        threading.Thread(target=self._accept, name=f"port-{self.port}", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()
            if self._closing:
                _shut(connection)

    def _run(self, connection: socket.socket) -> None:
        # The client may go away at any time; that is its right.
        with connection, contextlib.suppress(OSError):
            self._serve(connection)
        self._open.discard(connection)

    def close(self) -> None:
        """Stop accepting, and hang up on everybody."""
        self._closing = True
        # shutdown wakes a blocked accept(); close alone does not on Linux.
        _shut(self._socket)
        self._socket.close()
        for connection in list(self._open):
            _shut(connection)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class HttpServer:
    """Serves one callable ``Request -> Response``.

    Args:
        handle: called from many threads; it brings its own lock.
        port: 0 takes a free one.
        latency_s: real time every answer takes, on top.
    """

    def __init__(self, handle: Fake, port: int = 0, latency_s: float = 0.0) -> None:
        self._handle = handle
        self._latency_s = latency_s
        self._listener = Listener(self._serve, port)
        self.url = f"http://127.0.0.1:{self._listener.port}"
        self.requests = 0

    def close(self) -> None:
        """Stop serving."""
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        buffer = bytearray()
        while True:
            try:
                read = _read(connection, buffer)
            except _UnreadableError as refused:
                answer = Response.json(refused.status, {"message": _REASONS[refused.status]})
                connection.sendall(_encoded(answer, keep=False))
                return
            if read is None:
                return
            request, keep = read
            self.requests += 1
            answer = self._answered(request)
            if self._latency_s:
                time.sleep(self._latency_s)
            if answer.drop:
                return
            connection.sendall(_encoded(answer, keep=keep))
            if not keep:
                return

    def _answered(self, request: Request) -> Response:
        try:
            return self._handle(request)
        except Exception:
            LOGGER.exception("%s %s broke the fake", request.method, request.target)
            return Response.json(500, {"message": "the simulator itself failed; see its log"})


def _read(connection: socket.socket, buffer: bytearray) -> tuple[Request, bool] | None:
    """The next request and whether the connection stays open; None at a clean end."""
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if len(buffer) > MAX_HEAD:
            raise _UnreadableError(431)
        chunk = connection.recv(_RECEIVE)
        if not chunk:
            return None
        buffer += chunk
    first, *lines = buffer[:end].decode("latin-1").split("\r\n")
    del buffer[: end + 4]
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _UnreadableError(400)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise _UnreadableError(400)
        headers[name.lower()] = value.strip()
    body = _body(connection, buffer, headers)
    if body is None:
        return None
    wish = headers.get("connection", "").lower()
    keep = wish != "close" and (parts[2] == "HTTP/1.1" or wish == "keep-alive")
    return Request(parts[0], parts[1], headers, body), keep


def _body(connection: socket.socket, buffer: bytearray, headers: dict[str, str]) -> bytes | None:
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked":
            raise _UnreadableError(411)
        return _chunks(connection, buffer)
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise _UnreadableError(400)
    length = int(text[:20])
    if length > MAX_BODY:
        raise _UnreadableError(413)
    if len(buffer) < length and headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while len(buffer) < length:
        chunk = connection.recv(_RECEIVE)
        if not chunk:
            return None
        buffer += chunk
    body = bytes(buffer[:length])
    del buffer[:length]
    return body


def _chunks(connection: socket.socket, buffer: bytearray) -> bytes | None:
    """A body in chunks, as clients send one whose length they do not know. Trailers are skipped."""
    body = bytearray()
    while True:
        line = _line(connection, buffer)
        if line is None:
            return None
        digits = line.partition(b";")[0].strip()
        if not digits or digits.strip(b"0123456789abcdefABCDEF"):
            raise _UnreadableError(400)
        length = int(digits, 16)
        if len(body) + length > MAX_BODY:
            raise _UnreadableError(413)
        if not length:
            break
        while len(buffer) < length + 2:
            received = connection.recv(_RECEIVE)
            if not received:
                return None
            buffer += received
        body += buffer[:length]
        del buffer[: length + 2]
    while line := _line(connection, buffer):
        pass
    return None if line is None else bytes(body)


def _line(connection: socket.socket, buffer: bytearray) -> bytes | None:
    while (end := buffer.find(b"\r\n")) < 0:
        if len(buffer) > MAX_HEAD:
            raise _UnreadableError(431)
        received = connection.recv(_RECEIVE)
        if not received:
            return None
        buffer += received
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line


def _encoded(answer: Response, *, keep: bool) -> bytes:
    head = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Unknown')}"]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    head.append(f"content-length: {len(answer.body)}")
    if not keep:
        head.append("connection: close")
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + answer.body


class ClockServer:
    r"""The world's clock: a line in, a line out, on a connection that stays open.

    ``now\n`` and ``sleep 1.5\n`` are answered by the instant in ms; anything else by a line that
    begins with ``error``.

    Args:
        now: the instant in ms.
        sleep: lets so many seconds pass, and gives the instant after.
        port: 0 takes a free one.
    """

    def __init__(
        self, now: Callable[[], int], sleep: Callable[[float], int], port: int = 0
    ) -> None:
        self._now, self._sleep = now, sleep
        self._listener = Listener(self._serve, port)
        self.address = f"127.0.0.1:{self._listener.port}"

    def close(self) -> None:
        """Stop serving."""
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            while line := lines.readline(200):
                connection.sendall(self._answer(line.decode("latin-1").split()).encode())

    def _answer(self, words: list[str]) -> str:
        if words == ["now"]:
            return f"{self._now()}\n"
        if len(words) == 2 and words[0] == "sleep":
            with contextlib.suppress(ValueError):
                seconds = float(words[1])
                if 0 <= seconds <= 10**9:
                    return f"{self._sleep(seconds)}\n"
        return 'error: expected "now" or "sleep SECONDS"\n'
