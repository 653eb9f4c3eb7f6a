"""`glovebox dataset`: from files to the catalogue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from installation import settings as installation
from workbench import console
from workbench.commands.names import By, Language
from workbench.console import Json

Version = Annotated[str, typer.Argument(help="A version, for example nafld/1.")]
app = typer.Typer(help="The catalogue of datasets.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The dataset's name, for example nafld.")],
    files: Annotated[
        list[str],
        typer.Argument(
            help="One for each table: a file, FILE#SHEET, or postgresql://account@host/database#schema.table (mysql:// alike)."
        ),
    ],
    by: By,
    title: Annotated[str, typer.Option(help="One line for people.")],
    description: Annotated[str, typer.Option(help="What it holds, where it comes from.")],
    provider: Annotated[str, typer.Option(help="Whose data it is.")],
    level: Annotated[str, typer.Option(help="1 public, 2 internal, 3 sensitive, 4 restricted; number or word.")],
    steward: Annotated[list[str], typer.Option(help="Who may grant it; repeat for several.")],
    unit: Annotated[
        list[str] | None, typer.Option(help="The column that names whom a row is about, or TABLE=COLUMN; repeat.")
    ] = None,
    each_row: Annotated[bool, typer.Option("--each-row", help="Each row is its own privacy unit.")] = False,
    encoding: Annotated[str | None, typer.Option(help="Of CSV files, when it is not found: utf-8 or gb18030.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of CSV files, when it is not found.")] = None,
    missing: Annotated[list[str] | None, typer.Option(help="A text that means missing, besides the empty one.")] = None,
    column_type: Annotated[
        list[str] | None, typer.Option("--type", help="TABLE.COLUMN=TYPE where the type found is not meant; repeat.")
    ] = None,
    meaning: Annotated[
        list[str] | None, typer.Option(help="TABLE.COLUMN=what it means, with its unit; repeat.")
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="The worksheet or table of a file that holds several.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="With a server's address: a file (0600) whose first line is the password.")
    ] = None,
    leave_out: Annotated[
        int, typer.Option(min=0, max=999, help="How many rows that cannot be read may be left out, on the record.")
    ] = 0,
    mask: Annotated[Path | None, typer.Option(help="A masking recipe: what is not masked is never stored.")] = None,
    project: Annotated[str | None, typer.Option(help="With --mask: the project it is masked for.")] = None,
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm", help="The level is right although the column scan speaks for a higher one; on the record."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Register a dataset, or a new version of one, from files (CSV, Parquet, JSON lines, Excel, SQLite, DuckDB) or a server.

    A file that cannot be read whole is refused with its lines named, and nothing of the delivery is kept. What the column scan
    proposes goes into the datasheet, where a steward confirms it; a level below the proposed one must be confirmed here.
    """
    with console.faults_in_three_parts(as_json):
        from provisioning.domain.classification import classification
        from provisioning.domain.registration import Registration
        from provisioning.service import registering
        from store.clock import now
        from store.database import Database
        from workbench.commands import delivery

        settings = installation.load()
        tables = delivery.tables(
            files,
            units=unit or [],
            each_row=each_row,
            types=column_type or [],
            meanings=meaning or [],
            encoding=encoding,
            delimiter=delimiter,
            nulls=("", *(missing or [])),
            sheet=sheet,
            password=delivery.password_in(password_file),
            leave_out=leave_out,
        )
        recipes = delivery.recipe_in(mask) if mask else {}
        wanted = Registration(
            name, title, description, provider, int(classification(level)), tuple(steward), tables, recipes, project
        )
        scanned = registering.look_at(wanted)
        _show_proposals(scanned)
        confirmed = confirm or (registering.is_lower(wanted, scanned) and _confirmed(wanted, scanned, as_json))
        with console.bar("reading") as progress:
            version = registering.register(
                Database.open(settings),
                settings,
                wanted,
                scanned,
                actor=by,
                clock=now,
                confirmed=confirmed,
                progress=progress,
            )
        if as_json:
            console.answer({"version": version})
        else:
            console.out.print(f"{version} is registered. Next: ./glovebox dataset look {version}")


