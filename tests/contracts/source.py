"""The contract of sources. A vendor's test file inherits a class and supplies the fixture ``rig``.

The truth comes from the rig's vendor (a fake, or a database the rig filled), never from the source.
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from connectors.base import ListSource, Page, Reread, RereadSource, Source
from mapping.errors import (
    BrokersyncError,
    ConfigError,
    ProtocolError,
    RecordError,
    RetryableError,
)
from mapping.records import Record
from simulator.faults import Faults
from simulator.story import World
from tests.clock import WorldClock

SECRETS = ("app-token-of-the-test", "secret-of-the-test")

T = TypeVar("T", bound=Source[Any])


class Rig(ABC, Generic[T]):
    """A vendor with known content, and sources pointed at it."""

    world: World
    clock: WorldClock
    faults: Faults
    """Only of HTTP vendors."""

    def source(self, **settings: Any) -> T:
        """A new source with these settings changed; :meth:`close` closes it."""
        made = self.make(**settings)
        self.__dict__.setdefault("opened", []).append(made)
        return made

    def close(self) -> None:
        """Close every source."""
        for source in self.__dict__.get("opened", []):
            source.close()

    @abstractmethod
    def make(self, **settings: Any) -> T:
        """A new source with these settings changed."""

    @abstractmethod
    def truth(self) -> set[str]:
        """External ids of what the vendor holds now."""

    @abstractmethod
    def spoil(self) -> str:
        """Make one object of the vendor unreadable; its external id."""

    def refuse(self) -> dict[str, Any]:
        """Settings with wrong credentials."""
        raise NotImplementedError

    def due(self) -> Sequence[Reread]:
        """Every reference of a re-reading vendor, those it does not know included."""
        raise NotImplementedError

    def tie(self) -> None:
        """Have many objects updated in one instant (list vendors)."""
        raise NotImplementedError


class SourceContract:
    """What every source does."""

    withheld_ms: ClassVar[int] = 0
    """What the vendor keeps back of the newest changes."""

    @pytest.fixture(autouse=True)
    def _closed(self, rig: Rig[Any]) -> Iterator[None]:
        yield
        rig.close()

    def everything(self, source: Source[Any], rig: Rig[Any]) -> list[Page]:
        """All pages of one pull from the beginning."""
        raise NotImplementedError

    def test_the_credentials_and_rights_are_proved(self, rig: Rig[Any]) -> None:
        rig.source().check()

    def test_everything_arrives_and_names_its_source(self, rig: Rig[Any]) -> None:
        source = rig.source()
        records = of(self.everything(source, rig))
        assert {r.external_id for r in records} == rig.truth()
        assert {r.source for r in records} == {source.name}
        assert {r.kind for r in records} <= set(source.manifest.kinds)
        assert {r.brand for r in records} <= set(source.context.brands)

    def test_the_last_page_says_how_far_the_source_is_complete(self, rig: Rig[Any]) -> None:
        start = rig.world.now_ms
        last = self.everything(rig.source(), rig)[-1]
        assert last.complete_until is not None
        behind = start - self.withheld_ms - last.complete_until
        assert 0 <= behind < 1000

    def test_the_same_pull_twice_gives_the_same_content(self, rig: Rig[Any]) -> None:
        source = rig.source()
        assert contents(self.everything(source, rig)) == contents(self.everything(source, rig))

    def test_one_malformed_object_is_set_aside_and_the_rest_lands(self, rig: Rig[Any]) -> None:
        spoiled = rig.spoil()
        source = rig.source()
        pages = self.everything(source, rig)
        rejects = [reject for page in pages for reject in page.rejects]
        assert {r.external_id for r in of(pages)} == rig.truth() - {spoiled}
        assert {r.external_id for r in rejects} == {spoiled}
        assert rejects[0].reason
        with pytest.raises(RecordError) as again:
            source.parse(json.loads(rejects[0].raw))
        assert again.value.admin == rejects[0].reason

    def test_what_was_read_can_be_read_again_from_its_raw_text(self, rig: Rig[Any]) -> None:
        source = rig.source()
        for record in of(self.everything(source, rig)):
            again = source.parse(json.loads(record.raw))
            assert again.content_hash() == record.content_hash()
            assert again.version_at == record.version_at

    def test_no_secret_shows(self, rig: Rig[Any], caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        source = rig.source()
        texts = [repr(source.settings), repr(source), str(vars(source))]
        texts += [repr(page) for page in self.everything(source, rig)]
        texts.append(caplog.text)
        assert not [t for t in texts for secret in SECRETS if secret in t]


class ListSourceContract(SourceContract):
    """What every listing source does; the rig holds several pages."""

    def everything(self, source: Source[Any], rig: Rig[Any]) -> list[Page]:
        assert isinstance(source, ListSource)
        return list(source.pull(None))

    def test_resuming_after_any_page_loses_nothing(self, rig: Rig[Any]) -> None:
        source = rig.source()
        pages = self.everything(source, rig)
        assert len(pages) > 2, "the rig must hold more than two pages"
        for seen in range(1, len(pages) + 1):
            resumed = list(source.pull(pages[seen - 1].cursor))
            found = {r.external_id for r in of([*pages[:seen], *resumed])}
            assert found == rig.truth(), f"resumed after page {seen}"

    def test_ties_on_the_cursor_lose_nothing(self, rig: Rig[Any]) -> None:
        rig.tie()
        pages = self.everything(rig.source(), rig)
        assert len(pages) > 2
        assert {r.external_id for r in of(pages)} == rig.truth()

    def test_a_pull_with_nothing_new_is_one_page(self, rig: Rig[Any]) -> None:
        source = rig.source()
        cursor = self.everything(source, rig)[-1].cursor
        rig.world.advance(3600)
        assert len(list(source.pull(cursor))) == 1

    def test_a_foreign_cursor_is_refused(self, rig: Rig[Any]) -> None:
        with pytest.raises(ConfigError, match=rig.source().name):
            list(rig.source().pull('{"page": 3}'))

    def test_the_page_bound_holds(self, rig: Rig[Any]) -> None:
        source = rig.source(max_pages=2)
        with pytest.raises(ProtocolError, match=f"{source.name}.*max_pages"):
            list(source.pull(None))


class RereadSourceContract(SourceContract):
    """What every re-reading source does."""

    def everything(self, source: Source[Any], rig: Rig[Any]) -> list[Page]:
        assert isinstance(source, RereadSource)
        return [source.reread(rig.due())]

    def test_every_reference_gets_its_next_time(self, rig: Rig[Any]) -> None:
        start = rig.world.now_ms
        (page,) = self.everything(rig.source(), rig)
        assert set(page.rereads) == {one.value for one in rig.due()}
        assert all(at is None or at > start for at in page.rereads.values())

    def test_a_batch_has_one_version_time(self, rig: Rig[Any]) -> None:
        start = rig.world.now_ms
        records = of(self.everything(rig.source(), rig))
        assert {(r.version_at, r.polled) for r in records} == {(start, True)}


class HttpContract(SourceContract):
    """What every source does that speaks HTTP."""

    bound: ClassVar[float] = 120.0

    @pytest.mark.parametrize("failures", [[429], [503, 502], [429, 500, 504]])
    def test_a_busy_vendor_is_asked_again(self, rig: Rig[Any], failures: list[int]) -> None:
        rig.faults.fail_next = list(failures)
        pages = self.everything(rig.source(), rig)
        assert {r.external_id for r in of(pages)} == rig.truth()
        waits = rig.clock.slept[: len(failures)]
        assert waits == sorted(waits)
        assert waits[0] > 0

    def test_a_lost_answer_is_asked_for_again(self, rig: Rig[Any]) -> None:
        rig.faults.drop_next = 2
        rig.source().check()

    def test_retry_after_seconds_are_obeyed(self, rig: Rig[Any]) -> None:
        rig.faults.fail_next, rig.faults.retry_after = [429], "17"
        rig.source().check()
        assert rig.clock.slept[0] == 17

    def test_retry_after_a_date_is_obeyed(self, rig: Rig[Any]) -> None:
        rig.world.now_ms = rig.world.story_ms = 1_774_000_000_000  # Fri, 20 Mar 2026 09:46:40 GMT
        rig.faults.fail_next, rig.faults.retry_after = [503], "Fri, 20 Mar 2026 09:47:10 GMT"
        rig.source().check()
        assert 28 < rig.clock.slept[0] <= 30

    def test_a_long_retry_after_is_left_to_the_schedule(self, rig: Rig[Any]) -> None:
        rig.faults.fail_next, rig.faults.retry_after = [429], "900"
        with pytest.raises(RetryableError) as caught:
            rig.source().check()
        assert caught.value.retry_after_s == 900
        assert rig.clock.slept == []

    def test_tries_are_bounded_and_so_is_each_wait(self, rig: Rig[Any]) -> None:
        rig.faults.fail_next = [500] * 50
        source = rig.source(max_attempts=12)
        with pytest.raises(RetryableError, match=source.name):
            source.check()
        assert len(rig.clock.slept) == 11
        assert max(rig.clock.slept) <= self.bound

    def test_a_slow_answer_is_given_up(self, rig: Rig[Any]) -> None:
        rig.faults.slow_s = 40
        with pytest.raises(RetryableError, match="timeout_s"):
            rig.source(timeout_s=30, max_attempts=2).check()

    def test_refused_credentials_need_an_admin(self, rig: Rig[Any]) -> None:
        with pytest.raises(ConfigError) as caught:
            rig.source(**rig.refuse()).check()
        assert rig.clock.slept == []
        assert "secret" in caught.value.admin

    @pytest.mark.parametrize("status", [403, 404, 301])
    def test_what_only_an_admin_can_change_stops_at_once(self, rig: Rig[Any], status: int) -> None:
        rig.faults.fail_next = [status]
        source = rig.source()
        kind = RecordError if status == 404 and rig_reads_missing(source) else ConfigError
        if kind is RecordError:
            source.check()  # for this vendor a 404 in JSON is an answer
            return
        with pytest.raises(ConfigError, match=source.name):
            source.check()

    @pytest.mark.parametrize("fault", ["garbage", "wrong_shape"])
    def test_an_answer_of_the_wrong_shape_names_the_connection(
        self, rig: Rig[Any], fault: str
    ) -> None:
        setattr(rig.faults, fault, True)
        source = rig.source()
        with pytest.raises(ProtocolError, match=source.name):
            self.everything(source, rig)

    def test_a_huge_answer_is_cut_off(self, rig: Rig[Any]) -> None:
        source = rig.source(max_bytes=2_000_000)
        rig.faults.pad_bytes = 3_000_000
        with pytest.raises(ProtocolError, match="max_bytes"):
            self.everything(source, rig)

    def test_errors_and_logs_hold_no_secret_and_no_client(
        self, rig: Rig[Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        ids = {r.ref.value for r in of(self.everything(rig.source(), rig))}
        texts = []
        for status in (400, 401, 403, 429, 500):
            rig.faults.fail_next = [status] * 9
            try:
                self.everything(rig.source(max_attempts=2), rig)
            except BrokersyncError as error:
                texts += [error.admin, error.log, repr(error)]
        assert len(texts) == 15
        texts.append(caplog.text)
        assert not [t for t in texts for word in (*SECRETS, *ids) if word in t]


def rig_reads_missing(source: Source[Any]) -> bool:
    """Whether a 404 is an answer for this kind of source (nobody by that id)."""
    return isinstance(source, RereadSource)


def of(pages: Sequence[Page]) -> list[Record]:
    """The records of pages."""
    return [record for page in pages for record in page.records]


def contents(pages: Sequence[Page]) -> list[tuple[str, str]]:
    """Id and content hash of every record, in order."""
    return [(r.external_id, r.content_hash()) for r in of(pages)]
