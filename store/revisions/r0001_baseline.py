"""The schema as it was when migrations began, and the way to it from every state before, which all called themselves 1.

The tables below are frozen: a later change is a revision of its own. A database of an earlier program lacks tables, columns
and indexes; they are added, nothing is taken away, and a column of another type is refused, because nobody knows what it holds.
"""

from __future__ import annotations

from alembic import op
from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ADDITIONS = (ops.AddColumnOp, ops.CreateIndexOp, ops.CreateUniqueConstraintOp, ops.CreateForeignKeyOp)
REMOVALS = (ops.DropColumnOp, ops.DropIndexOp, ops.DropConstraintOp)

metadata = MetaData()
Serial = BigInteger().with_variant(Integer, "sqlite")

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

ledger_entry = Table(
    "ledger_entry",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Index("ledger_entry_actor", "actor", "seq"),
    Index("ledger_entry_kind", "kind", "seq"),
)
ledger_subject = Table(
    "ledger_subject",
    metadata,
    Column("seq", Serial, ForeignKey("ledger_entry.seq"), primary_key=True),
    Column("noun", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Index("ledger_subject_by_name", "noun", "name"),
)

person = Table(
    "person",
    metadata,
    Column("name", Text, primary_key=True),
    Column("uid", Integer, nullable=False, unique=True),
)
dataset = Table(
    "dataset",
    metadata,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("classification", Integer, nullable=False),
    Column("registered_at", Text, nullable=False),
    Column("registered_by", Text, nullable=False),
    Column("datasheet", Text, nullable=False, server_default="{}"),
    CheckConstraint("classification BETWEEN 1 AND 4"),
)
dataset_steward = Table(
    "dataset_steward",
    metadata,
    Column("dataset", Text, ForeignKey("dataset.name"), primary_key=True),
    Column("person", Text, primary_key=True),
)
dataset_version = Table(
    "dataset_version",
    metadata,
    Column("id", Text, primary_key=True),
    Column("dataset", Text, ForeignKey("dataset.name"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("recipe", Text, nullable=False, server_default="{}"),
    Column("registered_at", Text, nullable=False),
    Column("registered_by", Text, nullable=False),
    UniqueConstraint("dataset", "number"),
)
dataset_table = Table(
    "dataset_table",
    metadata,
    Column("version", Text, ForeignKey("dataset_version.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("file", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("unit", Text),
    Column("columns", Text, nullable=False),
)
dataset_twin = Table(
    "dataset_twin",
    metadata,
    Column("version", Text, ForeignKey("dataset_version.id"), primary_key=True),
    Column("twin", Text, ForeignKey("dataset_version.id"), nullable=False, unique=True),
    Column("facts", Text, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("made_by", Text, nullable=False),
)
project = Table(
    "project",
    metadata,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("sponsor", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("terms", Text, nullable=False, server_default="{}"),
)
project_member = Table(
    "project_member",
    metadata,
    Column("project", Text, ForeignKey("project.name"), primary_key=True),
    Column("person", Text, primary_key=True),
    Column("added_at", Text, nullable=False),
    Column("removed_at", Text),
)
grant = Table(
    "grant_",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("project", Text, ForeignKey("project.name"), nullable=False),
    Column("version", Text, ForeignKey("dataset_version.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("granted_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("revoked_at", Text),
    Column("revoked_by", Text),
    Column("quotas", Text, nullable=False, server_default="{}"),
)
sandbox = Table(
    "sandbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("project", Text, ForeignKey("project.name"), nullable=False),
    Column("server_name", Text, nullable=False),
    Column("container", Text, nullable=False),
    Column("image_digest", Text, nullable=False),
    Column("view", Text, nullable=False),
    Column("works_on", Text, nullable=False, server_default="data"),
    Column("versions", Text, nullable=False),
    Column("proof", Text, nullable=False, server_default="{}"),
    Column("started_at", Text, nullable=False),
    Column("stopped_at", Text),
    Column("stop_reason", Text),
    Column("used", Text, nullable=False, server_default="{}"),
    Column("shelf", Text),
)
sandbox_stop = Table(
    "sandbox_stop",
    metadata,
    Column("sandbox", Text, ForeignKey("sandbox.id"), primary_key=True),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

shelf_edition = Table(
    "shelf_edition",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("lock", Text, nullable=False),
    Column("packages", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("approved_at", Text, nullable=False),
)
package_request = Table(
    "package_request",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("person", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("asked_at", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Text),
    Column("answer", Text),
    Index("package_request_state", "state"),
)
access_refusal = Table(
    "access_refusal",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("person", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("refused_at", Text, nullable=False),
)

release_request = Table(
    "release_request",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("project", Text, ForeignKey("project.name"), nullable=False),
    Column("author", Text, nullable=False),
    Column("sandbox", Text, ForeignKey("sandbox.id")),
    Column("title", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("context", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Column("lease_until", Text),
    Column("trouble", Text),
    Column("risk", Integer, nullable=False, server_default="0"),
    Column("client_key", Text),
    UniqueConstraint("author", "client_key"),
    Index("release_request_state", "state", "updated_at"),
    Index("release_request_author", "author"),
    Index("release_request_project", "project"),
)
request_item = Table(
    "request_item",
    metadata,
    Column("request", Serial, ForeignKey("release_request.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("sql", Text),
    Column("blob", Text),
    Column("declared", Text, nullable=False, server_default="{}"),
)
request_words = Table(
    "request_words",
    metadata,
    Column("request", Serial, ForeignKey("release_request.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("title", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("context", Text, nullable=False),
)
item_check = Table(
    "item_check",
    metadata,
    Column("request", Serial, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("findings", Text, nullable=False),
    Column("assessment", Text),
    Column("protected", Text),
    Column("lineage", Text, nullable=False),
    Column("canonical_sql", Text),
    Column("audited_against", Text, nullable=False, server_default="[]"),
    Column("checked_at", Text, nullable=False),
    Column("seconds", Text, nullable=False, server_default="{}"),
)
decision = Table(
    "decision",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("request", Serial, ForeignKey("release_request.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("obligations", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("decided_at", Text, nullable=False),
)
review = Table(
    "review",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("request", Serial, ForeignKey("release_request.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reviewed_at", Text, nullable=False),
    UniqueConstraint("request", "revision", "reviewer"),
)
item_review = Table(
    "item_review",
    metadata,
    Column("review", Serial, ForeignKey("review.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
)
cell_review = Table(
    "cell_review",
    metadata,
    Column("review", Serial, ForeignKey("review.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("output", Text, primary_key=True),
)
held_output = Table(
    "held_output",
    metadata,
    Column("request", Serial, ForeignKey("release_request.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("goes_on_as", Serial, ForeignKey("release_request.id"), nullable=False),
    Index("held_output_goes_on_as", "goes_on_as"),
)
notebook_rerun = Table(
    "notebook_rerun",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("request", Serial, ForeignKey("release_request.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("item", Text, nullable=False),
    Column("blob", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", Text, nullable=False),
    Column("lease_until", Text),
    Column("seconds", Integer, nullable=False),
    Column("result", Text),
    Column("ended_at", Text),
    Index("notebook_rerun_request", "request", "revision"),
    Index("notebook_rerun_state", "state", "id"),
)
request_message = Table(
    "request_message",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("request", Serial, ForeignKey("release_request.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("author", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("sent_at", Text, nullable=False),
    Index("request_message_request", "request"),
)
delegation = Table(
    "delegation",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("dataset", Text, ForeignKey("dataset.name"), nullable=False),
    Column("steward", Text, nullable=False),
    Column("delegate", Text, nullable=False),
    Column("given_at", Text, nullable=False),
    Column("until_at", Text, nullable=False),
    Column("ended_at", Text),
)
upload = Table(
    "upload",
    metadata,
    Column("sandbox", Text, ForeignKey("sandbox.id"), primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("uploaded_at", Text, nullable=False),
)
preview = Table(
    "preview",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("sandbox", Text, ForeignKey("sandbox.id")),
    Column("project", Text, ForeignKey("project.name"), nullable=False),
    Column("person", Text, ForeignKey("person.name"), nullable=False),
    Column("content", Text, nullable=False),
    Column("outputs", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("shown_at", Text, nullable=False),
)
release = Table(
    "release",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("request", Serial, ForeignKey("release_request.id"), nullable=False, unique=True),
    Column("revision", Integer, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("released_at", Text, nullable=False),
    Column("revoked_at", Text),
    Column("revoked_by", Text),
    Column("revoke_reason", Text),
)
released_table = Table(
    "released_table",
    metadata,
    Column("release", Serial, ForeignKey("release.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("canonical_sql", Text, nullable=False),
    Column("suppressed", Text, nullable=False),
    Column("rounding_base", Integer),
)
release_size = Table(
    "release_size",
    metadata,
    Column("release", Serial, ForeignKey("release.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("versions", Text, nullable=False),
    Column("cells", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
released_protection = Table(
    "released_protection",
    metadata,
    Column("release", Serial, ForeignKey("release.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("method", Text, nullable=False),
    Column("facts", Text, nullable=False),
)
privacy_charge = Table(
    "privacy_charge",
    metadata,
    Column("release", Serial, ForeignKey("release.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("canonical_sql", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("epsilon", Float, nullable=False),
    Column("answer", Text, nullable=False),
    Index("privacy_charge_budget", "version", "project"),
    Index("privacy_charge_answer", "answer"),
)
download = Table(
    "download",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("release", Serial, ForeignKey("release.id"), nullable=False),
    Column("person", Text, nullable=False),
    Column("downloaded_at", Text, nullable=False),
)
notice_place = Table(
    "notice_place",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("upto", BigInteger, nullable=False),
)
notice = Table(
    "notice",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("person", Text, nullable=False),
    Column("word", Text, nullable=False),
    Column("request", Text),
    Column("project", Text),
    Column("release", Text),
    Column("told_at", Text, nullable=False),
    Column("read_at", Text),
    UniqueConstraint("seq", "person"),
    Index("notice_person", "person", "read_at"),
)
notice_delivery = Table(
    "notice_delivery",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("notice", Serial, ForeignKey("notice.id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("done_at", Text),
    Index("notice_delivery_state", "state", "id"),
)
ledger_export = Table(
    "ledger_export",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("person", Text, nullable=False),
    Column("exported_at", Text, nullable=False),
)

account_change = Table(
    "account_change",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("person", Text, nullable=False),
    Column("role", Text),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", Text, nullable=False),
    Column("failed_at", Text),
    Index("account_change_person", "person", "id"),
)

session_event = Table(
    "session_event",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("sandbox", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("facts", Text, nullable=False, server_default="{}"),
    Index("session_event_sandbox", "sandbox", "time"),
)


def upgrade() -> None:
    found = produce_migrations(op.get_context(), metadata).upgrade_ops
    for step in found.ops if found else []:
        if isinstance(step, ops.ModifyTableOps):
            _complete(step)
        elif not isinstance(step, ops.DropTableOp):
            op.invoke(step)


def _complete(table: ops.ModifyTableOps) -> None:
    """Add what ``table`` lacks, rebuilding it where SQLite can do no other. What it has more stays."""
    lacking = [step for step in table.ops if not isinstance(step, REMOVALS)]
    if strange := [step for step in lacking if not isinstance(step, ADDITIONS)]:
        raise ValueError(f"{table.table_name}: {strange[0].to_diff_tuple()}")
    if lacking:
        with op.batch_alter_table(table.table_name) as batch:
            for step in lacking:
                if isinstance(step, ops.CreateUniqueConstraintOp) and step.constraint_name is None:
                    step.constraint_name = "_".join([table.table_name, *step.columns, "key"])  # as PostgreSQL names it
                batch.invoke(step)
