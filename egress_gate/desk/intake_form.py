"""The forms of a registration, from fields to what `./glovebox dataset add` is told. What the words may be, provisioning says.

For table `n`: `file` (repeated, in order), `sheet.n`, `table.n`, `unit.n`, `type.n.COLUMN`, `meaning.n.COLUMN`; its masking is in
`recipe_form`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from egress_gate.desk.kept_form import Sent
from egress_gate.desk.recipe_form import recipe_of
from egress_gate.service.errors import Malformed
from egress_gate.service.intake import Delivery, FileOptions, Reading, Server

EACH_ROW = '"each row"'  # no column is named so: quotes are refused in headers
MOST_TABLES = 20
WITH_SHEETS = (".xlsx", ".sqlite", ".sqlite3", ".db", ".duckdb")
DELIMITERS = {"tab": "\t"}
WHAT = "It was not registered."


def sheets(query: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """From the folder's form: which worksheets or tables are wanted of which file."""
    return {name: (text[:400],) for name, text in query.items() if name.startswith("sheets.")}


def chosen(sent: Sent) -> tuple[FileOptions, ...]:
    """The sources of a form as tables, each under a name that SQL takes."""
    server = _server(sent)
    places: list[tuple[str, str]] = []
    for n, file in enumerate(sent.fields.get("file", ())[:MOST_TABLES]):
        wanted = sent.texts(f"sheets.{file}") or (sent.text(f"sheet.{n}"),)
        places += [(file, sheet) for sheet in wanted]
    return _named(places[:MOST_TABLES], server)


def of_server(sent: Sent) -> tuple[FileOptions, ...]:
    """The tables of a server that its form names. Raises Malformed when it names none."""
    wanted = sent.texts("from_tables")
    if not wanted or not sent.text("host"):
        raise Malformed("Nothing was read.", why="No server or no table is named.", do="Name both.")
    return _named([(table, table) for table in wanted[:MOST_TABLES]], _server(sent))


def tables(sent: Sent) -> tuple[FileOptions, ...]:
    """The same with what is said of each. Raises Malformed for a table without a privacy unit."""
    return tuple(_with_options(sent, n, one) for n, one in enumerate(chosen(sent)))


def hidden(found: Sequence[FileOptions]) -> dict[str, tuple[str, ...]]:
    """What the form carries along so that `chosen` finds the same again."""
    return {
        "file": tuple(one.file for one in found),
        **{f"sheet.{n}": (one.sheet,) for n, one in enumerate(found)},
    }


def reading(sent: Sent) -> Reading:
    given = sent.text("delimiter")
    password = next(iter(sent.fields.get("password", ())), "")  # blanks may belong to it
    return Reading(sent.text("encoding"), DELIMITERS.get(given, given), password)


def recipe(sent: Sent, found: Sequence[FileOptions]) -> dict[str, Any]:
    """Raises Malformed for rules without the project that they mask for, and the reverse."""
    made = recipe_of(sent, [one.table for one in found])
    if bool(made) != bool(sent.text("project")):
        raise Malformed(
            WHAT,
            why="Masking needs a project that it is for, and a rule or a column to measure.",
            do="Choose both, or neither.",
        )
    return made


def delivery(sent: Sent) -> Delivery:
    """Raises Malformed for what cannot be read."""
    found = tables(sent)
    masked = recipe(sent, found)
    if not masked:
        _require_confirmed(sent)
    return Delivery(
        dataset=sent.text("dataset"),
        title=sent.text("title"),
        description=sent.text("description"),
        provider=sent.text("provider"),
        level=_level(sent.text("level")),
        stewards=sent.texts("stewards"),
        files=found,
        reading=reading(sent),
        missing=tuple(text for text in sent.texts("missing")),
        leave_out=min(sent.numbers("leave_").get("out", 0), 999),
        confirmed=bool(sent.text("confirmed")),
        recipe=masked,
        project=sent.text("project"),
    )


def _named(places: Sequence[tuple[str, str]], server: Server | None) -> tuple[FileOptions, ...]:
    """The sheet's or the file's own name in small letters where that is one."""
    taken: set[str] = set()
    made = []
    for number, (file, sheet) in enumerate(places, start=1):
        given = sheet.rpartition(".")[2] or file.rpartition(".")[0]
        stem = "".join(c if c.isascii() and c.isalnum() else "_" for c in given.lower()).strip("_")[:60]
        name = stem if stem[:1].isalpha() and stem not in taken else f"table_{number}"
        taken.add(name)
        made.append(FileOptions(file, name, sheet=sheet, server=server))
    return tuple(made)


def _server(sent: Sent) -> Server | None:
    if not sent.text("host"):
        return None
    port = sent.numbers("port").get("")
    return Server(sent.text("kind"), sent.text("host"), port, sent.text("database"), sent.text("account"))


def _with_options(sent: Sent, n: int, one: FileOptions) -> FileOptions:
    unit = sent.text(f"unit.{n}")
    if not unit:
        raise Malformed(
            WHAT,
            why=f"It is not said whom the rows of {one.file[:80]} are about.",
            do="Choose the column that names them, or say that each row is its own unit.",
        )
    return replace(
        one,
        table=sent.text(f"table.{n}") or one.table,
        unit=None if unit == EACH_ROW else unit,
        types=_by_column(sent, f"type.{n}."),
        meanings=_by_column(sent, f"meaning.{n}."),
    )


def _by_column(sent: Sent, prefix: str) -> dict[str, str]:
    named = (name for name in sent.fields if name.startswith(prefix))
    return {name.removeprefix(prefix): sent.text(name) for name in named if sent.text(name)}


def _require_confirmed(sent: Sent) -> None:
    """While the form can still come back; provisioning looks again before it registers."""
    if _level(sent.text("level")) < sent.numbers("spoken").get("", 0) and not sent.text("confirmed"):
        raise Malformed(
            WHAT,
            why="Its columns speak for a higher level than the one that is chosen.",
            do="Choose that level; or, where the scan is wrong, confirm the lower one below it.",
        )


def _level(text: str) -> int:
    if text not in ("1", "2", "3", "4"):
        raise Malformed(WHAT, why="It has no level.", do="Choose one of the four.")
    return int(text)
