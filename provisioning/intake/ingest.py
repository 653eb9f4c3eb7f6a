"""One table from its files to one sealed Parquet file, and the facts that the catalogue keeps about it."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb

from provisioning.domain.dataset import Column, RegisteredTable
from provisioning.domain.errors import BadRow, FileRefused, RegistrationRefused
from provisioning.domain.masking import WHOLE, TableRecipe, check
from provisioning.domain.masking_key import MaskingKey, pseudonym_facts
from provisioning.domain.registration import TableSource
from provisioning.intake import csv_reader, databases, readers
from provisioning.intake.databases import Delivered
from provisioning.intake.engine import disk_refusal, quoted, refusal
from provisioning.intake.masking import anonymity, bring_codes, masked_select, missing_code
from provisioning.intake.sealed_copy import SealedCopy
from vault.sealing import SealedWriter


@dataclass(frozen=True)
class SourceFile:
    """Which bytes a table was made from, for provenance."""

    name: str
    bytes: int
    digest: str

    def facts(self) -> dict[str, object]:
        return {"name": self.name, "bytes": self.bytes, "sha256": self.digest}


@dataclass(frozen=True)
class Mask:
    """What happens to a table's columns on the way in, and the project's key."""

    recipe: TableRecipe
    key: MaskingKey


@dataclass(frozen=True)
class Ingested:
    """``effect``: how identifiable people are before and after masking, where the recipe asks for it.

    ``left_out``: rows that could not be read, where the registration allowed that. ``pseudonyms``: how they were made, if any were."""

    table: RegisteredTable
    sources: tuple[SourceFile, ...]
    effect: dict[str, Any] = field(default_factory=dict)
    left_out: tuple[BadRow, ...] = ()
    pseudonyms: dict[str, str] = field(default_factory=dict)


def ingest(
    engine: duckdb.DuckDBPyConnection,
    source: TableSource,
    work: Path,
    writer: SealedWriter,
    mask: Mask | None = None,
) -> Ingested:
    """Seal the rows as ``<table>.parquet``, masked on the way if there is a ``mask``.

    Raises RegistrationRefused, FileRefused or ProvisioningFault."""
    work.mkdir(mode=0o700, exist_ok=True)
    files = neutral(source, work)
    through = None if mask is None else partial(masked_rows, source, mask)
    copy = SealedCopy(engine, writer, source.name, work, through)
    with ThreadPoolExecutor(1) as beside:
        digests = beside.map(digest, files)  # while the engine reads the same pages
        try:
            if mask is not None:
                bring_codes(engine, mask.recipe)
            left_out, delivered = _write(engine, source, files, work, copy)
            table = _described(engine, source, copy)
        except duckdb.Error as broken:
            raise missing_code(source.name, broken) or refusal(source.name, broken) from broken
        except OSError as broken:
            raise disk_refusal(source.name, broken) from broken
        sources = tuple(
            SourceFile(given.name, path.stat().st_size, found)
            for given, path, found in zip(source.files, files, digests, strict=True)
        )
        if delivered is not None:
            place = f"{_without_account(source)}#{source.sheet or source.name}"
            sources = (SourceFile(place, delivered.bytes, delivered.digest),)
        effect = {} if mask is None else effect_of(engine, source, mask.recipe, copy.given, copy.select)
    if delivered is not None:
        engine.execute(f"DROP TABLE {delivered.relation}")
    how = {} if mask is None else pseudonym_facts({source.name: mask.recipe}, mask.key)
    return Ingested(table, sources, effect, tuple(left_out), how)


def _without_account(source: TableSource) -> str:
    """Where the server is, without account, password or options."""
    parts = urlsplit(str(source.address))
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def masked_rows(source: TableSource, mask: Mask, select: str, columns: Sequence[Column]) -> str:
    """The rows masked. A person without a name stays without one: a pseudonym of nothing would make one of them all."""
    check(source.name, mask.recipe, columns, source.unit)
    kinds = {column.name: column.type for column in columns}
    if source.unit is not None and kinds.get(source.unit) not in WHOLE:  # a number is never blank
        unit = quoted(source.unit)
        named = f"CASE WHEN trim(CAST({unit} AS VARCHAR)) = '' THEN NULL ELSE {unit} END AS {unit}"
        select = f"SELECT * REPLACE ({named}) FROM ({select})"
    return masked_select(f"({select})", columns, source.unit, mask.recipe, mask.key)


def effect_of(
    engine: duckdb.DuckDBPyConnection, source: TableSource, recipe: TableRecipe, before: str, after: str
) -> dict[str, Any]:
    """How identifiable people are in two SELECTs; empty where the recipe does not say by which columns."""
    measured = {
        when: anonymity(engine, f"({select})", source.unit, recipe.quasi, recipe.sensitive)
        for when, select in (("before", before), ("after", after))
    }
    return {when: found.facts() for when, found in measured.items() if found is not None}


def digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(
    engine: duckdb.DuckDBPyConnection, source: TableSource, files: list[Path], work: Path, copy: SealedCopy
) -> tuple[list[BadRow], Delivered | None]:
    """Returns the rows left out, and what a server delivered."""
    if source.kind == "server":
        delivered = databases.read(engine, source)
        copy(readers.typed_select(engine, source, files, delivered.relation))
        return [], delivered
    if source.kind in ("csv", "excel", "sqlite"):
        prepared = csv_reader.prepare if source.kind == "csv" else readers.as_csv
        found = prepared(engine, source, files, work)
        return csv_reader.write(engine, source.name, found, copy, source.leave_out), None
    copy(readers.typed_select(engine, source, files))
    return [], None


def _described(engine: duckdb.DuckDBPyConnection, source: TableSource, copy: SealedCopy) -> RegisteredTable:
    found = copy.table(source.meanings)
    return replace(found, unit=_unit(engine, source, copy, [column.name for column in found.columns]))


def _unit(engine: duckdb.DuckDBPyConnection, source: TableSource, copy: SealedCopy, columns: list[str]) -> str | None:
    if source.unit is None:
        return None
    if source.unit not in columns:
        near = difflib.get_close_matches(source.unit, columns, n=1)
        raise RegistrationRefused(
            f"Table {source.name} was not registered: it has no column {source.unit[:60]!a}.",
            why="This column was named as the privacy unit, so that people can be counted.",
            do=f"Did you mean {near[0]}?" if near else f"Name one of: {', '.join(columns[:30])}.",
        )
    if not copy.may_be_blank(source.unit):
        return source.unit
    column = quoted(source.unit)
    missing = int(
        engine.execute(
            f"SELECT count(*) FROM ({copy.given}) WHERE {column} IS NULL OR trim(CAST({column} AS VARCHAR)) = ''"
        ).fetchall()[0][0]
    )
    if missing:
        raise RegistrationRefused(
            f"Table {source.name} was not registered: {missing} rows do not say whom they are about.",
            why=f"Their privacy unit, column {source.unit}, is empty, so that nobody could count people.",
            do="Complete the column or leave these rows out yourself, then register again.",
        )
    return source.unit


def neutral(source: TableSource, work: Path) -> list[Path]:
    """Links with names of our own: DuckDB takes ``*`` and ``[`` in a file's name for a pattern."""
    links = []
    for number, path in enumerate(source.files):
        if ".." in path.parts or not path.is_file():
            raise FileRefused(
                f"Table {source.name} was not registered: {path.name[:80]!a} is not a file that can be read.",
                why="It does not exist, is a folder, or its path goes through '..'.",
                do="Give the plain path of an ordinary file.",
            )
        link = (
            work
            / f"source-{number}{path.suffix.lower() if path.suffix.isascii() and path.suffix[1:].isalnum() else ''}"
        )
        link.symlink_to(path.resolve())
        links.append(link)
    return links
