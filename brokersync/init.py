"""`init`: a commented configuration, the rule set to change, and the secrets it needs, by name."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from brokersync.output import Output
from config.settings import DEFAULT_RULES, BrandSettings, Name
from connectors.clock import Clock
from mapping.errors import ConfigError

_HISTORY = timedelta(days=90)
_START_S, _LOOK_S = 60.0, 0.25
CONFIG, RULES, SECRETS, EXAMPLE = "brokersync.yaml", "rules.yaml", ".env", ".env.example"
CRMS = ("hubspot", "salesforce")
OBJECT_MODELS = ("contact", "person_account", "lead_then_contact")
"""What stands for a client in Salesforce."""
SOURCES = ("registry", "sumsub", "paymentiq", "mt5_sql", "cellxpert", "zendesk")


@dataclass(frozen=True, slots=True)
class Choices:
    """What was asked for on the command line."""

    folder: Path
    crm: str = "hubspot"
    object_model: str = "contact"
    sources: Sequence[str] = SOURCES
    brand: str = "main"
    zone: str = "UTC"
    currency: str = "USD"
    simulate: Path | None = None
    force: bool = False


@dataclass(slots=True)
class _Draft:
    """A configuration in the making: its lines, and the secrets it names."""

    world: Mapping[str, Any] = field(repr=False)
    lines: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def add(self, text: str) -> None:
        """Add lines."""
        self.lines += text.removeprefix("\n").removesuffix("\n").split("\n")

    def secret(self, name: str, value: object = "") -> str:
        """Name a secret; how the configuration refers to it."""
        self.secrets[name] = "" if value is None else str(value)
        return f"${{{name}}}"


def init(out: Output, clock: Clock, choices: Choices) -> None:
    """Write the files and say what to do next.

    Raises:
        ConfigError: a choice is not possible, or a file is there already.
    """
    world = _world(choices.simulate, clock)
    brands = _brands(choices, world)
    draft = _Draft(world)
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    _head(draft, brands)
    _connections(draft, choices, brands, now - _HISTORY)
    _destination(draft, choices)
    _teams(draft, choices.crm)
    _rates(draft, brands)
    secrets = SECRETS if world else EXAMPLE
    files = {
        CONFIG: "\n".join(draft.lines) + "\n",
        RULES: DEFAULT_RULES.read_text(encoding="utf-8"),
        secrets: _env(draft),
    }
    _write(choices, files)
    _next_steps(out, choices, list(files))


def _world(path: Path | None, clock: Clock) -> Mapping[str, Any]:
    """What `brokersync simulate` printed; it may just be starting."""
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        waited = 0.0
        while "\n" not in text and waited < _START_S:
            clock.sleep(_LOOK_S)
            waited += _LOOK_S
            text = path.read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text.partition("\n")[0])
        if not {"brands", "registry", *CRMS} <= found.keys():
            raise _not_a_world(path)
    except (OSError, ValueError, AttributeError):
        raise _not_a_world(path) from None
    return found


def _not_a_world(path: Path) -> ConfigError:
    return ConfigError(
        f"--simulate: {path} does not hold what `brokersync simulate` prints; start it with"
        f" `brokersync simulate > {path} &`"
    )


def _brands(choices: Choices, world: Mapping[str, Any]) -> dict[str, BrandSettings]:
    """The brands, checked."""
    if choices.crm not in CRMS:
        raise ConfigError(f"--crm {choices.crm[:40]!r} is not known; there is: {', '.join(CRMS)}")
    if choices.object_model not in OBJECT_MODELS:
        there, told = ", ".join(OBJECT_MODELS), choices.object_model[:40]
        raise ConfigError(f"--object-model {told!r} is not known; there is: {there}")
    if choices.object_model != OBJECT_MODELS[0] and choices.crm != "salesforce":
        raise ConfigError("--object-model is Salesforce's: say --crm salesforce, too")
    for source in choices.sources:
        if source not in SOURCES:
            known = ", ".join(SOURCES)
            raise ConfigError(f"--sources {source[:40]!r} is not known; there is: {known}")
    if "registry" not in choices.sources:
        raise ConfigError("--sources needs registry: it says who the clients are")
    if world:
        asked = {
            name: {n: b[n] for n in ("zone", "base_currency", "entity")}
            for name, b in world["brands"].items()
        }
    else:
        asked = {choices.brand: {"zone": choices.zone, "base_currency": choices.currency}}
    values = {name: {**brand, "destination": choices.crm} for name, brand in asked.items()}
    try:
        return TypeAdapter(dict[Name, BrandSettings]).validate_python(values)
    except ValidationError as error:
        flags = {"zone": "--zone", "base_currency": "--currency"}
        lines = [
            f"{flags.get(str(e['loc'][-1]), '--brand')}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise ConfigError("\n".join(lines)) from None


def _head(draft: _Draft, brands: Mapping[str, BrandSettings]) -> None:
    draft.add("""
