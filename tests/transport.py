"""Fakes mounted in-process: an httpx transport that calls them instead of a server."""

from __future__ import annotations

import httpx

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
