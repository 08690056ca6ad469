"""Custom fields through the Metadata API: simple-salesforce's own SOAP client, and plain XML."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from simple_salesforce import Salesforce
from zeep.exceptions import Fault as SoapFault

from connectors.destination import Applied, CrmObject, Write
from simulator.salesforce import Fault
from tests.connectors.salesforce_rig import KEY, STAGE, SalesforceRig
from tests.simulator.salesforce.rig import Rig, ToLocal, sdk_refused
from tests.simulator.salesforce.test_tooling import grant, names

CONTACT = CrmObject.CONTACT
PLACE = "/services/Soap/m/60.0/"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
METADATA = "http://soap.sforce.com/2006/04/metadata"
NO_SESSION = "INVALID_SESSION_ID: Invalid Session ID found in SessionHeader: Illegal Session"


@contextmanager
def api(url: str, token: str, version: str = "60.0") -> Iterator[Any]:
    """``sf.mdapi``, whose transport of its own is led to loopback."""
    md = Salesforce(
        session_id=token, instance="broker.my.salesforce.com", version=version
    ).mdapi  # fmt: skip
    session = md._client.transport.session
    session.trust_env = False
    session.mount("https://", ToLocal(url))
    with session:
        yield md


@pytest.fixture
def md(rig: Rig) -> Iterator[Any]:
    with api(rig.server.url, rig.fake.open_session()) as made:
        yield made


def field(md: Any, name: str, kind: str = "Text", **more: Any) -> Any:
    told = {"label": "New", "length": 80} if kind == "Text" else {"label": "New"}
    return md.CustomField(fullName=name, type=md.FieldType(kind), **(told | more))


def refused(md: Any, *fields: Any) -> str:
    """What simple-salesforce says of the components that failed."""
    with pytest.raises(Exception, match=r"\(") as caught:
        md.CustomField.create(list(fields))
    assert type(caught.value) is Exception
    return str(caught.value).strip()


def fault(call: Callable[..., Any], *args: Any) -> tuple[str, str]:
    with pytest.raises(SoapFault) as caught:
        call(*args)
    return caught.value.code, caught.value.message


def body(session: str, components: str, operation: str = "createMetadata", header: str = "") -> str:
    """An envelope in other prefixes than zeep's."""
    return (
        f'<e:Envelope xmlns:e="{ENVELOPE}" xmlns="{METADATA}" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<e:Header><SessionHeader><sessionId>{session}</sessionId></SessionHeader>{header}"
        f"</e:Header><e:Body><{operation}>{components}</{operation}></e:Body></e:Envelope>"
    )


def text_field(name: str, more: str = "<length>80</length>", kind: str = "CustomField") -> str:
    told = f"<fullName>{name}</fullName><label>New</label><type>Text</type>{more}"
    return f'<metadata xsi:type="{kind}">{told}</metadata>'


def post(rig: Rig, content: str | bytes, path: str = PLACE, **headers: str) -> httpx.Response:
    usual = {"content-type": "text/xml; charset=utf-8", "soapaction": '""'}
    return rig.http.post(path, content=content, headers=usual | headers)