# brokersync: one broker. Every setting: docs/configuration.md. Check it with `brokersync doctor`.
# ${NAME} is the environment variable NAME, or the content of the file that NAME_FILE names.

# Where the hub keeps its own memory. A file is enough; or postgresql+psycopg://hub@db.internal/hub
database: sqlite:///brokersync.db

# What words, stages, tasks and fields mean: yours to change, then `brokersync rules check`.
rules: rules.yaml

brands:""")
    for name, brand in brands.items():
        entity = f"\n    entity: {brand.entity}" if brand.entity else ""
        live = '    # live_from: {"*": 2026-04-01T00:00:00Z}'
        if draft.world:
            at = datetime.fromtimestamp(draft.world["live_from_ms"] / 1000, UTC)
            live = f'    live_from: {{"*": {_instant(at)}}}'
        draft.add(f"""
  {name}:  # part of every CRM key ({name}:10042): choose once
    zone: {brand.zone}  # dates are cut in this zone
    base_currency: {brand.base_currency}  # totals are shown in it{entity}
    destination: {brand.destination}
    # A reason older than this opens no task. Without it everything is computed, and no task opens.
{live}
    # observe: compute only. fields: also write the CRM. tasks: also open tasks.
    modes: {{CS3: tasks, CS5: tasks, CS6: tasks, CS8: tasks, "*": fields}}
""")


def _connections(
    draft: _Draft, choices: Choices, brands: Mapping[str, BrandSettings], start: datetime
) -> None:
    draft.add("\n\nconnections:")
    if "registry" in choices.sources:
        url = draft.secret("REGISTRY_URL", draft.world.get("registry", {}).get("url"))
        draft.add(f"""
  clients:  # your own client table, by a user that may only read
    type: registry
    url: {url}
    table: crm_clients
    # columns: {{email: mail_address, device: ""}}  # ours -> yours; "" says there is no such column
    # Or a file of all clients, instead of url and table: `file: clients.csv` (or format: jsonl)
""")
    for name in brands:
        known = draft.world.get("brands", {}).get(name, {})
        for source, write in _BY_BRAND.items():
            if source in choices.sources:
                vendor = source.removesuffix("_sql")
                suffix = "" if len(brands) == 1 else f"-{name}"
                write(_Part(draft, vendor, name, suffix, known.get(vendor, {}), start))


@dataclass(frozen=True, slots=True)
class _Part:
    """One brand's connection to a vendor, about to be written.

    ``suffix`` stands behind its name and its secrets' where there are several brands; ``known`` is
    what the simulated world tells of the vendor.
    """

    draft: _Draft
    vendor: str
    brand: str
    suffix: str
    known: Mapping[str, Any] = field(repr=False)
    start: datetime

    def secret(self, key: str) -> str:
        """Name a secret of the connection; how the configuration refers to it."""
        name = f"{self.vendor}{self.suffix}_{key}".upper().replace("-", "_")
        return self.draft.secret(name, self.known.get(key))


def _sumsub(part: _Part) -> None:
    part.draft.add(f"""
  verification{part.suffix}:
    type: sumsub
    brand: {part.brand}{_base_url(part.known)}
    app_token: {part.secret("app_token")}
    secret_key: {part.secret("secret_key")}
