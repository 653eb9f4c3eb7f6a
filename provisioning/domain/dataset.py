"""Datasets, their versions and tables as they stand in the catalogue."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NewType

from provisioning.domain.classification import Classification
from provisioning.domain.errors import RegistrationRefused

VersionId = NewType("VersionId", str)
_VERSION = re.compile(r"([a-z][a-z0-9_-]{0,62})/([1-9][0-9]{0,8})")

AVAILABLE = "available"
DESTROYED = "destroyed"


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    meaning: str = ""

    def facts(self) -> dict[str, str]:
        return {"name": self.name, "type": self.type, "meaning": self.meaning}


@dataclass(frozen=True)
class RegisteredTable:
    """One table of a version. ``unit`` None: each row is its own privacy unit."""

    name: str
    file: str
    digest: str
    rows: int
    bytes: int
    unit: str | None
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Version:
    id: VersionId
    dataset: str
    number: int
    digest: str
    state: str
    folder: str
    registered_at: str
    registered_by: str


@dataclass(frozen=True)
class Dataset:
    name: str
    title: str
    description: str
    provider: str
    classification: Classification
    stewards: tuple[str, ...]
    registered_at: str
    versions: tuple[Version, ...] = ()

    @property
    def newest(self) -> Version | None:
        return self.versions[-1] if self.versions else None


def version_id(dataset: str, number: int) -> VersionId:
    return VersionId(f"{dataset}/{number}")


def parse_version(text: str) -> tuple[str, int]:
    """Dataset and number of ``nafld/1``. Raises RegistrationRefused for anything else, ``..`` included."""
    matched = _VERSION.fullmatch(text) if isinstance(text, str) else None
    if matched is None:
        raise RegistrationRefused(
            f"{str(text)[:40]!a} is not a dataset version.",
            why="A grant is for one immutable version, not for a dataset.",
            do="Write it as name/number, for example nafld/1.",
        )
    return matched[1], int(matched[2])


def digest_of(tables: Iterable[tuple[str, str]]) -> str:
    """The version's digest: SHA-256 over the sorted names and file digests of its tables."""
    running = hashlib.sha256()
    for name, digest in sorted(tables):
        running.update(f"{name}\0{digest}\n".encode())
    return running.hexdigest()
