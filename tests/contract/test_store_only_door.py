"""Nothing but the store opens the database, so nothing can change state beside a transaction that carries its entry."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from installation.settings import CHECKOUT

PACKAGES = ("installation", "ledger", "policy_engine", "provisioning", "egress_gate", "workbench")
DRIVERS = {"sqlite3", "psycopg", "psycopg2", "alembic"}
OPENERS = {"create_engine", "create_async_engine", "sessionmaker", "make_url", "writer_engine", "reader_engine"}
ALLOWED = {  # a provider's file or server, read-only, to register what it holds; never ours
    "provisioning/intake/readers.py": {"sqlite3"},
    "provisioning/intake/databases.py": {"create_engine", "make_url"},
}
FILES = [path for package in PACKAGES for path in sorted((Path(CHECKOUT) / package).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_no_other_room_opens_the_database(path: Path) -> None:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & DRIVERS
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").split(".")[0]} & DRIVERS
            found |= {alias.name for alias in node.names} & OPENERS
        elif isinstance(node, ast.Attribute):
            found |= {node.attr} & OPENERS
    assert found == ALLOWED.get(path.relative_to(CHECKOUT).as_posix(), set())
