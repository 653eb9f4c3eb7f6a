"""`glovebox dataset`: from files to the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from installation import settings as installation
from workbench import console
from workbench.commands.names import By
from workbench.console import Json

app = typer.Typer(help="The catalogue of datasets.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The dataset's name, for example nafld.")],
    files: Annotated[list[Path], typer.Argument(help="One file for each table; the table is named as the file.")],
    by: By,
    title: Annotated[str, typer.Option(help="One line for people.")],
    description: Annotated[str, typer.Option(help="What it holds, where it comes from.")],
    provider: Annotated[str, typer.Option(help="Whose data it is.")],
    level: Annotated[str, typer.Option(help="1 public, 2 internal, 3 sensitive, 4 restricted; number or word.")],
    steward: Annotated[list[str], typer.Option(help="Who may grant it; repeat for several.")],
    unit: Annotated[str | None, typer.Option(help="The column that names whom a row is about.")] = None,
    each_row: Annotated[bool, typer.Option("--each-row", help="Each row is its own privacy unit.")] = False,
    as_json: Json = False,
) -> None:
    """Register a dataset, or a new version of one, from CSV, Parquet, JSON lines, Excel, SQLite or DuckDB files.

    A file that cannot be read whole is refused with its lines named, and nothing of the delivery is kept.
    """
    with console.faults_in_three_parts(as_json):
        from provisioning.domain.classification import classification
        from provisioning.domain.registration import Registration, TableSource
        from provisioning.service import catalogue
        from store.clock import now
        from store.database import Database

        settings = installation.load()
        tables = tuple(
            TableSource(name=file.stem.lower(), files=(file,), unit=unit, each_row_a_unit=each_row) for file in files
        )
        wanted = Registration(name, title, description, provider, int(classification(level)), tuple(steward), tables)
        version = catalogue.register_dataset(
            Database.open(settings),
            settings,
            wanted,
            actor=by,
            at=now(),
            progress=lambda table, number, of: console.say(f"{number + 1}/{of} reading {table}"),
        )
        if as_json:
            console.answer({"version": version})
        else:
            console.out.print(f"{version} is registered. Next: ./glovebox grant give PROJECT {version} --by STEWARD …")


@app.command("list")
def list_datasets(as_json: Json = False) -> None:
    """Every dataset with its versions, level and stewards."""
    with console.faults_in_three_parts(as_json):
        from provisioning.service import catalogue
        from store.database import Database

        with Database.open(installation.load()).read() as c:
            found = [_facts(one) for one in catalogue.datasets(c)]
        if as_json:
            console.answer({"datasets": found})
        elif found:
            console.table(
                ["dataset", "level", "versions", "stewards", "title"],
                [
                    [
                        d["name"],
                        d["level"],
                        ", ".join(v["id"] for v in d["versions"]),
                        ", ".join(d["stewards"]),
                        d["title"],
                    ]
                    for d in found
                ],
            )
        else:
            console.out.print("No dataset is registered. Next: ./glovebox dataset add --help")


@app.command()
def show(
    version: Annotated[str, typer.Argument(help="A version, for example nafld/1.")],
    as_json: Json = False,
) -> None:
    """The tables and columns of one version. Shows no data."""
    with console.faults_in_three_parts(as_json):
        from provisioning.domain.errors import not_found
        from provisioning.service import catalogue
        from store.database import Database

        with Database.open(installation.load()).read() as c:
            if catalogue.version(c, version) is None:
                raise not_found("dataset version", version, "./glovebox dataset list")
            tables = catalogue.tables_of(c, version)
        if as_json:
            console.answer({"version": version, "tables": [_table(t) for t in tables]})
            return
        for one in tables:
            console.out.print(f"\n{one.name}: {one.rows:,} rows, privacy unit {one.unit or 'each row'}", markup=False)
            console.table(["column", "type", "meaning"], [[c.name, c.type, c.meaning] for c in one.columns])


def _facts(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "provider": one.provider,
        "level": one.classification.word,
        "stewards": list(one.stewards),
        "versions": [{"id": v.id, "state": v.state, "digest": v.digest, "at": v.registered_at} for v in one.versions],
    }


def _table(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "rows": one.rows,
        "bytes": one.bytes,
        "digest": one.digest,
        "unit": one.unit,
        "columns": [c.facts() for c in one.columns],
    }
