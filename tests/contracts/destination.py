"""What every CRM destination must do, judged by what its fake portal holds afterwards.

A vendor's test file inherits :class:`DestinationContract` and gives it a ``portal`` fixture.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

import pytest

from connectors.base import Boundary
from connectors.destination import (
    GONE,
    Applied,
    CrmObject,
    CrmProperty,
    Destination,
    NoRightError,
    Option,
    Outcome,
    Refused,
    Write,
)
from mapping.errors import AmbiguousError, BrokersyncError, ConfigError, QuotaError

STATUS = CrmProperty(
    "kyc_status",
    "KYC status",
    "enumeration",
    options=(Option("started", "Started"), Option("approved", "Approved")),
)
SINCE = CrmProperty("kyc_since", "KYC since", "datetime")
DAY = CrmProperty("first_deposit_date", "First deposit", "date")
AMOUNT = CrmProperty("total_deposit_amount", "Deposits", "number")
HOLD = CrmProperty("bonus_paused", "Bonus paused", "bool")
WANTED = (STATUS, SINCE, DAY, AMOUNT, HOLD)
PLAN = CrmProperty(
    "partner_plan", "Plan", "enumeration", options=(Option("cpa", "CPA"), Option("none", "None"))
)
TASK = {"subject": "Call Zoë", "due": "1772409600000", "priority": "HIGH", "status": "open"}


class Portal(Protocol):
    """What a vendor's test file provides: its fake, and a destination over it."""

    secret: str
    secret_words: str
    """What the hub's error names when the secret is wrong."""
    write_scope: str
    contact_key: CrmProperty
    task_key: CrmProperty
    company_key: CrmProperty
    company_write_scope: str
    first_name: str
    last_name: str
    email: str
    blank_bool: str
    """What a yes/no reads as once it was cleared: blank, or false where it cannot be blank."""
    quota_words: str
    """How the hub's error says when calls are left again."""
    owners: Sequence[tuple[str, bool]]
    """(CRM id, active) of the owners the fake has."""

    def named(self, name: str) -> str:
        """What the CRM's admins call a property of the hub's."""

    def destination(self, *, secret: str = "", boundary: Boundary | None = None) -> Destination:
        """A destination over the fake, with another secret if given."""

    def contacts(self) -> Mapping[str, Mapping[str, str]]:
        """The fake's contacts by CRM id."""

    def links(self) -> Mapping[str, Sequence[str]]:
        """The fake's links, task CRM id -> contact CRM ids."""

    def tasks(self) -> Mapping[str, Mapping[str, str]]:
        """The fake's tasks by CRM id."""

    def companies(self) -> Mapping[str, Mapping[str, str]]:
        """The fake's companies by CRM id."""

    def archive_company(self, crm_id: str) -> None:
        """A person deletes a company."""

    def merge_companies(self, primary: str, loser: str) -> str:
        """A person merges two companies; the survivor's id."""

    def calls(self) -> int:
        """Calls the fake has received, as its limits count them."""

    def signed_in(self) -> int:
        """Further calls, to sign in."""

    def lose_answers(self, count: int) -> None:
        """The next ``count`` calls take effect, but their answers are lost."""

    def too_fast(self) -> None:
        """The next call is refused by the burst limit."""

    def remove_scope(self, scope: str) -> None:
        """Take a right from the token."""

    def use_up_the_day(self) -> None:
        """No calls are left for today."""

    def next_day(self) -> None:
        """Let the portal's day pass."""


def _one(outcomes: Sequence[Outcome]) -> Outcome:
    assert len(outcomes) == 1
    return outcomes[0]


