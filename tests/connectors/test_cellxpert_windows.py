"""Cellxpert's windows: what is read when, and that what changes later is found (trap 22)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.base import Page
from mapping.errors import ConfigError, ProtocolError
from mapping.payloads import Attribution, Payout, RiskFlag
from simulator.story import Client
from tests.connectors.cellxpert_rig import CellxpertRig
from tests.contracts.source import of
from tests.contracts.world import at, client, event

HOUR, DAY = 3600, 86_400


def windows(rig: CellxpertRig) -> list[tuple[str, str]]:
    """First and last day of every report asked for, and the list begins anew."""
    found = []
    for target in rig.asked("processregreport"):
        query = parse_qs(urlsplit(target).query)
        found.append((query["startDate"][0], query["endDate"][0]))
    rig.transport.requests.clear()
    return found


def attributed(client_id: str, day: str, *more: Any, **data: Any) -> Client:
    """A client attributed to A17 on a day of March."""
    place = {"affiliate": "A17", **data}
    return client(client_id, event(f"2026-03-{day} 10:00", "attributed", **place), *more)


def latest(pages: Sequence[Page], external_id: str) -> Any:
    """The newest version of a record: (payload, deleted)."""
    found = [r for r in of(list(pages)) if r.external_id == external_id]
    assert found, external_id
    newest = max(found, key=lambda r: r.version_at)
    return newest.payload, newest.deleted


def test_the_first_pull_walks_the_history_in_steps_that_share_a_day() -> None:
    rig = CellxpertRig()
    list(rig.source().pull(None))
    assert windows(rig) == [
        ("2/25/2026", "3/4/2026"),
        ("3/4/2026", "3/11/2026"),
        ("3/11/2026", "3/18/2026"),
        ("3/18/2026", "3/21/2026"),
    ]


@pytest.mark.parametrize(
    ("start", "zone", "first"),
    [
        ("2026-03-19", "UTC", "3/19/2026"),
        ("2026-03-18T22:30:00Z", "Europe/Nicosia", "3/19/2026"),
        ("2026-03-18T22:30:00Z", "UTC", "3/18/2026"),
        ("2026-03-18T23:30:00", "Europe/Nicosia", "3/18/2026"),
    ],
)
def test_the_start_is_a_day_of_the_tenant(start: str, zone: str, first: str) -> None:
    rig = CellxpertRig()
    list(rig.source(start_at=start, zone=zone).pull(None))
    assert windows(rig)[0][0] == first


def test_without_a_start_the_first_pull_reads_the_long_window() -> None:
    rig = CellxpertRig()
    list(rig.source(start_at=None, step_days=366).pull(None))
    assert windows(rig) == [("2/13/2025", "2/14/2026"), ("2/14/2026", "3/21/2026")]


def test_later_pulls_read_the_latest_days_and_the_long_window_once_a_week() -> None:
    rig = CellxpertRig()
    source = rig.source(window_days=35, step_days=366)
    cursor = list(source.pull(None))[-1].cursor
    windows(rig)
    asked = []
    for _ in range(16):
        rig.world.advance(12 * HOUR)
        cursor = list(source.pull(cursor))[-1].cursor
        asked.append(windows(rig)[0][0])
    assert asked[0] == "2/13/2026"  # 35 days before 20 March, 12:00
    assert asked.count("2/20/2025") == 1  # 400 days before the 27th
    assert asked.index("2/20/2025") == 13
    assert asked[-1] == "2/21/2026"


def test_days_are_written_as_the_tenant_writes_them() -> None:
    for order, wanted in (("D/M/YYYY", "25/2/2026"), ("YYYY-MM-DD", "2026-02-25")):
        rig = CellxpertRig()
        source = rig.source(date_format=order, max_pages=1)
        with pytest.raises(ConfigError, match="plain text"):  # the fake knows one order only
            list(source.pull(None))
        assert windows(rig)[0][0] == wanted


def test_the_tenants_day_may_be_ahead_of_ours() -> None:
    # 19 March, 23:30 UTC is the 20th in Sydney; a client registers there at that minute.
    late = client("late", event("2026-03-19 23:30", "attributed", affiliate="A17"))
    for ours in ("UTC", "Australia/Sydney"):
        rig = CellxpertRig(late, zone="Australia/Sydney", partners=())
        rig.world.story_ms = rig.world.now_ms = late.events[0].at
        pages = list(rig.source(zone=ours, step_days=60).pull(None))
        assert {r.external_id for r in of(pages)} == rig.truth() != set()


@pytest.mark.parametrize("end_included", [True, False])
def test_windows_lose_nobody_whether_or_not_they_hold_their_last_day(end_included: bool) -> None:
    daily = [attributed(f"d{day}", f"{day:02}") for day in range(1, 20)]
    today = client("today", event("2026-03-20 00:00", "attributed", affiliate="A17"))
    rig = CellxpertRig(*daily, today, end_included=end_included, partners=())
    for step in (1, 3, 7):
        pages = list(rig.source(step_days=step).pull(None))
        assert {r.external_id for r in of(pages)} == rig.truth(), step


def test_clients_in_two_steps_are_one_record() -> None:
    rig = CellxpertRig(attributed("twice", "04"), partners=())
    records = of(list(rig.source().pull(None)))
    # The steps share 4 March: its row is there twice, and says nothing new the second time.
    assert len([r for r in records if r.external_id == "twice:A17:"]) == 1


def test_a_pull_that_stopped_goes_on_where_it_was_and_is_complete_to_its_start() -> None:
    rig = CellxpertRig()
    began = rig.world.now_ms
    source = rig.source()
    pages = list(source.pull(None))
    windows(rig)
    rig.world.advance(2 * HOUR)
    resumed = list(source.pull(pages[-3].cursor))
    assert not rig.asked("browseaffiliatesjson")  # they came with the first page
    assert windows(rig) == [("3/11/2026", "3/18/2026"), ("3/18/2026", "3/21/2026")]
    assert resumed[-1].complete_until == began
    assert {r.version_at for r in of(resumed)} == {began + 2 * HOUR * 1000}


def test_pages_are_bounded_and_one_in_mid_step_repeats_the_step() -> None:
    rig = CellxpertRig()
    source = rig.source(page_size=2)
    pages = list(source.pull(None))
    assert max(len(p.records) for p in pages) <= 2 * 6
    resumed = list(source.pull(pages[3].cursor))
    assert {r.external_id for r in of([*pages[:4], *resumed])} == rig.truth()


def test_the_page_bound_says_what_to_do() -> None:
    with pytest.raises(ProtocolError, match="max_pages"):
        list(CellxpertRig().source(start_at=None, max_pages=5).pull(None))


@pytest.mark.parametrize(
    "cursor",
    ["x", "[]", "{}", '{"done":1}', '{"long_at":1}', '{"day":"soon","start":1,"long_at":1}',
     '{"day":"2026-03-01","long_at":1}', '{"long_at":null,"done":1}'],
)  # fmt: skip
def test_a_broken_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ConfigError, match="cursor"):
        list(CellxpertRig().source().pull(cursor))


# Trap 22


def test_a_commission_that_changes_after_the_short_window_is_found_by_the_long_one() -> None:
    paid = event("2026-03-18 09:00", "payout_accrued", affiliate="A17", plan="cpa", amount="300.00")
    more = event("2026-05-20 09:00", "payout_accrued", affiliate="A17", plan="cpa", amount="50.00")
    rig = CellxpertRig(attributed("1001", "16", paid, more), partners=())
    source = rig.source(window_days=35, step_days=366)
    pages = list(source.pull(None))
    assert latest(pages, "1001:A17:cpa")[0].amount.minor == 30_000
    rig.world.advance(58 * DAY)  # 17 May: the client registered 62 days ago
    pages += source.pull(pages[-1].cursor)  # the long window's turn
    rig.world.advance(4 * DAY)  # the change is of the 20th
    short = list(source.pull(pages[-1].cursor))
    assert [r for r in of(short) if r.ref.value == "1001"] == []
    rig.world.advance(4 * DAY)
    long = list(source.pull(short[-1].cursor))
    payload, gone = latest([*pages, *short, *long], "1001:A17:cpa")
    assert (payload.amount.minor, gone) == (35_000, False)


def test_a_payout_taken_back_ends_at_nothing() -> None:
    paid = event("2026-03-18 09:00", "payout_accrued", affiliate="A17", plan="cpa", amount="300.00")
    back = event("2026-03-21 09:00", "payout_accrued", affiliate="A17", plan="cpa",
                 amount="-300.00")  # fmt: skip
    rig = CellxpertRig(attributed("1001", "18", paid, back), partners=())
    source = rig.source(window_days=35)
    pages = list(source.pull(None))
    rig.world.advance(2 * DAY)
    pages += source.pull(pages[-1].cursor)
    payload, gone = latest(pages, "1001:A17:cpa")
    assert isinstance(payload, Payout)
    assert (payload.amount.minor, gone) == (0, True)


def test_another_affiliate_later_is_another_record() -> None:
    moved = event("2026-03-21 09:00", "reattributed", affiliate="A18", sub_id="")
    paid = event("2026-03-19 09:00", "payout_accrued", affiliate="A17", plan="cpl", amount="5.00")
    rig = CellxpertRig(attributed("1001", "18", paid, moved, sub_id="s"), partners=())
    source = rig.source(window_days=35)
    first = list(source.pull(None))
    rig.world.advance(2 * DAY)
    second = list(source.pull(first[-1].cursor))
    names = {r.external_id for r in of(first) if isinstance(r.payload, Attribution)}
    assert names == {"1001:A17:s"}
    names = {r.external_id for r in of(second) if isinstance(r.payload, Attribution)}
    assert names == {"1001:A18:"}
    # What was owed to the first one is not said to be gone.
    assert "1001:A17:cpl" not in {r.external_id for r in of(second)}


def test_a_flag_is_raised_and_cleared() -> None:
    raised = event("2026-03-19 09:00", "fraud_flagged", kind="duplicate_account")
    cleared = event("2026-03-21 09:00", "fraud_cleared")
    rig = CellxpertRig(attributed("1001", "18", raised, cleared), partners=())
    source = rig.source(window_days=35)
    pages = list(source.pull(None))
    payload, gone = latest(pages, "1001:fraud")
    assert isinstance(payload, RiskFlag)
    assert (payload.risk, payload.open, gone) == ("duplicate_account", True, False)
    rig.world.advance(2 * DAY)
    pages += source.pull(pages[-1].cursor)
    payload, gone = latest(pages, "1001:fraud")
    assert (payload.open, gone) == (False, False)


def test_a_poll_that_finds_nothing_new_has_the_same_content() -> None:
    rig = CellxpertRig()
    pulls = [list(rig.source(window_days=35).pull(None))]
    for _ in range(2):  # each after a restart
        rig.world.advance(HOUR)
        pulls.append(list(rig.source(window_days=35).pull(pulls[-1][-1].cursor)))
    first, second, third = ({r.external_id: r.content_hash() for r in of(p)} for p in pulls)
    assert second == third
    # Only flags say something else afterwards: those of the first reading are no news.
    assert {k for k in first if first[k] != second[k]} == {k for k in first if "fraud" in k}


def test_what_was_handed_over_and_stored_is_not_handed_over_again() -> None:
    rig = CellxpertRig(attributed("1001", "18"), attributed("1002", "19"), partners=())
    source = rig.source()
    first = list(source.pull(None))
    rig.world.advance(HOUR)
    second = list(source.pull(first[-1].cursor))
    assert of(first)
    assert of(second) == []
    assert second[-1].complete_until is not None
    # A row that says something else is news; so is everything after a pull that did not get
    # stored, since the cursor is then still the one before.
    rig.fake.edits["1002"] = {"afp": "another"}
    rig.world.advance(HOUR)
    third = list(source.pull(second[-1].cursor))
    assert {r.external_id.split(":")[0] for r in of(third)} == {"1002"}
    again = list(source.pull(second[-1].cursor))
    assert {r.external_id.split(":")[0] for r in of(again)} == {"1001", "1002"}


def test_a_row_that_cannot_be_read_is_looked_at_each_time() -> None:
    rig = CellxpertRig(attributed("1001", "19"), partners=())
    rig.fake.edits["1001"] = {"CPA_Commission": "much"}
    source = rig.source()
    pages = list(source.pull(None))
    for _ in range(2):
        assert sum(len(p.rejects) for p in pages) == 1
        rig.world.advance(HOUR)
        pages = list(source.pull(pages[-1].cursor))


def test_a_flag_is_dated_by_the_registration_at_the_first_reading_only() -> None:
    early = event("2026-03-03 09:00", "fraud_flagged", kind="bonus_abuse", reason="")
    late = event("2026-03-21 09:00", "fraud_flagged", kind="bonus_abuse", reason="")
    rig = CellxpertRig(attributed("1001", "02", early), attributed("1002", "02", late), partners=())
    source = rig.source(window_days=35)
    pages = list(source.pull(None))
    assert latest(pages, "1001:fraud")[0].at == at("2026-03-02 00:00")
    rig.world.advance(2 * DAY)
    pages = list(source.pull(pages[-1].cursor))
    assert latest(pages, "1002:fraud")[0].at is None


def test_prefixed_clients_of_a_tenant_arrive_without_their_prefix() -> None:
    rig = CellxpertRig(client_prefix="AL-")
    records = of(list(rig.source(client_prefix_rule=True).pull(None)))
    clients = {r.ref.value for r in records if r.ref.kind == "client_id"}
    assert clients == {c.id for c in rig.world.clients.values()}


def test_a_report_without_a_clients_id_is_noticed_at_the_check() -> None:
    rig = CellxpertRig()
    rig.source().check()
    for who in rig.fake.rows():
        rig.fake.edits[who] = {"User_ID": None}
    with pytest.raises(ConfigError, match="columns"):
        rig.source().check()


def test_a_busy_tenant_is_read_within_its_bounds() -> None:
    many = [attributed(f"m{n}", f"{1 + n % 19:02}", sub_id=f"s{n}") for n in range(3000)]
    rig = CellxpertRig(*many)
    pages = list(rig.source(page_size=500, step_days=3).pull(None))
    assert {r.external_id for r in of(pages)} == rig.truth()
    assert max(len(p.records) for p in pages) <= 500 * 6
