"""What the words of `glovebox dataset` mean: files and options as a registration's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from provisioning.domain import masking
from provisioning.domain.hierarchy import MOST_BYTES
from provisioning.domain.masking import TableRecipe
from provisioning.domain.registration import TableSource
from workbench.errors import WorkbenchFault


def tables(
    places: Sequence[str],
    *,
    units: Sequence[str],
    each_row: bool,
    types: Sequence[str],
    meanings: Sequence[str],
    encoding: str | None,
    delimiter: str | None,
    nulls: tuple[str, ...],
    sheet: str | None,
    password: str | None = None,
    leave_out: int = 0,
) -> tuple[TableSource, ...]:
    """One table for each place. Raises WorkbenchFault for words that name no table of this delivery.

    A place is a file, ``FILE#SHEET``, or ``postgresql://account@host/database#schema.table``.
    """
    found = [_place(place) for place in places]
    names = [(inside.rpartition(".")[2] or Path(where).stem).lower() for where, inside in found]
    unit_of = _units(units, names)
    type_of, meaning_of = _by_column(types, names, "type"), _by_column(meanings, names, "meaning")
    return tuple(
        TableSource(
            name=name,
            files=() if _is_server(where) else (Path(where),),
            address=where if _is_server(where) else None,
            password=password,
            leave_out=leave_out,
            unit=unit_of.get(name),
            each_row_a_unit=each_row and name not in unit_of,
            types=type_of.get(name, {}),
            meanings=meaning_of.get(name, {}),
            encoding=encoding,
            delimiter=delimiter,
            nulls=nulls,
            sheet=inside or sheet,
        )
        for name, (where, inside) in zip(names, found, strict=True)
    )


def recipe_in(path: Path) -> dict[str, TableRecipe]:
    """A masking recipe with the tables of codes that lie beside it. Raises WorkbenchFault, RegistrationRefused."""
    return masking.parse(text_of(path, "recipe"), codes_beside(path.parent))


def codes_beside(folder: Path) -> Callable[[str], bytes]:
    """Reads the tables of codes that a recipe names, from one folder only."""

    def beside(name: str) -> bytes:
        file = folder / name
        try:
            if Path(name).name != name or file.is_symlink() or file.stat().st_size > MOST_BYTES:
                raise OSError("not beside the recipe, or too large")
            return file.read_bytes()
        except OSError as broken:
            raise WorkbenchFault(
                f"The table of codes {name[:60]!a} was not read.",
                why="It does not lie beside the recipe, or is too large.",
                do="Put it into the recipe's folder (on the desk: the intake folder) and name it without a path.",
            ) from broken

    return beside


def password_in(path: Path | None) -> str | None:
    """The first line of a file that only its owner reads. Raises WorkbenchFault."""
    if path is None:
        return None
    text = text_of(path, "password")
    if path.stat().st_mode & 0o077:
        raise WorkbenchFault(
            "The password was not used.", why="Others can read its file.", do=f"chmod go= {path.name}, and change it."
        )
    return text.split("\n", 1)[0]


def _is_server(place: str) -> bool:
    return "://" in place


def _place(place: str) -> tuple[str, str]:
    """Where, and which table in it. An existing file is meant as it is written."""
    if not _is_server(place) and Path(place).exists():
        return place, ""
    where, _, inside = place.partition("#")
    if _is_server(where) and (not inside or urlsplit(where).password):
        raise WorkbenchFault(
            "The server's address was not accepted.",
            why="It names no table, or it holds a password, which others can read in the list of processes.",
            do="Write postgresql://account@host/database#schema.table, and give the password with --password-file.",
        )
    return where, inside


def text_of(path: Path, noun: str) -> str:
    """A small text file's content. Raises WorkbenchFault."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as broken:
        raise WorkbenchFault(
            f"The {noun} was not read.", why=f"{path.name} cannot be read as text.", do="Give a file in UTF-8."
        ) from broken


def _units(words: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """``COLUMN`` is meant for every table, ``TABLE=COLUMN`` for one."""
    found: dict[str, str] = {}
    for word in words:
        table, equals, column = word.partition("=")
        if not equals:
            found = {**dict.fromkeys(names, word), **found}
        else:
            found[_known(table, names, "unit")] = column
    return found


def _by_column(words: Sequence[str], names: Sequence[str], option: str) -> dict[str, Mapping[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for word in words:
        place, equals, value = word.partition("=")
        table, dot, column = place.partition(".")
        if not equals or not dot or not column:
            raise WorkbenchFault(
                f"--{option} {word[:60]!a} was not understood.",
                why="It says for which column of which table.",
                do=f"Write --{option} TABLE.COLUMN=VALUE.",
            )
        found.setdefault(_known(table, names, option), {})[column] = value
    return dict(found)


def _known(table: str, names: Sequence[str], option: str) -> str:
    if table not in names:
        raise WorkbenchFault(
            f"--{option} names a table {table[:60]!a} that is not delivered.",
            why="Tables are named as their files, in small letters.",
            do=f"Use one of: {', '.join(names)}.",
        )
    return table