""")


def _paymentiq(part: _Part) -> None:
    start, world = part.start, part.draft.world
    if world:
        start = datetime.fromtimestamp(world["start_ms"] / 1000, UTC) - _HISTORY
    part.draft.add(f"""
  cashier{part.suffix}:
    type: paymentiq
    brand: {part.brand}{_base_url(part.known)}
    client_id: {part.secret("client_id")}
    client_secret: {part.secret("client_secret")}
    merchant_id: {part.secret("merchant_id")}
    start_at: {_instant(start)}  # how far back the first sync reads
""")


def _mt5(part: _Part) -> None:
    known = part.known
    part.draft.add(f"""
  trading{part.suffix}:  # MetaTrader's SQL export, by a user that may only read
    type: mt5_sql
    brand: {part.brand}
    url: {part.secret("url")}
    server: {known.get("server", f"live-{part.brand}")}  # part of every id: choose once
    server_tz: {known.get("server_tz", "NY+7")}  # midnight at 17:00 New York; `doctor` proves it
    client_column: {known.get("client_column", "ID")}  # the column that holds your client id
    ledger_rules:  # what your comments mean; anything else is a deposit or a withdrawal by its sign
      - {{kind: wire, action: 2, comment: "^wire"}}
      - {{kind: transfer, action: 2, comment: "transfer"}}
""")


def _cellxpert(part: _Part) -> None:
    part.draft.add(f"""
  affiliates{part.suffix}:
    type: cellxpert
    brand: {part.brand}{_base_url(part.known)}
    admin_url: {part.secret("admin_url")}
    user: {part.secret("user")}
    password: {part.secret("password")}
    currency: {part.known.get("currency", "USD")}  # of commissions; the reports name none
""")


def _zendesk(part: _Part) -> None:
    known = part.known
    base = known.get("base_url", "https://your-subdomain.zendesk.com")
    shown = ("category_field", "complaint_field", "forms", "groups", "requests_per_minute")
    more = "".join(f"\n    {n}: {json.dumps(known[n])}" for n in shown if n in known)
    part.draft.add(f"""
  helpdesk{part.suffix}:
    type: zendesk
    brand: {part.brand}
    base_url: {base}
    email: {part.secret("email")}  # an administrator
    api_token: {part.secret("api_token")}
    start_at: {_instant(part.start)}{more}
""")


_BY_BRAND: Mapping[str, Callable[[_Part], None]] = {
    "sumsub": _sumsub,
    "paymentiq": _paymentiq,
    "mt5_sql": _mt5,
    "cellxpert": _cellxpert,
    "zendesk": _zendesk,
}


def _destination(draft: _Draft, choices: Choices) -> None:
    draft.add("\n\ndestinations:")
    _BY_CRM[choices.crm](draft, draft.world.get(choices.crm, {}), choices)


def _hubspot(draft: _Draft, known: Mapping[str, Any], _choices: Choices) -> None:
    draft.add(f"""
  hubspot:
    type: hubspot{_base_url(known)}
    access_token: {draft.secret("HUBSPOT_ACCESS_TOKEN", known.get("access_token"))}
    requests_per_10s: 190  # what your plan allows: 100 on Starter, 190 on Professional and up
""")


def _salesforce(draft: _Draft, known: Mapping[str, Any], choices: Choices) -> None:
    key = draft.secret("SALESFORCE_CONSUMER_KEY", known.get("consumer_key"))
    draft.add(f"""
  salesforce:  # by an External Client App: connectors/salesforce/README.md says how to make one
    type: salesforce
    base_url: {known.get("base_url", "https://your-domain.my.salesforce.com")}  # Setup > My Domain
    auth: {known.get("auth", "jwt")}
    consumer_key: {key}
""")
    if known:
        draft.add(f"""
    consumer_secret: {draft.secret("SALESFORCE_CONSUMER_SECRET", known["consumer_secret"])}
""")
    else:
        draft.add(f"""
    username: hub@your-domain.example  # the integration user
    private_key: {draft.secret("SALESFORCE_PRIVATE_KEY")}
""")
    draft.add(f"""
    # What stands for a client: contact, person_account, or lead_then_contact (a lead until your
    # people convert it, its contact from then on). Choose once.
    object_model: {choices.object_model}
    share: 0.8  # of the org's daily calls, of which all its programs take
