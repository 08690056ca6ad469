"""Texts on the way to HubSpot and back."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.hubspot import HubSpotSettings, values

UTC = dt.UTC


@given(st.dates(dt.date(1970, 1, 1), dt.date(2100, 1, 1)))
def test_a_day_is_written_as_its_midnight_utc(day: dt.date) -> None:
    wire = values.date_to_wire(day.isoformat())
    assert dt.datetime.fromtimestamp(int(wire) / 1000, UTC) == dt.datetime(
        day.year, day.month, day.day, tzinfo=UTC
    )
    assert values.date_from_wire(wire) == values.date_from_wire(day.isoformat()) == day.isoformat()


@given(st.integers(0, 4_000_000_000_000))
def test_an_instant_comes_back_from_iso(ms: int) -> None:
    moment = dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(milliseconds=ms)
    for text in (moment.isoformat(), moment.isoformat().replace("+00:00", "Z"), str(ms)):
        assert values.instant_from_wire(text) == str(ms)
    assert values.instant_to_wire(str(ms)) == str(ms)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "20260301", "2026-3-1", "1.5"])
def test_what_is_no_day_is_refused(text: str) -> None:
    if not text:
        assert values.date_to_wire(text) == ""
        return
    with pytest.raises(ValueError, match=r".+"):
        values.date_to_wire(text)
    with pytest.raises(ValueError, match=r".+"):
        values.instant_to_wire(text if text != "20260301" else "x")


def test_the_rest() -> None:
    assert values.number_from_wire("1.5E7") == "15000000"
    assert values.number_from_wire("500.00") == "500.00"
    assert values.options_sorted("CS5;CS3;;CS5") == "CS3;CS5"
    assert values.options_sorted("") == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "http://api.hubapi.com"},
        {"base_url": "ftp://127.0.0.1"},
        {"base_url": "https://api.hubapi.com/crm"},
        {"share": 0.04},
        {"path_version": "v4"},
        {"acess_token": "typo"},
        {"contact_key": "Not A Name"},
    ],
)
def test_wrong_settings_are_refused_without_the_token(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        HubSpotSettings(**({"access_token": "pat-secret-1"} | wrong))  # type: ignore[arg-type]
    assert "pat-secret-1" not in str(refused.value.errors(include_input=False))


def test_settings_hide_the_token() -> None:
    settings = HubSpotSettings(access_token="pat-secret-1", base_url="http://127.0.0.1:8080/")  # type: ignore[arg-type]
    assert "pat-secret-1" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.base_url == "http://127.0.0.1:8080"
    assert settings.calls_per_window == 182
