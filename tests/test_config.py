"""Bad configurations: each is refused with file, line and what to do, and without its secrets."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from brokersync import bootstrap
from config import yaml_file
from config.settings import DEFAULT_RULES
from mapping.errors import ConfigError
from mapping.problems import RuleSetError
from mapping.ruleset import load as load_rules

GOOD = """\
database: sqlite:///{folder}/hub.db
brands:
  north:
    zone: Europe/Nicosia
    base_currency: EUR
    destination: crm
    live_from: {"*": 2026-03-01T00:00:00Z}
connections:
  clients:
    type: registry
    url: ${REGISTRY_URL}
  kyc:
    type: sumsub
    brand: north
    app_token: ${KYC_TOKEN}
    secret_key: ${KYC_KEY}
  cashier:
    type: paymentiq
    client_id: hub
    client_secret: ${PSP_KEY}
    merchant_id: 1001
    start_at: 2026-01-01T00:00:00Z
destinations:
  crm:
    type: hubspot
    access_token: ${CRM_TOKEN}
teams:
  onboarding:
    owners:
      crm: {members: ["101", "102"]}
rates:
  file: rates.csv
"""
RATES = "date,currency,base,rate\n2026-03-01,USD,EUR,0.92\n2026-03-02,USD,EUR,0.93\n"
RULES = DEFAULT_RULES.read_text(encoding="utf-8")
SECRETS = {
    "KYC_TOKEN": "s3cret-token",
    "KYC_KEY": "s3cret-key",
    "PSP_KEY": "s3cret-psp",
    "CRM_TOKEN": "pat-s3cret",
}


@dataclass(frozen=True)
class Bad:
    """One change to a good file, and what the refusal must say."""

    old: str
    new: str
    at: str  # a piece of the changed file: its line is the one to name; blank: no line
    says: tuple[str, ...]
    environment: dict[str, str | None] = field(default_factory=dict)

    @property
    def __name__(self) -> str:
        return (self.new or f"without {self.old}").strip()[:40]


class Folder:
    """A folder with a configuration that works, until somebody changes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = GOOD.replace("{folder}", str(path))
        self.rates = RATES
        self.rules: str | None = None

    def build(self) -> None:
        """Put the hub together, as a command does."""
        text = self.config
        if self.rules is not None:
            (self.path / "rules.yaml").write_text(self.rules, encoding="utf-8")
            text += "rules: rules.yaml\n"
        (self.path / "brokersync.yaml").write_text(text, encoding="utf-8")
        (self.path / "rates.csv").write_text(self.rates, encoding="utf-8")
        bootstrap.build(bootstrap.configuration(self.path / "brokersync.yaml")).close()

    def refusal(self) -> str:
        """What the admin is told. Neither it nor the log's text holds a secret."""
        with pytest.raises(ConfigError) as caught:
            self.build()
        for text in (str(caught.value), caught.value.log, repr(caught.value)):
            assert "s3cret" not in text
        return caught.value.admin


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A good configuration with its secrets in the environment."""
    with closing(sqlite3.connect(tmp_path / "s3cret-registry.db")) as registry:
        registry.execute("CREATE TABLE crm_clients (client_id, registered_at, updated_at)")
    monkeypatch.setenv("REGISTRY_URL", f"sqlite:///{tmp_path / 's3cret-registry.db'}")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return Folder(tmp_path)


def changed(text: str, bad: Bad) -> str:
    """The text with the change made, which must be possible."""
    assert text.count(bad.old) >= 1, bad.old
    return text.replace(bad.old, bad.new, 1)


def line_of(text: str, piece: str) -> int:
    """The line on which a piece of a file begins."""
    return text.count("\n", 0, text.index(piece)) + 1


def expect(refusal: str, file: str, text: str, bad: Bad) -> None:
    """The refusal names file and line and says what it must."""
    place = rf"{re.escape(file)}, line {line_of(text, bad.at)}\b" if bad.at else re.escape(file)
    assert re.search(place, refusal), (place, refusal)
    for words in bad.says:
        assert words in refusal, (words, refusal)


def test_the_good_configuration_is_good(folder: Folder) -> None:
    folder.build()


def test_it_is_also_good_with_its_own_copy_of_the_rules(folder: Folder) -> None:
    folder.rules = RULES
    folder.build()


SETTINGS = [
    # keys
    Bad("teams:", "teems:", "teems", ("teems: unknown key", "teams, rates, rules")),
    Bad(
        "teams:",
        "property_clashes: {brokerage_kyc_stat: adopt}\nteams:",
        "property_clashes",
        (
            "property_clashes.brokerage_kyc_stat: the rule set has no field",
            "'brokerage_kyc_status'?",
        ),
    ),
    Bad(
        "teams:",
        "property_clashes: {brokerage_kyc_status: keep}\nteams:",
        "property_clashes",
        ("adopt", "rename", "refuse"),
    ),
    Bad("    zone:", "    zones:", "    zones", ("brands.north.zones: unknown key",)),
    Bad("    zone: Europe/Nicosia\n", "", "  north:", ("brands.north.zone: is missing",)),
    Bad("secret_key", "secret_kee", "secret_kee", ("secret_kee: unknown key", "app_token")),
    Bad("    app_token: ${KYC_TOKEN}\n", "", "  kyc:", ("connections.kyc.app_token: is missing",)),
    Bad("rates:\n", "brands: {}\nrates:\n", "brands: {}", ("'brands' stands twice",)),
    Bad("    zone:", "    zone: UTC\n    zone:", "    zone: Eur", ("'zone' stands twice",)),
    # types
    Bad("rates:\n", "in_flight: many\nrates:\n", "in_flight", ("expected a whole number",)),
    Bad("rates:\n", "in_flight: 99\nrates:\n", "in_flight", ("less than or equal to 16",)),
    Bad("teams:\n", "rules: [a]\nteams:\n", "rules: [a]", ("rules: ",)),
    Bad('["101", "102"]', "[101]", "crm: {mem", ("members.0", "put it in quotes")),
    Bad('["101", "102"]', '"101"', "crm: {mem", ("members", "expected a list")),
    Bad("  file: rates.csv", "- rates.csv", "rates:", ("rates: expected `name: value`",)),
    Bad("merchant_id: 1001", "merchant_id: M1", "merchant_id", ("expected a whole number",)),
    Bad("start_at: 2026", "start_at: soon 2026", "start_at", ("connections.cashier.start_at",)),
    Bad("  crm:\n    type", "  c.m:\n    type", "  c.m:", ("a name is up to 40 letters",)),
    Bad("  north:", "  north side:", "  north side", ("a name is up to 40 letters",)),
    # names of things
    Bad("Europe/Nicosia", "Europe/Nikosia", "    zone:", ("no IANA time zone", "Europe/Nicosia")),
    Bad("Europe/Nicosia", "[UTC]", "    zone:", ("no IANA time zone",)),
    Bad("EUR", "EURO", "base_currency", ("unknown currency 'EURO'", "such as EUR")),
    Bad("EUR", "[EUR]", "base_currency", ("unknown currency",)),
    Bad("brand: north", "brand: south", "  kyc:", ("no such brand 'south'; there is: north",)),
    Bad("brand: north", "brands: [north, 5]", "  kyc:", ("no such brand '5'",)),
    Bad("brand: north", "brands: north", "  kyc:", ("expected a list of brands",)),
    Bad("brand: north", "brands: []", "  kyc:", ("expected a list of brands",)),
    Bad(
        "brand: north",
        "brand: north\n    brands: [north]",
        "  kyc:",
        ("connections.kyc: give `brand` or `brands`, not both",),
    ),
    Bad("destination: crm", "destination: crn", "destination: crn", ("no such destination 'crn'",)),
    Bad("      crm: {", "      crn: {", "      crn: {", ("no such destination", "there is: crm")),
    Bad("  onboarding:", "  on_boarding:", "  on_boarding", ("no such team", "onboarding")),
    Bad(
        "type: sumsub", "type: sumsubs", "  kyc:", ("source type 'sumsubs'", "paymentiq, registry")
    ),
    Bad("    type: sumsub\n", "", "  kyc:", ("source type", "there is: cellxpert")),
    Bad("type: hubspot", "type: [x]", "  crm:", ("destination type", "there is: hubspot")),
    Bad(
        "    live_from",
        "    scope: {teams: [slaes]}\n    live_from",
        "    scope",
        ("no such team 'slaes'", "sales"),
    ),
    Bad('{"*": 2026', "{CS99: 2026", "    live_from", ("no state 'CS99'", "CS3", "* for all")),
    Bad(
        "    live_from",
        "    modes: {CS3: task}\n    live_from",
        "    modes",
        ("modes.CS3: must be 'observe', 'fields' or 'tasks'",),
    ),
    Bad(
        "    live_from",
        "    modes: {CS99: tasks}\n    live_from",
        "    modes",
        ("no state 'CS99'",),
    ),
    # times
    Bad("2026-03-01T00:00:00Z}", "soon}", "    live_from", ("such as 2026-03-01T00:00:00Z",)),
    Bad("2026-03-01T00:00:00Z}", "2026-13-01}", "    live_from", ("'2026-13-01'",)),
    Bad(
        "    owners:",
        "    hours: {days: [mo]}\n    owners:",
        "    hours",
        ("hours.days.0: must be 'mon'",),
    ),
    Bad(
        "    owners:",
        "    hours: {opens: 18:00, closes: 9:00}\n    owners:",
        "    hours",
        ("onboarding.hours: `closes` must be at least 30 minutes after `opens`",),
    ),
    Bad(
        "    owners:",
        "    hours: {opens: 24:00}\n    owners:",
        "    hours",
        ("hours.opens: write a time of day such as 09:00",),
    ),
    Bad("    owners:", "    hours: always\n    owners:", "    hours", ("hours: must be '24/7'",)),
    # secrets
    Bad(
        "rates:\n",
        "rates:\n",
        "    secret_key",
        ("connections.kyc.secret_key: set the environment variable KYC_KEY (or KYC_KEY_FILE)",),
        {"KYC_KEY": None},
    ),
    Bad("rates:\n", "rates:\n", "    secret_key", ("KYC_KEY", "is empty"), {"KYC_KEY": ""}),
    Bad(
        "rates:\n",
        "rates:\n",
        "    secret_key",
        ("the file that KYC_KEY_FILE names cannot be read: No such file",),
        {"KYC_KEY": None, "KYC_KEY_FILE": "/nowhere/key"},
    ),
    Bad("${KYC_KEY}", "${kyc_key}", "    secret_key", ("in capitals",)),
    Bad("${KYC_KEY}", '["${KYC_KEY}"]', "    secret_key", ("expected a text",)),
    Bad(
        "type: hubspot",
        "type: hubspot\n    base_url: http://crm.example/?key=${CRM_TOKEN}",
        "    base_url",
        ("must begin with https://",),
    ),
    # YAML
    Bad("teams:\n", "teams: [\n", "    owners:", ("not valid YAML",)),
    Bad("    zone:", "\tzone:", "\tzone:", ("column 1: not valid YAML",)),
    Bad("rates:\n", "---\nrates:\n", "---", ("not valid YAML",)),
    Bad("  kyc:", "  kyc:\n    <<: {brand: north}", "    <<", ("merge keys", "write the keys out")),
    Bad("teams:\n", "x: &x [*x]\nteams:\n", "x: &x", ("an alias that holds itself",)),
    Bad("teams:\n", "? [a]\n: b\nteams:\n", "? [a]", ("a key must be a word",)),
    Bad("Europe/Nicosia", "!!python/name:os.system ''", "    zone:", ("tag", "not supported")),
    # other files and places
    Bad("rates.csv", "rate.csv", "", ("the rate file", "No such file")),
    Bad("teams:\n", "rules: mine.yaml\nteams:\n", "", ("mine.yaml does not exist",)),
    Bad("sqlite:///", "mysql://", "database", ("SQLite and PostgreSQL",)),
    Bad("sqlite:///", "my own ", "database", ("not a usable URL", "sqlite:///brokersync.db")),
    Bad("hub.db", "no/hub.db", "database", ("unable to open database file",)),
]


@pytest.mark.parametrize("bad", SETTINGS, ids=lambda bad: bad.__name__)
def test_a_mistake_in_the_settings_is_named(
    folder: Folder, bad: Bad, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.config = changed(folder.config, bad)
    for name, value in bad.environment.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    expect(folder.refusal(), "brokersync.yaml" if bad.at else "", folder.config, bad)


def test_all_mistakes_of_one_kind_are_named_at_once(folder: Folder) -> None:
    folder.config = folder.config.replace("EUR", "EURO").replace("Nicosia", "Nikosia")
    assert len(folder.refusal().splitlines()) == 2
    folder.config = GOOD.replace("secret_key", "sekret").replace("merchant_id", "mid")
    assert len(folder.refusal().splitlines()) == 4  # two missing, two unknown


def test_all_secrets_that_are_not_set_are_named_at_once(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KYC_KEY")
    monkeypatch.delenv("CRM_TOKEN")
    refusal = folder.refusal()
    assert "KYC_KEY" in refusal
    assert "CRM_TOKEN" in refusal


def test_a_secret_may_come_from_a_file(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.path / "key").write_text("s3cret-key\n", encoding="utf-8")
    monkeypatch.delenv("KYC_KEY")
    monkeypatch.setenv("KYC_KEY_FILE", str(folder.path / "key"))
    folder.build()
    found = bootstrap.configuration(folder.path / "brokersync.yaml")
    assert found.settings.connections["kyc"]["secret_key"] == "s3cret-key"
    assert "s3cret" not in repr(found)


def test_the_environment_is_named_where_it_was_used(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKERSYNC_IN_FLIGHT", "lots")
    assert "environment variable BROKERSYNC_IN_FLIGHT: " in folder.refusal()
    monkeypatch.delenv("BROKERSYNC_IN_FLIGHT")
    monkeypatch.setenv("BROKERSYNC_RATES", "{")
    assert folder.refusal() == "environment variable BROKERSYNC_RATES: expected JSON"


@pytest.mark.parametrize("text", ["", "- north\n", "hello\n"])
def test_a_file_without_settings_is_refused(folder: Folder, text: str) -> None:
    folder.config = text
    assert "brokersync.yaml" in folder.refusal()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml does not exist"):
        bootstrap.configuration(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("brands: Société".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml is not UTF-8 text"):
        bootstrap.configuration(tmp_path / "latin.yaml")


def test_what_yaml_would_turn_round_stays_as_written(tmp_path: Path) -> None:
    """Norway is no "no", and six in the evening is no 1080."""
    text = "countries: [NO, CY]\nopens: 18:00\nyes: 1\n5: x\nn: 5\nb: true\n"
    data = yaml_file.parse(text, "x.yaml").data
    assert data == {
        "countries": ["NO", "CY"], "opens": "18:00", "yes": 1, "5": "x", "n": 5, "b": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("0.93", "abc", 3, "the rate must be a number"),
        ("0.93", "-1", 3, "the rate must be above 0"),
        ("0.93", "NaN", 3, "the rate must be above 0"),
        ("2026-03-02", "02/03/2026", 3, "YYYY-MM-DD"),
        (",EUR,0.93", "", 3, "expected 4 values"),
        ("02,USD", "02,$", 3, "no currency code"),
        ("02,USD,EUR", "02,USD,EURO", 3, "unknown currency 'EURO'"),
        ("2026-03-02", "2026-03-01", 3, "another rate for this day"),
        ("rate\n", "price\n", 1, "missing: rate"),
        (RATES, "", 1, "needs the columns date,currency,base,rate"),
    ],
)
def test_a_broken_row_of_rates_is_named(
    folder: Folder, old: str, new: str, line: int, says: str
) -> None:
    assert old in folder.rates
    folder.rates = folder.rates.replace(old, new, 1)
    refusal = folder.refusal()
    assert f"rates.csv, line {line}: " in refusal
    assert says in refusal


# --- the rule set ------------------------------------------------------------------------------

RULE_SET = [
    # expressions: the line in the file, also inside a folded text of several lines
    Bad("  funded: deposits > 0", "  funded: deposit > 0", "  funded:", ("'deposits'?",)),
    Bad(
        "and (first_withdrawal_settled_at",
        "and (first_withdrawal_setled_at",
        "and (first_withdrawal_setled_at",
        ("stages.LS8.when", "first_withdrawal_settled_at", "^^^"),
    ),
    Bad(
        "when hours_between(registered_at, first_attempt_at)",
        "when hours_between(registered_at, first_atempt_at)",
        "when hours_between(registered_at, first_atempt_at)",
        ("definitions.high_intent_at", "Did you mean 'first_attempt_at'?"),
    ),
    Bad(
        "when: open_doubts\n",
        "when: chargebacks_open\n",
        "when: chargebacks_open\n",
        ("stages.LS12.when",),
    ),
    Bad("hours_since(kyc_step_at) >= 24", "kyc_step_at >= 24", "kyc_step_at >= 24", ("CS2.when",)),
    Bad("since: kyc_status_at\n", "since: kyc_status\n", "since: kyc_status\n", ("CS3.since",)),
    Bad("when: excluded\n", "when: excluded and (\n", "when: excluded and (", ("LS0.when",)),
    Bad("when: excluded\n", "when: [excluded]\n", "when: [excluded]", ("expected a rule such as",)),
    Bad("when: excluded\n", "when:\n", "when:\n", ("LS0.when: expected a rule",)),
    Bad("value: registered_at,", "value: kyc_status,", "value: kyc_status, type: date", ("fit",)),
    Bad(
        "sooner: {when: high_intent_at is",
        "sooner: {when: hi_intent_at is",
        "sooner: {when: hi_intent_at is",
        ("CS1.sooner.when",),
    ),
    # texts
    Bad("Missing or failed: {kyc_gap}", "Missing or failed: {kyc_gaps}", "{kyc_gaps}",
        ("CS3.body", "Did you mean")),
    Bad("subject: \"KYC rejected: {kyc_rejection_reason}", 'subject: "KYC rejected: {why}',
        'subject: "KYC rejected: {why}', ("CS3.subject: there is no fact 'why'",)),
    Bad("action: Name the", "action: Name {kyc_gap}, the", "action: Name {", ("CS3.action",)),
    Bad("action: Name the missing or failed document and the fix", "action:", "action:\n",
        ("CS3.action: expected a text",)),
    Bad("label: KYC rejected, needs", "label: [KYC], needs", "label: [KYC]", ("not valid YAML",)),
    # keys and values
    Bad("    due: 5 minutes", "    due: soon", "    due: soon", ("CS5.due: 'soon'", "'5 minutes'")),
    Bad("    due: 5 minutes", "    due: 0 minutes", "    due: 0 m", ("CS5.due",)),
    Bad("    due: 5 minutes", "    due: 99 hours", "    due: 99", ("too long", "24 hours")),
    Bad("    due: 5 minutes", "    deu: 5 minutes", "    deu", ("CS5.deu: unknown key", "'due'")),
    Bad("owner: payments", "owner: cashier", "owner: cashier", ("CS5.owner", "payments")),
    Bad("    owner: payments\n", "", "- id: CS5", ("states.CS5: 'owner' is missing",)),
    Bad("states:\n", "statess:\n", "statess", ("unknown key", "states")),
    Bad("version: 1\n", "version: 2\n", "version: 2", ("reads version 1",)),
    Bad("- id: CS14", "- id: CS9", "- id: CS9", ("'CS9' stands twice",)),
    Bad("- id: CS14", "- id: CS:14", "- id: CS:14", ("letters and digits",)),
    Bad("property: source_type,", "property: campaign,", "property: campaign,", ("stands twice",)),
    Bad("property: country,", "property: Country,", "property: Country", ("lower-case",)),
    Bad("value: country, type: string", "value: country, type: text", "value: country",
        ("fields.country.type", "enumeration")),
    Bad("value: country, type", "value: country, from: client.email, type", "value: country",
        ("exactly one of",)),
    Bad("from: client.email", "from: client.mail", "from: client.mail", ("client.email",)),
    Bad("native: true, owner: person, label: E-mail", "native: no, label: E-mail", "native: no",
        ("fields.email.native: expected true or false",)),
    Bad('when: "true"', "when: deposits > 0", "stages:", ("the last stage", "everyone")),
]  # fmt: skip


@pytest.mark.parametrize("bad", RULE_SET, ids=lambda bad: bad.__name__)
def test_a_mistake_in_the_rules_is_named(folder: Folder, bad: Bad) -> None:
    folder.rules = changed(RULES, bad)
    expect(folder.refusal(), "rules.yaml", folder.rules, bad)


def test_without_a_client_table_the_refusal_names_it() -> None:
    data = yaml_file.read(DEFAULT_RULES).data
    with pytest.raises(RuleSetError) as caught:
        load_rules(data, ["kyc", "psp"])
    assert "reads registry" in str(caught.value)
    with pytest.raises(RuleSetError) as caught:
        load_rules({**data, "stages": []}, ["registry", "kyc", "psp"])
    assert "so that everyone has one" in str(caught.value)


def test_the_mistake_of_several_brands_is_named_once(folder: Folder) -> None:
    folder.rules = RULES.replace("when: excluded\n", "when: exluded\n")
    one = folder.refusal()
    south = "  south: {zone: UTC, base_currency: JPY, destination: crm}\nconnections:"
    folder.config = folder.config.replace("connections:", south, 1)
    assert folder.refusal() == one
    assert one.count("exluded") == 2  # the message and the line it shows


def test_every_mistake_of_the_rules_is_named_at_once(folder: Folder) -> None:
    rules = RULES.replace("    due: 5 minutes", "    due: soon")
    rules = rules.replace("owner: support", "owner: nobody").replace("failed: {kyc_gap}", "{x}")
    folder.rules = rules
    refusal = folder.refusal()
    assert [path in refusal for path in ("CS5.due", "CS8.owner", "CS3.body")] == [True] * 3


def test_the_line_of_a_place_in_a_text() -> None:
    text = 'a: >-\n  one\n  two three\n\n  four\nb: "one\n  two"\nc: |\n  x\n  y\nd: plain\n  on\n'
    file = yaml_file.parse(text, "x.yaml")

    def line(path: str, word: str) -> int:
        return file.line_of(path, file.data[path].index(word), file.data[path])

    assert [line("a", w) for w in ("one", "two", "three", "four")] == [2, 3, 3, 5]
    assert [line("b", w) for w in ("one", "two")] == [6, 7]
    assert [line("c", w) for w in ("x", "y")] == [9, 10]
    assert [line("d", w) for w in ("plain", "on")] == [11, 12]
