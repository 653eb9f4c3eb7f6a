"""All tables, in one place, because provisioning and the gate meet here and nowhere else.

Owner of each table is named in its section; only the owner writes it, others may read. Times are ISO 8601 UTC text with
microseconds and ``Z`` (`store.clock.stamp`), so that they compare as text in SQLite and PostgreSQL alike. Structured facts
are canonical JSON in ``Text`` columns. Nothing is ever deleted; a state column or an end time says that something is over.
"""

from __future__ import annotations

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
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()
Serial = BigInteger().with_variant(Integer, "sqlite")

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))  # one row per upgrade
alembic_version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))

# ---- the ledger (owner: store.database, in every transaction) -------------------------------------------------------
ledger_entry = Table(
    "ledger_entry",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=False),  # 0-based index of the leaf
    Column("body", LargeBinary, nullable=False),  # canonical JSON, the leaf's bytes
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),  # copies for queries; `body` is what counts
    Column("actor", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("frontier", LargeBinary, nullable=False),  # compact range after this leaf
    Column("checkpoint", Text, nullable=False),  # signed note over the tree of size seq + 1
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

# ---- provisioning ---------------------------------------------------------------------------------------------------
person = Table(
    "person",
    metadata,
    Column("name", Text, primary_key=True),
    Column("uid", Integer, nullable=False, unique=True),  # the sandbox uid, never reused
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
    Column("id", Text, primary_key=True),  # "nafld/1"
    Column("dataset", Text, ForeignKey("dataset.name"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", Text, nullable=False),  # sha256 over the tables' digests, hex
    Column("state", Text, nullable=False),  # available | destroyed
    Column("folder", Text, nullable=False),  # relative to Settings.datasets
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
    Column("file", Text, nullable=False),  # relative to the version's folder
    Column("digest", Text, nullable=False),  # sha256 of the file, hex
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("unit", Text),  # the privacy unit's column; NULL: each row is its own unit
    Column("columns", Text, nullable=False),  # JSON [{"name", "type", "meaning"}]
)
dataset_twin = Table(
    "dataset_twin",
    metadata,
    Column("version", Text, ForeignKey("dataset_version.id"), primary_key=True),
    Column("twin", Text, ForeignKey("dataset_version.id"), nullable=False, unique=True),
    Column("facts", Text, nullable=False),  # JSON: method, what it cost, how close it is; for stewards and admins
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
    Column("state", Text, nullable=False),  # active | frozen | closed
    Column("created_at", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("terms", Text, nullable=False, server_default="{}"),  # JSON: quotas, output plan, legal basis
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
    Column("quotas", Text, nullable=False, server_default="{}"),  # JSON: name of `store.usage.LIMITED` → most
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
    Column("view", Text, nullable=False),  # open | guarded | blind
    Column(
        "works_on", Text, nullable=False, server_default="data"
    ),  # data | twin; `versions` names the data either way
    Column("versions", Text, nullable=False),  # JSON list of dataset version ids mounted
    Column("proof", Text, nullable=False, server_default="{}"),
    Column("started_at", Text, nullable=False),
    Column("stopped_at", Text),
    Column("stop_reason", Text),
    Column("used", Text, nullable=False, server_default="{}"),  # JSON, measured as it ended
    Column("shelf", Text),  # digest of the package shelf's edition it sees; NULL: none
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
    Column("digest", Text, nullable=False),  # sha256 over the wheels' digests; the folder's name below Settings.shelf
    Column("lock", Text, nullable=False),  # as it was approved
    Column("packages", Text, nullable=False),  # JSON [{"name", "version", "sha256", "file"}]
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
    Column("state", Text, nullable=False),  # open | approved | refused
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
    Column("project", Text, nullable=False),  # as asked for: it need not exist
    Column("reasons", Text, nullable=False),  # JSON list of policy's codes
    Column("refused_at", Text, nullable=False),
)

# ---- the gate -------------------------------------------------------------------------------------------------------
release_request = Table(
    "release_request",
    metadata,
    Column("id", Serial, primary_key=True),  # shown as R-17
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
    Column("lease_until", Text),  # while `checking` or `releasing`: another worker may take over after this
    Column("trouble", Text),  # JSON fault in its public voice: why it waits, when it does
    Column("risk", Integer, nullable=False, server_default="0"),  # orders the queue; set by the check
    Column("client_key", Text),  # the caller's idempotency key: a repeated submit finds the first
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
    Column("kind", Text, nullable=False),  # table | file (issue 4 adds figure, model, notebook)
    Column("sql", Text),  # as the analyst wrote it
    Column("blob", Text),  # sha256 of the analyst's bytes or figures, in the blob store
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
    Column("findings", Text, nullable=False),  # JSON list
    Column("assessment", Text),  # sha256 of the full assessment JSON (cells) in the blob store; steward only
    Column("protected", Text),  # sha256 of the table as it would leave, in the blob store
    Column("lineage", Text, nullable=False),  # JSON list of dataset version ids
    Column("canonical_sql", Text),
    Column("audited_against", Text, nullable=False, server_default="[]"),  # JSON list of earlier release ids
    Column("checked_at", Text, nullable=False),
    Column("seconds", Text, nullable=False, server_default="{}"),
)
decision = Table(
    "decision",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("request", Serial, ForeignKey("release_request.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("outcome", Text, nullable=False),  # release | review | refuse
    Column("reasons", Text, nullable=False),
    Column("obligations", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("input", Text, nullable=False),  # sha256 of the policy input in the blob store: what a replay needs
    Column("decided_at", Text, nullable=False),
)
review = Table(
    "review",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("request", Serial, ForeignKey("release_request.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("verdict", Text, nullable=False),  # approve | return | reject
    Column("reason", Text, nullable=False),
    Column("reviewed_at", Text, nullable=False),
    UniqueConstraint("request", "revision", "reviewer"),
)
item_review = Table(
    "item_review",
    metadata,
    Column("review", Serial, ForeignKey("review.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("verdict", Text, nullable=False),  # approve | return | reject
    Column("reason", Text, nullable=False, server_default=""),
)
cell_review = Table(
    "cell_review",
    metadata,
    Column("review", Serial, ForeignKey("review.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("output", Text, primary_key=True),  # an output of a notebook that this review approves
)
held_output = Table(
    "held_output",
    metadata,
    Column("request", Serial, ForeignKey("release_request.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("verdict", Text, nullable=False),  # return | reject
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
    Column("blob", Text, nullable=False),  # sha256 of the notebook that is run
    Column("state", Text, nullable=False),  # waiting | running | done | failed
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", Text, nullable=False),
    Column("lease_until", Text),  # while `running`, or put off: another worker may take over after this
    Column("seconds", Integer, nullable=False),  # policy's limit when it was asked for
    Column("result", Text),  # sha256 of what came of it in the blob store; for stewards and auditors
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
    Column("audience", Text, nullable=False),  # author (question and answer) | reviewers (private note)
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
    Column("digest", Text, primary_key=True),  # sha256 in the blob store; only its own uploader may name it
    Column("bytes", BigInteger, nullable=False),
    Column("uploaded_at", Text, nullable=False),
)
preview = Table(
    "preview",  # each look ahead at what would be hidden; `content` is the digest of what was asked, never what was told
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
    Column("bundle", Text, nullable=False),  # sha256 of the zip in the blob store
    Column("certificate", Text, nullable=False),  # sha256 of the signed certificate in the blob store
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
    Column("version", Text, primary_key=True),  # one row per dataset version in the lineage: the joint audit's index
    Column("canonical_sql", Text, nullable=False),
    Column("suppressed", Text, nullable=False),  # JSON list of keys
    Column("rounding_base", Integer),
)
release_size = Table(
    "release_size",
    metadata,
    Column("release", Serial, ForeignKey("release.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("versions", Text, nullable=False),  # JSON list: the item's lineage
    Column("cells", BigInteger, nullable=False),  # figures in it; 0 for what is no table
    Column("bytes", BigInteger, nullable=False),
)
released_protection = Table(
    "released_protection",
    metadata,
    Column("release", Serial, ForeignKey("release.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("method", Text, nullable=False),  # round | noise; what was only suppressed has no row here
    Column("facts", Text, nullable=False),  # canonical JSON: base, or epsilon, delta and bounds
)
privacy_charge = Table(
    "privacy_charge",
    metadata,
    Column("release", Serial, ForeignKey("release.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("version", Text, primary_key=True),  # the budget is per dataset version and project
    Column("project", Text, nullable=False),
    Column("canonical_sql", Text, nullable=False),
    Column("facts", Text, nullable=False),  # the protection, as in released_protection
    Column("epsilon", Float, nullable=False),
    Column("answer", Text, nullable=False),  # sha256 of the assessment: the same question gets the same answer
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
notice_place = Table(  # how far the ledger was read for notices: one row
    "notice_place",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("upto", BigInteger, nullable=False),
)
notice = Table(
    "notice",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("seq", BigInteger, nullable=False),  # the entry it tells of
    Column("person", Text, nullable=False),
    Column("word", Text, nullable=False),  # review_wanted | returned | released | …
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
    Column("channel", Text, nullable=False),  # mail | webhook
    Column("state", Text, nullable=False),  # waiting | sent | given_up
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
    Column("role", Text),  # None: disabled
    Column("asked_by", Text, nullable=False),
    Column("asked_at", Text, nullable=False),
    Column("failed_at", Text),  # the hub, which keeps accounts, did not do it
    Index("account_change_person", "person", "id"),
)

# ---- the session door -----------------------------------------------------------------------------------------------
session_event = Table(
    "session_event",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("sandbox", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("kind", Text, nullable=False),  # cell | shown | refused | upload | sign_in
    Column("digest", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("facts", Text, nullable=False, server_default="{}"),
    Index("session_event_sandbox", "sandbox", "time"),
)

SCHEMA_VERSION = 1  # the newest of store/revisions: a change of the tables above needs a revision and the next number
REVISION = f"{SCHEMA_VERSION:04}"
