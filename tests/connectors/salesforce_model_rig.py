"""An org whose clients stand as one of the object models says, and a hub's destination over it."""

from __future__ import annotations

from typing import Any

from connectors.destination import (
    Applied,
    CrmObject,
    CrmProperty,
    CrmRecord,
    Option,
    Outcome,
    Write,
)
from tests.connectors.salesforce_rig import KEY, STAGE, TASK_KEY, SalesforceRig

CONTACT, TASK = CrmObject.CONTACT, CrmObject.TASK
MARKED = "Kept by brokersync."
KYC = CrmProperty(
    "brokerage_kyc", "KYC", "enumeration", description=MARKED,
    options=(Option("approved", "Approved"), Option("rejected", "Rejected")),
)  # fmt: skip
WHO = {"firstname": "Ana", "lastname": "Berg", "email": "ana@example.com", "phone": "+357 1"}
TASK_BODY = {"subject": "Call", "due": "1772447400000", "priority": "HIGH", "status": "open"}
MODELS = ("contact", "person_account", "lead_then_contact")
SOBJECTS = {"contact": "Contact", "person_account": "Account", "lead_then_contact": "Lead"}


class ModelRig(SalesforceRig):
    """An org whose clients stand as ``model`` says."""

    def __init__(self, model: str, **org: Any) -> None:
        self.model = model
        super().__init__(**({"person_accounts": model == "person_account"} | org))
        self.crm.install(CONTACT, [KEY, STAGE, KYC])
        self.crm.install(TASK, [TASK_KEY])

    def settings(self, **changed: Any) -> Any:
        return super().settings(**({"object_model": self.model} | changed))

    @property
    def sobject(self) -> str:
        """Where new clients are made."""
        return SOBJECTS[self.model]

    def put(self, *writes: Write) -> list[Outcome]:
        return list(self.crm.upsert(CONTACT, writes))

    def one(self, key: str = "alpha:C1", crm_id: str = "", **values: str) -> str:
        """A client's record's id."""
        (made,) = self.put(Write(key, values or WHO, crm_id))
        assert isinstance(made, Applied), made
        return made.crm_id

    def rows(self) -> dict[str, dict[str, Any]]:
        """Records of the model's sObject by the hub's key."""
        return self.fake.records(self.sobject, by="broker_client_id__c")

    def task(self, key: str, client: str) -> str:
        """A task on a client."""
        (made,) = self.crm.create_tasks([Write(key, TASK_BODY)], {key: client})
        assert isinstance(made, Applied)
        return made.crm_id

    def got(self, crm_id: str, *names: str) -> CrmRecord:
        return self.crm.read_ids(CONTACT, [crm_id], names)[crm_id]
