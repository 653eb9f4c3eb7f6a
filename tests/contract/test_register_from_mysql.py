"""Tables of a real MariaDB, over TCP with a password: from the command line's words and from the desk's form, which keeps no password."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from provisioning.domain.errors import FileRefused, RegistrationRefused
from provisioning.domain.registration import TableSource
from provisioning.intake import databases
from provisioning.service import catalogue
from store.database import Database
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import World as Desk
from tests.unit.gate.factory import make_world
from tests.unit.gate.test_intake_pages import ended
from tests.unit.provisioning.world import World

ROWS = 20_001  # more than one batch
SECRET = "p w:@/密码"
OWNER = "owner"


@dataclass(frozen=True)
class Server:
    port: int

    def address(self, account: str = "reader", database: str = "ward") -> str:
        return f"mysql://{account}@127.0.0.1:{self.port}/{database}"

    def owner(self) -> sa.Engine:
        url = sa.URL.create("mysql+pymysql", "owner", OWNER, "127.0.0.1", self.port, "ward")
        return sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of its own in a temporary folder; as ``nobody`` when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="gbmy-"))
    user = "nobody" if os.geteuid() == 0 else None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    data = folder / "data"
    statements = [
        "CREATE DATABASE ward",
        f"CREATE USER owner@'127.0.0.1' IDENTIFIED BY '{OWNER}'",
        "GRANT ALL ON ward.* TO owner@'127.0.0.1'",
        f"CREATE USER reader@'127.0.0.1' IDENTIFIED BY '{SECRET}'",
        "GRANT SELECT ON ward.* TO reader@'127.0.0.1'",
    ]
    (folder / "init.sql").write_text("".join(f"{one};\n" for one in statements), "utf-8")
    if user:
        shutil.chown(folder, user)
    run: dict[str, Any] = {"user": user, "cwd": "/", "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}}
    made = subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"],
        capture_output=True, text=True, **run,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [
                "mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={folder}/socket", f"--init-file={folder}/init.sql",
                f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0",
                "--character-set-server=utf8mb4", f"--tmpdir={folder}",
            ],
            stdout=log, stderr=log, **run,
        )  # fmt: skip
    found = Server(port)
    try:
        _filled(found, running, folder / "log")
        yield found
    finally:
        running.kill()
        running.wait(30)
        shutil.rmtree(folder)


def _filled(server: Server, running: subprocess.Popen[bytes], log: Path) -> None:
    engine = server.owner()
    for _ in range(300):
        assert running.poll() is None, log.read_text()
        try:
            engine.connect().close()
            break
        except sa.exc.OperationalError:
            time.sleep(0.1)
    else:
        raise AssertionError(log.read_text())
    with engine.connect() as c:
        c.execute(
            sa.text(
                "CREATE TABLE visits (id BIGINT PRIMARY KEY, 姓名 VARCHAR(40), half DECIMAL(12,1), dose DOUBLE, seen DATE, at DATETIME(6), "
                "even TINYINT(1), big BIGINT UNSIGNED, kind ENUM('a','b'), cost DECIMAL(12,2))"
            )
        )
        c.execute(
            sa.text(
                "INSERT INTO visits SELECT seq, CONCAT('张', seq), seq / 2, seq * 1.5e0, DATE '2020-01-01' + INTERVAL seq % 30 DAY, "
                "TIMESTAMP '2020-01-01 12:00:00.5', seq % 2 = 0, seq, IF(seq % 2, 'a', 'b'), IF(seq % 3, seq, NULL) "
                f"FROM seq_1_to_{ROWS} ORDER BY seq DESC"
            )
        )
        c.execute(sa.text("CREATE TABLE nested (id INT, facts BLOB)"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "home")
    yield made
    made.db.close()


def source(server: Server, table: str = "visits", password: str = SECRET) -> TableSource:
    return TableSource(table, address=server.address(), password=password, sheet=table, unit="id")


def test_a_table_of_mariadb_becomes_a_version(world: World, server: Server) -> None:
    assert world.register(table=source(server)) == "nafld/1"
    with world.opened() as folder, duckdb.connect() as connection:
        rows = connection.read_parquet(str(folder / "visits.parquet")).order("id")
        assert rows.count("*").fetchall() == [(ROWS,)]
        day = datetime(2020, 1, 1, 12, 0, 0, 500_000)  # noqa: DTZ001  it is kept without a zone
        assert rows.limit(3).fetchall()[1:] == [
            (2, "张2", Decimal("1.0"), 3.0, date(2020, 1, 3), day, 1, 2, "b", Decimal("2.00")),
            (3, "张3", Decimal("1.5"), 4.5, date(2020, 1, 4), day, 0, 3, "a", None),
        ]
    (entry,) = world.entries("dataset.registered")
    (read,) = entry["facts"]["tables"][0]["sources"]
    assert read["name"] == "mysql://127.0.0.1/ward#visits"
    with pytest.raises(RegistrationRefused, match="nafld"):
        world.register(table=source(server))  # the same rows are the same version


@pytest.mark.parametrize(("table", "password"), [("nested", SECRET), ("nowhere", SECRET), ("visits", "wrong")])
def test_what_cannot_be_read_leaves_nothing_and_names_no_account(
    world: World, server: Server, table: str, password: str
) -> None:
    with pytest.raises(RegistrationRefused) as refused:
        world.register(table=source(server, table, password))
    assert "reader" not in str(refused.value.public())
    assert SECRET not in repr(refused.value.__dict__)
    assert world.entries() == []


def test_numbers_that_a_column_cannot_keep_are_refused(world: World, server: Server) -> None:
    with server.owner().connect() as c:
        c.execute(sa.text("CREATE TABLE large (id BIGINT UNSIGNED PRIMARY KEY)"))
        c.execute(sa.text(f"INSERT INTO large VALUES ({2**63})"))
    with pytest.raises(FileRefused):
        world.register(table=source(server, "large"))
    assert world.entries() == []


@pytest.mark.parametrize(
    ("host", "database", "account"),
    [
        ("h?read_default_file=x", "ward", "reader"),
        ("/var/run", "ward", "reader"),
        ("a,b", "ward", "reader"),
        ("h", "ward?ssl_ca=x", "reader"),
        ("h", "ward", "reader:secret"),
        ("", "ward", "reader"),
    ],
)
def test_a_form_has_no_room_for_a_drivers_options(host: str, database: str, account: str) -> None:
    with pytest.raises(RegistrationRefused):
        databases.address("mysql", host, None, database, account)


# -- on the desk -------------------------------------------------------------------------------------------------------
@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_world(tmp_path / "desk")


def asked(server: Server, password: str = SECRET) -> dict[str, str]:
    where = {"kind": "mysql", "host": "127.0.0.1", "port": str(server.port), "database": "ward", "account": "reader"}
    return {**where, "password": password, "from_tables": "visits"}


SAID = {"title": "T", "description": "D", "provider": "P", "level": "3", "stewards": "stella", "unit.0": "id"}


def test_from_a_server_on_the_desk_with_a_password_that_nothing_keeps(desk: Desk, server: Server) -> None:
    adam = signed_in(make_desk(desk), "adam")
    page = adam.post(f"{PREFIX}admin/intake/look", data=asked(server)).text
    assert "person&#39;s name" in page
    assert 'name="host" value="127.0.0.1"' in page
    assert SECRET not in page
    form = {**asked(server), **SAID, "dataset": "visits", "file": "visits", "sheet.0": "visits"}
    bad = adam.post(f"{PREFIX}admin/intake/new", data={**form, "unit.0": ""}).text
    assert "It is not said whom the rows" in bad
    assert SECRET not in bad
    sent = adam.post(f"{PREFIX}admin/intake/new", data=form)
    job = ended(desk, sent.headers["location"].rpartition("/")[2])
    assert job.version == "visits/1", job.fault
    with Database.open(desk.settings).read() as c:
        (table,) = catalogue.tables_of(c, "visits/1")
    assert (table.name, table.rows) == ("visits", ROWS)
    written = [path for path in desk.settings.home.rglob("*") if path.is_file()]
    assert len(written) > 3
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("wrong", [{"password": "no"}, {"host": "127.0.0.1,evil"}, {"from_tables": ""}])
def test_a_server_that_refuses_is_said_over_the_folder(desk: Desk, server: Server, wrong: dict[str, str]) -> None:
    adam: TestClient = signed_in(make_desk(desk), "adam")
    answer = adam.post(f"{PREFIX}admin/intake/look", data={**asked(server), **wrong})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="reader"' in answer.text
    assert SECRET not in answer.text
