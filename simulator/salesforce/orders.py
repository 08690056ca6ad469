"""An organisation's switches: how it is set up, and what a test or the demo may order of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from simulator.faults import Queue
from simulator.salesforce import setup
from simulator.salesforce.bulk import Jobs
from simulator.salesforce.faults import Fault
from simulator.salesforce.fields import Choice, Field
from simulator.salesforce.limits import Quota
from simulator.salesforce.org import Choices, FakeQueue, FakeUser, Org, Time, Written
from simulator.salesforce.people import People
from simulator.salesforce.queries import Queries
from simulator.salesforce.rules import DuplicateRule, RowFault, ValidationRule
from simulator.salesforce.store import Table, Values
from simulator.salesforce.tokens import FakeApp, Tokens

INTEGRATION = FakeUser("hub@broker.test", "Hub", "Broker", "hub@broker.test", password="fake-pass")  # noqa: S106
"""The user the hub logs in as."""
SALES = FakeUser("sales@broker.test", "Sales", "Sam", "sales@broker.test")
"""The user who works in Salesforce's own pages."""

_SYSTEM = frozenset((
    "Id", "CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp",
))  # fmt: skip


class Orders:
    """What a Salesforce organisation is set up with.

    Args:
        world: the clock limits, sessions, jobs and latency run on.
        apps: the apps that may log in.
        users: the first is the hub's, the second who works in Salesforce's pages; more may follow.
        queues: the queues.
        session_s: how long a session lives.
        daily_limit: calls in rolling 24 hours; ``used_today`` are spent already.
        long_calls: calls over 20 s that may run at a time.
        person_accounts, activity_external_ids, duplicate_key, view_all_data,
            may_customize: see ``Choices``.
        latency_s: how long each call takes on the world's clock.
        my_domain: the first part of the organisation's host.
        sandbox: the login host is "test".
        checks_assertion_time: see ``Tokens``.
        bulk_queue_s, bulk_rows_per_s: how long a bulk job waits, and works.
        keep_writes: keep every applied write in :attr:`written`.
    """

    def __init__(
        self,
        world: Time,
        *,
        apps: Sequence[FakeApp] = (),
        users: Sequence[FakeUser] = (INTEGRATION, SALES),
        queues: Sequence[FakeQueue] = (),
        session_s: float = 7200,
        daily_limit: int = 100_000,
        used_today: int = 0,
        long_calls: int = 25,
        person_accounts: bool = False,
        activity_external_ids: bool = False,
        duplicate_key: str = "duplicateResut",
        view_all_data: bool = True,
        may_customize: bool = True,
        latency_s: float = 0.0,
        my_domain: str = "broker",
        sandbox: bool = False,
        checks_assertion_time: bool = True,
        bulk_queue_s: float = 1.0,
        bulk_rows_per_s: float = 2000.0,
        seed: int = 0,
        keep_writes: bool = False,
    ) -> None:
        choices = Choices(
            person_accounts, activity_external_ids, duplicate_key, view_all_data, may_customize
        )
        self.world = world
        self.org = Org(world, choices, seed=seed, keep=keep_writes)
        self.user_ids = setup.settle_in(self.org, users, queues, sandbox=sandbox)
        url = f"https://{my_domain}.my.salesforce.com"
        login = f"https://{'test' if sandbox else 'login'}.salesforce.com"
        self.tokens = Tokens(
            self.org,
            apps or (FakeApp(run_as=users[0].username),),
            {user.username: (self.user_ids[user.username], user) for user in users},
            life_s=session_s,
            audiences=(login, url),
            instance_url=url,
            checks_time=checks_assertion_time,
        )
        self.queries = Queries(self.org)
        self.jobs = Jobs(self.org, bulk_queue_s, bulk_rows_per_s)
        self.quota = Quota(daily_limit, used_today, long_calls)
        self.latency_s = latency_s
        self.calls: Counter[str] = Counter()
        self.refused_calls = 0
        self._faults: Queue[Fault] = Queue()
        self._lock = threading.RLock()
        self.people = People(self.org, self._at_work, self.user_ids[users[1].username])

    # Orders of a test or the demo

    def fail_next(self, faults: Iterable[Fault | None]) -> None:
        """Let the next calls meet these faults, one each; None lets one pass."""
        with self._lock:
            self._faults.add(faults)

    def clear_faults(self) -> None:
        """Forget what :meth:`fail_next` and :meth:`fail_rows` ordered."""
        with self._lock:
            self._faults.clear()
            self.org.rules.faults.clear()

    def fail_rows(self, fault: RowFault) -> None:
        """Let the next records written fail."""
        with self._lock:
            self.org.rules.faults.append(fault)

    def lock_rows(self, times: int, sobject: str = "") -> None:
        """The next records written are held by somebody else."""
        words = "unable to obtain exclusive access to this record"
        self.fail_rows(RowFault("UNABLE_TO_LOCK_ROW", words, times, sobject))

    def fill_storage(self, *, full: bool = True) -> None:
        """The organisation takes no more records."""
        self.org.rules.storage_full = full

    def break_bulk(self, after_rows: int, message: str = "InternalServerError : Ordered") -> None:
        """The next bulk job that is closed fails after so many rows; the others stay undone."""
        with self._lock:
            self.jobs.breaks.append((after_rows, message))

    def add_validation(self, rule: ValidationRule) -> None:
        """Set up a validation rule."""
        self.org.rules.validations.append(rule)

    def add_duplicate_rule(self, rule: DuplicateRule) -> None:
        """Set up a duplicate rule."""
        self.org.rules.duplicates.append(rule)

    def open_session(self, username: str = "") -> str:
        """An access token without a login; of the hub's user by default."""
        with self._lock:
            user_id = self.user_ids[username] if username else next(iter(self.user_ids.values()))
            return self.tokens.open(user_id)

    def expire_sessions(self) -> None:
        """All sessions end now; a login opens a new one."""
        with self._lock:
            self.tokens.expire()

    def break_sessions(self, *, broken: bool = True) -> None:
        """No session is good, however new."""
        self.tokens.broken = broken

    def use_up_quota(self) -> None:
        """The allowance of this day is spent."""
        with self._lock:
            self.quota.daily = self.quota.used(self.org.now_ms)

    def define(self, sobject: str, field: Field, *, granted: bool = True) -> None:
        """Add a custom field by hand; ``granted`` lets the hub's user write it."""
        with self._lock:
            setup.define(self.org, sobject, field, self.hub_id if granted else "")

    def hide(self, sobject: str, field: str) -> None:
        """Nobody but people in Salesforce's pages sees a field any more."""
        with self._lock:
            self.org.hidden.add((self.org.table(sobject).name, field.lower()))
            self.org.forget_views()

    def freeze(self, sobject: str, field: str) -> None:
        """Users see a field and may not write it."""
        with self._lock:
            self.org.frozen.add((self.org.table(sobject).name, field.lower()))
            self.org.forget_views()

    def entitle(self, right: str, *, given: bool = True) -> None:
        """Give the hub's user a right of the whole org ("ModifyAllData"), or take it."""
        with self._lock:
            setup.entitle(self.org, right, given=given)

    def deny(self, sobject: str, *rights: str) -> None:
        """Take rights ("read", "create", "edit", "delete") on an object from the hub's user."""
        with self._lock:
            self.org.denied |= {(self.org.table(sobject).name, right) for right in rights}

    def permit(self, sobject: str) -> None:
        """Give back what :meth:`deny` took."""
        with self._lock:
            self.org.denied = {d for d in self.org.denied if d[0] != self.org.table(sobject).name}

    def set_picklist(
        self, sobject: str, field: str, values: Sequence[Choice], *, restricted: bool = False
    ) -> None:
        """Change the values of a picklist."""
        with self._lock:
            table = self.org.table(sobject)
            # Assumed: a field that needs a value takes the first where no default is marked.
            fallback = None if table.fields[field.lower()].nillable else values[0].value
            default = next((c.value for c in values if c.default), fallback)
            table.change_picklist(
                field, values=tuple(values), restricted=restricted, default=default
            )
            setup.restate(self.org)
            self.org.forget_views()

    @property
    def hub_id(self) -> str:
        """The id of the hub's user."""
        return next(iter(self.user_ids.values()))

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Nobody else writes, and bulk jobs have done what they had to by now."""
        with self._lock:
            self.jobs.catch_up()
            yield

    # What tests and the demo look at

    @property
    def writes(self) -> Counter[str]:
        """Writes applied, by sObject (people's too)."""
        return self.org.writes

    @property
    def written(self) -> list[Written]:
        """Every applied write in order (with ``keep_writes``)."""
        return self.org.written

    def records(self, sobject: str, by: str = "Id") -> dict[str, dict[str, Any]]:
        """Live records by a field's value; blanks left out, records without ``by`` too."""
        with self._at_work():
            live = self.org.table(sobject).live()
            return {str(row[by]): dict(row) for row in live if row.get(by) is not None}

    def snapshot(self, keys: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
        """All that lasts, comparable between runs whose ids were given in another order.

        Args:
            keys: for each sObject the field that names its records, ``{"Contact": "Hub_Key__c"}``;
                records of others are named by their Name.
        """
        with self._at_work():
            out = {}
            for sobject in ("Account", "Contact", "Lead", "Task"):
                table = self.org.table(sobject)
                plain = [self._plain(table, row, keys) for row in table.live()]
                out[sobject] = sorted(plain, key=lambda row: sorted(map(str, row.items())))
            return out

    def _plain(self, table: Table, row: Values, keys: Mapping[str, str]) -> dict[str, Any]:
        out = {}
        for name, value in row.items():
            field = table.fields[name.lower()]
            if name in _SYSTEM or value is None:
                continue
            if field.type == "reference":
                parent = self.org.by_prefix[value[:3]]
                told = parent.rows.get(value, {})
                value = (parent.name, told.get(keys.get(parent.name, "Name"), told.get("Name")))
            out[name] = value
        return out

    def stats(self) -> dict[str, Any]:
        """Counters as a JSON object."""
        with self._lock:
            return {
                "calls": sum(self.calls.values()),
                "calls_by_route": dict(self.calls),
                "refused": self.refused_calls,
                "logins": self.tokens.logins,
                "writes": dict(self.writes),
                "used_today": self.quota.used(self.org.now_ms),
            }
