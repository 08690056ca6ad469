"""Fakes mounted in-process: an httpx transport and a urllib3 pool that call them, no server."""

from __future__ import annotations

import io
from collections.abc import Mapping
from http.client import RemoteDisconnected
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import urllib3

from simulator.wire import Fake, Request


class FakeTransport(httpx.BaseTransport):
    """Hands every request to ``fake``, as the bytes that would go over the wire."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.requests: list[Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See :class:`httpx.BaseTransport`."""
        wire = Request(
            request.method,
            request.url.raw_path.decode("ascii"),
            {name.lower(): value for name, value in request.headers.items()},
            request.read(),
        )
        self.requests.append(wire)
        answer = self.fake(wire)
        if answer.drop:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)


class InProcessPool:
    """Speaks urllib3's pool interface to a fake; dropped answers raise what urllib3 raises."""

    def __init__(self, fake: Fake) -> None:
        self._fake = fake

    def request(
        self,
        method: str,
        url: str,
        *,
        body: str | bytes | None = None,
        fields: Any = None,
        headers: Mapping[str, str] | None = None,
        preload_content: bool = True,
        **ignored: Any,
    ) -> urllib3.HTTPResponse:
        """One request, answered by the fake."""
        del ignored
        parts = urlsplit(url)
        query = "&".join(filter(None, [parts.query, urlencode(fields) if fields else ""]))
        target = parts.path + (f"?{query}" if query else "")
        sent = body.encode() if isinstance(body, str) else body or b""
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        answer = self._fake(Request(method, target, lower, sent))
        if answer.drop:
            raise urllib3.exceptions.ProtocolError(
                "Connection aborted.", RemoteDisconnected("closed")
            )
        return urllib3.HTTPResponse(
            body=io.BytesIO(answer.body),
            headers=answer.headers,
            status=answer.status,
            preload_content=preload_content,
        )

    def connection_from_host(self, *ignored: Any, **more: Any) -> InProcessPool:
        """See :class:`urllib3.PoolManager`: as requests asks for the pool of a host."""
        del ignored, more
        return self

    def urlopen(
        self, method: str, url: str, body: Any = None, headers: Any = None, **ignored: Any
    ) -> urllib3.HTTPResponse:
        """See :class:`urllib3.HTTPConnectionPool`: as requests makes a call."""
        del ignored
        return self.request(method, url, body=body, headers=headers, preload_content=False)

    def clear(self) -> None:
        """Nothing is open."""
