"""Cellxpert's public facts: commands and parameters, shapes of an answer, columns of a row. The
vendor publishes no payload: the values in the columns are this test's own."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from connectors.cellxpert.settings import COLUMNS, CellxpertSettings
from connectors.cellxpert.source import CellxpertSource
from mapping.errors import ConfigError
from mapping.money import Money
from mapping.payloads import Attribution, Payout, RiskFlag
from mapping.words import Kind, PayoutPlan, PayoutStatus, RiskKind
from simulator.wire import Request, Response
from tests.connectors import samples
from tests.connectors.cellxpert_rig import CellxpertRig
from tests.connectors.test_cellxpert_rows import only, read
from tests.contracts.world import at, client

# What the connector sends or reads by default and the facts do not list: see the README, "Assumed".
ASSUMED_PARAMETERS = {"TrackingCode", "QualificationDate"}
ASSUMED_COLUMNS = {"TrackingCode", "Landing_Page", "Device", "RevShare_Commission"}
ROW = {
    "User_ID": "1001", "Affiliate_ID": "A17", "Registration_Date": "3/4/2026", "afp": "s-1",
    "Tracking_Code": "spring", "Country": "CY", "Qualification_Date": "3/9/2026",
    "CPA_Commission": "250.00", "CPL_Commission": "5.00", "Revshare_Commission": "-1.25",
    "Sub_Affiliate_Commissions": "2.00", "Other_Commissions": "0.50", "fraudStatus": "Duplicate",
    "Commissions": "256.25", "Affiliate_Commissions": "254.25", "Customer_Name": "Somebody",
    "First_Deposit": "77.00", "First_Deposit_Date": "3/5/2026", "Net_Deposits": "77.00",
}  # fmt: skip


def facts(part: str) -> dict[str, Any]:
    """The facts of one of the two APIs."""
    found: dict[str, Any] = samples.load("cellxpert/fields.json")[part]
    return found


def pulled(answer: Response, download: Response | None = None) -> CellxpertSource:
    """A source whose registration report answers so; its one pull is left to the test."""
    rig = CellxpertRig(client("nobody"), partners=())
    handle = rig.transport.fake

    def vendor(request: Request) -> Response:
        if download is not None and request.path.startswith("/file"):
            return download
        return answer if "processregreport" in request.target else handle(request)

    rig.transport.fake = vendor
    return rig.source(step_days=60)


def test_no_sample_is_left_out() -> None:
    assert samples.names("cellxpert") == {"fields.json"}


def test_requests_are_those_of_the_admin_api() -> None:
    known = facts("admin_api")
    fields = CellxpertSettings.model_fields
    assert f"{fields['base_url'].default}/" == known["base"]
    assert fields["token_minutes"].default == known["token_ttl_assumed_by_clients_min"]
    assert (fields["date_format"].default, fields["list_keys"].default[0]) == (
        known["date_format"].partition(" ")[0], "Registrations",
    )  # fmt: skip
    rig = CellxpertRig()
    list(rig.source().pull(None))
    login, *asked = rig.transport.requests
    assert f"{login.method} {login.target.removeprefix('/')}" in known["auth"]
    assert set(parse_qs(login.body.decode())) == {"user", "url", "pass"}
    assert login.headers["admin_url"] == "tenant-x"
    for request in (r for r in asked if r.path == "/"):
        assert request.headers["authorization"].startswith("Bearer ")
        assert request.headers["admin_url"] == "tenant-x"
        query = {k: v[-1] for k, v in parse_qs(request.query, keep_blank_values=True).items()}
        listed = known["commands"][query.pop("command")]
        # A parameter is listed by name, or with its value ("json=1").
        names = {one.partition("=")[0] for one in listed} | {"json"}
        assert set(query) - ASSUMED_PARAMETERS <= names
        fixed = dict(one.split("=") for one in listed if "=" in one)
        assert {k: v for k, v in query.items() if k in fixed} == fixed
    rig.close()


def test_the_columns_that_are_read_are_those_of_the_row() -> None:
    listed = {*facts("admin_api")["registration_row"], *facts("affiliate_api")["registration_row"]}
    listed |= set(facts("admin_api")["media_row"])
    ours = {name for names in COLUMNS.values() for name in names}
    assert ours - ASSUMED_COLUMNS <= listed
    assert set(ROW) <= listed


def test_a_row_of_all_listed_columns() -> None:
    listed = facts("admin_api")["registration_row"]
    records, rejects = read(dict.fromkeys(listed, "") | ROW)
    assert rejects == []
    registered = at("2026-03-04 00:00")
    assert only(records, Kind.ATTRIBUTION).payload == Attribution(
        "A17", registered, "s-1", "spring", "", "CY", ""
    )
    assert only(records, Kind.RISK_FLAG).payload == RiskFlag(
        RiskKind.DUPLICATE_ACCOUNT, open=True, at=registered, reason="duplicate"
    )
    payouts = {r.external_id: r.payload for r in records if r.kind is Kind.PAYOUT}
    assert payouts == {
        f"1001:A17:{part}": Payout(
            affiliate_id="A17",
            plan=plan,
            status=PayoutStatus.ACCRUED,
            amount=Money(minor, "USD"),
            at=at("2026-03-09 00:00") if part == "cpa" else registered,
        )
        for part, plan, minor in (
            ("cpa", PayoutPlan.CPA, 25_000),
            ("cpl", PayoutPlan.CPL, 500),
            ("revshare", PayoutPlan.REVSHARE, -125),
            ("other", PayoutPlan.OTHER, 250),
        )
    }
    # "Commissions" is the sum of the rest, and is not counted beside it.
    assert len(records) == 6


@pytest.mark.parametrize(
    "shape",
    ["bare", "ManageAffiliatesData", "Registrations", "Report", "PixelLog", "data", "s3", "csv"],
)
def test_every_listed_shape_of_an_answer(shape: str) -> None:
    listed = " ".join(facts("admin_api")["response_shapes"])
    download = None
    if shape == "bare":
        assert "bare array" in listed
        answer = Response.json(200, [ROW])
    elif shape in ("s3", "csv"):
        assert "{s3, url}" in listed
        assert "body is JSON or CSV" in listed
        url = "https://adminapi.cellxpert.example/file?signature=x"
        answer = Response.json(200, {"s3": True, "url": url})
        lines = ",".join(ROW) + "\r\n" + ",".join(ROW.values()) + "\r\n"
        body = lines.encode() if shape == "csv" else json.dumps([ROW]).encode()
        download = Response(200, body)
    else:
        assert shape in listed
        answer = Response.json(200, {shape: [ROW]})
    source = pulled(answer, download)
    (page,) = source.pull(None)
    assert page.rejects == []
    assert len(page.records) == 6
    source.close()


def test_the_listed_quirks_of_an_answer() -> None:
    plain, empty = facts("affiliate_api")["quirks"]
    assert "plain text" in plain
    source = pulled(Response(200, b"Access denied", {"content-type": "text/plain"}))
    with pytest.raises(ConfigError, match="plain text"):
        list(source.pull(None))
    source.close()
    assert "empty body" in empty
    source = pulled(Response(200))
    (page,) = source.pull(None)
    assert (page.records, page.rejects) == ([], [])
    source.close()
