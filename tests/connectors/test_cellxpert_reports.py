"""Cellxpert's answers (trap 21): three shapes, the empty body, plain text, signed links, tokens."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from connectors.base import Page
from connectors.cellxpert.source import CellxpertSource
from mapping.errors import ConfigError, ProtocolError, RetryableError
from mapping.payloads import Attribution
from simulator.loopback import HttpServer
from simulator.wire import Request, Response
from tests.connectors.cellxpert_rig import CellxpertRig
from tests.contracts.source import SECRETS, of
from tests.contracts.world import client

FILES = "files.reports.example"


def found(rig: CellxpertRig, **settings: Any) -> set[str]:
    """The ids of everything a first pull tells."""
    return {r.external_id for r in of(list(rig.source(**settings).pull(None)))}


def answering(rig: CellxpertRig, body: bytes, command: str = "processregreport") -> None:
    """Have the vendor answer every such command with ``body``."""
    handle = rig.transport.fake

    def spoiled(request: Request) -> Response:
        answer = handle(request)
        return Response(200, body) if f"command={command}" in request.target else answer

    rig.transport.fake = spoiled


@pytest.mark.parametrize(
    ("wrap_from", "link_from", "kind"),
    [(999, 999, "csv"), (1, 999, "csv"), (9, 1, "csv"), (9, 1, "json"), (4, 9, "json")],
    ids=["arrays", "objects", "csv files", "json files", "mixed"],
)
def test_every_shape_of_an_answer_tells_the_same(wrap_from: int, link_from: int, kind: str) -> None:
    rig = CellxpertRig(wrap_from=wrap_from, link_from=link_from, download_format=kind)
    pages = list(rig.source().pull(None))
    assert {r.external_id for r in of(pages)} == rig.truth()
    assert not [r for page in pages for r in page.rejects]


def test_a_link_below_the_key_of_the_rows_is_followed() -> None:
    rig = CellxpertRig(wrap_from=1, link_from=1)
    handle = rig.transport.fake

    def nested(request: Request) -> Response:
        answer = handle(request)
        if b'"s3"' not in answer.body:
            return answer
        return Response(200, b'{"Registrations":' + answer.body + b"}")

    rig.transport.fake = nested
    assert found(rig) == rig.truth()


def test_an_empty_body_is_no_rows() -> None:
    rig = CellxpertRig(client("nobody"), partners=())
    assert rig.fake.rows() == {}
    pages = list(rig.source().pull(None))
    assert of(pages) == []
    assert pages[-1].complete_until is not None
    assert len(rig.asked("processregreport")) == 4  # 25 February to 21 March in weeks


def test_blanks_alone_are_no_rows_either() -> None:
    rig = CellxpertRig()
    answering(rig, b" \r\n")
    assert found(rig) == {"A-17", "A-18", "A-19"}


def test_an_address_that_is_not_allowed_needs_an_admin() -> None:
    rig = CellxpertRig(listed=False)
    source = rig.source()
    for attempt in (source.check, lambda: list(source.pull(None))):
        with pytest.raises(ConfigError, match=r"affiliates: GET .*plain text.*address") as refused:
            attempt()
        assert "203.0.113.7" not in refused.value.admin + refused.value.log
    assert rig.clock.slept == []


def test_a_text_in_json_is_a_refusal_too() -> None:
    rig = CellxpertRig()
    answering(rig, b'"Not authorised"')
    with pytest.raises(ConfigError, match="plain text"):
        rig.source().check()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Maintenance</html>",
        b'[{"User_ID": "1"',
        b'{"unexpected": true}',
        b'{"Registrations": [], "data": []}',
        b'{"Registrations": null}',
        b"null",
        b"12",
        b"x" * 501,
    ],
)
def test_another_shape_names_the_connection(body: bytes) -> None:
    rig = CellxpertRig()
    answering(rig, body)
    with pytest.raises(ProtocolError, match=r"affiliates: GET /\?command=processregreport"):
        rig.source().check()


def test_another_key_of_the_rows_is_a_setting() -> None:
    rig = CellxpertRig()
    answering(rig, b'{"Rows": [{"User_ID": "7", "Affiliate_ID": "A-17",'
                   b' "Registration_Date": "3/19/2026"}]}')  # fmt: skip
    with pytest.raises(ProtocolError, match="list_keys"):
        rig.source().check()
    settings = {"list_keys": ("Rows", "ManageAffiliatesData")}
    assert found(rig, **settings) >= {"7:A-17:"}


# Signed links


def test_a_link_to_a_foreign_host_is_refused_before_anything_is_sent_there() -> None:
    rig = CellxpertRig(link_from=1, download_base=f"https://{FILES}")
    with pytest.raises(ConfigError, match=rf"{FILES}.*download_hosts"):
        rig.source().check()
    assert {r.headers["host"] for r in rig.transport.requests} == {"adminapi.cellxpert.example"}


def test_a_named_host_is_asked_without_credentials_for_exactly_the_link() -> None:
    rig = CellxpertRig(link_from=1, download_base=f"https://{FILES}")
    assert found(rig, download_hosts=(FILES.upper(),)) == rig.truth()
    asked = [r for r in rig.transport.requests if r.headers["host"] == FILES]
    assert len(asked) == 4  # the partners, and three weeks with clients
    for request in asked:
        assert not {"authorization", "admin_url", "cookie"} & set(request.headers)
        assert "X-Amz-Credential=a%2Fb&X-Amz-Signature=c%2B" in request.target
        assert "hub" not in str(request)
        assert not [s for s in SECRETS if s in str(request)]


@pytest.mark.parametrize(
    "host",
    [
        f"https://{FILES}:8443",  # another port is another place
        f"https://x.{FILES}",
        f"https://{FILES}.evil.example",
        "https://adminapi.cellxpert.example.evil.example",
    ],
)
def test_only_the_very_host_is_allowed(host: str) -> None:
    rig = CellxpertRig(link_from=1, download_base=host)
    with pytest.raises(ConfigError, match=host.removeprefix("https://")):
        rig.source(download_hosts=(FILES,)).check()


@pytest.mark.parametrize(
    "link",
    [
        f"http://{FILES}/reports/1",
        f"https://adminapi.cellxpert.example@{FILES}/reports/1",
        "file:///etc/passwd",
        "/reports/1",
        "",
    ],
)
def test_a_link_that_is_no_web_address_is_named_but_not_told(link: str) -> None:
    rig = CellxpertRig()
    answering(rig, json.dumps({"s3": True, "url": link}).encode())
    with pytest.raises(ProtocolError, match=r"affiliates: GET .*link") as wrong:
        rig.source(download_hosts=(FILES,)).check()
    assert not link or link not in wrong.value.admin + wrong.value.log


@pytest.mark.parametrize("host", ["*.amazonaws.com", "https://x.example/", "", "a b"])
def test_a_host_is_a_whole_name(host: str) -> None:
    with pytest.raises(ValueError, match="download_hosts"):
        CellxpertRig().source(download_hosts=(host,))


def test_a_signature_is_never_told() -> None:
    rig = CellxpertRig(link_from=1)
    source = rig.source(max_attempts=2)
    source.check()
    for status, kind in ((500, RetryableError), (403, RetryableError), (404, RetryableError)):
        handle = rig.fake.handle

        def broken(request: Request, status: int = status, handle: Any = handle) -> Response:
            return Response(status) if "/reports/" in request.target else handle(request)

        rig.transport.fake = broken
        with pytest.raises(kind, match="affiliates") as failed:
            source.check()
        for word in ("X-Amz", "reports/", "c%2B"):
            assert word not in failed.value.admin + failed.value.log


def test_a_busy_file_host_is_asked_again() -> None:
    rig = CellxpertRig(link_from=1)
    handle = rig.fake.handle
    answers = iter([503, 429])

    def busy(request: Request) -> Response:
        status = next(answers, 0) if "/reports/" in request.target else 0
        return Response(status) if status else handle(request)

    rig.transport.fake = busy
    assert found(rig) == rig.truth()
    assert rig.clock.slept == [0.5, 1.0]


def test_a_file_that_is_a_page_is_named() -> None:
    rig = CellxpertRig(link_from=1)
    handle = rig.fake.handle
    for body in (b"<Error/>", b"a,a\n1,2\n", b"User_ID\n\xff\n", b'User_ID\n"open'):

        def page(request: Request, body: bytes = body) -> Response:
            answer = handle(request)
            return Response(200, body) if "/reports/" in request.target else answer

        rig.transport.fake = page
        with pytest.raises(ProtocolError, match="affiliates: the signed link"):
            rig.source().check()


# CSV


def csv_pages(text: str, **settings: Any) -> list[Page]:
    """A pull in which every report is this file."""
    rig = CellxpertRig(client("nobody"), partners=())
    handle = rig.fake.handle
    base = "https://adminapi.cellxpert.example/reports/1"

    def file(request: Request) -> Response:
        if "/reports/" in request.target:
            return Response(200, text.encode("utf-8-sig"))
        if "command=processregreport" in request.target:
            return Response.json(200, {"s3": True, "url": base})
        return handle(request)

    rig.transport.fake = file
    return list(rig.source(step_days=60, **settings).pull(None))


def test_csv_with_quotes_commas_line_ends_and_other_scripts() -> None:
    # Columns in another order than documented (trap 19), with blanks in their names.
    (page,) = csv_pages(
        "Affiliate ID,Tracking Code,User ID,Registration Date,afp\r\n"
        '"A,17","Größe ""XL"", двор\r\nsecond line",c1,3/2/2026,李🙂\r\n'
        "\r\n"
        "A18,,c2,3/13/2026,\r\n"
    )
    first, second = page.records
    assert (first.external_id, second.external_id) == ("c1:A,17:李🙂", "c2:A18:")
    assert isinstance(first.payload, Attribution)
    assert first.payload.campaign == 'Größe "XL", двор\r\nsecond line'
    assert first.payload.sub_id == "李🙂"
    assert page.rejects == []


def test_a_csv_line_with_other_columns_than_its_header_is_set_aside_alone() -> None:
    (page,) = csv_pages("User_ID,Affiliate_ID,Registration_Date\nc1,A1\nc2,A2,3/2/2026\n")
    assert [r.external_id for r in page.records] == ["c2:A2:"]
    (reject,) = page.rejects
    assert "CSV line" in reject.reason
    assert "c1" not in reject.reason + reject.raw


def test_another_delimiter_is_a_setting() -> None:
    text = "User_ID;Affiliate_ID;Registration_Date;CPA_Commission\nc1;A1;3/2/2026;1.250,50\n"
    (page,) = csv_pages(text, csv_delimiter=";", decimal_comma=True)
    assert [r.external_id for r in page.records] == ["c1:A1:", "c1:A1:cpa"]


# Tokens


def logins(rig: CellxpertRig) -> int:
    """How often a token was fetched."""
    return len(rig.asked("authenticate"))


def test_the_login_is_a_form_that_names_the_tenant() -> None:
    rig = CellxpertRig()
    rig.source().check()
    login = rig.transport.requests[0]
    assert (login.method, login.target) == ("POST", "/?command=authenticate")
    assert login.headers["admin_url"] == "tenant-x"
    assert login.body == b"user=hub&url=tenant-x&pass=" + SECRETS[1].encode()
    assert "authorization" not in login.headers


def test_a_token_is_made_anew_before_it_expires_even_in_mid_pull() -> None:
    rig = CellxpertRig(latency_s=400.0)  # half an hour a pull, and tokens live as long
    source = rig.source(timeout_s=300, max_attempts=1)
    with pytest.raises(RetryableError, match="timeout_s"):
        source.check()
    rig = CellxpertRig(latency_s=290.0)
    assert found(rig, timeout_s=300) == rig.truth()
    # Of 290 s each: the login, the partners, two weeks as links and files; the third week, asked
    # for after 29 minutes, needs another token.
    assert logins(rig) == 2


def test_a_token_that_died_early_is_made_anew_once() -> None:
    rig = CellxpertRig(token_lives_s=600, latency_s=290.0)
    assert found(rig, timeout_s=300) == rig.truth()
    assert logins(rig) > 2
    source = rig.source()
    rig.fake.latency_s = 0.05
    source.check()
    rig.fake.revoke()
    before = logins(rig)
    source.check()
    assert logins(rig) == before + 1
    rig.fake.password = "rotated"
    rig.fake.revoke()
    with pytest.raises(ConfigError, match="user and password"):
        source.check()


def test_the_age_at_which_a_token_is_left_is_a_setting() -> None:
    rig = CellxpertRig()
    source = rig.source(token_minutes=10)
    source.check()
    rig.world.advance(590)
    source.check()
    assert logins(rig) == 1
    rig.world.advance(20)
    source.check()
    assert logins(rig) == 2


def test_another_tenant_needs_an_admin() -> None:
    with pytest.raises(ConfigError, match="HTTP 401"):
        CellxpertRig().source(admin_url="tenant-y").check()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error": "Wrong password for hub"}', ConfigError),
        (b'{"message": "locked"}', ConfigError),
        (b"Access denied", ConfigError),
        (b'{"unexpected": true}', ProtocolError),
        (b'{"token": 7}', ProtocolError),
        (b'{"token": "a\\nb"}', ProtocolError),
        (b"", ProtocolError),
    ],
)
def test_a_login_without_a_token_stops(body: bytes, kind: type[Exception]) -> None:
    rig = CellxpertRig()
    answering(rig, body, "authenticate")
    with pytest.raises(kind, match="affiliates: POST") as stopped:
        rig.source().check()
    assert "hub" not in str(stopped.value)


def test_forms_and_links_go_out_as_they_are() -> None:
    """Over a real connection pool's request, not the fake's: what httpx makes of the parts."""
    sent: list[httpx.Request] = []

    class Listening(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return httpx.Response(200, json={"token": "t"})

    rig = CellxpertRig()
    source = rig.make(user="a&b=c", password="ü +%")
    source._reports.api._transport = Listening()
    with pytest.raises(ProtocolError):
        source.check()
    login, report = sent
    assert login.headers["content-type"] == "application/x-www-form-urlencoded"
    assert login.headers["content-length"] == str(len(login.content))
    assert login.content == b"user=a%26b%3Dc&url=tenant-x&pass=%C3%BC+%2B%25"
    assert report.url.raw_path.startswith(
        b"/?command=processregreport&startDate=3%2F13%2F2026&endDate=3%2F20%2F2026"
    )
    assert report.headers["authorization"] == "Bearer t"


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_over_real_connections_the_same_arrives(kind: str) -> None:
    rig = CellxpertRig(wrap_from=2, link_from=4, download_format=kind)
    api, files = HttpServer(rig.fake.handle), HttpServer(rig.fake.handle)
    try:
        rig.fake.download_base = files.url
        usual = rig.make(base_url=api.url, download_hosts=(files.url.removeprefix("http://"),))
        source = CellxpertSource(usual.settings, usual.context)
        pages = list(source.pull(None))
        assert {r.external_id for r in of(pages)} == rig.truth()
        assert files.requests == 3  # three weeks with four clients or more
        source.close()
    finally:
        api.close()
        files.close()
