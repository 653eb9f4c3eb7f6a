"""A synthetic twin of a version: a dataset version of its own, with what it cost in privacy and how close it came on the record.

The twin is registered as ``<dataset>-twin``, sealed, listed and destroyed like any other; `store.schema.dataset_twin` says what it is
a twin of. Each twin spends its epsilon anew, so that a version has one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from sqlalchemy import Connection, insert, select

from installation.settings import Settings
from ledger import certificate
from ledger.entry import Entry, canonical
from policy_engine import PolicyEngine
from provisioning.domain import names
from provisioning.domain.dataset import (
    AVAILABLE,
    Dataset,
    RegisteredTable,
    VersionId,
    digest_of,
    parse_version,
    version_id,
)
from provisioning.domain.errors import RegistrationRefused, not_found
from provisioning.domain.registration import Registration
from provisioning.domain.twin import TwinTerms, evidence
from provisioning.intake.engine import disk_refusal, engine, literal, quoted, refusal
from provisioning.intake.sealed_copy import SealedCopy
from provisioning.service.catalogue import put_in_place
from provisioning.service.certificates import (
    TWINNED,
    certificate_path,
    name_pending,
    tables_as_facts,
    write_pending,
)
from provisioning.service.delivery import delivery
from provisioning.store import catalogue as rows
from provisioning.twin.closeness import report
from provisioning.twin.mechanisms import OpenDpDraws
from provisioning.twin.tables import Twin, twin_of, units_of
from store import schema as s
from store.database import Database
from store.transaction import Transaction
from vault import Vault
from vault.sealing import SealedWriter

ENTRY_POINT = "access/twin"


def make_twin(
    db: Database, engine_: PolicyEngine, settings: Settings, *, version: str, actor: str, at: datetime
) -> VersionId:
    """Make and register the twin of ``version``.

    Raises NotFound for an unknown version, RegistrationRefused when it has a twin or is one, ProvisioningFault when policy allows
    none, PolicyUnavailable when nobody can be asked.
    """
    names.person(actor)
    source, tables = _source(db, version)
    terms = TwinTerms.of(engine_.query(ENTRY_POINT, {"classification": int(source.classification)}).result)
    vault = Vault(settings)
    with delivery(settings) as incoming:
        with vault.opened({version: {table.file: table.digest for table in tables}}) as opened:
            made, told = _made(opened[version], tables, terms, vault.writer(incoming / "version"), incoming)
        with db.transaction(at) as t:
            new = _register(t, settings, source, version, terms, made, told, incoming / "version", actor)
        name_pending(certificate_path(settings, "twinned", new))
        return new


def report_of(c: Connection, version: str) -> dict[str, Any]:
    """What the twin of ``version`` cost and how close it is. Raises NotFound."""
    row = c.execute(select(s.dataset_twin).where(s.dataset_twin.c.version == version)).first()
    if row is None:
        raise not_found("twin of", ascii(version[:60]), f"./glovebox dataset twin {version[:60]!a}")
    return {"version": version, "twin": row.twin, **json.loads(row.facts)}


def _source(db: Database, version: str) -> tuple[Dataset, list[RegisteredTable]]:
    dataset, _ = parse_version(version)
    with db.read() as c:
        found, known, tables = rows.version(c, version), rows.dataset(c, dataset), rows.tables_of(c, version)
        has = c.execute(select(s.dataset_twin.c.twin).where(s.dataset_twin.c.version == version)).scalar()
        is_one = c.execute(select(s.dataset_twin.c.version).where(s.dataset_twin.c.twin == version)).scalar()
    if found is None or known is None or found.state != AVAILABLE:
        raise not_found("available dataset version", ascii(version[:60]), "./glovebox dataset list")
    if has is not None:
        raise _refused(version, f"It has one: {has}. A second would spend its privacy again.", "Use that one.")
    if is_one is not None:
        raise _refused(version, f"It is a twin itself, of {is_one}.", "Name the version with the data.")
    return known, tables


def _made(
    folder: Path, tables: Sequence[RegisteredTable], terms: TwinTerms, writer: SealedWriter, work: Path
) -> tuple[list[RegisteredTable], dict[str, Any]]:
    draws, rng = OpenDpDraws(), np.random.default_rng(secrets.randbits(128))
    relations = {t.name: f"read_parquet({literal(str(folder / t.file))})" for t in tables}
    with_units = {t.name: (relations[t.name], t.unit) for t in tables if t.unit is not None}
    each = replace(terms, epsilon=terms.epsilon * 0.95 / len(tables), delta=terms.delta / len(tables))
    made, told = [], {}
    with engine(work) as connection:
        try:
            units = units_of(connection, with_units, draws, terms.epsilon * 0.05)
            for table in tables:
                twin = twin_of(connection, relations[table.name], table, units, each, draws, rng)
                made.append(_sealed(connection, twin, writer, work))
                told[table.name] = report(twin, rng)
        except duckdb.Error as broken:
            raise refusal("twin", broken) from broken
        except OSError as broken:
            raise disk_refusal("twin", broken) from broken
    return made, told


def _sealed(connection: duckdb.DuckDBPyConnection, twin: Twin, writer: SealedWriter, work: Path) -> RegisteredTable:
    table, held = twin.table, f"twin_{secrets.token_hex(4)}"
    connection.register(held, twin.rows)
    cast = ", ".join(f"TRY_CAST({quoted(c.name)} AS {c.type}) AS {quoted(c.name)}" for c in table.columns)
    copy = SealedCopy(connection, writer, table.name, work)
    copy(f"SELECT {cast} FROM {held}")  # noqa: S608 - names are quoted, types are the catalogue's
    connection.unregister(held)
    return replace(copy.table({c.name: c.meaning for c in table.columns}), unit=table.unit)


def _register(
    t: Transaction,
    settings: Settings,
    source: Dataset,
    version: str,
    terms: TwinTerms,
    made: Sequence[RegisteredTable],
    told: dict[str, Any],
    delivered: Path,
    actor: str,
) -> VersionId:
    name = names.slug("dataset", f"{source.name}-twin")
    number = rows.next_number(t, name)
    new = version_id(name, number)
    if number == 1:
        rows.add_dataset(t, _registration(source, name, terms), actor=actor)
    digest = digest_of((table.name, table.digest) for table in made)
    recipe = json.dumps({"twin_of": version, **terms.facts()}, sort_keys=True)
    rows.add_version(t, new, name, number, digest=digest, folder=new, actor=actor, recipe=recipe)
    rows.add_tables(t, new, made)
    facts = json.dumps({**terms.facts(), "tables": told}, sort_keys=True)
    t.execute(insert(s.dataset_twin).values(version=version, twin=new, facts=facts, made_at=t.at, made_by=actor))
    subject = {"dataset": source.name, "version": version, "twin": new}
    statement = {
        "format": TWINNED,
        "version": new,
        "twin_of": version,
        "made_at": t.at,
        "made_by": actor,
        "digest": digest,
        "tables": tables_as_facts(made),
        **evidence(terms.facts()),
    }
    said = {"digest": digest, **evidence(terms.facts()), "certificate": certificate.digest(canonical(statement))}
    receipt = t.receipt(t.record(Entry("dataset.twinned", actor, subject, said)))
    write_pending(settings, certificate_path(settings, "twinned", new), statement, receipt)
    put_in_place(delivered, settings.datasets / new)
    return new


def _registration(source: Dataset, name: str, terms: TwinTerms) -> Registration:
    return Registration(
        dataset=name,
        title=f"Synthetic twin: {source.title}"[:200],
        description=f"Synthetic rows in the shape of {source.name}; no row is about anybody. For development.",
        provider=source.provider,
        classification=terms.level,
        stewards=source.stewards,
        tables=(),
    )


def _refused(version: str, why: str, do: str) -> RegistrationRefused:
    return RegistrationRefused(f"No twin of {version} was made.", why=why, do=do)
