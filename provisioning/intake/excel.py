"""Worksheets of Excel files, row by row; formulas by their stored values, never computed here."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from provisioning.domain.errors import FileRefused, RegistrationRefused
from provisioning.domain.registration import TableSource

MAX_UNPACKED = 4 * 1024**3
MAX_RATIO = 200


def worksheet_rows(source: TableSource, path: Path) -> Iterator[Sequence[Any]]:
    """Header, then rows that are not empty, of one worksheet. Raises FileRefused and RegistrationRefused."""
    _check_size(source.name, path)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as broken:
        raise _refused(source.name, "It is not an Excel file (.xlsx), or it is damaged.", str(broken)) from broken
    try:
        rows = book[_chosen(source, book.sheetnames)].iter_rows(values_only=True)
        header = _trimmed(next(rows, ()))
        yield header
        for row in rows:
            cells = [_cell(cell) for cell in row]
            if any(cell is not None for cell in cells[len(header) :]):
                raise _refused(source.name, "A row has more cells than the header.")
            cells = (cells + [None] * len(header))[: len(header)]
            if any(cell is not None for cell in cells):
                yield cells
    finally:
        book.close()


def _chosen(source: TableSource, sheets: Sequence[str]) -> str:
    wanted = source.sheet or (sheets[0] if len(sheets) == 1 else source.name)
    if wanted in sheets:
        return wanted
    raise RegistrationRefused(
        f"Table {source.name} was not registered: its file holds no worksheet {wanted[:60]!a}.",
        why=f"The file holds {len(sheets)} worksheets: {', '.join(sheets[:20])}.",
        do="Name the one that is meant.",
    )


def _trimmed(header: Sequence[Any]) -> list[str]:
    """Empty cells at the end of a header are formatting, not columns."""
    cells = ["" if cell is None else str(cell) for cell in header]
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _cell(cell: Any) -> Any:
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time().isoformat() == "00:00:00" else cell.isoformat(sep=" ")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return int(cell)
    return cell


def _check_size(table: str, path: Path) -> None:
    """Raises FileRefused for an archive that would unpack to absurd sizes."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError) as broken:
        raise _refused(table, "It is not an Excel file (.xlsx), or it is damaged.", str(broken)) from broken
    if unpacked > MAX_UNPACKED or unpacked > MAX_RATIO * max(path.stat().st_size, 1):
        raise _refused(table, "It would unpack to an absurd size.")


def _refused(table: str, why: str, private: str | None = None) -> FileRefused:
    return FileRefused(
        f"Table {table} was not registered: its file cannot be read.",
        why=why,
        do="Open it in a spreadsheet program, save it again as .xlsx or CSV, and register that.",
        private=private,
    )
