"""The package shelf: what analysts may import beyond the sandbox image. Approved whole, from a lock, and never changed afterwards.

An edition is a folder named by its digest: ``wheels/`` as they were fetched, ``site/`` unpacked. Sandboxes that start later see it
read-only; running ones keep theirs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, insert, select, update

from installation.settings import CHECKOUT, Settings
from ledger.entry import Entry
from provisioning.domain import names
from provisioning.domain.errors import NotFound, ShelfRefused, not_found
from provisioning.domain.lock import Locked, check_beside, normal, read_lock
from provisioning.intake.wheels import Wheel, look, unpack
from store import schema as s
from store.database import Database
from store.transaction import Transaction

IMAGE_LOCK = CHECKOUT / "images" / "sandbox" / "requirements.txt"
SCAN = {"looked_at": "structure, RECORD, kinds of files, files run at start, lock", "vulnerabilities": "not looked up"}


class Fetch(Protocol):
    def __call__(self, lock: Path, into: Path, wheels: Path | None) -> None:
        """Bring every wheel of a lock, each checked against its hashes. Raises a Fault."""


@dataclass(frozen=True)
class Edition:
    number: int
    digest: str
    approved_by: str
    approved_at: str
    packages: tuple[Mapping[str, Any], ...]


def approve(
    db: Database, settings: Settings, *, lock: str, fetch: Fetch, actor: str, at: datetime, wheels: Path | None = None
) -> Edition:
    """Fetch, look into and lay out what a lock names; from now on it is the whole shelf. Raises ShelfRefused, leaving nothing.

    ``wheels``: a folder to take them from instead of the package index.
    """
    names.person(actor)
    wanted = read_lock(lock)
    image = read_lock(IMAGE_LOCK.read_text("utf-8"))
    check_beside(wanted, image)
    extra = {name: one for name, one in wanted.items() if name not in image}
    if not extra:
        raise _refused("The sandbox image has all of it already.", "Nothing is left to do.")
    settings.shelf.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=settings.shelf) as place:
        part = Path(place)
        found = _fetched(part, extra, fetch, wheels)
        digest = _laid_out(part, found)
        _keep(part, settings.shelf / digest)
    with db.transaction(at) as t:
        packages = [wheel.facts() for wheel in found]
        row = {
            "digest": digest,
            "lock": lock,
            "packages": json.dumps(packages),
            "approved_by": actor,
            "approved_at": t.at,
        }
        t.execute(insert(s.shelf_edition).values(row))
        number = int(
            t.execute(select(s.shelf_edition.c.id).order_by(s.shelf_edition.c.id.desc()).limit(1)).scalar_one()
        )
        listed = [f"{wheel.name}=={wheel.version}" for wheel in found]
        facts = {"sha256": digest, "count": len(found), "packages": listed[:50], "scan": SCAN}
        t.record(Entry("shelf.approved", actor, {"edition": str(number)}, facts))
        _answer_requests(t, {wheel.name for wheel in found}, number, actor)
    with db.read() as c:
        made = current(c)
    if made is None:
        raise RuntimeError("the edition was not stored")
    return made


def current(c: Connection | Transaction) -> Edition | None:
    """The newest edition: what the next sandbox sees."""
    row = c.execute(select(s.shelf_edition).order_by(s.shelf_edition.c.id.desc()).limit(1)).first()
    return None if row is None else _edition(row)


def folder_of(c: Connection, settings: Settings) -> tuple[str, Path] | None:
    """Digest and folder of the newest edition, None without one. Raises ShelfRefused when its files are not what was approved."""
    found = current(c)
    if found is None:
        return None
    folder = settings.shelf / found.digest
    lying = sorted(p.name for p in (folder / "wheels").glob("*.whl")) if folder.is_dir() else []
    if lying != sorted(str(each["file"]) for each in found.packages):
        raise ShelfRefused(
            "The sandbox was not started.",
            why="The approved packages are not where they were stored.",
            do="Ask an administrator to approve them again: ./glovebox package approve.",
            private=str(folder),
        )
    return found.digest, folder


def requests(c: Connection, *, open_only: bool = True) -> list[dict[str, Any]]:
    """What analysts asked for, oldest first."""
    table = s.package_request
    query = select(table).order_by(table.c.id)
    if open_only:
        query = query.where(table.c.state == "open")
    return [dict(row._mapping) for row in c.execute(query)]


def refuse_request(db: Database, *, number: int, reason: str, actor: str, at: datetime) -> None:
    """Raises NotFound for a request that is not open."""
    said, table = names.text("reason", reason), s.package_request
    with db.transaction(at) as t:
        row = t.execute(select(table).where(table.c.id == number, table.c.state == "open")).first()
        if row is None:
            raise not_found("open request for a package", str(number), "./glovebox package requests")
        t.execute(
            update(table)
            .where(table.c.id == number)
            .values(state="refused", decided_by=actor, decided_at=t.at, answer=said)
        )
        subject = {"package": row.name, "person": row.person, "project": row.project}
        t.record(Entry("package.refused", actor, subject, {"reason": said}))


def _answer_requests(t: Transaction, on_shelf: set[str], number: int, actor: str) -> None:
    table = s.package_request
    for row in t.execute(select(table).where(table.c.state == "open")).all():
        if normal(row.name) in on_shelf:
            said = f"On the shelf since edition {number}; start a new session to see it."
            values = {"state": "approved", "decided_by": actor, "decided_at": t.at, "answer": said}
            t.execute(update(table).where(table.c.id == row.id).values(values))


def _fetched(part: Path, wanted: Mapping[str, Locked], fetch: Fetch, wheels: Path | None) -> list[Wheel]:
    """The wheels of the lock, each looked into. Raises ShelfRefused naming what was found."""
    lock, folder = part / "lock.txt", part / "wheels"
    folder.mkdir()
    lock.write_text("".join(_line(one) for _, one in sorted(wanted.items())), "ascii")
    fetch(lock, folder, wheels)
    lock.unlink()
    found = [look(path) for path in sorted(folder.iterdir())]
    problems = [f"{wheel.file}: {problem}" for wheel in found for problem in wheel.problems]
    problems += [f"{w.file}: the lock does not name it" for w in found if w.digest not in _hashes(wanted, w)]
    problems += [f"{name}: no wheel came" for name in sorted(set(wanted) - {normal(wheel.name) for wheel in found})]
    if problems:
        raise _refused("; ".join(problems[:5]) + ".", "Ask for another version, or take the package out of the lock.")
    return found


def _hashes(wanted: Mapping[str, Locked], wheel: Wheel) -> frozenset[str]:
    one = wanted.get(normal(wheel.name))
    return one.hashes if one is not None and one.version == wheel.version else frozenset()


def _line(one: Locked) -> str:
    return f"{one.name}=={one.version} " + " ".join(f"--hash=sha256:{each}" for each in sorted(one.hashes)) + "\n"


def _laid_out(part: Path, found: Sequence[Wheel]) -> str:
    """Unpack into ``site/``; the edition's digest is over the wheels' own."""
    site = part / "site"
    site.mkdir()
    for wheel in found:
        try:
            unpack(part / "wheels" / wheel.file, site)
        except FileExistsError as clash:
            raise _refused(
                f"{wheel.file} puts other bytes in the place of {str(clash)[:80]!a}.", "Take one of the two out."
            ) from clash
    for path in part.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    part.chmod(0o755)
    return hashlib.sha256("".join(f"{w.digest}  {w.file}\n" for w in found).encode()).hexdigest()


def _keep(part: Path, folder: Path) -> None:
    """One rename makes it whole; an edition of the same wheels is the same. What a crash left half is replaced."""
    os.sync()
    if folder.exists():
        if [p.name for p in sorted((folder / "wheels").iterdir())] == [
            p.name for p in sorted((part / "wheels").iterdir())
        ]:
            return  # a running sandbox may look into it
        shutil.rmtree(folder)
    os.rename(part, folder)
    part.mkdir()  # for the one who made it, and removes it


def _edition(row: Any) -> Edition:
    return Edition(int(row.id), row.digest, row.approved_by, row.approved_at, tuple(json.loads(row.packages)))


def _refused(why: str, do: str) -> ShelfRefused:
    return ShelfRefused("The packages were not approved.", why=why, do=do)


__all__ = ["Edition", "NotFound", "approve", "current", "folder_of", "refuse_request", "requests"]
