"""Masking a version for a project: a new version with its recipe and its effect on the record.

Pseudonyms join within the project and do not link it to another (`service.masking_key`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from installation.settings import Settings
from ledger import certificate
from ledger.entry import Entry, canonical
from provisioning.domain import names
from provisioning.domain.dataset import AVAILABLE, RegisteredTable, VersionId, digest_of, parse_version, version_id
from provisioning.domain.errors import not_found
from provisioning.domain.masking import TableRecipe, check_tables, facts
from provisioning.domain.masking_key import MaskingKey, pseudonym_facts
from provisioning.intake.engine import disk_refusal, engine, literal, refusal
from provisioning.intake.masking import anonymity, bring_codes, masked_select, missing_code
from provisioning.intake.sealed_copy import SealedCopy
from provisioning.service.catalogue import keep_codes, put_in_place
from provisioning.service.certificates import (
    MASKED,
    certificate_path,
    name_pending,
    tables_as_facts,
    write_pending,
)
from provisioning.service.delivery import delivery
from provisioning.service.masking_key import project_key
from provisioning.store import catalogue as rows
from provisioning.store.projects import project as find_project
from store.database import Database
from vault import Vault
from vault.sealing import SealedWriter


def mask_version(
    db: Database,
    settings: Settings,
    *,
    version: str,
    recipes: Mapping[str, TableRecipe],
    project: str,
    actor: str,
    at: datetime,
) -> VersionId:
    """Register a masked copy of ``version`` for ``project``; tables without a recipe are copied as they are.

    Raises RegistrationRefused for a recipe that does not fit, NotFound for an unknown version or project.
    """
    names.person(actor)
    dataset, _ = parse_version(version)
    with db.read() as c:
        source, tables = rows.version(c, version), rows.tables_of(c, version)
        known_project = find_project(c, project)
    if source is None or source.state != AVAILABLE:
        raise not_found("available dataset version", version, "./glovebox dataset list")
    if known_project is None:
        raise not_found("project", ascii(project[:60]), "./glovebox project list")
    check_tables(recipes, {table.name: (table.columns, table.unit) for table in tables})
    vault = Vault(settings)
    with delivery(settings) as incoming:
        key = project_key(settings, project)
        writer = vault.writer(incoming / "version")
        with vault.opened({version: {table.file: table.digest for table in tables}}) as opened:
            made, effect = _mask_all(opened[version], tables, recipes, key, writer, incoming)
        keep_codes(settings, recipes)
        recipe = {
            "from": version,
            "project": project,
            "recipe": facts(recipes),
            "effect": effect,
            **pseudonym_facts(recipes, key),
        }
        with db.transaction(at) as t:
            number = rows.next_number(t, dataset)
            new = version_id(dataset, number)
            digest = digest_of((table.name, table.digest) for table in made)
            text = json.dumps(recipe, sort_keys=True, ensure_ascii=False)
            rows.add_version(t, new, dataset, number, digest=digest, folder=new, actor=actor, recipe=text)
            rows.add_tables(t, new, made)
            subject = {"dataset": dataset, "version": new, "project": project}
            statement = {
                "format": MASKED,
                "version": new,
                "masked_at": t.at,
                "masked_by": actor,
                "project": project,
                "digest": digest,
                "from_digest": source.digest,
                "tables": tables_as_facts(made),
                **_evidence(recipe),
            }
            said = {"digest": digest, **_evidence(recipe), "certificate": certificate.digest(canonical(statement))}
            path = certificate_path(settings, "masked", new)
            write_pending(settings, path, statement, t.receipt(t.record(Entry("dataset.masked", actor, subject, said))))
            put_in_place(incoming / "version", settings.datasets / new)
        name_pending(path)
        return new


def _mask_all(
    folder: Path,
    tables: Sequence[RegisteredTable],
    recipes: Mapping[str, TableRecipe],
    key: MaskingKey,
    writer: SealedWriter,
    incoming: Path,
) -> tuple[list[RegisteredTable], dict[str, Any]]:
    made: list[RegisteredTable] = []
    effect: dict[str, Any] = {}
    with engine(incoming) as connection:
        for table in tables:
            recipe = recipes.get(table.name, TableRecipe())
            copy = SealedCopy(connection, writer, table.name, incoming)
            try:
                found, change = _mask_one(connection, folder / table.file, table, recipe, key, copy)
            except duckdb.Error as broken:
                raise missing_code(table.name, broken) or refusal(table.name, broken) from broken
            except OSError as broken:
                raise disk_refusal(table.name, broken) from broken
            made.append(found)
            if change:
                effect[table.name] = change
    return made, effect


def _mask_one(
    connection: duckdb.DuckDBPyConnection,
    source: Path,
    table: RegisteredTable,
    recipe: TableRecipe,
    key: MaskingKey,
    copy: SealedCopy,
) -> tuple[RegisteredTable, dict[str, Any]]:
    bring_codes(connection, recipe)
    before = f"read_parquet({literal(str(source))})"
    masked = masked_select(before, table.columns, table.unit, recipe, key)
    copy(masked)
    after = f"({masked})"
    made = copy.table({column.name: column.meaning for column in table.columns})
    measured = {
        when: found.facts()
        for when, relation in (("before", before), ("after", after))
        if (found := anonymity(connection, relation, table.unit, recipe.quasi, recipe.sensitive)) is not None
    }
    return replace(made, unit=table.unit), measured


def _evidence(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe without its edges: numbers with fractions have no place in the ledger, their text does."""
    said = {name: recipe[name] for name in ("from", "effect", "pseudonyms") if name in recipe}
    return {**said, "recipe": json.dumps(recipe["recipe"], sort_keys=True)}
