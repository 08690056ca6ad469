"""The first schema, frozen: it describes what this revision made, whatever the code says later."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Identifiers compare byte by byte on both engines.
ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
AUTO_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    _engine()
    _intake()
    _identity()
    _records()
    _facts()
    _meaning()
    _crm()


def _engine() -> None:
    """Who runs, what ran, under which rules."""
    op.create_table(
        "engine_role",
        _key("name"), _count("token"), _at("taken_at"), _id("kind"), _words("host"), _id("place"),
        _count("pid"), _id("born"), _at("beat_at"), _at("lease_until"), _at("released_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_table(
        "run",
        _auto("id"), _words("kind"), _at("started_at"), _at("ended_at"), _words("status"),
        _count("token"), _count("rule_version"), _words("summary"),
    )  # fmt: skip
    op.create_table(
        "rule_set",
        _number("version"), _id("digest"), _words("source"), _at("created_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip


def _intake() -> None:
    """Cursors, the journal, what was set aside, who was touched."""
    op.create_table(
        "source_state",
        _key("source"), _id("family"), _words("cursor"), _at("complete_until"), _at("last_ok_at"),
        _at("last_try_at"), _words("last_error"), _count("records"), _at("failing_since"),
        _at("started_at"), _at("due_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_table(
        "source_brand",
        _key("source"), _key("brand"), _id("family"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_table(
        "reread",
        _key("source"), _key("brand"), _key("value"), _at("since"), _at("next_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("reread_due", "reread", ["source", "next_at"])
    op.create_table(
        "journal",
        _auto("seq"), _id("source"), _id("kind"), _id("external_id"), _at("version_at"),
        _id("hash"), _id("brand"), _id("ref_kind"), _id("ref_value"), _count("deleted"),
        _words("payload"), _at("received_at"), _count("batch"),
    )  # fmt: skip
    op.create_index("journal_batch", "journal", ["batch"])
    op.create_index(
        "journal_version",
        "journal",
        ["source", "kind", "external_id", "version_at", "hash"],
        unique=True,
    )
    op.create_table(
        "journal_raw",
        _number("seq"), _words("raw"), _at("received_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("ix_journal_raw_received_at", "journal_raw", ["received_at"])
    op.create_table(
        "batch",
        _number("id"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_table(
        "set_aside",
        _auto("id"), _id("area"), _id("origin"), _id("kind"), _id("external_id"), _id("brand"),
        _words("reason"), _words("raw"), _id("basis"), _at("first_at"), _at("last_at"),
        _count("attempts"), _at("next_try_at"),
    )  # fmt: skip
    op.create_index(
        "set_aside_record", "set_aside", ["area", "origin", "kind", "external_id"], unique=True
    )
    op.create_table(
        "touched",
        _key("brand"), _key("client_id"),
        sqlite_with_rowid=False,
    )  # fmt: skip


def _identity() -> None:
    """Which client a vendor's reference means, and the clients themselves."""
    op.create_table(
        "identity_link",
        _key("brand"), _key("kind"), _key("value"), _id("client_id"), _id("source"),
        _at("from_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("identity_link_client", "identity_link", ["brand", "client_id"])
    op.create_table(
        "link_decision",
        _auto("id"), _id("brand"), _id("kind"), _id("value"), _id("client_id"),
        _words("by_whom"), _at("at"), _words("reason"), _count("standing"),
    )  # fmt: skip
    op.create_index("link_decision_value", "link_decision", ["brand", "kind", "value"])
    op.create_table(
        "client",
        _key("brand"), _key("external_id"), _id("client_id"), _id("source"), _id("ref_kind"),
        _id("ref_value"), _at("version_at"), _count("rank"), _id("hash"), _count("deleted"),
        _at("registered_at"), _words("entity"), _words("email"), _id("email_norm"),
        _count("email_verified"), _words("first_name"), _words("last_name"), _words("phone"),
        _words("country"), _words("language"), _words("zone"), _words("device"),
        _words("landing_page"), _words("source_type"), _words("campaign"), _words("consents"),
        _id("disposition"), _id("merged_into"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("client_email", "client", ["email_norm"])
    op.create_index(
        "client_merged", "client", ["brand", "merged_into"], **_where("merged_into <> ''")
    )


def _records() -> None:
    """Current records, clustered by client."""
    op.create_table(
        "kyc_case",
        _key("brand"), _key("client_id"), _key("source"), _key("external_id"), _id("ref_kind"),
        _id("ref_value"), _at("version_at"), _count("rank"), _id("hash"), _count("deleted"),
        _id("status"), _count("attempt"), _at("started_at"), _at("step_at"), _at("status_at"),
        _words("level"), _id("reason"), _words("reason_code"), _words("gap"),
        _words("client_text"), _words("waiting_for"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("kyc_case_record", "kyc_case", ["source", "external_id"], unique=True)
    op.create_index(
        "kyc_case_unlinked",
        "kyc_case",
        ["brand", "ref_kind", "ref_value"],
        **_where("client_id = ''"),
    )
    op.create_table(
        "payment",
        _key("brand"), _key("client_id"), _key("source"), _key("external_id"), _id("ref_kind"),
        _id("ref_value"), _at("version_at"), _count("rank"), _id("hash"), _count("deleted"),
        _id("direction"), _id("status"), _count("attempt"), _count("amount_minor"),
        _id("currency"), _words("amount_text"), _at("base_minor"), _at("fee_minor"),
        _id("fee_currency"), _at("fee_base_minor"), _at("opened_at"), _at("status_at"),
        _words("method"), _words("psp"), _words("decline_code"), _id("decline"),
        _count("kyc_blocked"), _words("vendor_status"), _words("country"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("payment_record", "payment", ["source", "external_id"], unique=True)
    op.create_index(
        "payment_unlinked",
        "payment",
        ["brand", "ref_kind", "ref_value"],
        **_where("client_id = ''"),
    )
    op.create_table(
        "movement",
        _key("brand"), _key("client_id"), _key("source"), _key("external_id"), _id("ref_kind"),
        _id("ref_value"), _at("version_at"), _count("rank"), _id("hash"), _count("deleted"),
        _id("movement"), _id("status"), _id("payment_id"), _count("amount_minor"),
        _id("currency"), _at("base_minor"), _at("at"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("movement_record", "movement", ["source", "external_id"], unique=True)
    op.create_index(
        "movement_unlinked",
        "movement",
        ["brand", "ref_kind", "ref_value"],
        **_where("client_id = ''"),
    )
    op.create_table(
        "milestone",
        _key("source"), _key("kind"), _key("external_id"), _number("attempt"), _key("status"),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )  # fmt: skip


def _facts() -> None:
    """One row a client; ``state/fact_columns.py`` adds what later catalogues declare."""
    op.create_table(
        "fact",
        _key("brand"), _key("client_id"), _at("registered_at"), _maybe("disposition"),
        _at("disposition_at"), _at("email_verified"), _maybe("entity"), _maybe("country"),
        _maybe("language"), _maybe("zone"), _maybe("device"), _maybe("landing_page"),
        _maybe("source_type"), _maybe("campaign"), _maybe("kyc_status"), _at("kyc_attempt"),
        _at("kyc_started_at"), _at("kyc_step_at"), _at("kyc_status_at"), _at("kyc_approved_at"),
        _maybe("kyc_rejection_reason"), _maybe("kyc_reason_code"), _maybe("kyc_gap"),
        _maybe("kyc_client_text"), _at("deposit_attempts"), _at("first_attempt_at"),
        _maybe("last_attempt_outcome"), _at("last_attempt_ended_at"),
        _at("last_attempt_abandoned"), _maybe("last_attempt_method"), _maybe("last_attempt_psp"),
        _maybe("last_attempt_amount"), _maybe("last_attempt_decline"),
        _at("last_attempt_kyc_blocked"), _at("failed_attempts"), _at("deposits"),
        _at("first_deposit_at"), _maybe("first_deposit_method"), _at("second_deposit_at"),
        _at("last_deposit_at"), _at("total_deposits"), _at("withdrawals"),
        _at("withdrawals_open"), _at("first_withdrawal_at"), _at("first_withdrawal_settled_at"),
        _maybe("first_withdrawal_status"), _maybe("first_withdrawal_amount"),
        _maybe("first_withdrawal_method"), _at("last_withdrawal_paid_at"),
        _at("total_withdrawals"), _at("payment_fees"), _at("refunds_chargebacks"),
        _at("chargebacks"), _at("chargebacks_open"), _at("chargeback_open_at"),
        _at("facts_due_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("ix_fact_facts_due_at", "fact", ["facts_due_at"])


def _meaning() -> None:
    """Stage, states, their history, and the reasons behind tasks."""
    op.create_table(
        "profile",
        _key("brand"), _key("client_id"), _id("stage"), _at("stage_since"), _words("states"),
        _at("due_at"), _count("rule_version"), _at("evaluated_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("ix_profile_due_at", "profile", ["due_at"])
    op.create_table(
        "stage_history",
        _auto("id"), _id("brand"), _id("client_id"), _id("stage"), _at("effective_at"),
        _at("observed_at"), _count("rule_version"), _count("run"), _words("evidence"),
    )  # fmt: skip
    op.create_index("stage_history_client", "stage_history", ["brand", "client_id", "id"])
    op.create_table(
        "episode",
        _key("brand"), _key("client_id"), _key("state"), _number("n"), _id("key"),
        _at("begin_at"), _at("opened_at"), _at("closed_at"), _words("close_reason"),
        _count("by_person"), _id("refused"), _words("refused_why"), _at("admitted_at"),
        _at("due_at"), _id("team"), _id("owner"), _id("priority"), _id("destination"),
        _id("contact"), _count("rule_version"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("episode_key", "episode", ["key"], unique=True)
    op.create_index(
        "episode_open",
        "episode",
        ["brand", "client_id", "state"],
        unique=True,
        **_where("closed_at IS NULL"),
    )


def _crm() -> None:
    """What each CRM is to show, what waits for it, and what it last acknowledged."""
    op.create_table(
        "contact_member",
        _key("destination"), _key("brand"), _key("client_id"), _id("email_norm"), _id("contact"),
        _at("registered_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("contact_member_contact", "contact_member", ["destination", "contact"])
    op.create_index("contact_member_client", "contact_member", ["brand", "client_id"])
    op.create_index("contact_member_email", "contact_member", ["destination", "email_norm"])
    op.create_table(
        "desired",
        _key("destination"), _key("object"), _key("key"), _words("body"), _id("hash"),
        _count("priority"), _at("changed_at"), _count("creates", 1),
    )  # fmt: skip
    op.create_table(
        "outbox",
        _key("destination"), _key("object"), _key("key"), _count("priority"), _id("status"),
        _count("fence"), _count("attempts"), _at("next_try_at"), _at("created_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("outbox_next", "outbox", ["destination", "object", "status", "priority", "key"])
    op.create_table(
        "crm_shadow",
        _key("destination"), _key("object"), _key("key"), _id("crm_id"), _words("acknowledged"),
        _id("hash"), _at("seen_at"), _count("fence"), _id("status"), _id("owner"),
    )  # fmt: skip
    op.create_index("crm_shadow_record", "crm_shadow", ["destination", "object", "crm_id"])
    op.create_table(
        "crm_address", _key("destination"), _key("digest"), _key("crm_id"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_table(
        "crm_hold",
        _key("destination"), _key("object"), _key("key"), _key("property"), _id("kind"),
        _count("times"), _at("since"), _at("last_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_table(
        "read_back",
        _key("destination"), _key("object"), _at("since"), _id("rotation"), _at("last_ok_at"),
        sqlite_with_rowid=False,
    )  # fmt: skip


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, ID, primary_key=True)


def _number(name: str) -> sa.Column[int]:
    """A number that is part of the primary key."""
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _auto(name: str) -> sa.Column[int]:
    return sa.Column(name, AUTO_ID, primary_key=True, autoincrement=True)


def _id(name: str) -> sa.Column[str]:
    return sa.Column(name, ID, nullable=False, server_default="")


def _maybe(name: str) -> sa.Column[str]:
    """A text that may be blank (NULL)."""
    return sa.Column(name, ID)


def _words(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _at(name: str) -> sa.Column[int]:
    """An instant, an amount or a yes/no that may be blank (NULL)."""
    return sa.Column(name, sa.BigInteger)


def _count(name: str, default: int = 0) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=str(default))


def _where(condition: str) -> dict[str, Any]:
    """A partial index on either engine."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
