"""What the words of `glovebox dataset` mean: files and options as a registration's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from provisioning.domain.registration import TableSource
from workbench.errors import WorkbenchFault


def tables(
    files: Sequence[Path],
    *,
    units: Sequence[str],
    each_row: bool,
    types: Sequence[str],
    meanings: Sequence[str],
    encoding: str | None,
    delimiter: str | None,
    nulls: tuple[str, ...],
    sheet: str | None,
) -> tuple[TableSource, ...]:
    """One table for each file. Raises WorkbenchFault for words that name no table of this delivery."""
    names = [file.stem.lower() for file in files]
    unit_of = _units(units, names)
    type_of, meaning_of = _by_column(types, names, "type"), _by_column(meanings, names, "meaning")
    return tuple(
        TableSource(
            name=name,
            files=(file,),
            unit=unit_of.get(name),
            each_row_a_unit=each_row and name not in unit_of,
            types=type_of.get(name, {}),
            meanings=meaning_of.get(name, {}),
            encoding=encoding,
            delimiter=delimiter,
            nulls=nulls,
            sheet=sheet,
        )
        for name, file in zip(names, files, strict=True)
    )


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
