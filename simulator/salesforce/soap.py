"""The Metadata API over SOAP: ``createMetadata`` of custom fields; the rest says it is not built.

Documented: the elements and their types (the API's WSDL), ten components a call, a result for each
component, one that fails leaving the others alone; the limit header is REST's. Recorded: envelope
and faults, which come with HTTP 500. A field made here is one made by the Tooling API.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.sax.saxutils import escape

from simulator.salesforce import customizing, schema
from simulator.salesforce.limits import Quota
from simulator.salesforce.org import Org
from simulator.salesforce.problems import NotBuiltError, SalesforceError
from simulator.salesforce.requests import content
from simulator.salesforce.tokens import Tokens
from simulator.wire import Request, Response

_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_METADATA = "http://soap.sforce.com/2006/04/metadata"
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_NAMES = {"s": _ENVELOPE, "m": _METADATA}
_PLACE = "/services/Soap/m/"
_VERSION = re.compile(re.escape(_PLACE) + r"(\d{1,3})\.0(?=/|$)")
_MOST = 10

# Documented: what is no text, of the types this organisation can make. ``defaultValue`` is text.
_FLAGS = frozenset((
    "caseSensitive", "default", "deprecated", "externalId", "isActive", "required", "restricted",
    "sorted", "trackFeedHistory", "trackHistory", "trackTrending", "unique",
))  # fmt: skip
_NUMBERS = frozenset(("length", "precision", "scale", "visibleLines"))
_LISTS = frozenset(("value", "valueSettings"))
_BOOLEAN = {"true": True, "1": True, "false": False, "0": False}


def meant(request: Request) -> bool:
    """It is for the Metadata API."""
    return request.path.startswith(_PLACE)


def answer(org: Org, tokens: Tokens, quota: Quota, request: Request) -> Response:
    """Answer a call.

    Raises:
        SalesforceError: the whole call is refused; nothing is made.
        NotBuiltError: the fake cannot do it; nothing is made.
    """
    _check_version(request)
    envelope = _read(request)
    session = envelope.findtext("s:Header/m:SessionHeader/m:sessionId", "", _NAMES)
    if tokens.holder(session.strip()) is None:
        words = "Invalid Session ID found in SessionHeader: Illegal Session"  # recorded
        raise SalesforceError("INVALID_SESSION_ID", words)
    quota.admit(org.now_ms)
    operation = envelope.find("s:Body/*", _NAMES)
    if operation is None or not operation.tag.startswith(f"{{{_METADATA}}}"):
        called = "" if operation is None else operation.tag
        raise unreadable(f"No operation available for request {called}")
    if _local(operation.tag) != "createMetadata":
        raise NotBuiltError(f"{_local(operation.tag)} of the Metadata API")
    _may_change(org)
    rolled = envelope.findtext("s:Header/m:AllOrNoneHeader/m:allOrNone", "", _NAMES)
    if _BOOLEAN.get(rolled.strip()):
        raise NotBuiltError("AllOrNoneHeader")
    return _created(org, operation.findall("m:metadata", _NAMES))


def refusal(refused: SalesforceError) -> Response:
    """A fault; 500 for whatever REST says in the 400s, as SOAP has it."""
    code, words = refused.code, refused.message
    if ":" not in code:
        code, words = f"sf:{code}", f"{code}: {words}"  # recorded: the code twice
    told = f"<faultcode>{escape(code)}</faultcode><faultstring>{escape(words)}</faultstring>"
    body = f"<soapenv:Fault>{told}</soapenv:Fault>"
    return _enveloped(body, f' xmlns:sf="{_METADATA}"', max(refused.status, 500))


def not_built(missing: NotBuiltError) -> Response:
    """What Salesforce itself never answers."""
    return refusal(SalesforceError("NOT_BUILT", f"the simulator has no {missing}", status=501))


def unreadable(words: str) -> SalesforceError:
    """Assumed: whatever is wrong with a body is a fault of the client's, as SOAP defines it."""
    return SalesforceError("soapenv:Client", words)


def _check_version(request: Request) -> None:
    """Documented: versions before 31 are gone. Recorded: the words (of earlier limits)."""
    match = _VERSION.match(request.path)
    number = int(match[1]) if match else schema.LAST + 1
    if number < schema.FIRST:
        words = (
            f"The API version that was specified ({number}.0) is below the minimum supported "
            f"({schema.FIRST}.0). Change the version number and run the request again."
        )
        raise SalesforceError("UNSUPPORTED_API_VERSION", words)
    if number > schema.LAST:
        raise SalesforceError("UNSUPPORTED_API_VERSION", "Invalid Api version specified on URL")


