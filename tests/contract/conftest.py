"""The two databases that a store may be on: a file, and a real PostgreSQL that the tests start."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from installation.settings import Settings


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server of its own, on a socket in a temporary folder; as ``nobody`` when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="gbpg-"))
    spec = importlib.util.find_spec("pgserver")  # for its files only
    assert spec is not None
    assert spec.origin is not None
    packaged = Path(spec.origin).parent
    shutil.copytree(packaged / "pginstall", folder / "pgserver" / "pginstall", symlinks=True)
    if (libraries := packaged.with_name("pgserver.libs")).is_dir():
        shutil.copytree(libraries, folder / "pgserver.libs", symlinks=True)
    (folder / "data").mkdir(mode=0o700)
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        folder.chmod(0o755)
        shutil.chown(folder / "data", user)
        (folder / "socket").mkdir()
        shutil.chown(folder / "socket", user)
    else:
        (folder / "socket").mkdir()
    binaries, data = folder / "pgserver" / "pginstall" / "bin", folder / "data"
    run = {"user": user, "cwd": "/", "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}
    made = subprocess.run(
        [binaries / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"],
        capture_output=True, text=True, **run,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", folder / "socket", "-c", "listen_addresses=", "-c", "fsync=off"],
            stdout=log, stderr=log, **run,
        )  # fmt: skip
    try:
        _wait_for(folder / "socket" / ".s.PGSQL.5432", server, folder / "log")
        yield f"postgresql://postgres@/postgres?host={folder / 'socket'}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(folder)


def _wait_for(path: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert server.poll() is None, log.read_text()
        with socket.socket(socket.AF_UNIX) as probe:
            if path.exists() and probe.connect_ex(str(path)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(params=["sqlite", "postgresql"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """An installation that does not exist yet, on either database."""
    if request.param == "sqlite":
        yield Settings(home=tmp_path / "home")
        return
    url: str = request.getfixturevalue("postgres")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as c:
        c.execute(text("DROP SCHEMA public CASCADE"))
        c.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    yield Settings(home=tmp_path / "home", database_url=url)
