"""A refresh token that is good once: its successor outlives the process."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.salesforce.destination import SalesforceDestination
from mapping.errors import ConfigError
from simulator.salesforce import FakeApp
from tests.connectors.salesforce_rig import USER, SalesforceRig


@pytest.fixture
def org() -> Iterator[SalesforceRig]:
    found = SalesforceRig(apps=(FakeApp("consumer", "secret", run_as=USER, rotates=True),))
    yield found
    found.close()


def signed_in(org: SalesforceRig, file: Path, first: str = "") -> SalesforceDestination:
    """A process of its own that has made a call."""
    given = {"refresh_token": first} if first else {}
    crm = org.destination(auth="refresh_token", refresh_token_file=file, **given)
    crm.owners()
    return crm


def test_the_next_process_is_let_in(org: SalesforceRig, tmp_path: Path) -> None:
    file, first = tmp_path / "token", org.fake.tokens.refresh_token(USER, "consumer")
    crm = signed_in(org, file, first)
    assert file.read_text() not in ("", first)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    org.fake.expire_sessions()
    crm.owners()
    signed_in(org, file, first)  # what was configured first is dead by now
    signed_in(org, file)
    assert [p.name for p in tmp_path.iterdir()] == ["token"], "nothing is left beside it"


def test_a_file_that_cannot_be_written_is_said(org: SalesforceRig, tmp_path: Path) -> None:
    first = org.fake.tokens.refresh_token(USER, "consumer")
    with pytest.raises(ConfigError, match=r"refresh_token_file .* cannot be written") as told:
        signed_in(org, tmp_path / "missing" / "token", first)
    assert first not in f"{told.value.admin} {told.value.log}"


def test_a_file_that_holds_no_token_is_said(org: SalesforceRig, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes("\u00e9t\u00e9".encode())
    with pytest.raises(ConfigError, match="cannot be read"):
        signed_in(org, file)


def test_one_of_the_two_is_needed(org: SalesforceRig, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="needs refresh_token"):
        org.destination(auth="refresh_token", refresh_token_file=tmp_path / "token")