class DestinationContract:
    """The tests."""

    @pytest.fixture
    def hub(self, portal: Portal) -> Destination:
        """A destination whose portal has the hub's properties."""
        hub = portal.destination()
        hub.install(CrmObject.CONTACT, [portal.contact_key, *WANTED])
        hub.install(CrmObject.TASK, [portal.task_key])
        hub.install(CrmObject.COMPANY, [portal.company_key, PLAN, DAY])
        return hub

    def contact(self, portal: Portal, key: str = "alpha:C1", **more: str) -> Write:
        """A contact with a name."""
        return Write(key, {portal.first_name: "Ana", portal.last_name: "Berg", **more})

    # Writing

    def test_pushing_twice_makes_one_contact(self, portal: Portal, hub: Destination) -> None:
        first = _one(hub.upsert(CrmObject.CONTACT, [self.contact(portal)]))
        again = _one(hub.upsert(CrmObject.CONTACT, [self.contact(portal, kyc_status="approved")]))
        assert isinstance(first, Applied)
        assert isinstance(again, Applied)
        assert (first.created, again.created) == (True, False)
        assert first.crm_id == again.crm_id
        (held,) = portal.contacts().values()
        assert held["kyc_status"] == "approved"
        assert held[portal.first_name] == "Ana"

    def test_every_input_has_its_own_outcome(self, portal: Portal, hub: Destination) -> None:
        names = {f"alpha:C{n}": f"Name {n}" for n in range(hub.batch)}
        writes = [Write(key, {portal.first_name: name}) for key, name in names.items()]
        outcomes = hub.upsert(CrmObject.CONTACT, writes)
        assert [o.key for o in outcomes] == list(names)
        held = portal.contacts()
        for outcome in outcomes:
            assert isinstance(outcome, Applied)
            assert held[outcome.crm_id][portal.first_name] == names[outcome.key]
            assert held[outcome.crm_id][portal.contact_key.name] == outcome.key

    def test_one_bad_record_stops_only_itself(self, portal: Portal, hub: Destination) -> None:
        good, bad, last = hub.upsert(
            CrmObject.CONTACT,
            [
                self.contact(portal, "alpha:C1", kyc_status="approved"),
                self.contact(portal, "alpha:C2", kyc_status="mystery"),
                self.contact(portal, "alpha:C3"),
            ],
        )
        assert isinstance(good, Applied)
        assert isinstance(last, Applied)
        assert isinstance(bad, Refused)
        assert bad.properties == (portal.named("kyc_status"),)
        assert "kyc_status" in bad.admin
        assert "mystery" not in f"{bad!r}"
        keys = {c[portal.contact_key.name] for c in portal.contacts().values()}
        assert keys == {"alpha:C1", "alpha:C3"}

    def test_an_unknown_property_is_named(self, portal: Portal, hub: Destination) -> None:
        refused = _one(hub.upsert(CrmObject.CONTACT, [self.contact(portal, no_such_field="x")]))
        assert isinstance(refused, Refused)
        assert refused.properties == (portal.named("no_such_field"),)
        assert "no_such_field" in refused.admin
        assert portal.contacts() == {}

    def test_a_value_of_the_wrong_type_is_named(self, portal: Portal, hub: Destination) -> None:
        for name, text in (("first_deposit_date", "yesterday"), ("kyc_since", "soon")):
            refused = _one(hub.upsert(CrmObject.CONTACT, [self.contact(portal, **{name: text})]))
            assert isinstance(refused, Refused)
            assert refused.properties == (portal.named(name),)
        assert portal.contacts() == {}

    def test_mistakes_of_the_caller_never_leave_the_house(
        self, portal: Portal, hub: Destination
    ) -> None:
        before = portal.calls()
        twice = [self.contact(portal), self.contact(portal)]
        with pytest.raises(ValueError, match="twice"):
            hub.upsert(CrmObject.CONTACT, twice)
        largest = hub.batch_of(CrmObject.CONTACT, 10**9)
        many = [self.contact(portal, f"alpha:C{n}") for n in range(largest + 1)]
        with pytest.raises(ValueError, match="at most"):
            hub.upsert(CrmObject.CONTACT, many)
        with pytest.raises(ValueError, match="at most"):
            hub.read(CrmObject.CONTACT, [w.key for w in many], [])
        assert hub.upsert(CrmObject.CONTACT, []) == []
        assert hub.read(CrmObject.CONTACT, [], []) == {}
        assert portal.calls() == before

    # Reading

    def test_values_come_back_as_they_went(self, portal: Portal, hub: Destination) -> None:
        values = {
            portal.first_name: "Zoë O’Neil 李 🙂",
            "kyc_status": "started",
            "kyc_since": "1772409599123",
            "first_deposit_date": "2026-03-29",
            "total_deposit_amount": "12345.678",
            "bonus_paused": "true",
        }
        hub.upsert(CrmObject.CONTACT, [Write("alpha:C1", values)])
        records = hub.read(CrmObject.CONTACT, ["alpha:C1", "alpha:C2"], list(values))
        assert set(records) == {"alpha:C1"}
        assert dict(records["alpha:C1"].properties) == values

    def test_blank_clears_and_reads_as_blank(self, portal: Portal, hub: Destination) -> None:
        names = [p.name for p in WANTED]
        hub.upsert(CrmObject.CONTACT, [self.contact(portal, first_deposit_date="2026-03-01")])
        hub.upsert(CrmObject.CONTACT, [Write("alpha:C1", dict.fromkeys(names, ""))])
        record = hub.read(CrmObject.CONTACT, ["alpha:C1"], names)["alpha:C1"]
        assert dict(record.properties) == {
            **dict.fromkeys(names, ""), HOLD.name: portal.blank_bool
        }  # fmt: skip

    # Tasks

    def test_a_task_is_linked_once_however_often(self, portal: Portal, hub: Destination) -> None:
        ids = []
        for _ in range(2):
            task = _one(hub.upsert(CrmObject.TASK, [Write("alpha:C1:CS5:1", TASK)]))
            contact = _one(hub.upsert(CrmObject.CONTACT, [self.contact(portal)]))
            assert isinstance(task, Applied)
            assert isinstance(contact, Applied)
            linked = _one(hub.associate([(task.crm_id, contact.crm_id)]))
            assert isinstance(linked, Applied)
            assert linked.key == task.crm_id
            ids.append((task.crm_id, contact.crm_id))
        assert ids[0] == ids[1]
        assert len(portal.tasks()) == 1
        assert portal.links() == {ids[0][0]: [ids[0][1]]}
        record = hub.read(CrmObject.TASK, ["alpha:C1:CS5:1"], [])["alpha:C1:CS5:1"]
        assert (record.crm_id, record.associated) == (ids[0][0], {ids[0][1]})

    def test_a_task_goes_by_the_hubs_words(self, portal: Portal, hub: Destination) -> None:
        values = TASK | {
            "body": "Card declined.\nAsk for another method: 50 € < 100 €",
            "owner": next(crm_id for crm_id, active in portal.owners if active),
        }
        hub.upsert(CrmObject.TASK, [Write("k", values)])
        assert dict(hub.read(CrmObject.TASK, ["k"], list(values))["k"].properties) == values
        for status in ("done", "open"):
            hub.upsert(CrmObject.TASK, [Write("k", {"status": status})])
            record = hub.read(CrmObject.TASK, ["k"], ["status", "subject"])["k"]
            assert dict(record.properties) == {"status": status, "subject": TASK["subject"]}

    def test_an_owner_who_left_is_refused(self, portal: Portal, hub: Destination) -> None:
        left = next(crm_id for crm_id, active in portal.owners if not active)
        refused = _one(hub.upsert(CrmObject.TASK, [Write("k", TASK | {"owner": left})]))
        assert isinstance(refused, Refused)
        assert "owner" in refused.admin.lower()
        assert portal.tasks() == {}

    def test_a_link_to_nobody_is_refused_alone(self, portal: Portal, hub: Destination) -> None:
        task = _one(hub.upsert(CrmObject.TASK, [Write("k", TASK)]))
        contact = _one(hub.upsert(CrmObject.CONTACT, [self.contact(portal)]))
        assert isinstance(task, Applied)
        assert isinstance(contact, Applied)
        good, bad = hub.associate([(task.crm_id, contact.crm_id), (task.crm_id, "999999999")])
        assert isinstance(good, Applied)
        assert isinstance(bad, Refused)
        assert portal.links() == {task.crm_id: [contact.crm_id]}

    def test_a_task_without_links_has_none(self, portal: Portal, hub: Destination) -> None:
        hub.upsert(CrmObject.TASK, [Write("k", TASK)])
        assert hub.read(CrmObject.TASK, ["k"], [])["k"].associated == frozenset()

    # Companies

    def test_companies_go_by_the_hubs_key_and_then_by_their_id(
        self, portal: Portal, hub: Destination
    ) -> None:
        values = {"name": "Ångström 李", "partner_plan": "cpa", "first_deposit_date": "2026-03-29"}
        writes = [Write("alpha:A-17", values), Write("beta:A-17", values | {"name": "Other"})]
        for created in (True, False):
            found = hub.upsert(CrmObject.COMPANY, writes)
            assert [o.created for o in found if isinstance(o, Applied)] == [created] * 2
        assert len(portal.companies()) == 2
        records = hub.read(CrmObject.COMPANY, ["alpha:A-17", "alpha:none"], list(values))
        assert {k: dict(r.properties) for k, r in records.items()} == {"alpha:A-17": values}
        crm_id = records["alpha:A-17"].crm_id
        plan = Write("alpha:A-17", {"partner_plan": "none"}, crm_id)
        changed = _one(hub.upsert(CrmObject.COMPANY, [plan]))
        assert isinstance(changed, Applied)
        by_id = hub.read_ids(CrmObject.COMPANY, [crm_id, "999999999"], ["partner_plan"])
        assert {i: (r.key, dict(r.properties)) for i, r in by_id.items()} == {
            crm_id: ("alpha:A-17", {"partner_plan": "none"})
        }
        assert hub.keyed(CrmObject.COMPANY)

    def test_a_company_without_a_name_and_one_with_a_wrong_plan_are_refused_alone(
        self, portal: Portal, hub: Destination
    ) -> None:
        found = hub.upsert(
            CrmObject.COMPANY,
            [
                Write("alpha:A-1", {"partner_plan": "cpa"}),
                Write("alpha:A-2", {"name": "Two", "partner_plan": "mystery"}),
                Write("alpha:A-3", {"name": "Three"}),
            ],
        )
        assert [type(o) for o in found] == [Refused, Refused, Applied]
        assert [c["name"] for c in portal.companies().values()] == ["Three"]
        assert "mystery" not in repr(found)

    def test_a_deleted_company_is_gone_and_a_merged_one_leads_to_the_survivor(
        self, portal: Portal, hub: Destination
    ) -> None:
        keys = ["alpha:A-1", "alpha:A-2", "alpha:A-3"]
        found = hub.upsert(CrmObject.COMPANY, [Write(k, {"name": k}) for k in keys])
        one, two, three = (o.crm_id for o in found if isinstance(o, Applied))
        portal.archive_company(one)
        survivor = portal.merge_companies(two, three)
        records = hub.read_ids(CrmObject.COMPANY, [one, two, three], ["name"])
        assert {i: (r.crm_id, r.key) for i, r in records.items()} == {
            two: (survivor, "alpha:A-2"), three: (survivor, "alpha:A-2"),
        }  # fmt: skip
        gone = _one(hub.upsert(CrmObject.COMPANY, [Write(keys[0], {"name": "Again"}, one)]))
        assert isinstance(gone, Refused)
        assert gone.code == GONE
        assert len(portal.companies()) == 1

    def test_a_lost_answer_doubles_no_company(self, portal: Portal, hub: Destination) -> None:
        hub.describe(CrmObject.COMPANY)
        portal.lose_answers(1)
        again = _one(hub.upsert(CrmObject.COMPANY, [Write("alpha:A-1", {"name": "One"})]))
        assert isinstance(again, Applied)
        assert len(portal.companies()) == 1

    def test_what_the_token_lacks_for_companies_is_named_and_concerns_nothing_else(
        self, portal: Portal, hub: Destination
    ) -> None:
        assert hub.lacks(CrmObject.COMPANY) == ""
        portal.remove_scope(portal.company_write_scope)
        assert portal.company_write_scope in hub.lacks(CrmObject.COMPANY)
        assert portal.companies() == {}
        hub.check()
        assert isinstance(_one(hub.upsert(CrmObject.CONTACT, [self.contact(portal)])), Applied)
        with pytest.raises(NoRightError, match=portal.company_write_scope):
            hub.upsert(CrmObject.COMPANY, [Write("alpha:A-1", {"name": "One"})])

    # Lost answers and limits

    def test_a_lost_answer_doubles_nothing(self, portal: Portal, hub: Destination) -> None:
        hub.describe(CrmObject.CONTACT), hub.describe(CrmObject.TASK)
        portal.lose_answers(1)
        contact = _one(hub.upsert(CrmObject.CONTACT, [self.contact(portal)]))
        portal.lose_answers(1)
        task = _one(hub.upsert(CrmObject.TASK, [Write("k", TASK)]))
        assert isinstance(contact, Applied)
        assert isinstance(task, Applied)
        portal.lose_answers(1)
        hub.associate([(task.crm_id, contact.crm_id)])
        assert len(portal.contacts()) == len(portal.tasks()) == 1
        assert portal.links() == {task.crm_id: [contact.crm_id]}

    def test_answers_lost_for_good_are_ambiguous(self, portal: Portal, hub: Destination) -> None:
        hub.describe(CrmObject.CONTACT)
        portal.lose_answers(50)
        with pytest.raises(AmbiguousError):
            hub.upsert(CrmObject.CONTACT, [self.contact(portal)])
        portal.lose_answers(-1)
        again = _one(hub.upsert(CrmObject.CONTACT, [self.contact(portal)]))
        assert isinstance(again, Applied)
        assert len(portal.contacts()) == 1

    def test_the_burst_limit_is_waited_out(self, portal: Portal, hub: Destination) -> None:
        hub.describe(CrmObject.CONTACT)
        portal.too_fast()
        assert isinstance(_one(hub.upsert(CrmObject.CONTACT, [self.contact(portal)])), Applied)
        assert hub.counts.rate_limited == 1

    def test_the_daily_limit_stops_at_once(self, portal: Portal, hub: Destination) -> None:
        hub.describe(CrmObject.CONTACT)
        portal.use_up_the_day()
        before = portal.calls()
        with pytest.raises(QuotaError) as stopped:
            hub.upsert(CrmObject.CONTACT, [self.contact(portal)])
        assert portal.calls() == before + 1
        assert portal.quota_words in stopped.value.admin
        assert portal.contacts() == {}
        portal.next_day()
        assert isinstance(_one(hub.upsert(CrmObject.CONTACT, [self.contact(portal)])), Applied)

    def test_calls_are_counted(self, portal: Portal, hub: Destination) -> None:
        hub.check()
        assert hub.counts.calls == portal.calls()

    def test_each_call_is_announced(self, portal: Portal, hub: Destination) -> None:
        heard: list[str] = []
        other = portal.destination(boundary=heard.append)
        before = portal.calls() + portal.signed_in()
        other.check()
        made = portal.calls() + portal.signed_in() - before
        assert made >= other.counts.calls > 0
        assert heard == [f"http:before:{other.name}", f"http:after:{other.name}"] * made

    # Rights and schema

    def test_a_wrong_token_is_the_admins_to_mend(self, portal: Portal) -> None:
        with pytest.raises(ConfigError) as wrong:
            portal.destination(secret="wrong-secret-123").check()
        assert portal.secret_words in wrong.value.admin
        _silent([wrong.value], "wrong-secret-123")

    def test_a_missing_scope_is_named(self, portal: Portal, hub: Destination) -> None:
        portal.remove_scope(portal.write_scope)
        with pytest.raises(ConfigError, match=portal.write_scope):
            hub.check()
        with pytest.raises(ConfigError, match=portal.write_scope):
            hub.upsert(CrmObject.CONTACT, [self.contact(portal)])

    def test_installing_twice_changes_nothing(self, portal: Portal, hub: Destination) -> None:
        before = hub.describe(CrmObject.CONTACT)
        assert hub.install(CrmObject.CONTACT, [portal.contact_key, *WANTED]) == []
        assert hub.describe(CrmObject.CONTACT) == before
        for wanted in (portal.contact_key, *WANTED):
            have = before[wanted.name]
            assert (have.type, have.label, have.unique) == (
                wanted.type,
                wanted.label,
                wanted.unique,
            )
        assert before["kyc_status"].options == STATUS.options

    def test_missing_options_join_the_present_ones(self, portal: Portal, hub: Destination) -> None:
        new = Option("expired", "Expired")
        wanted = CrmProperty("kyc_status", "KYC", "enumeration", options=(STATUS.options[0], new))
        (done,) = hub.install(CrmObject.CONTACT, [wanted])
        assert "expired" in done
        have = hub.describe(CrmObject.CONTACT)["kyc_status"]
        assert have.options == (*STATUS.options, new)

    def test_a_property_of_another_type_is_not_touched(
        self, portal: Portal, hub: Destination
    ) -> None:
        wanted = [CrmProperty("kyc_status", "x", "number"), CrmProperty("new_one", "x", "string")]
        with pytest.raises(ConfigError, match="kyc_status is of type enumeration"):
            hub.install(CrmObject.CONTACT, wanted)
        assert "new_one" not in hub.describe(CrmObject.CONTACT)

    def test_archived_owners_are_listed_too(self, portal: Portal, hub: Destination) -> None:
        assert {(o.crm_id, o.active) for o in hub.owners()} == set(portal.owners)

    # Silence

    def test_no_secret_and_no_value_is_told(
        self, portal: Portal, hub: Destination, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        private = ("secretname", "secret.person@example", "+35799123456")
        bad = {portal.email: private[1], "kyc_status": private[0], "first_deposit_date": private[2]}
        told: list[object] = [repr(hub), repr(vars(hub))]
        for values in ({portal.email: private[1]}, {"kyc_status": private[0]}, bad):
            told += [
                repr(o) for o in hub.upsert(CrmObject.CONTACT, [self.contact(portal, **values)])
            ]
        told.append(repr(Write("k", bad)))
        portal.lose_answers(50)
        with pytest.raises(AmbiguousError) as lost:
            hub.upsert(CrmObject.CONTACT, [self.contact(portal, last=private[0])])
        told.append(caplog.text)
        _silent([lost.value], portal.secret, *private)
        for secret in (portal.secret, *private):
            assert not [text for text in told if secret in str(text)]


def _silent(errors: Sequence[BrokersyncError], *secrets: str) -> None:
    for error in errors:
        for secret in secrets:
            assert secret not in f"{error} {error!r} {error.admin} {error.log}"