""")


_BY_CRM: Mapping[str, Callable[[_Draft, Mapping[str, Any], Choices], None]] = {
    "hubspot": _hubspot,
    "salesforce": _salesforce,
}
_EXAMPLES = {
    "hubspot": ("8100200300", "8100200301", "8100200302", "8100200303"),
    "salesforce": ("00G5e000001AbCdEAK", "0055e000001AbCdAAK", "0055e000001AbCeAAK",
                   "0055e000001AbCfAAK"),
}  # fmt: skip
"""Owner ids as they look: a queue's, then people's."""


def _teams(draft: _Draft, crm: str) -> None:
    teams = draft.world.get(crm, {}).get("teams", {})
    draft.add("""

# Who owns tasks: CRM owner ids, in quotes; `brokersync doctor` checks them. No owner, no task.
# payments and support are open 24/7, the others Mon-Fri 9:00-18:00, unless you say otherwise.
""")
    if not teams:
        queue, *people = _EXAMPLES[crm]
        draft.add(f"""
# teams:
#   payments:
#     owners:
#       {crm}: {{queue: "{queue}"}}
#   onboarding:
#     hours: {{days: [mon, tue, wed, thu, fri], opens: 9:00, closes: 18:00}}
#     owners:
#       {crm}: {{members: ["{people[0]}", "{people[1]}"]}}
#   support:
#     owners:
#       {crm}: {{members: ["{people[2]}"]}}
""")
        return
    draft.add("teams:")
    for name, team in teams.items():
        queue = f'queue: "{team["queue"]}", ' if team["queue"] else ""
        members = ", ".join(f'"{m}"' for m in team["members"])
        draft.add(f"""
  {name}:
    owners:
      {crm}: {{{queue}members: [{members}]}}
""")


def _rates(draft: _Draft, brands: Mapping[str, BrandSettings]) -> None:
    draft.add("""

# Amounts in other currencies count in totals where a rate is known; else the total is blank.
""")
    rates = {b["base_currency"]: b["rates"] for b in draft.world.get("brands", {}).values()}
    if not rates:
        base = next(iter(brands.values())).base_currency
        other = "EUR" if base != "EUR" else "USD"
        rate = "1.08" if other == "EUR" else "0.92"
        draft.add(f"# rates:\n#   fixed: {{{base}: {{{other}: {rate}}}}}  # or file: rates.csv")
        return
    draft.add("rates:\n  fixed:")
    for base, known in rates.items():
        shown = ", ".join(f"{currency}: {rate}" for currency, rate in known.items())
        draft.add(f"    {base}: {{{shown}}}")


def _base_url(known: Mapping[str, Any]) -> str:
    return f"\n    base_url: {known['base_url']}" if known else ""


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _env(draft: _Draft) -> str:
    head = (
        "# What brokersync.yaml refers to. Load it with: set -a; . ./.env; set +a\n"
        "# Keep it out of version control and readable for you alone.\n"
    )
    return head + "".join(f"{n}={shlex.quote(v) if v else ''}\n" for n, v in draft.secrets.items())


def _write(choices: Choices, files: Mapping[str, str]) -> None:
    folder = choices.folder
    there = [name for name in files if (folder / name).exists()]
    if there and not choices.force:
        raise ConfigError(
            f"{', '.join(there)} in {folder} would be overwritten: choose another folder, or say"
            " --force"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            mode = 0o600 if name == SECRETS else 0o644
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from None


def _next_steps(out: Output, choices: Choices, written: list[str]) -> None:
    steps = [] if choices.folder == Path() else [f"cd {shlex.quote(str(choices.folder))}"]
    if EXAMPLE in written:
        steps.append("cp .env.example .env        # then fill it in")
    steps += [
        "set -a; . ./.env; set +a    # the secrets, into the environment",
        "brokersync doctor           # is everything there, allowed and reachable?",
        "brokersync crm plan         # which properties does the portal lack?",
        "brokersync crm install      # creates them",
        "brokersync plan --pull      # what would a sync write?",
        "brokersync sync             # do it once; `brokersync run` keeps going",
    ]
    if out.as_json:
        plain = [s.partition("  #")[0].rstrip() for s in steps]
        out.object({"folder": str(choices.folder), "written": written, "next": plain})
    out.line(f"Written: {', '.join(written)}. Next:")
    for step in steps:
        out.line(f"  {step}")
