"""The portal as one callable: who may call, how often, what goes wrong on order, and the answer."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simulator.faults import Queue
from simulator.hubspot import associations, objects, schema
from simulator.hubspot.account import FakeOwner, account, owners, token_info
from simulator.hubspot.faults import Fault
from simulator.hubspot.limits import Limiter, refusal
from simulator.hubspot.portal import Choices, Portal, Time, Written
from simulator.hubspot.problems import (
    MISSING_PAGE,
    HtmlMissingError,
    PortalError,
    malformed,
    missing_scopes,
    unauthorized,
)
from simulator.hubspot.requests import parts
from simulator.hubspot.search import search
from simulator.hubspot.store import Record
from simulator.wire import Request, Response

ALL_SCOPES = (
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.schemas.contacts.read",
    "crm.schemas.contacts.write",
    "crm.objects.owners.read",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.schemas.companies.read",
    "crm.schemas.companies.write",
)
"""What a full installation of the hub has. Documented: tasks ride on the contacts scopes."""


class HubSpotFake:
    """A HubSpot portal.

    Args:
        world: the clock limits, lag and latency run on.
        scopes: what the token may do.
        owners: users and queues.
        daily_limit: calls a day (to midnight of ``time_zone``); ``used_today`` are spent already.
        burst: calls per ``window_s``.
        search_lag_s, task_unique_keys, email_conflict, owner_code, merge_new_id: see ``Choices``.
        latency_s: how long each call takes on the world's clock.
        retry_after: seconds of a Retry-After on 429 (off by default: documented for 477 only).
        keep_writes: keep every applied write in :attr:`written`.
    """

    def __init__(
        self,
        world: Time,
        *,
        access_token: str = "pat-na1-fake",  # noqa: S107 (a fake's)
        scopes: Iterable[str] = ALL_SCOPES,
        owners: Sequence[FakeOwner] = (),
        daily_limit: int = 650_000,
        used_today: int = 0,
        burst: int = 190,
        window_s: float = 10,
        search_lag_s: float = 3,
        latency_s: float = 0.0,
        task_unique_keys: bool = True,
        email_conflict: str = "conflict",
        owner_code: str = "INVALID_OPTION",
        merge_new_id: bool = False,
        retry_after: int | None = None,
        time_zone: str = "UTC",
        seed: int = 0,
        keep_writes: bool = False,
    ) -> None:
        choices = Choices(task_unique_keys, email_conflict, owner_code, merge_new_id, search_lag_s)
        self.world = world
        self.portal = Portal(world, owners, choices, seed=seed, keep=keep_writes)
        self.limiter = Limiter(
            burst=burst,
            window_s=window_s,
            daily=daily_limit,
            zone=time_zone,
            other_apps=used_today,
        )
        self.scopes = set(scopes)
        self.tells_scopes = True
        self.latency_s = latency_s
        self.calls: Counter[str] = Counter()
        self.rate_limited = 0
        self._token = access_token
        self._expired = False
        self._retry_after = retry_after
        self._zone = time_zone
        self._faults: Queue[Fault] = Queue()
        self._lock = threading.RLock()

    # The wire

    def __call__(self, request: Request) -> Response:
        """Answer one request; see :meth:`handle`."""
        return self.handle(request)

    def handle(self, request: Request) -> Response:
        """Answer one request. Time passes outside the lock, so that calls may overlap."""
        path = parts(request.path)
        with self._lock:
            fault = self._faults.take(request.path)
            self.calls[_route(request.method, path)] += 1
        wait = self.latency_s + (fault.slow_s if fault else 0.0)
        if wait:
            self.world.sleep(wait)
        with self._lock:
            return self._answer(request, path, fault)

    def _answer(self, request: Request, path: list[str], fault: Fault | None) -> Response:
        if fault and fault.drop == "before":
            return Response(0, drop=True)
        if fault and fault.status:
            return self._broken(fault)
        searching = path[2:] == ["search"]
        headers: Mapping[str, str] = {}
        try:
            self._authorize(request)
            policy = self.limiter.admit(self.portal.now_ms, search=searching)
            if policy:
                return self._too_many(policy)
            # Documented: search answers carry no rate headers.
            headers = {} if searching else self.limiter.headers(self.portal.now_ms)
            self._allow(request.method, path)
            answer = self._routed(request, path)
        except PortalError as problem:
            answer = Response.json(problem.status, problem.body(self.portal.correlation()))
        except HtmlMissingError:
            answer = _html(404)
        except (KeyError, TypeError, ValueError, AttributeError):
            unread = malformed("a part is missing or of the wrong type")
            answer = Response.json(400, unread.body(self.portal.correlation()))
        drop = fault is not None and fault.drop == "after"
        return Response(answer.status, answer.body, {**answer.headers, **headers}, drop=drop)

    def _authorize(self, request: Request) -> None:
        # Recorded: the scheme is exactly `Bearer`, one space.
        if request.headers.get("authorization") != f"Bearer {self._token}":
            raise unauthorized(expired=False)
        if self._expired:
            raise unauthorized(expired=True)

    def _too_many(self, policy: str, retry_after: int | None = None) -> Response:
        self.rate_limited += 1
        wait = self._retry_after if retry_after is None else retry_after
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return Response.json(429, refusal(policy, self.portal.correlation()), headers)

    def _broken(self, fault: Fault) -> Response:
        if fault.status == 429:
            return self._too_many(fault.policy or "TEN_SECONDLY_ROLLING", fault.retry_after)
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if fault.html:
            return _html(fault.status, headers)
        problem = PortalError(fault.status, "Ordered by the test", "")
        return Response.json(fault.status, problem.body(self.portal.correlation()), headers)

    def _allow(self, method: str, path: list[str]) -> None:
        needed = _scopes(method, path)
        if needed and not self.scopes.intersection(needed):
            raise missing_scopes(needed)

    def _routed(self, request: Request, path: list[str]) -> Response:
        portal = self.portal
        match path:
            case ["owners", *rest] if request.method == "GET":
                return owners(portal, request, rest)
            case ["account-info", *rest] if request.method == "GET":
                return account(self.limiter, self._zone, rest, portal.now_ms)
            case ["access-token-info"] if request.method == "POST" and self.tells_scopes:
                return token_info(request, self._token, self.scopes)
            case ["properties", _, *_]:
                return schema.properties(portal, request, path[1:])
            case ["associations", _, _, *_]:
                return associations.batch(portal, request, path[1:])
            case ["objects", _, _, "associations", *_]:
                return associations.of_record(portal, request, path[1:])
            case ["objects", kind, "batch", action] if request.method == "POST":
                return objects.batch(portal, request, portal.table(kind), action)
            case ["objects", kind, "search"] if request.method == "POST":
                return search(portal, request, portal.table(kind))
            case ["objects", kind, "merge"] if request.method == "POST":
                return objects.merge(portal, request, portal.table(kind))
            case ["objects", kind, *rest] if len(rest) < 2:
                return objects.single(portal, request, portal.table(kind), rest)
            case _:
                return _html(404)

    # Orders of a test or the demo

    def fail_next(self, faults: Iterable[Fault | None]) -> None:
        """Let the next calls meet these faults, one each; None lets one pass."""
        with self._lock:
            self._faults.add(faults)

    def clear_faults(self) -> None:
        """Forget what :meth:`fail_next` ordered."""
        with self._lock:
            self._faults.clear()

    def rotate_token(self, token: str) -> None:
        """Only ``token`` is good from now on."""
        self._token, self._expired = token, False

    def expire_token(self) -> None:
        """The token has run out (as OAuth tokens do)."""
        self._expired = True

    def remove_scope(self, scope: str) -> None:
        """Take a right away."""
        self.scopes.discard(scope)

    def add_scope(self, scope: str) -> None:
        """Give a right."""
        self.scopes.add(scope)

    # What a person does in HubSpot's own pages (neither counted as writes nor limited)

    def edit(self, kind: str, crm_id: str, properties: Mapping[str, str]) -> None:
        """Change a record by hand."""
        with self._lock:
            table = self.portal.table(kind)
            record = table.get(crm_id)
            if record is None:
                raise KeyError(crm_id)
            table.put(record, table.check(properties), self.portal.now_ms)

    def add(self, kind: str, properties: Mapping[str, str]) -> str:
        """Create a record by hand; its id."""
        with self._lock:
            table = self.portal.table(kind)
            checked = table.check(properties)
            record = Record(self.portal.new_id(), self.portal.now_ms)
            table.put(record, checked, self.portal.now_ms)
            return record.id

    def archive(self, kind: str, crm_id: str) -> None:
        """Delete a record by hand (restorable)."""
        with self._lock:
            table = self.portal.table(kind)
            table.archive(table.records[crm_id], self.portal.now_ms)

    def merge(self, primary_id: str, loser_id: str, kind: str = "contacts") -> str:
        """Merge two contacts (or companies) by hand; the survivor's id."""
        with self._lock:
            table = self.portal.table(kind)
            survivor = objects.merged(
                self.portal, table, table.records[primary_id], table.records[loser_id]
            )
            return survivor.id

    # What tests and the demo look at

    @property
    def writes(self) -> Counter[str]:
        """Writes applied: contacts, tasks, companies, associations."""
        return self.portal.writes

    @property
    def written(self) -> list[Written]:
        """Every applied write in order (with ``keep_writes``)."""
        return self.portal.written

    def contacts(self, by: str = "hs_object_id") -> dict[str, dict[str, str]]:
        """Live contacts by a property's value; blanks left out, contacts without ``by`` too."""
        return self._shown("contacts", by)

    def tasks(self, by: str = "hs_object_id") -> dict[str, dict[str, str]]:
        """Live tasks, as :meth:`contacts`."""
        return self._shown("tasks", by)

    def companies(self, by: str = "hs_object_id") -> dict[str, dict[str, str]]:
        """Live companies, as :meth:`contacts`."""
        return self._shown("companies", by)

    def associations(
        self, task_by: str = "hs_object_id", contact_by: str = "hs_object_id"
    ) -> dict[str, list[str]]:
        """Task -> its contacts, both named by a property's value."""
        with self._lock:
            tasks, contacts = self.portal.tasks, self.portal.contacts
            out: dict[str, list[str]] = {}
            for task_id, linked in self.portal.links.all("tasks", "contacts"):
                task = tasks.get(task_id)
                found = [contacts.get(i) for i in linked]
                if task is not None:
                    names = sorted(c.props.get(contact_by, "") for c in found if c is not None)
                    out[task.props.get(task_by, "")] = names
            return out

    def snapshot(self) -> dict[str, Any]:
        """All that lasts, comparable between runs whose ids were given in another order."""
        system = {"hs_object_id", "createdate", "lastmodifieddate"}
        system |= {"hs_createdate", "hs_lastmodifieddate", "hs_merged_object_ids"}

        def plain(rows: Iterable[dict[str, str]]) -> list[list[tuple[str, str]]]:
            return sorted(sorted((n, v) for n, v in r.items() if n not in system) for r in rows)

        return {
            "contacts": plain(self.contacts().values()),
            "tasks": plain(self.tasks().values()),
            "companies": plain(self.companies().values()),
            "associations": self.associations("broker_task_key", "broker_client_id"),
        }

    def stats(self) -> dict[str, Any]:
        """Counters as a JSON object."""
        with self._lock:
            return {
                "calls": sum(self.calls.values()),
                "calls_by_route": dict(self.calls),
                "rate_limited": self.rate_limited,
                "writes": {
                    kind: self.writes[kind]
                    for kind in ("contacts", "tasks", "companies", "associations")
                },
                "contacts": len(self.portal.contacts.records),
                "tasks": len(self.portal.tasks.records),
                "companies": len(self.portal.companies.records),
                "used_today": self.limiter.used_today,
            }

    def _shown(self, kind: str, by: str) -> dict[str, dict[str, str]]:
        with self._lock:
            rows = (record.props for record in self.portal.table(kind).records.values())
            return {p[by]: {n: v for n, v in p.items() if v} for p in rows if p.get(by)}


def _html(status: int, headers: Mapping[str, str] | None = None) -> Response:
    kind = {"content-type": "text/html;charset=iso-8859-1"}
    return Response(status, MISSING_PAGE, kind | dict(headers or {}))


def _route(method: str, path: list[str]) -> str:
    """``POST objects/contacts/batch/upsert``; ids are left out."""
    fixed = [p for p in path if not any(c.isdigit() for c in p)]
    return f"{method} {'/'.join(fixed) or '?'}"


def _scopes(method: str, path: list[str]) -> tuple[str, ...]:
    """Scopes of which one is needed (documented; the choice for reading properties: assumed)."""
    reads = method == "GET" or path[-1:] in (["search"], ["read"])
    companies = "".join(path[1:2]).lower() in ("companies", "company", "0-2")
    kind = "companies" if companies else "contacts"
    match path[:1]:
        case ["objects"] | ["associations"]:
            return (f"crm.objects.{kind}.{'read' if reads else 'write'}",)
        case ["properties"]:
            if reads:
                return (f"crm.schemas.{kind}.read", f"crm.objects.{kind}.read")
            return (f"crm.schemas.{kind}.write",)
        case ["owners"]:
            return ("crm.objects.owners.read",)
        case _:
            return ()
