"""The organisation as its clients see it: limits, rights, routes."""

from __future__ import annotations

from simulator.salesforce import batches, rows, schema, soap
from simulator.salesforce.faults import Fault
from simulator.salesforce.ingest import ingest
from simulator.salesforce.orders import Orders
from simulator.salesforce.problems import (
    MatchesError,
    NotBuiltError,
    SalesforceError,
    not_found,
    unreadable,
)
from simulator.salesforce.requests import Call, Caller, option_of, query_of, versioned
from simulator.salesforce.tooling import tooling
from simulator.wire import Request, Response

_MAX_TARGET = 16_384  # documented: bytes of address and headers


class SalesforceFake(Orders):
    """A Salesforce organisation; see `Orders` for its arguments and what can be ordered."""

    # The wire

    def __call__(self, request: Request) -> Response:
        """Answer one request; see :meth:`handle`."""
        return self.handle(request)

    def handle(self, request: Request) -> Response:
        """Answer one request. Time passes outside the lock, so that calls may overlap."""
        with self._lock:
            fault = self._faults.take(request.path)
            self.calls[_route(request)] += 1
        wait = self.latency_s + (fault.slow_s if fault else 0.0)
        with self._lock:
            try:
                self.quota.start_long(self.org.now_ms, wait)
            except SalesforceError as refused:
                return self._refused(request, refused)
        if wait:
            self.world.sleep(wait)
        with self._lock:
            self.jobs.catch_up()
            return self._met(request, fault)

    def _met(self, request: Request, fault: Fault | None) -> Response:
        if fault and fault.drop == "before":
            return Response(0, drop=True)
        if fault and fault.status and not fault.after:
            return self._broken(request, fault)
        answer = self._answer(request)
        if fault and fault.after:
            return self._broken(request, fault)
        drop = fault is not None and fault.drop == "after"
        return Response(answer.status, answer.body, answer.headers, drop=drop)

    def _answer(self, request: Request) -> Response:
        path = request.path.rstrip("/")
        if path == "/services/oauth2/token":
            return self.tokens.answer(request)
        if path == "/services/data":
            return schema.versions()  # documented: neither counted nor marked
        if soap.meant(request):
            return self._soap(request)
        try:
            if path == "/services/oauth2/userinfo":
                return self.tokens.userinfo(request)
            answer = self._rest(request)
        except SalesforceError as refused:
            return self._refused(request, refused)
        except MatchesError as several:
            base = path.rsplit("/", 2)[0]
            answer = Response.json(300, [f"{base}/{row_id}" for row_id in several.ids])
        except NotBuiltError as missing:
            told = [{"message": f"the simulator has no {missing}", "errorCode": "NOT_BUILT"}]
            answer = Response.json(501, told)
        except (KeyError, TypeError, ValueError, AttributeError):
            return self._refused(request, unreadable("a part is missing or of the wrong type"))
        return self._marked(answer)

    def _soap(self, request: Request) -> Response:
        try:
            return soap.answer(self.org, self.tokens, self.quota, request)
        except SalesforceError as refused:
            return self._refused(request, refused)
        except NotBuiltError as missing:
            return soap.not_built(missing)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            return self._refused(request, soap.unreadable("a part is of the wrong type"))

    def _marked(self, answer: Response) -> Response:
        headers = {**answer.headers, **self.quota.header(self.org.now_ms)}
        return Response(answer.status, answer.body, headers)

    def _refused(self, request: Request, refused: SalesforceError) -> Response:
        self.refused_calls += 1
        if soap.meant(request):
            return soap.refusal(refused)
        return self._marked(Response.json(refused.status, refused.whole()))

    def _broken(self, request: Request, fault: Fault) -> Response:
        if fault.html:
            page = b"<html><body><h1>Service Unavailable</h1></body></html>"
            return Response(fault.status, page, {"content-type": "text/html;charset=UTF-8"})
        code, message = fault.error
        return self._refused(request, SalesforceError(code, message, status=fault.status))

    def _rest(self, request: Request) -> Response:
        found = versioned(request.path)
        if found is None:
            if request.path.startswith(("/services/Soap/", "/services/async/")):
                raise NotBuiltError("SOAP but the Metadata API, and no Bulk API 1.0")
            raise not_found()
        version, parts = found
        schema.check_version(version)
        user_id = self.tokens.user(request)
        if len(request.target) > _MAX_TARGET:  # documented; code and words are assumed
            raise SalesforceError("URI_TOO_LONG", "The URI is too long", status=414)
        self.quota.admit(self.org.now_ms)
        save = option_of(request, "sforce-duplicate-rule-header", "allowsave").lower() == "true"
        caller = Caller(user_id, allow_save=save)
        return self._routed(Call(request, version, parts, caller, query_of(request)))

    def _routed(self, call: Call) -> Response:
        org = self.org
        match call.parts:
            case []:
                return schema.resources(call)
            case ["limits"]:
                return Response.json(200, self.quota.shown(org.now_ms))
            case ["sobjects"]:
                return schema.sobjects(org, call)
            case ["sobjects", name, *rest]:
                return self._sobject(call, name, rest)
            case ["composite", "sobjects", *_]:
                return batches.collections(org, call)
            case ["query" | "queryAll" as which] if call.method == "GET":
                return self.queries.first(call, deleted=which == "queryAll")
            case ["query" | "queryAll", locator] if call.method == "GET":
                return self.queries.more(call, locator)
            case ["jobs", "ingest", *_]:
                return ingest(org, self.jobs, call)
            case ["tooling", _, *_]:
                return tooling(org, self.queries, call)
            case ["composite", *_] | ["jobs", *_]:
                raise NotBuiltError("/".join(call.parts))
            case _:
                raise not_found()

    def _sobject(self, call: Call, name: str, rest: list[str]) -> Response:
        org = self.org
        table = org.table(name)
        if not org.may(table, "read"):
            raise not_found()  # assumed: what one may not read is not there
        match rest:
            case [] if call.method == "GET":
                return schema.basic(org, call, table)
            case []:
                return rows.collection(org, call, table)
            case ["describe"]:
                return schema.describe(org, call, table)
            case [row_id]:
                return rows.by_id(org, call, table, row_id)
            case [key, value]:
                return rows.by_key(org, call, table, key, value)
            case _:
                raise not_found()


def _route(request: Request) -> str:
    """``PATCH composite/sobjects/Contact``; ids and keys' values are left out."""
    found = versioned(request.path)
    parts = found[1] if found else [p for p in request.path.split("/") if p]
    if parts[:1] == ["sobjects"]:
        parts = parts[:3] if len(parts) == 4 else parts
    if parts[:1] == ["jobs"]:  # a look at one job is no look at all of them
        parts = ["JOB" if any(c.isdigit() for c in p) else p for p in parts]
    fixed = [p for p in parts if not any(c.isdigit() for c in p)]
    return f"{request.method} {'/'.join(fixed) or '?'}"
