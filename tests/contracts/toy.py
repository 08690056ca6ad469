"""A CRM in dictionaries, and the smallest destination over it that keeps the contract."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from connectors import destination as d
from connectors.base import Boundary
from connectors.destination import CrmObject as Obj
from connectors.destination import CrmProperty, Write
from mapping.errors import AmbiguousError, ConfigError, QuotaError

Texts = Sequence[str]
Records = Mapping[str, d.CrmRecord]
Outcomes = Sequence[d.Outcome]
KEYS = {"contact": "client_key", "task": "task_key", "company": "partner_key"}
TASK_WORDS = ("subject", "body", "owner", "due", "priority", "status")
THERE = {"contact": ("first", "last", "email"), "task": TASK_WORDS, "company": ("name",)}
CHECKS: Mapping[str, Callable[[str], Any]] = {
    "date": date.fromisoformat, "datetime": int, "number": Decimal,
    "bool": ["true", "false", "1"].index,
}  # fmt: skip


@dataclass
class ToyCrm:
    """Everything of the CRM. ``faults``: what the next calls meet, busy or lost or nothing."""

    keyed: bool = True
    secret: str = field(default="toy-secret-77", repr=False)
    now_ms: int = 1_772_323_200_000
    rights: set[str] = field(default_factory=lambda: {f"{o}.write" for o in Obj})
    props: dict[str, dict[str, CrmProperty]] = field(default_factory=dict)
    rows: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    links: dict[str, list[str]] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    owners: dict[str, bool] = field(default_factory=lambda: {"7": True, "8": False})
    faults: deque[str] = field(default_factory=deque)
    calls: int = 0
    spent: bool = False

    def __post_init__(self) -> None:
        for obj, names in THERE.items():
            self.props[obj] = {n: CrmProperty(n, n, "string") for n in names}
            self.rows[obj] = {}

    def put(self, obj: str, values: Mapping[str, str], crm_id: str = "") -> str:
        """Create or change a record; its id."""
        crm_id = crm_id or str(100 + sum(map(len, self.rows.values())) + len(self.moved))
        self.rows[obj].setdefault(crm_id, {}).update(values)
        self.changed[crm_id] = self.now_ms
        return crm_id

    def write(self, obj: Obj, write: Write) -> d.Outcome:
        rows = self.rows[obj]
        same = [i for i, r in rows.items() if r.get(KEYS[obj]) == write.key]
        crm_id = self.moved.get(write.crm_id, write.crm_id) or (same[0] if same else "")
        if crm_id and crm_id not in rows:
            return d.Refused(write.key, d.GONE, "It was deleted.")
        bad = [n for n, v in write.properties.items() if not self._takes(obj, n, v)]
        if bad or (obj is Obj.COMPANY and not crm_id and not write.properties.get("name")):
            return d.Refused(write.key, "INVALID", f"The toy CRM does not take {bad}.", tuple(bad))
        values = dict(write.properties) | ({} if write.crm_id else {KEYS[obj]: write.key})
        return d.Applied(write.key, self.put(obj, values, crm_id), not crm_id)

    def _takes(self, obj: Obj, name: str, value: str) -> bool:
        prop = self.props[obj].get(name)
        if prop is None or (name == "owner" and not self.owners.get(value)):
            return False
        if prop.options and value:
            return value in [o.value for o in prop.options]
        try:
            CHECKS.get(prop.type, str)(value or "1")
        except (ValueError, ArithmeticError):
            return not value
        return True


class ToyDestination(d.OneWay):
    """See :class:`connectors.destination.Destination`."""

    name, batch, schema_calls, last_name_needed = "toy", 10, 2, False
    daily_limit: int | None = None

    def __init__(self, crm: ToyCrm, secret: str, boundary: Boundary) -> None:
        self._crm, self._boundary, self.counts = crm, boundary, d.CallCount()
        self._wrong = secret != crm.secret

    def _call(self, work: Callable[[], Any], right: str = "", *, once: bool = False) -> Any:
        for _ in range(1 if once else 5):
            self._boundary(f"http:before:{self.name}")
            self.counts.calls, self._crm.calls = self.counts.calls + 1, self._crm.calls + 1
            fault = self._crm.faults.popleft() if self._crm.faults else ""
            if self._wrong:
                raise ConfigError("The toy CRM takes no such token.")
            if self._crm.spent:
                raise QuotaError("The toy CRM's calls are used up until midnight.", retry_after_s=1)
            if right and right not in self._crm.rights:
                raise d.NoRightError(f"The token lacks {right}.")
            self.counts.rate_limited += fault == "busy"
            answer = None if fault == "busy" else work()
            self._boundary(f"http:after:{self.name}")
            if not fault:
                return answer
        raise AmbiguousError("The toy CRM did not answer.")

    def check(self) -> None:
        self._call(lambda: None, "contact.write")

    def scopes(self) -> None:
        return None

    def lacks(self, obj: Obj) -> str:
        try:
            self._call(lambda: None, f"{obj}.write")
        except d.NoRightError as error:
            return error.admin
        return ""

    def describe(self, obj: Obj) -> Mapping[str, CrmProperty]:
        found: dict[str, CrmProperty] = self._call(lambda: dict(self._crm.props[obj]))
        return found

    def install(self, obj: Obj, wanted: Sequence[CrmProperty]) -> Texts:
        have, done = self.describe(obj), []
        if wrong := d.unusable(obj, wanted, have):
            raise ConfigError("; ".join(wrong))
        for prop in wanted:
            old = have.get(prop.name, replace(prop, options=()))
            new = tuple(o for o in prop.options if o.value not in [x.value for x in old.options])
            whole = replace(old, options=(*old.options, *new))
            if whole != have.get(prop.name):
                self._crm.props[obj][prop.name] = whole
                done.append(f"{prop.name}: {', '.join(o.value for o in new) or 'created'}")
        return done

    def owners(self) -> Sequence[d.Owner]:
        return [d.Owner(i, "", active=on) for i, on in self._crm.owners.items()]

    def keyed(self, obj: Obj) -> bool:
        return self._crm.keyed or obj is not Obj.TASK

    def _record(self, obj: Obj, crm_id: str, names: Texts) -> d.CrmRecord:
        row, on = self._crm.rows[obj][crm_id], self._crm.links.get(crm_id, ())
        shown = {n: row.get(n, "") for n in names}
        return d.CrmRecord(crm_id, shown, frozenset(on), row.get(KEYS[obj], ""))

    def read(self, obj: Obj, keys: Texts, properties: Texts) -> Records:
        d.bounded(keys, self.batch)
        ids = self._call(lambda: list(self._crm.rows[obj])) if keys else []
        found = [self._record(obj, i, properties) for i in ids]
        return {r.key: r for r in found if r.key in keys}

    def read_ids(self, obj: Obj, crm_ids: Texts, properties: Texts) -> Records:
        there = {i: self._crm.moved.get(i, i) for i in crm_ids}
        return {
            i: self._record(obj, at, properties)
            for i, at in there.items()
            if at in self._crm.rows[obj]
        }

    def changed(self, obj: Obj, since: int) -> Iterator[d.Changed]:
        new = [
            i
            for i, r in self._crm.rows[obj].items()
            if r.get(KEYS[obj]) and self._crm.changed[i] >= since
        ]
        yield d.Changed(new, self._crm.now_ms)

    def by_email(self, emails: Texts) -> Mapping[str, frozenset[str]]:
        found = {
            e: frozenset(a.crm_id for p in self.contacts() for a in p if e in a.emails)
            for e in emails
        }
        return {email: ids for email, ids in found.items() if ids}

    def contacts(self) -> Iterator[Sequence[d.Addressed]]:
        rows = self._crm.rows["contact"].items()
        yield [
            d.Addressed(i, frozenset({e.lower()} if (e := r.get("email", "")) else ()))
            for i, r in rows
        ]

    def upsert(self, obj: Obj, writes: Sequence[Write]) -> Outcomes:
        d.bounded([w.key for w in writes], self.batch)
        work = lambda: [self._crm.write(obj, w) for w in writes]  # noqa: E731
        return self._call(work, f"{obj}.write") if writes else []  # type: ignore[no-any-return]

    def associate(self, pairs: Sequence[tuple[str, str]]) -> Outcomes:
        known = self._call(self._crm.rows["contact"].copy)
        self._crm.links |= {task: [to] for task, to in pairs if to in known}
        return [
            d.Applied(t, t) if to in known else d.Refused(t, d.GONE, "No such contact.")
            for t, to in pairs
        ]

    def find_tasks(self, contacts: Mapping[str, str], properties: Texts) -> Records:
        return self.read(Obj.TASK, list(contacts), properties)

    def create_tasks(self, writes: Sequence[Write], contacts: Mapping[str, str]) -> Outcomes:
        def work() -> list[d.Outcome]:
            made = [self._crm.write(Obj.TASK, w) for w in writes]
            self._crm.links |= {
                o.crm_id: [contacts[o.key]] for o in made if isinstance(o, d.Applied)
            }
            return made

        return self._call(work, "task.write", once=True)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Nothing is open."""
