"""A table of codes: each code and what it becomes on each level above (ICD, GB/T 2260, occupations). Pure.

It is CSV in UTF-8: a header, then one line for each code, from the finest to the coarsest level, for example
``code,block,chapter`` and ``I10,I10-I15,IX``. What two lines share on one level they share on every level above: else a coarser
level would tell more than a finer one.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from provisioning.domain.errors import RegistrationRefused

MOST_BYTES = 16 * 1024 * 1024
MOST_CODES = 200_000
MOST_LEVELS = 10
LONGEST = 200


@dataclass(frozen=True)
class CodeTable:
    """``levels``: their names, finest first; ``rows``: code to its value on each of them; ``content``: the file, which is kept."""

    file: str
    sha256: str
    levels: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]] = field(repr=False)
    content: bytes = field(repr=False)

    def above(self, level: str) -> dict[str, str]:
        """Every code and what it becomes on ``level``. Raises RegistrationRefused for a level that is none."""
        if level not in self.levels:
            raise _refused(self.file, f"It has no level {level[:60]!a}.", f"Use one of: {', '.join(self.levels)}.")
        at = self.levels.index(level)
        return {code: values[at] for code, values in self.rows.items()}


def read_codes(file: str, content: bytes) -> CodeTable:
    """Raises RegistrationRefused for a table that is not whole: an empty or double code, a level that is none."""
    if len(content) > MOST_BYTES:
        raise _refused(file, f"It has more than {MOST_BYTES // 1024**2} MiB.", "Leave out levels that no recipe uses.")
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as broken:
        raise _refused(file, "It is not CSV in UTF-8.", "Write it again as CSV in UTF-8.") from broken
    header, *body = lines or [[]]
    levels = tuple(name.strip() for name in header[1:])
    if not 1 <= len(levels) <= MOST_LEVELS or len(set(levels)) != len(levels) or not all(levels):
        raise _refused(
            file, "Its header does not name a code and levels above it.", "Write for example code,block,chapter."
        )
    rows = dict(_rows(file, len(header), body))
    if not 0 < len(rows) <= MOST_CODES:
        raise _refused(file, f"It has {len(rows)} codes.", f"Give between 1 and {MOST_CODES}.")
    _require_tree(file, levels, rows)
    return CodeTable(file, hashlib.sha256(content).hexdigest(), levels, rows, content)


def _rows(file: str, width: int, body: Sequence[Sequence[str]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    seen: set[str] = set()
    for number, line in enumerate(body, 2):
        cells = [cell.strip() for cell in line]
        if not any(cells):
            continue
        if len(cells) != width or not all(cells) or any(len(cell) > LONGEST or "\0" in cell for cell in cells):
            raise _refused(file, f"Line {number} does not say the code and its value on every level.", "Complete it.")
        if cells[0] in seen:
            raise _refused(file, f"Line {number} gives a code a second time.", "Keep one line for each code.")
        seen.add(cells[0])
        yield cells[0], tuple(cells[1:])


def _require_tree(file: str, levels: Sequence[str], rows: Mapping[str, tuple[str, ...]]) -> None:
    for at in range(len(levels) - 1):
        parents: dict[str, str] = {}
        for values in rows.values():
            if parents.setdefault(values[at], values[at + 1]) != values[at + 1]:
                raise _refused(
                    file,
                    f"{values[at][:60]!a} of level {levels[at]} lies in two values of {levels[at + 1]}.",
                    "Order the levels from the finest to the coarsest, and give each value one above it.",
                )


def _refused(file: str, why: str, do: str) -> RegistrationRefused:
    return RegistrationRefused(f"The table of codes {file[:80]!a} was refused.", why=why, do=do)
