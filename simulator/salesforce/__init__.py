"""A Salesforce organisation as its clients see it: `SalesforceFake` is ``Request -> Response``.

Where a behaviour comes from is said at its place: "documented" (Salesforce's pages), "recorded"
(payloads taken from real organisations by others), "assumed" (remembered, or nobody could be found
who measured it; most of these can be switched).

Not built: SOAP but for making custom fields by the Metadata API, Bulk API 1.0, bulk queries,
composite requests, batches and graphs, aggregates and subqueries of SOQL: they answer 501.
"""

from __future__ import annotations

from simulator.salesforce.fake import SalesforceFake
from simulator.salesforce.faults import Fault
from simulator.salesforce.fields import Choice, Field
from simulator.salesforce.orders import INTEGRATION, SALES
from simulator.salesforce.org import FakeQueue, FakeUser, Written
from simulator.salesforce.rules import DuplicateRule, RowFault, ValidationRule
from simulator.salesforce.tokens import FakeApp

__all__ = [
    "INTEGRATION",
    "SALES",
    "Choice",
    "DuplicateRule",
    "FakeApp",
    "FakeQueue",
    "FakeUser",
    "Fault",
    "Field",
    "RowFault",
    "SalesforceFake",
    "ValidationRule",
    "Written",
]
