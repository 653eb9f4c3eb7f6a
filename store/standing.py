"""Which schema a database has, and whether this program may work with it.

`schema_version` is what programs from before migrations look at, `alembic_version` what the revisions do; they agree, or
nothing is opened. Every database from before calls itself 1 and bears no revision: it is that when it lacks no more than whole tables,
which programs from before made in passing, too.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, insert, inspect, select

from store import schema
from store.errors import SchemaFault

BEFORE_REVISIONS = 1
UPGRADE = "Stop the workbench, then run ./glovebox database upgrade; a copy is kept."


def version(connection: Connection) -> int | None:
    """The number it bears; None for an empty database."""
    if not inspect(connection).has_table(schema.schema_version.name):
        return None
    found = connection.execute(select(func.max(schema.schema_version.c.version))).scalar()
    return None if found is None else int(found)


def revision(connection: Connection) -> str | None:
    """The revision it bears; None for a database from before there were any."""
    if not inspect(connection).has_table(schema.alembic_version.name):
        return None
    return connection.execute(select(func.max(schema.alembic_version.c.version_num))).scalar()


def create(connection: Connection) -> None:
    """All tables at once; a test holds that the revisions, one after another, come to the same."""
    schema.metadata.create_all(connection)
    connection.execute(insert(schema.schema_version).values(version=schema.SCHEMA_VERSION))
    connection.execute(insert(schema.alembic_version).values(version_num=schema.REVISION))


def mark(connection: Connection) -> None:
    """Let a database from before revisions bear the one that it is at, with the tables that came last before them."""
    schema.metadata.create_all(connection)
    connection.execute(insert(schema.alembic_version).values(version_num=schema.REVISION))


def require_known(connection: Connection, found: int) -> None:
    """Raises SchemaFault for a newer database, and for one whose two marks contradict each other."""
    if found > schema.SCHEMA_VERSION:
        raise SchemaFault(
            "The database was not opened.",
            why=f"It has schema {found} and this program works with {schema.SCHEMA_VERSION}.",
            do="Use the newer program version that wrote it.",
        )
    borne = revision(connection)
    if borne != f"{found:04}" and not (borne is None and found == BEFORE_REVISIONS):
        raise SchemaFault(
            "The database was not opened.",
            why=f"It says schema {found} in one place and revision {borne} in another.",
            do="Somebody changed it by hand: bring back the copy from before.",
        )


def require_current(connection: Connection, found: int) -> None:
    """Raises SchemaFault, which says how to upgrade, when a database that is known is not at the newest revision."""
    if found < schema.SCHEMA_VERSION:
        raise _older(f"It has schema {found} and this program works with {schema.SCHEMA_VERSION}.")
    lacking = _lacking(connection)
    if not lacking:
        return
    few = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
    if revision(connection) is None:
        raise _older(f"It lacks {few}: an earlier state of this program made it.")
    raise SchemaFault(
        "The database was not opened.",
        why=f"It lacks {few}, which its revision has.",
        do="Somebody changed it by hand: bring back a copy from before.",
    )


def needs_upgrade(connection: Connection, found: int) -> bool:
    """Whether a database that is known must be upgraded before it is worked with."""
    unmarked = revision(connection) is None
    return found < schema.SCHEMA_VERSION or (unmarked and bool(_lacking(connection)))


def _lacking(connection: Connection) -> list[str]:
    """Columns, indexes and tables that this program works with and the database does not have."""
    look, unmarked = inspect(connection), revision(connection) is None
    columns: dict[Any, Any] = look.get_multi_columns()
    indexes: dict[Any, Any] = look.get_multi_indexes()
    have = {name: {column["name"] for column in found} for (_, name), found in columns.items()}
    have_indexes = {index["name"] for found in indexes.values() for index in found}
    lacking = []
    for table in schema.metadata.sorted_tables:
        if table.name not in have:
            lacking += [] if unmarked else [table.name]
            continue
        lacking += [f"{table.name}.{column.name}" for column in table.c if column.name not in have[table.name]]
        lacking += [str(index.name) for index in table.indexes if index.name not in have_indexes]
    return sorted(lacking)


def _older(why: str) -> SchemaFault:
    return SchemaFault("The database was not opened.", why=why, do=UPGRADE)