def _may_change(org: Org) -> None:
    """Recorded words. Assumed: who may customize has the right to modify metadata, too."""
    if not org.choices.may_customize:
        raise SalesforceError(
            "INSUFFICIENT_ACCESS",
            "use of the Metadata API requires a user with the ModifyAllData or ModifyMetadata "
            "permissions",
        )


def _read(request: Request) -> Element:
    """The envelope. Assumed: the words, and that a document type is refused."""
    try:
        text = content(request).decode("utf-8-sig")
    except (SalesforceError, UnicodeDecodeError):
        raise unreadable("The request is not text in UTF-8") from None
    if "<!DOCTYPE" in text:  # so there are no entities to expand
        raise unreadable("A document type is not allowed")
    try:
        envelope = fromstring(text)  # noqa: S314
    except (ParseError, ValueError):
        raise unreadable("The request is not well-formed XML") from None
    if envelope.tag != f"{{{_ENVELOPE}}}Envelope":
        raise unreadable("The request is not a SOAP envelope")
    return envelope


def _created(org: Org, components: list[Element]) -> Response:
    if len(components) > _MOST:  # recorded
        words = f"record limit reached. cannot submit more than {_MOST} records in this operation"
        raise SalesforceError("EXCEEDED_ID_LIMIT", words)
    wanted = [_component(node) for node in components]
    # What is not built, or of the wrong shape, is said before anything is made.
    for full_name, told in wanted:
        with suppress(SalesforceError):
            customizing.draft(org, full_name, told)
    results = "".join(_result(org, full_name, told) for full_name, told in wanted)
    body = f"<createMetadataResponse>{results}</createMetadataResponse>"
    return _enveloped(body, f' xmlns="{_METADATA}"', 200)


def _component(node: Element) -> tuple[str, dict[str, Any]]:
    """Full name and metadata, as the Tooling API has them."""
    kind = node.get(f"{_XSI}type", "").rpartition(":")[2]
    if not kind:  # documented: Metadata itself is abstract; code and words are assumed
        raise SalesforceError("INVALID_TYPE", "Must specify an xsi:type for each metadata element")
    if kind != "CustomField":
        raise NotBuiltError(f"createMetadata of {kind}")
    told = _parts(node)
    return str(told.pop("fullName", "")), told


def _result(org: Org, full_name: str, told: dict[str, Any]) -> str:
    """What became of one component, in the order of the WSDL."""
    errors = ""
    try:
        customizing.create(org, full_name, told)
    except SalesforceError as refused:
        errors = _error(refused)
    success = "false" if errors else "true"
    name = f"<fullName>{escape(full_name)}</fullName>"
    return f"<result>{errors}{name}<success>{success}</success></result>"


def _error(refused: SalesforceError) -> str:
    names = (name[:1].lower() + name[1:] for name in refused.fields or ())
    fields = "".join(f"<fields>{escape(name)}</fields>" for name in names)
    message = f"<message>{escape(refused.message)}</message>"
    return f"<errors>{fields}{message}<statusCode>{refused.code}</statusCode></errors>"


def _parts(node: Element) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for child in node:
        name = _local(child.tag)
        if _BOOLEAN.get(child.get(f"{_XSI}nil", "")):
            continue
        value = _value(name, child)
        if name in _LISTS:
            out.setdefault(name, []).append(value)
        else:
            out[name] = value
    return out


def _value(name: str, node: Element) -> Any:
    if len(node):
        return _parts(node)
    text = node.text or ""
    if name in _FLAGS:
        if text.strip() not in _BOOLEAN:
            raise _wrong(text, "boolean")
        return _BOOLEAN[text.strip()]
    if name in _NUMBERS:
        if not re.fullmatch(r"[+-]?[0-9]{1,10}", text.strip()):
            raise _wrong(text, "int")
        return int(text)
    return text


def _wrong(text: str, kind: str) -> SalesforceError:
    """Recorded words, from data calls; the code is assumed."""
    return unreadable(f"'{text}' is not a valid value for the type xsd:{kind}")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _enveloped(body: str, names: str, status: int) -> Response:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="{_ENVELOPE}"{names}>'
        f"<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    )
    return Response(status, text.encode(), {"content-type": "text/xml;charset=UTF-8"})