@app.command()
def look(version: Version, as_json: Json = False) -> None:
    """Profile a version and propose what its columns may identify, and a level; a person confirms. For stewards and admins only."""
    with console.faults_in_three_parts(as_json):
        from provisioning.service import datasheet
        from store.database import Database

        settings = installation.load()
        found = datasheet.look_at(Database.open(settings), settings, version).facts()
        if as_json:
            console.answer(found)
            return
        for table in found["tables"]:
            console.out.print(f"\n{table['name']}: {table['rows']:,} rows", markup=False)
            columns = [[c["name"], c["type"], c["missing"], c["different"]] for c in table["columns"]]
            console.table(["column", "type", "missing", "different"], columns)
        for name, proposals in found["proposals"].items():
            for one in proposals:
                console.out.print(
                    f"{name}.{one['column']}: {one['kind']} ({one['role']}, {one['share']} %)", markup=False
                )
        console.out.print(f"Proposed level: {found['proposed_classification']}", markup=False)


@app.command()
def changes(before: Version, after: Version, as_json: Json = False) -> None:
    """What changed between two versions: rows, columns, distributions."""
    with console.faults_in_three_parts(as_json):
        from provisioning.service import datasheet
        from store.database import Database

        settings = installation.load()
        found = datasheet.changes(Database.open(settings), settings, before, after)
        if as_json:
            console.answer({"before": before, "after": after, "changes": found})
        else:
            for line in found or ["Nothing changed."]:
                console.out.print(line, markup=False)


@app.command()
def mask(
    version: Version,
    recipe: Annotated[Path, typer.Argument(help="The recipe as JSON; see the page on bringing in a dataset.")],
    by: By,
    project: Annotated[str, typer.Option(help="For whom: pseudonyms join within a project, not between projects.")],
    as_json: Json = False,
) -> None:
    """Register a masked copy as a new version, with its recipe and its effect on the record."""
    with console.faults_in_three_parts(as_json):
        from provisioning.service import masking
        from store.clock import now
        from store.database import Database
        from workbench.commands import delivery

        settings = installation.load()
        recipes = delivery.recipe_in(recipe)
        made = masking.mask_version(
            Database.open(settings), settings, version=version, recipes=recipes, project=project, actor=by, at=now()
        )
        if as_json:
            console.answer({"version": made})
        else:
            console.out.print(f"{made} is registered. Next: ./glovebox grant give {project} {made} --by STEWARD …")


@app.command()
def twin(
    version: Version,
    by: By,
    report: Annotated[bool, typer.Option("--report", help="Only show what the twin cost and how close it is.")] = False,
    as_json: Json = False,
) -> None:
    """Make a version's synthetic twin: same tables and columns, nobody's rows. For developing where the data may not be seen."""
    with console.faults_in_three_parts(as_json):
        from policy_engine import connect
        from provisioning.service import twin as twins
        from store.clock import now
        from store.database import Database

        settings = installation.load()
        db = Database.open(settings)
        if not report:
            made = twins.make_twin(db, connect(settings), settings, version=version, actor=by, at=now())
            console.say(f"{made} is registered.")
        with db.read() as c:
            found = twins.report_of(c, version)
        if as_json:
            console.answer(found)
            return
        console.out.print(
            f"{found['twin']}: epsilon {found['epsilon']}, delta {found['delta']:g}; {found['neighbours']}"
        )
        for name, told in found["tables"].items():
            lines = [[column, f"{distance} %"] for column, distance in told["columns"].items()]
            console.out.print(f"\n{name}: {told['rows']:,} rows", markup=False)
            console.table(["column", "distance from the data"], lines)
            alone = told["rows_of_one"]
            console.out.print(f"rows like exactly one person's: {alone['twin']} %, by chance {alone['by_chance']} %")


