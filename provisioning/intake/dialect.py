"""Finding out how a text file is written: encoding, delimiter, header. Nothing here guesses a row away.

DuckDB's own sniffer is not asked: on a file with a few broken rows it may settle for one wide text column, or skip lines.
"""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from provisioning.domain.errors import FileRefused

HEAD = 1024 * 1024
CHUNK = 4 * 1024 * 1024
DELIMITERS = (",", "\t", ";", "|")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_ROWS = 200


@dataclass(frozen=True)
class Dialect:
    """``encoding`` is Python's name; ``escape`` the character before a quote inside a quoted value."""

    encoding: str
    delimiter: str
    escape: str
    header: tuple[str, ...]

    @property
    def needs_transcoding(self) -> bool:
        return self.encoding not in ("utf-8", "utf-8-sig", "ascii")


def find(table: str, path: Path, *, encoding: str | None, delimiter: str | None) -> Dialect:
    """Read the head of a file. Raises FileRefused when it is empty, binary, or in an encoding that is not recognised."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.strip():
        raise _refused(table, "The file is empty.", "Give a file with a header line and rows.")
    chosen = _known(table, encoding) if encoding else _encoding(table, head)
    text = _decoded(table, head, chosen, whole=len(head) < HEAD)
    if "\0" in text:
        raise _refused(table, "The file holds bytes that no text has.", "Give a text file, or name its real format.")
    escape = "\\" if '\\"' in text and '""' not in text else '"'
    separator = delimiter or _delimiter(text, escape)
    return Dialect(chosen, separator, escape, tuple(_rows(text, separator, escape, 1)[0]))


def transcode(table: str, source: Path, target: Path, encoding: str) -> None:
    """Write ``source`` as UTF-8, chunk by chunk. Raises FileRefused naming the line with the first undecodable byte."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    lines = 1
    with source.open("rb") as reading, target.open("w", encoding="utf-8", newline="") as writing:
        while True:
            chunk = reading.read(CHUNK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as broken:
                line = lines + chunk[: max(broken.start, 0)].count(b"\n")
                raise _undecodable(table, encoding, line) from broken
            writing.write(text)
            lines += text.count("\n")
            if not chunk:
                return


def _encoding(table: str, head: bytes) -> str:
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    for name in ("utf-8", "gb18030"):
        decoder = codecs.getincrementaldecoder(name)("strict")
        try:
            text = decoder.decode(head, final=len(head) < HEAD)
        except UnicodeDecodeError:
            continue
        if name == "utf-8" or _reads_as_chinese(text):
            return name
    raise _refused(
        table,
        "Its encoding is neither UTF-8 nor GB18030.",
        "Save it as UTF-8, or name its encoding, for example encoding=latin-1.",
    )


def _reads_as_chinese(text: str) -> bool:
    """Almost any bytes decode as GB18030; only text whose other letters are Chinese is taken for it."""
    foreign = [c for c in text if ord(c) > 127]
    chinese = sum(
        1
        for c in foreign
        if "CJK" in unicodedata.name(c, "") or 0x3000 <= ord(c) <= 0x303F or 0xFF00 <= ord(c) <= 0xFFEF
    )
    common = sum(1 for c in foreign if 0x4E00 <= ord(c) <= 0x9FA5)
    return bool(foreign) and chinese >= 0.9 * len(foreign) and common >= 0.5 * len(foreign)


def _known(table: str, encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
    except LookupError as unknown:
        raise _refused(
            table, f"No encoding is named {encoding[:40]!a}.", "Use utf-8, gb18030, utf-16, big5 …"
        ) from unknown
    return "gb18030" if name in ("gb2312", "gbk") else name


def _decoded(table: str, head: bytes, encoding: str, *, whole: bool) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(head, final=whole).removeprefix("\ufeff")
    except UnicodeDecodeError as broken:
        raise _undecodable(table, encoding, 1 + head[: broken.start].count(b"\n")) from broken


def _delimiter(text: str, escape: str) -> str:
    """The separator that cuts the first rows into the same number of cells, the more cells the better."""
    scored = []
    for order, candidate in enumerate(DELIMITERS):
        rows = _rows(text, candidate, escape, _SAMPLE_ROWS)
        width = len(rows[0])
        same = sum(len(row) == width for row in rows) / len(rows)
        if width > 1:
            scored.append((same >= 0.9, width if same >= 0.9 else same, -order, candidate))
    return max(scored)[3] if scored else ","


def _rows(text: str, delimiter: str, escape: str, count: int) -> list[list[str]]:
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        doublequote=escape == '"',
        escapechar=None if escape == '"' else escape,
    )
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) >= count:
                break
    except csv.Error:
        rows = rows or [text.splitlines()[0].split(delimiter)]
    return rows


def _undecodable(table: str, encoding: str, line: int) -> FileRefused:
    return _refused(
        table,
        f"Line {line} holds bytes that are not {encoding}.",
        "Correct that line, or name the file's real encoding.",
    )


def _refused(table: str, why: str, do: str) -> FileRefused:
    return FileRefused(f"Table {table} was not registered: its file cannot be read.", why=why, do=do)
