"""Claiming: contacts that stood in the CRM before the hub came, taken for their clients.

Before the hub creates a contact it looks whether the CRM has somebody with that e-mail address.
Few addresses are asked for one by one; for many, the CRM's contacts are listed once. What is
claimed is then written by its own id like any known record; what is ambiguous is set aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from sqlalchemy.engine import Connection

from connectors.destination import CrmObject, CrmRecord, Destination
from mapping.claiming import Candidate, Person, ambiguous
from mapping.ownership import Hold, HoldKind, Policy
from state import claims, outbox, readback, sources
from state.outbox import Acknowledged, encode
from sync.hub import Guard, Hub
from sync.properties import OWN, Properties, properties

LIST_ABOVE = 300
"""From so many unknown clients on, listing the CRM's contacts costs less than asking for each."""
_PAGE = 500
_CONTACT = CrmObject.CONTACT.value


@dataclass(slots=True)
class Claimed:
    """What a look for existing contacts came to."""

    asked: int = 0
    claimed: int = 0
    ambiguous: int = 0
    absent: int = 0
    calls: int = 0


@dataclass(slots=True)
class Claimer:
    """One destination's claims in one run."""

    hub: Hub
    name: str
    destination: Destination
    guard: Guard
    fence: int
    done: Claimed = field(default_factory=Claimed)

    def claim(self) -> Claimed:
        """Look for all contacts that wait to be written and are not known in the CRM."""
        before = self.destination.counts.calls
        rules = properties(self.hub, CrmObject.CONTACT)
        listed, after = False, ""
        while keys := self._unknown(after):
            self.hub.stop.check()
            if not listed and len(keys) > LIST_ABOVE:
                self._list()
                listed = True
            self._page(keys, rules, listed=listed)
            after = keys[-1]
        if listed:
            self._forget()  # addresses of people who are no clients are not kept
        self.done.calls = self.destination.counts.calls - before
        return self.done

    def _unknown(self, after: str) -> list[str]:
        now = self.hub.clock.now_ms()
        with self.hub.store.reading() as connection:
            return claims.unknown(connection, self.name, after, _PAGE, now)

    def _list(self) -> None:
        """List the CRM's contacts; their ids and hashed addresses are kept for this claim."""
        self._forget()
        seen = 0
        for page in self.destination.contacts():
            self.hub.stop.check()
            rows = [(email, a.crm_id) for a in page for email in a.emails]
            with self.hub.store.transaction(f"claim.{self.name}.list") as connection:
                self.guard(connection)
                claims.add_addresses(connection, self.name, rows)
            seen += len(page)
            self.hub.progress("look for contacts", self.name, seen, None)

    def _forget(self) -> None:
        with self.hub.store.transaction(f"claim.{self.name}.forget") as connection:
            self.guard(connection)
            claims.forget_addresses(connection, self.name)

    def _page(self, keys: Sequence[str], rules: Properties, *, listed: bool) -> None:
        with self.hub.store.reading() as connection:
            people = claims.people(connection, self.name, keys)
            emails = sorted({p.email for p in people.values()})
            having: Mapping[str, frozenset[str]] = (
                claims.having(connection, self.name, emails) if listed else {}
            )
        if not listed:
            having = self._asked(emails)
        self.done.asked += len(people)
        ids = sorted(set(chain.from_iterable(having.values())))
        records = self._read(ids, rules)
        if records:
            self._decide(people, having, records, rules)
        self._leave_out(keys)

    def _leave_out(self, keys: Sequence[str]) -> None:
        """Who may not be created and is not in the CRM needs nothing, until something changes.

        Delivery would create what it does not find.
        """
        with self.hub.store.reading() as connection:
            left = claims.update_only(connection, self.name, keys)
            left = {k: h for k, h in left.items() if k in self._still_unknown(connection, keys)}
        size, ordered = self.destination.batch, sorted(left)
        for start in range(0, len(ordered), size):
            part = ordered[start : start + size]
            there = self.destination.read(CrmObject.CONTACT, part, ())
            absent = [Acknowledged(k, "", "", left[k]) for k in part if k not in there]
            with self.hub.store.transaction(f"claim.{self.name}.absent") as connection:
                self.guard(connection)
                now = self.hub.clock.now_ms()
                outbox.acknowledge(connection, self.name, _CONTACT, absent, now, self.fence)
            self.done.absent += len(absent)

    def _still_unknown(self, connection: Connection, keys: Sequence[str]) -> set[str]:
        now = self.hub.clock.now_ms()
        return set(claims.unknown(connection, self.name, "", len(keys), now, keys))

    def _asked(self, emails: Sequence[str]) -> Mapping[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        size = self.destination.batch
        for start in range(0, len(emails), size):
            found |= self.destination.by_email(emails[start : start + size])
        return found

    def _read(self, ids: Sequence[str], rules: Properties) -> dict[str, CrmRecord]:
        """The candidates as they are now, by id."""
        found: dict[str, CrmRecord] = {}
        size, names = self.destination.batch, [*rules.types, *OWN]
        for start in range(0, len(ids), size):
            part = ids[start : start + size]
            found |= self.destination.read_ids(CrmObject.CONTACT, part, names)
        return found

    def _decide(
        self, people: Mapping[str, Person], having: Mapping[str, frozenset[str]],
        records: Mapping[str, CrmRecord], rules: Properties,
    ) -> None:  # fmt: skip
        now = self.hub.clock.now_ms()
        with self.hub.store.transaction(f"claim.{self.name}.decide") as connection:
            self.guard(connection)
            every = chain.from_iterable(r.emails for r in records.values())
            suitors = claims.suitors(connection, self.name, every)
            bodies = outbox.bodies(connection, self.name, _CONTACT, [*people])
            found = _Found(rules, now)
            for key, person in people.items():
                live = [records[i] for i in sorted(having.get(person.email, ())) if i in records]
                live = [r for r in live if person.email in r.emails]
                if live and not any(r.key == key for r in live):
                    found.judge(key, person, live, suitors, bodies.get(key, {}))
            self._store(connection, found, now)
        self.done.claimed += len(found.claimed)
        self.done.ambiguous += len(found.unclear)

    def _store(self, connection: Connection, found: _Found, now: int) -> None:
        outbox.acknowledge(connection, self.name, _CONTACT, found.claimed, now, self.fence)
        outbox.take_up(connection, self.name, _CONTACT, [c.key for c in found.claimed])
        readback.set_owners(connection, self.name, found.owners)
        readback.remember(connection, self.name, _CONTACT, found.holds)
        asides = [
            sources.Aside("push", self.name, _CONTACT, key, key.split(":", 1)[0],
                          f"AMBIGUOUS: {why}")
            for key, why in found.unclear.items()
        ]  # fmt: skip
        tries = sources.set_aside(connection, asides, now)
        outbox.put_aside(connection, self.name, _CONTACT, tries)


@dataclass(slots=True)
class _Found:
    """What a page of clients came to."""

    rules: Properties
    now: int
    claimed: list[Acknowledged] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    holds: dict[tuple[str, str], Hold | None] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)

    def judge(
        self, key: str, person: Person, live: Sequence[CrmRecord],
        suitors: Mapping[str, set[str]], body: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Claim the one contact, or say why not."""
        candidates = [
            Candidate(r.crm_id, r.key, len({k for e in r.emails for k in suitors.get(e, ())}))
            for r in live
        ]
        why = ambiguous(key, person, candidates)
        if why:
            self.unclear[key] = why
            return
        record = live[0]
        held = {
            n: self.rules.ours(n, body.get(n, ""), v)
            for n, v in record.properties.items()
            if n in body
        }
        self.claimed.append(Acknowledged(key, record.crm_id, encode(held), ""))
        self.owners[key] = record.owner
        for name, policy in self.rules.policies.items():
            there = held.get(name, "")
            if policy is Policy.PERSON and there and not self.rules.same(name, body[name], there):
                self.holds[key, name] = Hold(HoldKind.PERSON, 1, self.now, self.now)
