"""Queries. Expected rows are worked out by hand from the six contacts below."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.salesforce import SALES, Fault
from tests.simulator.salesforce.rig import Rig, V, sdk_refused

MINUTE = 60


@pytest.fixture
def rig(rigs: Any) -> Rig:
    """Six contacts, one a minute from 2026-03-01T00:00:00Z."""
    rig: Rig = rigs()
    account = rig.create("Account", Name="Partner")
    people: list[dict[str, Any]] = [
        {"FirstName": "Ana", "Deposits__c": 10, "Stage__c": "Funded", "AccountId": account},
        {"FirstName": "bea", "Deposits__c": 20.5, "Tags__c": "a;b", "Birthdate": "1980-02-29"},
        {"FirstName": "Cleo", "Vip__c": True, "Stage__c": "Registered", "Tags__c": "b"},
        {"FirstName": "Dan_1", "Email": "dan@b.co", "Seen__c": "2026-02-28T23:59:59Z"},
        {"FirstName": "O'Neil", "Deposits__c": -1, "Seen__c": "2026-03-01T00:00:00Z"},
        {"Title": "Dr", "Stage__c": "Funded", "Birthdate": "2000-01-01"},
    ]
    for n, values in enumerate(people, start=1):
        rig.contact(f"C{n}", LastName=f"L{n % 2}", **values)
        rig.world.sleep(MINUTE)
    return rig


WHERE = [
    ("", "123456"),
    ("FirstName = 'ANA'", "1"),
    ("FirstName != 'ana'", "23456"),
    ("FirstName <> 'ana'", "23456"),
    ("FirstName = null", "6"),
    ("FirstName != null", "12345"),
    ("FirstName = ''", "6"),
    ("FirstName IN ('ana', 'BEA', 'zoe')", "12"),
    ("FirstName NOT IN ('ana', 'bea')", "3456"),
    ("FirstName LIKE 'd%'", "4"),
    ("FirstName LIKE '%e%'", "235"),
    ("FirstName LIKE '_ea'", "2"),
    ("FirstName LIKE 'dan\\_1'", "4"),
    ("FirstName LIKE 'da\\_%'", ""),
    ("FirstName = 'O\\'Neil'", "5"),
    ("FirstName > 'c'", "345"),
    ("Deposits__c = 10", "1"),
    ("Deposits__c >= 10.0", "12"),
    ("Deposits__c < 0", "5"),
    ("Deposits__c = -1", "5"),
    ("Deposits__c <= 20.5 AND Deposits__c > -1", "12"),
    ("Vip__c = true", "3"),
    ("Vip__c != TRUE", "12456"),
    ("Birthdate = 1980-02-29", "2"),
    ("Birthdate > 1990-01-01", "6"),
    ("Seen__c < 2026-03-01T00:00:00Z", "4"),
    ("Seen__c >= 2026-03-01T01:00:00+01:00", "5"),
    ("Seen__c = TODAY", "5"),
    ("Seen__c = YESTERDAY", "4"),
    ("Seen__c = LAST_N_DAYS:1", "45"),
    ("Seen__c < THIS_MONTH", "4"),
    ("Seen__c = LAST_MONTH", "4"),
    ("Seen__c != TODAY", "12346"),
    ("CreatedDate > 2026-03-01T00:02:00.000Z", "456"),
    ("Hub_Key__c = 'c3'", "3"),
    ("Hub_Key__c IN ('C5', 'c1', 'C9')", "15"),
    ("Hub_Key__c IN ('C5', 'c1') AND LastName = 'l1' AND Vip__c = false", "15"),
    ("email = 'DAN@B.CO'", "4"),
    ("Stage__c = 'Funded' OR Vip__c = true", "136"),
    ("Stage__c = 'Funded' AND (Title = 'dr' OR Vip__c = true)", "6"),
    ("NOT Stage__c = 'Funded'", "2345"),
    ("NOT (Stage__c = 'Funded' OR Vip__c = true)", "245"),
    ("(NOT FirstName LIKE '%a%') AND LastName = 'L1'", "35"),
    ("Tags__c INCLUDES ('a')", "2"),
    ("Tags__c INCLUDES ('a;b', 'c')", "2"),
    ("Tags__c INCLUDES ('b')", "23"),
    ("Tags__c EXCLUDES ('b')", "1456"),
    ("Account.Name = 'partner'", "1"),
    ("Account.Name != 'partner'", "23456"),
    ("Owner.Name = 'Broker Hub' AND Vip__c = true", "3"),
    ("AccountId = null", "23456"),
    ("ORDER BY Deposits__c", "346512"),
    ("ORDER BY Deposits__c DESC", "346215"),
    ("ORDER BY Deposits__c DESC NULLS LAST", "215346"),
    ("ORDER BY LastName DESC, FirstName NULLS LAST", "135246"),
    ("WHERE Deposits__c != null ORDER BY FirstName DESC LIMIT 2", "52"),
    ("ORDER BY CreatedDate ASC LIMIT 2 OFFSET 3", "45"),
    ("LIMIT 0", ""),
]


@pytest.mark.parametrize(("clause", "expected"), WHERE)
def test_which_rows(rig: Rig, clause: str, expected: str) -> None:
    word = "" if not clause or clause.startswith(("ORDER", "LIMIT", "WHERE")) else "WHERE "
    rows = rig.soql(f"SELECT Hub_Key__c FROM Contact {word}{clause}")
    assert "".join(row["Hub_Key__c"][1] for row in rows) == expected


def test_an_alias_and_any_case(rig: Rig) -> None:
    rows = rig.soql("select c.hub_key__c from contact c where c.account.name = 'Partner'")
    assert rows == [{"Hub_Key__c": "C1"}]


def test_ids_of_both_lengths(rig: Rig) -> None:
    row_id = rig.fake.records("Contact", "Hub_Key__c")["C3"]["Id"]
    for text in (row_id, row_id[:15], row_id.lower()):
        assert rig.soql(f"SELECT Id FROM Contact WHERE Id = '{text}'") == [{"Id": row_id}]
    status, error = rig.refused("GET", "query", params={"q": "SELECT Id FROM Contact WHERE Id='x'"})
    assert (status, error["errorCode"]) == (400, "INVALID_QUERY_FILTER_OPERATOR")


def test_how_rows_are_shown(rig: Rig) -> None:
    text = (
        "SELECT Id, Account.Name, Account.Owner.Username, Deposits__c, Vip__c FROM Contact "
        "WHERE Hub_Key__c IN ('C1', 'C2') ORDER BY Hub_Key__c"
    )
    answer = rig.sf.query(text)
    assert (answer["totalSize"], answer["done"], "nextRecordsUrl" in answer) == (2, True, False)
    first, second = answer["records"]
    rows = rig.fake.records("Contact", "Hub_Key__c")
    one, account = rows["C1"]["Id"], rows["C1"]["AccountId"]
    assert first == {
        "attributes": {"type": "Contact", "url": f"{V}/sobjects/Contact/{one}"},
        "Id": one,
        "Account": {
            "attributes": {"type": "Account", "url": f"{V}/sobjects/Account/{account}"},
            "Name": "Partner",
            "Owner": {
                "attributes": {"type": "User", "url": f"{V}/sobjects/User/{rig.fake.hub_id}"},
                "Username": "hub@broker.test",
            },
        },
        "Deposits__c": 10.0,
        "Vip__c": False,
    }
    assert second["Account"] is None


def test_parents_of_several_kinds(rig: Rig) -> None:
    contact = rig.fake.records("Contact", "Hub_Key__c")["C1"]["Id"]
    queue = rig.fake.records("Group", "DeveloperName")["Retention"]["Id"]
    rig.create("Task", Subject="Call", WhoId=contact, OwnerId=queue)
    (row,) = rig.sf.query("SELECT Who.Type, Who.Name, Owner.Name, What.Name FROM Task")["records"]
    assert (row["Who"]["Type"], row["Who"]["Name"]) == ("Contact", "Ana L1")
    assert (row["Owner"]["Name"], row["What"]) == ("Retention", None)
    assert rig.soql("SELECT Id FROM Task WHERE Who.Type = 'Lead'") == []
    assert len(rig.soql("SELECT Id FROM Task WHERE Owner.Type = 'Group'")) == 1


def test_queues_as_a_client_finds_them(rig: Rig) -> None:
    rows = rig.soql("SELECT Id, DeveloperName FROM Group WHERE Type = 'Queue' ORDER BY Id")
    assert [row["DeveloperName"] for row in rows] == ["Retention", "Leads_Only"]
    text = "SELECT QueueId, Queue.DeveloperName FROM QueueSobject WHERE SobjectType = 'Task'"
    (row,) = rig.sf.query(text)["records"]
    assert (row["QueueId"], row["Queue"]["DeveloperName"]) == (rows[0]["Id"], "Retention")


def test_counting(rig: Rig) -> None:
    answer = rig.sf.query("SELECT COUNT() FROM Contact WHERE LastName = 'L1'")
    assert answer == {"totalSize": 3, "done": True, "records": []}
    assert rig.sf.query("select count() from Contact limit 2")["totalSize"] == 2


def test_what_was_just_written_is_found(rig: Rig) -> None:
    rig.contact("C1", Title="New")
    assert rig.soql("SELECT Title FROM Contact WHERE Title = 'new'") == [{"Title": "New"}]


def test_the_recycle_bin(rig: Rig) -> None:
    row_id = rig.fake.records("Contact", "Hub_Key__c")["C2"]["Id"]
    rig.sf.Contact.delete(row_id)
    text = "SELECT Hub_Key__c, IsDeleted FROM Contact WHERE Hub_Key__c = 'C2'"
    assert rig.soql(text) == []
    (row,) = rig.sf.query(text, include_deleted=True)["records"]
    assert row["IsDeleted"] is True
    answer = rig.sf.query("SELECT COUNT() FROM Contact", include_deleted=True)
    assert answer["totalSize"] == 6


def test_changes_of_others_since(rig: Rig) -> None:
    since = "2026-03-01T00:06:00.000Z"
    text = f"SELECT Hub_Key__c, LastModifiedById FROM Contact WHERE SystemModstamp > {since}"
    assert rig.soql(text) == []
    rig.world.sleep(1)
    rig.contact("C4", Title="Mr")
    assert rig.soql(text) == [{"Hub_Key__c": "C4", "LastModifiedById": rig.fake.hub_id}]
    assert rig.fake.user_ids[SALES.username] != rig.fake.hub_id


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("", "MALFORMED_QUERY"),
        ("SELECT", "MALFORMED_QUERY"),
        ("SELECT FROM Contact", "MALFORMED_QUERY"),
        ("SELECT Id, FROM Contact", "MALFORMED_QUERY"),
        ("SELECT Id FRM Contact", "MALFORMED_QUERY"),
        ("SELECT Id FROM", "MALFORMED_QUERY"),
        ("SELECT * FROM Contact", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Id", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Title = Dr", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Title = 'Dr", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Title = 'D\\r\\q'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Title IN ()", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE (Title = 'a'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Title = 'a' OR Title = 'b' AND Vip__c = true",
         "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact LIMIT many", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact LIMIT 1 WHERE Title = 'a'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact; DELETE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
        ("SELECT Nope FROM Contact", "INVALID_FIELD"),
        ("SELECT Id, id FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Nope__c = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Contact ORDER BY Nope__c", "INVALID_FIELD"),
        ("SELECT Nope.Name FROM Contact", "INVALID_FIELD"),
        ("SELECT Who.Hub_Key__c FROM Task", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Deposits__c = '1'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Title = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Vip__c = 'true'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Birthdate = 1980-01-01T00:00:00Z", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Seen__c > 2026-01-01", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact ORDER BY Description", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Vip__c > true", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Contact WHERE Deposits__c LIKE '1%'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Contact WHERE Title INCLUDES ('a')", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Nope__c", "INVALID_TYPE"),
    ],
)  # fmt: skip
def test_what_is_refused(rig: Rig, statement: str, code: str) -> None:
    status, error = rig.refused("GET", "query/", params={"q": statement})
    assert (status, error["errorCode"]) == (400, code)


def test_the_words_name_the_field(rig: Rig) -> None:
    status, content = sdk_refused(rig.sf.query, "SELECT Id, Nope__c FROM Contact")
    assert status == 400
    assert "No such column 'Nope__c' on entity 'Contact'" in content[0]["message"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT MAX(CreatedDate) FROM Contact",
        "SELECT COUNT(Id) FROM Contact",
        "SELECT LastName FROM Contact GROUP BY LastName",
        "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
        "SELECT Id FROM Contact WHERE AccountId IN (SELECT Id FROM Account)",
        "SELECT FIELDS(ALL) FROM Contact LIMIT 1",
        "SELECT TYPEOF Who WHEN Contact THEN Id END FROM Task",
        "SELECT Id FROM Contact FOR UPDATE",
    ],
)
def test_what_is_not_built(rig: Rig, statement: str) -> None:
    answer = rig.call("GET", "query", params={"q": statement})
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (501, "NOT_BUILT")


def test_columns_for_a_command_line(rig: Rig) -> None:
    params = {"q": "SELECT Id, Account.Name, Vip__c FROM Contact", "columns": "true"}
    told = rig.call("GET", "query", params=params).json()
    assert (told["entityName"], told["keyPrefix"], told["idSelected"]) == ("Contact", "003", True)
    first, second, third = told["columnMetadata"]
    assert (first["columnName"], first["textType"]) == ("Id", True)
    assert (second["columnName"], second["foreignKeyName"]) == ("Account", "AccountId")
    assert [c["columnName"] for c in second["joinColumns"]] == ["Name"]
    assert (third["booleanType"], third["custom"]) == (True, True)


# Pages.


def test_4500_rows_come_in_three_pages(rigs: Any) -> None:
    rig: Rig = rigs()
    rig.fake.people.load("Contact", ({"LastName": f"N{n:04d}"} for n in range(4500)))
    first = rig.sf.query("SELECT LastName FROM Contact ORDER BY LastName DESC")
    assert (first["totalSize"], first["done"], len(first["records"])) == (4500, False, 2000)
    assert first["nextRecordsUrl"].startswith(f"{V}/query/0r8")
    assert first["nextRecordsUrl"].endswith("-2000")
    second = rig.sf.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert (second["totalSize"], second["done"], len(second["records"])) == (4500, False, 2000)
    assert second["nextRecordsUrl"] == first["nextRecordsUrl"].replace("-2000", "-4000")
    third = rig.sf.query_more(second["nextRecordsUrl"], identifier_is_url=True)
    assert (third["done"], len(third["records"]), "nextRecordsUrl" in third) == (True, 500, False)
    names = [r["LastName"] for page in (first, second, third) for r in page["records"]]
    assert names == [f"N{n:04d}" for n in reversed(range(4500))]
    assert rig.fake.stats()["used_today"] == 3

    rig.fake.fail_next([None, Fault.unavailable()])
    again = rig.sf.query("SELECT LastName FROM Contact")
    status, _ = sdk_refused(rig.sf.query_more, again["nextRecordsUrl"], identifier_is_url=True)
    assert status == 503
    assert rig.sf.query_more(again["nextRecordsUrl"], identifier_is_url=True)["records"]
    rig.world.sleep(2 * 86_400)
    rig.login()
    status, error = rig.refused("GET", again["nextRecordsUrl"])
    assert (status, error["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


def test_smaller_pages(rigs: Any) -> None:
    rig: Rig = rigs()
    rig.fake.people.load("Contact", ({"LastName": "N"} for _ in range(450)))
    for asked, size in (("200", 200), ("1", 200), ("300", 300), ("9999", 450)):
        headers = {"sforce-query-options": f"batchSize={asked}"}
        params = {"q": "SELECT Id FROM Contact"}
        answer = rig.call("GET", "query", params=params, headers=headers).json()
        assert len(answer["records"]) == size


def test_an_address_that_is_too_long(rig: Rig) -> None:
    ids = ",".join(f"'{n:015d}'" for n in range(1000))
    answer = rig.call("GET", "query", params={"q": f"SELECT Id FROM Contact WHERE Id IN ({ids})"})
    assert answer.status_code == 414