@app.command()
def describe(
    name: Annotated[str, typer.Argument(help="The dataset's name.")],
    sheet: Annotated[Path, typer.Argument(help="Its datasheet as JSON; see the page on bringing in a dataset.")],
    by: By,
    as_json: Json = False,
) -> None:
    """Say a dataset's source, legal basis, retention, units and keys; confirm what its columns identify. For its stewards."""
    with console.faults_in_three_parts(as_json):
        from provisioning.service import describe as described
        from store.clock import now
        from store.database import Database
        from workbench.commands import delivery

        text = delivery.text_of(sheet, "datasheet")
        found = described.describe(Database.open(installation.load()), dataset=name, text=text, actor=by, at=now())
        if as_json:
            console.answer(found)
        else:
            console.out.print(f"{name} is described. Next: ./glovebox dataset sheet {name}/1", markup=False)


@app.command()
def sheet(
    version: Version,
    html: Annotated[Path | None, typer.Option(help="Write the page here instead of printing JSON.")] = None,
    language: Annotated[Language, typer.Option(help="The page's language.")] = Language.ENGLISH,
) -> None:
    """The datasheet of a version, with a profile under the gate's own threshold: as JSON, or as a page."""
    with console.faults_in_three_parts():
        import policy_engine
        from provisioning.service import describe as described
        from store.database import Database

        settings = installation.load()
        found = described.full_sheet(Database.open(settings), policy_engine.connect(settings), settings, version)
        if html is None:
            console.answer(found)
        else:
            html.write_text(described.as_html(found, "zh_Hans" if language is Language.CHINESE else "en"), "utf-8")
            console.out.print(f"{html} is written.", markup=False)


@app.command()
def destroy(
    version: Version,
    by: By,
    reason: Annotated[str, typer.Option(help="Why; it goes on the record.")],
    confirm: Annotated[str, typer.Option(help="The version's name once more: it cannot be brought back.")],
    as_json: Json = False,
) -> None:
    """Erase a version's key and files for good, and sign a certificate of what it was and what came of it."""
    with console.faults_in_three_parts(as_json):
        from provisioning.service import destruction
        from store.clock import now
        from store.database import Database
        from workbench.errors import WorkbenchFault

        if confirm != version:
            raise WorkbenchFault(
                f"{version} was not destroyed.", why="It was not confirmed.", do=f"Add --confirm {version}."
            )
        settings = installation.load()
        path = destruction.destroy_version(
            Database.open(settings), settings, version=version, reason=reason, actor=by, at=now()
        )
        if as_json:
            console.answer({"version": version, "certificate": str(path)})
        else:
            console.out.print(f"{version} is destroyed. Its certificate: {path}", markup=False)


@app.command()
def dcat(as_json: Json = False) -> None:
    """The catalogue as DCAT (JSON-LD), for a data portal: descriptions only."""
    with console.faults_in_three_parts(as_json):
        from provisioning.service import catalogue
        from store.database import Database

        settings = installation.load()
        with Database.open(settings).read() as c:
            console.answer(catalogue.export_dcat(c, settings.url))


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
    version: Version,
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


def _show_proposals(scanned: Any) -> None:
    for table in scanned.tables:
        for one in table.proposals:
            console.say(f"{table.name}.{one.column}: {one.kind} ({one.role}, {one.share} %)")
    console.say(f"The columns speak for level {int(scanned.classification)}, {scanned.classification.word}.")


def _confirmed(wanted: Any, scanned: Any, as_json: bool) -> bool:
    """Asked where somebody can answer. Without a terminal it is what was said on the command line."""
    if as_json or not _at_a_terminal():
        return False
    return typer.confirm(
        f"Register {wanted.dataset} below the level that its columns speak for? It goes on the record.", err=True
    )


def _at_a_terminal() -> bool:
    return sys.stdin.isatty()


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
