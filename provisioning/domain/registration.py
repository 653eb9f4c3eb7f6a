"""What an admin says when a dataset comes in, checked before any file is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from provisioning.domain import names
from provisioning.domain.classification import classification
from provisioning.domain.errors import RegistrationRefused
from provisioning.domain.masking import TableRecipe

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "excel",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
    ".duckdb": "duckdb",
}


@dataclass(frozen=True)
class TableSource:
    """Where one table comes from: files, or with ``address`` a server (``password`` is never shown or recorded).

    ``files``: read one after the other, same columns. ``unit``: the column that names whom a row is about; None only with
    ``each_row_a_unit``. ``sheet``: the worksheet of an Excel file or the table of a SQLite or DuckDB file. ``delimiter``,
    ``encoding`` and ``types`` override what is found in the file; ``nulls`` are the texts that mean "missing".
    ``leave_out``: how many rows that cannot be read may be left out, by an explicit word; they go on the record.
    """

    name: str
    files: tuple[Path, ...] = ()
    unit: str | None = None
    each_row_a_unit: bool = False
    meanings: Mapping[str, str] = field(default_factory=dict)
    format: str | None = None
    sheet: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    nulls: tuple[str, ...] = ("",)
    types: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    password: str | None = field(default=None, repr=False)
    leave_out: int = 0

    @property
    def kind(self) -> str:
        """csv, parquet, jsonl, excel, sqlite, duckdb or server. Raises RegistrationRefused."""
        if self.address is not None and not self.files:
            return "server"
        kinds = {self.format} if self.format else {FORMATS.get(path.suffix.lower(), "") for path in self.files}
        if len(kinds) != 1 or kinds <= {""} or not kinds <= set(FORMATS.values()):
            raise RegistrationRefused(
                f"Table {self.name} was not registered: its format is not known.",
                why="The format is taken from the file names' endings, which are unknown or differ.",
                do="Give files of one kind (csv, tsv, parquet, jsonl, xlsx, sqlite, duckdb), or name the format.",
            )
        return str(kinds.pop())


@dataclass(frozen=True)
class Registration:
    """A delivery: a new dataset, or a new version of one that has the same title, provider, level and stewards.

    With ``recipes`` (by table) it is masked for ``project`` as it is read, and what was not masked is never stored.
    """

    dataset: str
    title: str
    description: str
    provider: str
    classification: int
    stewards: tuple[str, ...]
    tables: tuple[TableSource, ...]
    recipes: Mapping[str, TableRecipe] = field(default_factory=dict)
    project: str | None = None

    def checked(self) -> Registration:
        """The same with texts trimmed. Raises RegistrationRefused for the first thing that is wrong."""
        names.slug("dataset", self.dataset)
        if not self.stewards:
            raise _refused(self.dataset, "It names no steward.", "Name at least one: only a steward can grant it.")
        for steward in self.stewards:
            names.person(steward)
        _check_tables(self.dataset, self.tables)
        if bool(self.recipes) != (self.project is not None):
            raise _refused(
                self.dataset, "A recipe and the project it masks for belong together.", "Give both, or neither."
            )
        for name in sorted(set(self.recipes) - {table.name for table in self.tables}):
            raise _refused(
                self.dataset, f"The recipe names a table {name[:60]!a} that is not delivered.", "Correct it."
            )
        return replace(
            self,
            title=names.text("title", self.title),
            description=names.text("description", self.description),
            provider=names.text("provider", self.provider),
            classification=int(classification(self.classification)),
            stewards=tuple(sorted(set(self.stewards))),
        )


def _check_tables(dataset: str, tables: tuple[TableSource, ...]) -> None:
    if not tables:
        raise _refused(dataset, "It has no table.", "Give at least one file.")
    seen: set[str] = set()
    for source in tables:
        names.table(source.name)
        if source.name in seen:
            raise _refused(dataset, f"Two tables are named {source.name}.", "Rename one of them.")
        seen.add(source.name)
        if not source.files and source.address is None:
            raise _refused(dataset, f"Table {source.name} has no file.", "Give at least one file for it.")
        if (source.unit is None) != source.each_row_a_unit:
            raise RegistrationRefused(
                f"Table {source.name} was not registered: whom its rows are about is not clear.",
                why="Every rule counts distinct people, households or companies, so that a table needs one privacy unit.",
                do="Name the column that identifies them, or say that each row is its own unit; one of the two.",
            )
        _ = source.kind


def _refused(dataset: str, why: str, do: str) -> RegistrationRefused:
    return RegistrationRefused(f"Dataset {dataset} was not registered.", why=why, do=do)