def told(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and words of a fault."""
    whole = ElementTree.fromstring(answer.text)  # noqa: S314 - our own fake's
    found = whole.find(f".//{{{ENVELOPE}}}Fault")
    assert found is not None, answer.text
    return answer.status_code, found.findtext("faultcode", ""), found.findtext("faultstring", "")


# --- fields that are made --------------------------------------------------------------------


def test_a_new_field_is_invisible_until_it_is_granted(rig: Rig, md: Any) -> None:
    md.CustomField.create(field(md, "Contact.Hub_Client_Id__c", externalId=True, unique=True))
    assert "Hub_Client_Id__c" not in names(rig)
    row = {"LastName": "Berg", "Hub_Client_Id__c": "7"}
    status, content = sdk_refused(rig.sf.Contact.create, row)
    assert (status, content[0]["errorCode"]) == (400, "INVALID_FIELD")
    grant(rig, "Contact.Hub_Client_Id__c")
    seen = names(rig)["Hub_Client_Id__c"]
    assert (seen["externalId"], seen["unique"], seen["length"]) == (True, True, 80)
    assert rig.sf.Contact.upsert("Hub_Client_Id__c/7", {"LastName": "B"}) == 201
    assert rig.sf.Contact.upsert("Hub_Client_Id__c/7", {"LastName": "B"}) == 200


def test_the_hub_writes_fields_made_here_once_they_are_granted() -> None:
    org = SalesforceRig()
    with api(org.server.url, org.fake.open_session()) as md:
        key = {"length": 255, "externalId": True, "unique": True, "caseSensitive": True}
        md.CustomField.create([
            field(md, "Contact.broker_client_id__c", **key),
            field(md, "Contact.brokerage_stage__c", length=255),
        ])  # fmt: skip
    assert "broker_client_id" not in org.crm.describe(CONTACT)
    done = org.crm.install(CONTACT, [KEY, STAGE])
    assert "found field Contact.broker_client_id__c, not visible yet" in done
    assert "found field Contact.brokerage_stage__c, not visible yet" in done
    write = Write("alpha:C1", {"lastname": "Berg", "brokerage_stage": "Funded"})
    (made,) = org.crm.upsert(CONTACT, [write])
    assert isinstance(made, Applied)
    row = org.fake.records("Contact")[made.crm_id]
    assert (row["broker_client_id__c"], row["brokerage_stage__c"]) == ("alpha:C1", "Funded")
    org.close()


def values(md: Any, *choices: str, restricted: bool = True) -> Any:
    rows = [md.CustomValue(fullName=c, label=c.title(), default=c == "b") for c in choices]
    definition = md.ValueSetValuesDefinition(sorted=False, value=rows)
    return md.ValueSet(restricted=restricted, valueSetDefinition=definition)


def test_fields_of_several_types_in_one_call(rig: Rig, md: Any) -> None:
    md.CustomField.create([
        field(md, "Contact.Num__c", "Number", precision=6, scale=2),
        field(md, "Contact.Flag__c", "Checkbox", defaultValue="true"),
        field(md, "Contact.Pick__c", "Picklist", valueSet=values(md, "a", "b")),
        field(md, "Contact.One__c", "Picklist", valueSet=values(md, "a", restricted=False)),
        field(md, "Contact.Long__c", "LongTextArea", length=1000, visibleLines=3),
        field(md, "Lead.When__c", "DateTime", inlineHelpText="When & <why>"),
        field(md, "Activity.Hub_Task__c"),
    ])  # fmt: skip
    grant(rig, *(f"Contact.{name}__c" for name in ("Num", "Flag", "Pick", "One", "Long")))
    grant(rig, "Lead.When__c")
    grant(rig, "Task.Hub_Task__c")
    seen = names(rig)
    assert (seen["Num__c"]["precision"], seen["Num__c"]["scale"]) == (6, 2)
    assert [seen[f"{n}__c"]["restrictedPicklist"] for n in ("Pick", "One")] == [True, False]
    row = rig.read(rig.contact(Num__c=12.5, Long__c="x" * 999, One__c="else"))
    assert (row["Num__c"], row["Flag__c"], row["Pick__c"]) == (12.5, True, "b")
    assert (row["Long__c"], row["One__c"]) == ("x" * 999, "else")
    error = rig.refused("POST", "sobjects/Contact", {"LastName": "B", "Pick__c": "c"})[1]
    assert error["errorCode"] == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    assert names(rig, "Lead")["When__c"]["inlineHelpText"] == "When & <why>"
    rig.create("Task", Subject="Call", Hub_Task__c="T1")


def test_the_tooling_api_shows_what_was_made(rig: Rig, md: Any) -> None:
    made = field(md, "Contact.Pick__c", "Picklist", label="A & <b>", valueSet=values(md, "true"))
    md.CustomField.create(made)
    query = {"q": "SELECT Id FROM CustomField WHERE DeveloperName = 'Pick'"}
    (row,) = rig.call("GET", "tooling/query", params=query).json()["records"]
    path = f"tooling/sobjects/CustomField/{row['Id']}"
    assert rig.call("GET", path).json()["Metadata"] == {
        "type": "Picklist", "label": "A & <b>",
        "valueSet": {"restricted": True, "valueSetDefinition": {
            "sorted": False, "value": [{"fullName": "true", "label": "True", "default": False}]}},
    }  # fmt: skip


def test_the_answer_as_it_goes_over_the_wire(rig: Rig) -> None:
    session = rig.fake.open_session()
    both = text_field("Contact.New__c") + text_field("Contact.New__c")
    answer = post(rig, gzip.compress(body(session, both).encode()), **{"content-encoding": "gzip"})
    assert answer.headers["content-type"] == "text/xml;charset=UTF-8"
    assert "sforce-limit-info" not in answer.headers
    assert answer.text == (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns="{METADATA}"><soapenv:Body>'
        "<createMetadataResponse>"
        "<result><fullName>Contact.New__c</fullName><success>true</success></result>"
        "<result><errors><fields>fullName</fields>"
        "<message>There is already a field named New on Contact.</message>"
        "<statusCode>DUPLICATE_DEVELOPER_NAME</statusCode></errors>"
        "<fullName>Contact.New__c</fullName><success>false</success></result>"
        "</createMetadataResponse></soapenv:Body></soapenv:Envelope>"
    )


# --- components that are refused -------------------------------------------------------------


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("Contact.hub_key__c", "Text", {}, "DUPLICATE_DEVELOPER_NAME"),
    ("Nope.New__c", "Text", {}, "INVALID_CROSS_REFERENCE_KEY"),
    ("Task.New__c", "Text", {}, "INVALID_CROSS_REFERENCE_KEY"),  # it is Activity's
    ("Contact.New", "Text", {}, "FIELD_INTEGRITY_EXCEPTION"),
    ("Contact.New__c", "Text", {"length": 300}, "FIELD_INTEGRITY_EXCEPTION"),
    ("Contact.New__c", "Text", {"label": None}, "FIELD_INTEGRITY_EXCEPTION"),
    ("Contact.New__c", "Magic", {}, "FIELD_INTEGRITY_EXCEPTION"),
    ("Contact.New__c", "Checkbox", {}, "FIELD_INTEGRITY_EXCEPTION"),
    ("Contact.New__c", "Date", {"externalId": True}, "FIELD_INTEGRITY_EXCEPTION"),
    ("Activity.New__c", "Text", {"externalId": True}, "FIELD_INTEGRITY_EXCEPTION"),
]


def test_a_refused_component_leaves_the_others_alone(rig: Rig, md: Any) -> None:
    good = [f"Contact.Good{n}__c" for n in range(len(REFUSED))]
    for before, (name, kind, more, code) in zip(good, REFUSED, strict=True):
        said = refused(md, field(md, before), field(md, name, kind, **more))
        assert said.startswith(f"{name}: ({code}, ")
        assert said.count(": (") == 1
    grant(rig, *good)
    said = refused(md, *(field(md, name, kind, **more) for name, kind, more, _ in REFUSED))
    starts = [line.split(", ")[0] for line in said.splitlines()]
    assert starts == [f"{name}: ({code}" for name, _, _, code in REFUSED]


def test_names_are_escaped_on_their_way_back(md: Any) -> None:
    said = refused(md, field(md, "Contact.<b>&amp;\"'__c"))
    assert said == (
        "Contact.<b>&amp;\"'__c: (FIELD_INTEGRITY_EXCEPTION, "
        "The field name 'Contact.<b>&amp;\"'__c' is not valid),"
    )


def test_external_ids_of_both_apis_count_together(rig: Rig, md: Any) -> None:
    keys = [field(md, f"Contact.Key{n}__c", externalId=True) for n in range(23)]  # two are there
    for first in (0, 10, 20):
        md.CustomField.create(keys[first : first + 10])
    said = refused(md, field(md, "Contact.More__c", externalId=True))
    assert said.startswith("Contact.More__c: (NUMBER_OUTSIDE_VALID_RANGE, ")
    metadata = {"type": "Text", "label": "More", "length": 9, "externalId": True}
    more = {"FullName": "Contact.More__c", "Metadata": metadata}
    assert rig.refused("POST", "tooling/sobjects/CustomField", more)[0] == 400
    md.CustomField.create(field(md, "Contact.More__c"))


# --- calls that are refused ------------------------------------------------------------------


def test_eleven_are_too_many(rig: Rig, md: Any) -> None:
    fields = [field(md, f"Contact.New{n}__c") for n in range(11)]
    words = "record limit reached. cannot submit more than 10 records in this operation"
    assert fault(md.CustomField.create, fields) == (
        "sf:EXCEEDED_ID_LIMIT", f"EXCEEDED_ID_LIMIT: {words}",
    )  # fmt: skip
    md.CustomField.create(fields[:10])


def test_a_session_that_is_none(rig: Rig, md: Any) -> None:
    with api(rig.server.url, "nobody's & <none>") as other:
        assert fault(other.CustomField.create, field(other, "Contact.New__c")) == (
            "sf:INVALID_SESSION_ID", NO_SESSION,
        )  # fmt: skip
    rig.fake.expire_sessions()
    made = field(md, "Contact.New__c")
    assert fault(md.CustomField.create, made) == ("sf:INVALID_SESSION_ID", NO_SESSION)
    again = body("", text_field("Contact.New__c"))  # its own header counts, not HTTP's
    headers = {"authorization": f"Bearer {rig.fake.open_session()}"}
    assert told(post(rig, again, **headers)) == (500, "sf:INVALID_SESSION_ID", NO_SESSION)
    assert rig.fake.stats()["refused"] == 3


BELOW = (
    "The API version that was specified (30.0) is below the minimum supported (31.0). "
    "Change the version number and run the request again."
)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("30.0", BELOW),
        ("99.0", "Invalid Api version specified on URL"),
        ("60", "Invalid Api version specified on URL"),
    ],
)  # fmt: skip
def test_versions_that_are_gone_or_to_come(rig: Rig, version: str, words: str) -> None:
    code, said = "sf:UNSUPPORTED_API_VERSION", f"UNSUPPORTED_API_VERSION: {words}"
    with api(rig.server.url, rig.fake.open_session(), version) as md:
        assert fault(md.CustomField.create, field(md, "Contact.New__c")) == (code, said)
    assert told(post(rig, "", f"/services/Soap/m/{version}")) == (500, code, said)


def test_without_the_right(rigs: Callable[..., Rig]) -> None:
    rig = rigs(may_customize=False)
    with api(rig.server.url, rig.fake.open_session()) as md:
        code, _ = fault(md.CustomField.create, field(md, "Contact.New__c"))
    assert code == "sf:INSUFFICIENT_ACCESS"


def test_calls_count_against_the_same_limit(rig: Rig, md: Any) -> None:
    before = rig.fake.stats()
    md.CustomField.create([field(md, "Contact.A__c"), field(md, "Contact.B__c")])
    after = rig.fake.stats()
    assert after["used_today"] - before["used_today"] == 1
    assert after["calls_by_route"]["POST services/Soap/m"] == 1
    rig.fake.use_up_quota()
    assert fault(md.CustomField.create, field(md, "Contact.C__c")) == (
        "sf:REQUEST_LIMIT_EXCEEDED", "REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded.",
    )  # fmt: skip


def test_ordered_faults_come_as_soap(rig: Rig, md: Any) -> None:
    rig.fake.fail_next([Fault.lost_session(), Fault.unavailable(), Fault.half_done()])
    made = field(md, "Contact.New__c")
    assert fault(md.CustomField.create, made)[0] == "sf:INVALID_SESSION_ID"
    answer = post(rig, body(rig.fake.open_session(), text_field("Contact.New__c")))
    assert told(answer)[:2] == (503, "sf:SERVER_UNAVAILABLE")
    assert fault(md.CustomField.create, made)[0] == "sf:UNKNOWN_EXCEPTION"
    assert refused(md, made).startswith("Contact.New__c: (DUPLICATE_DEVELOPER_NAME, ")


NOT_BUILT: list[tuple[Callable[[Any], Any], str]] = [
    (lambda md: md.CustomObject.create(md.CustomObject(fullName="New__c")),
     "createMetadata of CustomObject"),
    (lambda md: md.CustomField.create([field(md, "Contact.New__c"),
                                       field(md, "Contact.Ref__c", "Lookup")]),
     "custom fields of type Lookup, or with a formula"),
    (lambda md: md.CustomField.upsert(field(md, "Contact.New__c")),
     "upsertMetadata of the Metadata API"),
    (lambda md: md.CustomField.read(["Contact.Hub_Key__c"]),
     "readMetadata of the Metadata API"),
    (lambda md: md.CustomField.delete(["Contact.Hub_Key__c"]),
     "deleteMetadata of the Metadata API"),
]  # fmt: skip


def test_what_is_not_built_says_so_and_makes_nothing(md: Any) -> None:
    for call, words in NOT_BUILT:
        said = f"NOT_BUILT: the simulator has no {words}"
        assert fault(call, md) == ("sf:NOT_BUILT", said)
    md.CustomField.create(field(md, "Contact.New__c"))


def test_all_or_none_is_not_built(rig: Rig) -> None:
    header = "<AllOrNoneHeader><allOrNone>{}</allOrNone></AllOrNoneHeader>"
    session, new = rig.fake.open_session(), text_field("Contact.New__c")
    answer = post(rig, body(session, new, header=header.format("true")))
    assert told(answer)[:2] == (501, "sf:NOT_BUILT")
    assert "<success>true<" in post(rig, body(session, new, header=header.format("false"))).text


# --- bodies that are none --------------------------------------------------------------------

BOMB = '<!DOCTYPE e [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (text_field("Contact.New__c", "<length>many</length>"), "soapenv:Client"),
        (text_field("Contact.New__c", "<length/>"), "soapenv:Client"),
        (text_field("Contact.New__c", "<unique>yes</unique>"), "soapenv:Client"),
        (text_field("Contact.New__c", "<type>Picklist</type><valueSet>A</valueSet>"),
         "soapenv:Client"),
        (text_field("Contact.New__c", "<a>" * 5000 + "</a>" * 5000), "soapenv:Client"),
        (text_field("Contact.New__c", kind=""), "sf:INVALID_TYPE"),
    ],
)  # fmt: skip
def test_components_that_cannot_be_read(rig: Rig, wrong: str, code: str) -> None:
    session = rig.fake.open_session()
    good = text_field("Contact.Good__c")
    assert told(post(rig, body(session, good + wrong)))[:2] == (500, code)
    assert "<success>true<" in post(rig, body(session, good)).text


def test_what_is_nil_is_not_told(rig: Rig) -> None:
    more = '<length>80</length><unique xsi:nil="true"/>'
    answer = post(rig, body(rig.fake.open_session(), text_field("Contact.New__c", more)))
    assert "<success>true<" in answer.text


def test_bodies_that_cannot_be_read(rig: Rig) -> None:
    whole = body(rig.fake.open_session(), text_field("Contact.New__c"))
    for content in (
        "", "{}", "<a/>", whole[:-1], f'<?xml version="1.0"?>{BOMB}{whole}',
        whole.replace("New<", "&b;<"), whole.encode("utf-16"),
        f'<?xml version="1.0"?>{BOMB}{whole}'.encode("utf-16"),
    ):  # fmt: skip
        assert told(post(rig, content))[:2] == (500, "soapenv:Client")
    assert told(post(rig, whole, **{"content-encoding": "gzip"}))[:2] == (500, "soapenv:Client")
    assert told(rig.http.get(PLACE))[:2] == (500, "soapenv:Client")
    elsewhere = whole.replace(f'xmlns="{METADATA}"', 'xmlns="urn:x"')
    assert told(post(rig, elsewhere))[1] == "sf:INVALID_SESSION_ID"
    odd = f'<createMetadata xmlns="urn:x"><a xmlns="{METADATA}"/></createMetadata>'
    empty = body(rig.fake.open_session(), "").replace("<createMetadata></createMetadata>", odd)
    assert told(post(rig, empty)) == (
        500, "soapenv:Client", "No operation available for request {urn:x}createMetadata",
    )  # fmt: skip
    good = f'<?xml version="1.0" encoding="latin-1"?>{whole}'  # the text is UTF-8 whatever it says
    assert "<success>true<" in post(rig, good).text


def test_other_soap_apis_are_not_built(rig: Rig) -> None:
    answer = post(rig, "", "/services/Soap/u/60.0")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (501, "NOT_BUILT")
