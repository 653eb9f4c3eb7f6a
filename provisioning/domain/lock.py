"""The lock file that an administrator approves: every package with its version and hashes, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from provisioning.domain.errors import ShelfRefused

_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)((?:\s+--hash=sha256:[0-9a-f]{64})+)")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
MOST = 500


@dataclass(frozen=True)
class Locked:
    """One package of a lock."""

    name: str
    version: str
    hashes: frozenset[str]


def normal(name: str) -> str:
    """A package's name as all spellings of it are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(text: str) -> dict[str, Locked]:
    """Packages by normal name. Raises ShelfRefused for a line of another form: an address, an option, a version without hash."""
    found: dict[str, Locked] = {}
    joined = re.sub(r"\\\s*\n", " ", text)
    for number, line in enumerate(joined.splitlines(), 1):
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not bare:
            continue
        match = _LINE.fullmatch(bare)
        if match is None:
            raise _refused(f"Its entry {number}, {bare[:60]!a}, is not NAME==VERSION with sha256 hashes.")
        name = normal(match[1])
        if name in found:
            raise _refused(f"{name} stands in it twice.")
        found[name] = Locked(name, match[2], frozenset(_HASH.findall(match[3])))
    if not 0 < len(found) <= MOST:
        raise _refused(f"It names {len(found)} packages; between 1 and {MOST} can be approved.")
    return found


def check_beside(lock: Mapping[str, Locked], image: Mapping[str, Locked]) -> None:
    """Raises ShelfRefused for a package that the sandbox image has in another version: the image's would be imported."""
    for name, wanted in lock.items():
        if name in image and image[name].version != wanted.version:
            raise _refused(f"{name} {wanted.version} is not the sandbox's own {image[name].version}.")


def _refused(why: str) -> ShelfRefused:
    return ShelfRefused(
        "The packages were not approved.",
        why=why,
        do="Make the lock with `uv pip compile --generate-hashes`, with images/sandbox/requirements.txt as its constraints.",
    )
