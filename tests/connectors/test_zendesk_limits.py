"""Zendesk's limits, rights and settings, and what its logs hold."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mapping.errors import ConfigError, RetryableError
from tests.connectors.zendesk_rig import (
    ADMIN,
    ZendeskRig,
    queries,
)
from tests.contracts.source import SECRETS, of


def test_more_than_ten_pages_are_paced_below_the_limit() -> None:
    rig = ZendeskRig()
    source = rig.source(page_size=2, max_attempts=1)
    began = rig.world.now_ms
    list(source.pull(None))
    assert (rig.fake.calls, rig.fake.refused) == (31, 0)
    # Ten at once, and ten more in each of three minutes: the limit, and not much below it.
    assert 180 < (rig.world.now_ms - began) / 1000 < 190


def test_users_and_tickets_share_one_pace() -> None:
    rig = ZendeskRig(requests_per_minute=3)
    list(rig.source(page_size=20, requests_per_minute=3, max_attempts=1).pull(None))
    assert rig.fake.calls > 3
    assert rig.fake.refused == 0


def test_a_refused_request_waits_as_long_as_it_is_told() -> None:
    rig = ZendeskRig()
    source = rig.source(page_size=2, requests_per_minute=1000)
    found = of(list(source.pull(None)))
    assert {r.external_id for r in found} == rig.truth()
    assert rig.fake.refused > 0
    # Retry-After is what is left of the minute: nearly a whole one after ten quick requests.
    assert 50 < max(rig.clock.slept) <= 60
    assert len(rig.clock.slept) == rig.fake.refused


def test_the_high_volume_limit_is_a_setting() -> None:
    rig = ZendeskRig(requests_per_minute=30)
    list(rig.source(page_size=2, requests_per_minute=30, max_attempts=1).pull(None))
    assert rig.fake.refused == 0


def test_two_processes_on_one_account_share_its_limit() -> None:
    rig = ZendeskRig()
    first, second = rig.source(page_size=4), rig.source(page_size=4)
    for page, other in zip(first.pull(None), second.pull(None), strict=True):
        assert [r.external_id for r in page.records] == [r.external_id for r in other.records]
    assert rig.fake.refused > 0


def test_an_agent_may_not_export_and_is_told_so() -> None:
    rig = ZendeskRig(admin=False)
    with pytest.raises(ConfigError, match=r"desk.*403.*administrator"):
        rig.source().check()
    assert rig.clock.slept == []


def test_check_asks_both_exports_for_one_row() -> None:
    rig = ZendeskRig()
    rig.source().check()
    for export in ("users", "tickets"):
        (asked,) = queries(rig, export)
        assert asked["per_page"] == "1"
        assert int(asked["start_time"]) <= rig.world.now_ms // 1000 - 60


def test_both_kinds_of_credentials_work() -> None:
    rig = ZendeskRig()
    rig.source().check()
    pair = base64.b64encode(f"{ADMIN}/token:{SECRETS[1]}".encode()).decode()
    assert rig.transport.requests[-1].headers["authorization"] == f"Basic {pair}"
    rig.source(email="", api_token="", oauth_token=SECRETS[0]).check()
    assert rig.transport.requests[-1].headers["authorization"] == f"Bearer {SECRETS[0]}"
    with pytest.raises(ConfigError, match="oauth_token"):
        rig.source(email="", api_token="", oauth_token="stale").check()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"api_token": ""}, "exactly one"),
        ({"oauth_token": "x"}, "exactly one"),
        ({"email": ""}, "email"),
        ({"api_token": "", "oauth_token": "x"}, "email"),
        ({"api_token": "two words"}, "api_token"),
        ({"api_token": "tökén"}, "api_token"),
        ({"api_token": "line\nbreak"}, "api_token"),
        ({"client_prefixes": {"gamma": "G-"}}, "gamma"),
        ({"brands": {1: "gamma"}}, "gamma"),
    ],
)
def test_a_setting_that_cannot_be_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=f"desk.*{named}") as caught:
        ZendeskRig().source(**wrong)
    assert "two words" not in caught.value.admin


def test_a_server_error_in_the_middle_keeps_what_was_read() -> None:
    rig = ZendeskRig()
    source = rig.source(max_attempts=1)
    pull = source.pull(None)
    pages = [next(pull), next(pull), next(pull)]
    rig.faults.fail_next = [503]
    with pytest.raises(RetryableError):
        next(pull)
    rest = list(source.pull(pages[-1].cursor))
    found = [r.external_id for r in of([*pages, *rest])]
    assert set(found) == rig.truth()
    assert len(found) == len(set(found))  # nothing twice
