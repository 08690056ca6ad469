"""The cases: each spoils something, says what is printed, mends it, and goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from brokersync import bootstrap
from config.settings import DEFAULT_RULES
from connectors.base import Context
from connectors.registry.settings import RegistrySettings
from connectors.registry.source import RegistrySource
from simulator.examples import load
from simulator.hubspot import Fault
from simulator.story import Client, Event, World
from state import schema
from sync.crm_schema import wanted
from sync.cycle import Cycle, sync_once
from sync.hub import Hub
from tests.rig import Rig, rig

EXAMPLES = {e.id: e for e in load(Path(__file__).parent.parent / "data" / "examples.yaml")}
AT = EXAMPLES["E04"].expectations[0]["at"]
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Play:
    """Three clients: a failed deposit, a rejected KYC, a first withdrawal; and their hub."""

    def __init__(self, folder: Path) -> None:
        clients = [c for name in ("E02", "E04", "E09") for c in EXAMPLES[name].clients]
        example = EXAMPLES["E04"]
        start = min(e.at for c in clients for e in c.events)
        world = World(clients, {"alpha": example.brand}, start, example.rates)
        self.folder = folder
        self.rig: Rig = rig(world, f"sqlite:///{folder / 'hub.db'}", folder, example.live_from)
        self.payment = next(
            str(e.data["payment"]) for e in example.clients[0].events if "payment" in e.data
        )
        self.at = AT
        self.starting: Callable[[], None] = lambda: None  # what a start reads before anything else
        self._during: Callable[[], None] = lambda: None
        self._calls = 0
        self.hub: Hub = self.rig.hub(self._boundary)
        self.rig.advance_to(AT)

    def _boundary(self, name: str) -> None:
        """Something may happen in the middle of a push: when the CRM was called some times."""
        if name == "http:before:hubspot" and self._calls:
            self._calls -= 1
            if not self._calls:
                self._during()

    def in_mid_push(self, happening: Callable[[], None], calls: int = 5) -> None:
        """Let something happen before a call to the CRM of the next sync."""
        self._during, self._calls = happening, calls

    def sync(self) -> Cycle:
        """One sync."""
        self.starting()
        return sync_once(self.hub)

    def restart(self) -> None:
        """A new process over the same database."""
        self.hub.close()
        self.hub = self.rig.hub(self._boundary)

    def later(self, ms: int = HOUR_MS) -> None:
        """The story goes on."""
        self.at += ms
        self.rig.advance_to(self.at)

    def whole(self) -> bool:
        """Whether every client is in the CRM with a stage."""
        shown = self.rig.portal.contacts("broker_client_id")
        clients = {c.key for c in self.rig.world.clients.values()}
        staged = {k for k, c in shown.items() if c.get("brokerage_lifecycle_stage")}
        return clients <= staged


@dataclass(frozen=True, slots=True)
class Case:
    """One case. ``spoil`` returns whether ``rejects`` tells the story; ``mend`` puts it right."""

    title: str
    happens: str
    then: str
    spoil: Callable[[Play], None]
    mend: Callable[[Play], None]
    status: str
    rejects: bool = False


def _edit(play: Play, **row: Any) -> None:
    play.rig.vendors["paymentiq-alpha"].edits[play.payment] = row


def _mended_payment(play: Play) -> None:
    """Corrected at the vendor, whose row is shown again with a later time of update."""
    del play.rig.vendors["paymentiq-alpha"].edits[play.payment]
    person = EXAMPLES["E04"].clients[0]
    failed = next(e for e in person.events if e.name == "deposit_failed")
    again = Event(play.rig.world.story_ms + 30_000, failed.name, failed.data)
    play.rig.world.add(Client(person.brand, person.id, [*person.events, again]))
    play.later()


def _stranger(play: Play) -> None:
    moment = play.at - HOUR_MS
    data = {"payment": "424242", "amount": "80.00", "currency": "USD", "method": "card"}
    play.rig.world.add(Client("alpha", "7777", [Event(moment, "deposit_succeeded", data)]))


def _stranger_registers(play: Play) -> None:
    late = play.rig.world.clients["alpha:7777"]
    late.events.insert(0, Event(play.at + 1000, "registered", {"email": "late@example.com"}))
    play.rig.world.add(late)
    play.later()


def _bad_address(play: Play, email: str = "not@valid@at.all") -> None:
    person = play.rig.world.clients[EXAMPLES["E02"].clients[0].key]
    event = Event(play.at + 1000, "profile_updated", {"email": email})
    play.rig.world.add(Client(person.brand, person.id, [*person.events, event]))
    play.later()


def _full_disk(play: Play) -> None:
    """SQLite is given no page more than it has, and eighty clients register."""
    for n in range(80):
        fresh = Event(play.at + 1000, "registered", {"email": f"n{n}@example.com"})
        play.rig.world.add(Client("alpha", f"8{n:03}", [fresh]))
    play.later()

    def limit(connection: Any, record: object) -> None:
        del record
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    sa.event.listen(play.hub.store.engine, "connect", limit)
    play.hub.store.engine.dispose()


def _from_a_file(play: Play, text: str) -> None:
    """The registry is a file from now on."""
    play.hub.close()
    play.hub = play.rig.hub()
    table = play.hub.sources[0]
    unused = set(schema.client.c.keys()) & set(RegistrySettings(file="x").names())
    names = dict.fromkeys(unused - {"client_id", "email", "registered_at"}, "")
    columns = {**names, "brand": "", "deleted": ""}
    context = Context(table.name, table.context.brands, play.hub.clock, folder=play.folder)
    (play.folder / "clients.csv").write_text(text, encoding="utf-8")
    settings = RegistrySettings(file="clients.csv", columns=columns, encoding="utf-8")
    table.close()
    play.hub.sources = [RegistrySource(settings, context), *play.hub.sources[1:]]


def _csv(broken: bool) -> str:
    lines = ["client_id,email,registered_at,updated_at"]
    for n, name in enumerate(("E02", "E04", "E09")):
        client = EXAMPLES[name].clients[0]
        changed = f"2026-03-0{2 if broken else 3} 08:00"
        row = f"{client.id},c{n}@example.com,2026-01-01 08:00:00,{changed}"
        lines.append(f"{client.id},half a row" if broken and n == 1 else row)
    return "\n".join(lines) + "\n"


def _mend_file(play: Play) -> None:
    (play.folder / "clients.csv").write_text(_csv(False), encoding="utf-8")


_CONFIGURATION = """\
brands:
  alpha: {zone: UTC, destination: hubspot}
