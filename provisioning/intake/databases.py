"""Tables of a PostgreSQL or MySQL server, each read in batches in one snapshot into a spilling table of the engine's own.

Nothing of them lies plain on a disk: what does not fit into memory spills encrypted (`intake.engine`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import types
from sqlalchemy.exc import SQLAlchemyError

from provisioning.domain.errors import FileRefused, RegistrationRefused
from provisioning.domain.registration import TableSource
from provisioning.intake.engine import quoted

BATCH = 20_000
_DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


@dataclass(frozen=True)
class Delivered:
    """What was read from a server: ``relation`` in the engine, and size and digest of the rows as they came."""

    relation: str
    bytes: int
    digest: str


def read(engine: duckdb.DuckDBPyConnection, source: TableSource, limit: int | None = None) -> Delivered:
    """Copy the table, or its first ``limit`` rows.

    Raises FileRefused when the server refuses, RegistrationRefused for values that no rule can hold."""
    running, size = hashlib.sha256(), 0
    relation = f"delivered_{source.name}"
    server = sa.create_engine(_address(source), poolclass=sa.NullPool, connect_args=_arguments(source))
    try:
        with server.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            table = _reflected(connection, source)
            schema = _schema(source, table)
            engine.execute(f"DROP TABLE IF EXISTS {quoted(relation)}")
            engine.register("arriving", pa.Table.from_batches([], schema))
            engine.execute(f"CREATE TEMP TABLE {quoted(relation)} AS SELECT * FROM arriving")
            for rows in _batches(connection, table, limit):
                for row in rows:
                    text = repr(tuple(row)).encode()
                    running.update(text)
                    size += len(text)
                engine.register("arriving", _arrow(rows, schema))
                engine.execute(f"INSERT INTO {quoted(relation)} SELECT * FROM arriving")
            engine.unregister("arriving")
    except SQLAlchemyError as refused:
        raise FileRefused(
            f"Table {source.name} was not registered: its server cannot be read.",
            why="It does not answer, does not know the account, or has no such table.",
            do="Check address, account, table and password file with the server's own client.",
            private=type(refused).__name__,  # the driver's text may quote the address
        ) from refused
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as odd:
        raise FileRefused(
            f"Table {source.name} was not registered: a value does not fit its column's type.",
            why="The server delivered what its own schema does not allow.",
            do="Correct it there, or give a view with a cast.",
            private=str(odd),
        ) from odd
    finally:
        server.dispose()
    return Delivered(quoted(relation), size, running.hexdigest())


def address(kind: str, host: str, port: int | None, database: str, account: str) -> str:
    """A server's address from its parts, with no room for a driver's options. Raises RegistrationRefused."""
    whole = re.fullmatch(r"[A-Za-z0-9.:-]+", host) and all(
        re.fullmatch(r"[\w.@$-]+", part) for part in (database, account)
    )
    if kind not in _DRIVERS or not whole or not (port is None or 0 < port < 65536):
        raise RegistrationRefused(
            "The server was not read.",
            why="Its kind, host, port, database or account is not one.",
            do="Give the host's name or address, and database and account as the server knows them.",
        )
    return sa.URL.create(kind, username=account, host=host, port=port, database=database).render_as_string()


def _address(source: TableSource) -> sa.URL:
    try:
        url = sa.make_url(str(source.address))
    except SQLAlchemyError as odd:
        raise _refused(source.name, "Its address cannot be understood.") from odd
    if url.drivername not in _DRIVERS or not url.database:
        raise _refused(source.name, "Its address names no known kind of server, or no database.")
    return url.set(drivername=_DRIVERS[url.drivername], password=source.password or url.password)


def _arguments(source: TableSource) -> dict[str, Any]:
    """PyMySQL would write a password as Latin-1; the server takes UTF-8."""
    given = source.password
    return {"password": given.encode()} if given and str(source.address).startswith("mysql:") else {}


def _reflected(connection: sa.Connection, source: TableSource) -> sa.Table:
    schema, _, name = (source.sheet or source.name).rpartition(".")
    return sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=connection)


def _schema(source: TableSource, table: sa.Table) -> pa.Schema:
    return pa.schema([(column.name, _type(source.name, column)) for column in table.columns])


def _type(table: str, column: sa.Column[Any]) -> pa.DataType:
    """The engine's type of a server's column. What is no single value is refused, as in files."""
    kind = column.type
    if isinstance(kind, types.Boolean):
        return pa.bool_()
    if isinstance(kind, types.Integer):
        return pa.int64()
    if isinstance(kind, types.Float):
        return pa.float64()
    if isinstance(kind, types.Numeric):
        whole = kind.precision is not None and kind.precision <= 38
        return pa.decimal128(kind.precision, kind.scale or 0) if whole and kind.precision else pa.float64()
    if isinstance(kind, types.DateTime):
        return pa.timestamp("us")
    if isinstance(kind, types.Date):
        return pa.date32()
    if isinstance(kind, types.String | types.Enum | types.Uuid | types.Time):
        return pa.string()
    raise RegistrationRefused(
        f"Table {table} was not registered: column {column.name} holds values that are not single values.",
        why="Rules can be held for numbers, texts, dates and truth values.",
        do="Give a view without it, or with it unpacked into columns.",
    )


def _batches(connection: sa.Connection, table: sa.Table, limit: int | None) -> Iterator[Sequence[Any]]:
    """In the order of the key, so that the same content has the same digest; by a cursor on the server."""
    query = sa.select(table).order_by(*table.primary_key.columns).limit(limit)
    yield from connection.execution_options(yield_per=BATCH).execute(query).partitions(BATCH)


def _arrow(rows: Sequence[Any], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array([_value(v, f.type) for v in column], f.type) for column, f in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _value(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_string(kind):
        return str(value)
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_timestamp(kind) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _refused(table: str, why: str) -> RegistrationRefused:
    return RegistrationRefused(
        f"Table {table} was not registered from a server.",
        why=why,
        do="Write postgresql://account@host/database#schema.table or mysql://account@host/database#table.",
    )
