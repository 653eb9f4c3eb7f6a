"""The DuckDB connection that intake works with: bounded memory, its own spill folder, no extension from the network."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from provisioning.domain.errors import FileRefused, ProvisioningFault

MEMORY = "640MB"
THREADS = 2


@contextmanager
def engine(work: Path, *, memory: str = MEMORY, threads: int = THREADS) -> Iterator[duckdb.DuckDBPyConnection]:
    """A private in-memory database that spills into ``work``; nothing of it outlives the block."""
    spill = work / "spill"
    spill.mkdir(mode=0o700, exist_ok=True)
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": memory,
            "threads": threads,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_file_encryption": True,  # what spills onto the disk is sealed with a key that dies with the process
            "force_mbedtls_unsafe": "true",  # or a spill is an error: DuckDB's own cipher writes only so, and OpenSSL's is not shipped
        },
    )
    try:
        connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")  # asked, not shown
        yield connection
    finally:
        connection.close()


def quoted(identifier: str) -> str:
    """A name as SQL writes it."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def refusal(table: str, broken: duckdb.Error) -> ProvisioningFault:
    """DuckDB's error in our words; its own text may quote data, so that it stays private."""
    text = str(broken)
    if "No space left" in text or "temp_directory" in text or "max_temp_directory_size" in text:
        return _full(table, text)
    if isinstance(broken, duckdb.OutOfMemoryException):
        return ProvisioningFault(
            f"Table {table} was not registered: reading it takes more memory than a registration has.",
            why=f"A registration has {MEMORY}, and one of its rows or steps is larger.",
            do="Look for a value of many megabytes; leave its column out, or deliver the table in several.",
            private=text,
        )
    return FileRefused(
        f"Table {table} was not registered: its file cannot be read.",
        why="It is not what its ending says, or it is damaged.",
        do="Open it with the program that wrote it, write it again and register that.",
        private=text,
    )


def disk_refusal(table: str, broken: OSError) -> ProvisioningFault:
    """The file system's error while a table was written."""
    if broken.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(table, str(broken))
    return ProvisioningFault(
        f"Table {table} was not registered: it could not be written.",
        why="The disk refused it.",
        do="Look at the disk's health and register again; nothing half-done was kept.",
        private=str(broken),
    )


def _full(table: str, private: str) -> ProvisioningFault:
    return ProvisioningFault(
        f"Table {table} was not registered: the disk is full.",
        why="Reading it needs room for the copy and for sorting.",
        do="Free some space and register again; nothing half-done was kept.",
        private=private,
    )