connections:
  clients: {type: registry, url: "sqlite:///clients.db"}
  cashier:
    {type: paymentiq, client_id: hub, client_secret: secret, merchant_id: "1", start_at: 2026-01-01}
destinations:
  hubspot: {type: hubspot, access_token: secret}
rules: rules.yaml
"""
_FAILED = "last_attempt_outcome = 'failed'"


def _started_with(play: Play, configuration: str = _CONFIGURATION, failed: str = _FAILED) -> None:
    """The process starts anew and reads this configuration, with this rule of LS4."""
    shipped = DEFAULT_RULES.read_text(encoding="utf-8")
    assert _FAILED in shipped
    (play.folder / "brokersync.yaml").write_text(configuration, encoding="utf-8")
    (play.folder / "rules.yaml").write_text(shipped.replace(_FAILED, failed, 1), encoding="utf-8")

    def start() -> None:
        found = bootstrap.configuration(play.folder / "brokersync.yaml")
        bootstrap.rules(found)

    play.starting = start


def _wrong_shape(play: Play, wrong: bool = True) -> None:
    if wrong:  # from some day on
        play.sync()
        play.later()
    play.rig.vendors["paymentiq-alpha"].faults.wrong_shape = wrong


def _not_installed(play: Play) -> None:
    for name in ("brokerage_kyc_status", "brokerage_country"):
        play.rig.portal.portal.contacts.undefine(name)
    play.restart()
    for name in ("brokerage_kyc_status", "brokerage_country"):
        play.rig.portal.portal.contacts.undefine(name)


def _install(play: Play) -> None:
    for obj, properties in wanted(play.hub, "hubspot").items():
        play.hub.destinations["hubspot"].install(obj, properties)


def _nothing(play: Play) -> None:
    del play


def _daily(play: Play, calls: int) -> None:
    play.rig.portal.limiter.daily = calls


CASES = [
    Case(
        "A key of the configuration that does not exist",
        "Somebody mistypes a key of brokersync.yaml.",
        "Nothing is read or written until the line is right.",
        lambda p: _started_with(p, _CONFIGURATION.replace("rules:", "ruels:")),
        _started_with,
        "refused",
    ),
    Case(
        "A rule with a typo",
        "Somebody mistypes a fact in rules.yaml.",
        "Nothing is read or written until it is right; `brokersync rules check` tells beforehand.",
        lambda p: _started_with(p, failed="last_atempt_outcome = 'failed'"),
        _started_with,
        "refused",
    ),
    Case(
        "A rule that compares what cannot be compared",
        "A rule asks whether an outcome is more than a number.",
        "Nothing is read or written until the rule is right.",
        lambda p: _started_with(p, failed="last_attempt_outcome > 5"),
        _started_with,
        "refused",
    ),
    Case(
        "The CRM's token is wrong or was taken back",
        "Somebody replaces the token in HubSpot while the hub still uses the old one.",
        "Everything that waits is kept. With the new token the next sync writes it.",
        lambda p: p.rig.portal.rotate_token("another"),
        lambda p: p.rig.portal.rotate_token("pat-na1-fake"),
        "refused",
    ),
    Case(
        "The CRM's token expires in the middle of a push",
        "The token stops working between two calls.",
        "What was written before is known; the rest is written by the next sync.",
        lambda p: p.in_mid_push(p.rig.portal.expire_token),
        lambda p: p.rig.portal.rotate_token("pat-na1-fake"),
        "refused",
    ),
    Case(
        "A scope is taken away in the middle of a push",
        "An admin of the portal edits the key's scopes while the hub writes.",
        "Nothing is lost; the next sync with the scope goes on.",
        lambda p: p.in_mid_push(lambda: p.rig.portal.remove_scope("crm.objects.contacts.write")),
        lambda p: p.rig.portal.add_scope("crm.objects.contacts.write"),
        "refused",
    ),
    Case(
        "A property or option is missing in the portal",
        "Properties were never installed, or somebody deleted them.",
        "No contact is written until they are there: run `brokersync crm install`.",
        _not_installed,
        _install,
        "refused",
    ),
    Case(
        "A property is deleted in the portal in the middle of a push",
        "Somebody archives a property while the hub writes.",
        "Records that need it are set aside, each with its reason, and tried again.",
        lambda p: p.in_mid_push(
            lambda: p.rig.portal.portal.contacts.undefine("brokerage_lifecycle_stage"), 9
        ),
        lambda p: (_install(p), p.later(2 * DAY_MS)),  # type: ignore[arg-type,return-value]
        "set_aside",
        rejects=True,
    ),
    Case(
        "The CRM's daily limit is reached",
        "Other programs used up the account's calls of the day.",
        "The push stops cleanly and goes on when the limit allows.",
        lambda p: _daily(p, 3),
        lambda p: (_daily(p, 10_000), p.later(DAY_MS)),  # type: ignore[arg-type,return-value]
        "stopped",
    ),
    Case(
        "The CRM does not answer",
        "HubSpot answers 502 to everything for minutes.",
        "The hub tries again for a while, then leaves it to the next sync.",
        lambda p: p.rig.portal.fail_next([Fault(status=502, html=True)] * 40),
        lambda p: p.rig.portal.clear_faults(),
        "stopped",
    ),
    Case(
        "The disk of the hub's database is full",
        "SQLite cannot grow its file.",
        "The step that did not fit is taken back whole; with room the next sync does it again.",
        _full_disk,
        lambda p: p.restart(),
        "stopped",
    ),
    Case(
        "A payment row with an amount that cannot be",
        "The payment provider shows `1e99 EUR`.",
        "The row is set aside, the rest of the page is used. Mended at the vendor, it is taken up.",
        lambda p: _edit(p, txAmount="1e99 EUR"),
        _mended_payment,
        "set_aside",
        rejects=True,
    ),
    Case(
        "A payment row with an unknown status code",
        "The provider invents a status.",
        "The row is set aside; name the code in the connection's settings, or wait for an update.",
        lambda p: _edit(p, statusCode="ERR_BRAND_NEW"),
        _mended_payment,
        "set_aside",
        rejects=True,
    ),
    Case(
        "A payment row in an unknown currency",
        "The payment provider shows `50.00 QQQ`.",
        "The row is set aside, the rest of the page is used. Mended at the vendor, it is taken up.",
        lambda p: _edit(p, txAmount="50.00 QQQ"),
        _mended_payment,
        "set_aside",
        rejects=True,
    ),
    Case(
        "A payment row of an unknown type",
        "The provider invents a kind of transaction.",
        "The row is set aside; name the type in the connection's settings, or wait for an update.",
        lambda p: _edit(p, txType="BrandNewThing", txTypeInt=None),
        _mended_payment,
        "set_aside",
        rejects=True,
    ),
    Case(
        "A payment row without its time",
        "The provider leaves out when a payment was made.",
        "The row is set aside, the rest of the page is used. Mended at the vendor, it is taken up.",
        lambda p: _edit(p, created=None),
        _mended_payment,
        "set_aside",
        rejects=True,
    ),
    Case(
        "A page of another shape",
        "The payment provider answers with JSON that is no page of payments.",
        "The other sources go on; this one is asked again, from where it was, at the next sync.",
        _wrong_shape,
        lambda p: _wrong_shape(p, wrong=False),
        "stopped",
    ),
    Case(
        "A payment without a client",
        "A payment names a client that the client table does not have (yet).",
        "It waits, and is taken up by itself when the client appears, or by `brokersync link`.",
        _stranger,
        _stranger_registers,
        "ok",
        rejects=True,
    ),
    Case(
        "An address that the CRM refuses",
        "A client's e-mail address is not one.",
        "The row is set aside before it reaches the CRM; corrected at the broker, it is taken up.",
        _bad_address,
        lambda p: _bad_address(p, "valid@example.com"),
        "set_aside",
        rejects=True,
    ),
    Case(
        "A broken row in a client file",
        "A row of `clients.csv` has too few fields.",
        "The row is set aside with its line, the others are used; mended, it is taken up.",
        lambda p: _from_a_file(p, _csv(True)),
        _mend_file,
        "set_aside",
        rejects=True,
    ),
]
