"""Looking into wheels before they reach a sandbox: read as archives, never installed or run.

What is looked at: names and paths, every file against RECORD, kinds of files, files that Python would run at its start, the lock's name
and version. What is not: what the code does, and whether it has known vulnerabilities, for which no source without a network was found.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

MOST_BYTES = 2 * 1024**3
MOST_FILES = 60_000
MOST_RATIO = 1000  # a file that unpacks to more than this many times its packed size is a bomb
_CHUNK = 1024**2
_TEXT = "py pyi txt md rst json jsonl toml yaml yml cfg ini csv tsv typed xml html htm css js mjs map svg tmpl jinja jinja2 j2 po pot"
_SOURCE = "c h cc cpp hpp hh cu cuh pxd pyx pxi f f90 pyf tp rs lark g4 in inc mplstyle mk build"
_DATA = (
    "orig tpl lua xrc a pc fits orc cmake cff s r crt key tab zi sum sha256sum lzma gzip sh pickle pkl afm pem unicode"
)
_MORE = "jupyterlab-workspace lock template f95 arff asc dta z mat sav"
_BINARY = "png gif jpg jpeg ico ttf otf woff woff2 eot npy npz gz bz2 xz zip mo dat bin pdf ipynb parquet feather"
ALLOWED = frozenset(f"{_TEXT} {_SOURCE} {_DATA} {_MORE} {_BINARY}".split())
STARTS = frozenset({"sitecustomize", "usercustomize"})
_UNLISTED = frozenset({"RECORD", "RECORD.jws", "RECORD.p7s"})
_ELF = b"\x7fELF"


@dataclass(frozen=True)
class Wheel:
    """One wheel that was looked at. ``problems`` is empty when it may lie on the shelf."""

    file: str
    name: str
    version: str
    digest: str
    size: int
    compiled: bool
    problems: tuple[str, ...]

    def facts(self) -> dict[str, object]:
        return {"name": self.name, "version": self.version, "sha256": self.digest, "file": self.file}


def look(path: Path) -> Wheel:
    """Never raises for what a wheel holds: what cannot be read is a problem of it."""
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        said = (str(name), str(version))
        problems, compiled = _inside(path, *said)
    except InvalidWheelFilename as odd:
        said, problems, compiled = ("", ""), (f"its name is none of a wheel: {str(odd)[:120]}",), False
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, RuntimeError, NotImplementedError, EOFError) as broken:
        problems, compiled = (f"it cannot be read: {type(broken).__name__}",), False
    return Wheel(path.name, *said, _digest(path), path.stat().st_size, compiled, tuple(dict.fromkeys(problems))[:20])


def unpack(path: Path, site: Path) -> None:
    """Write a wheel that was looked at below ``site``, as an installer would, without scripts. Raises FileExistsError when another
    wheel has put other bytes in the same place."""
    with zipfile.ZipFile(path) as archive:
        for each in archive.infolist():
            where = _place(each.filename)
            if each.is_dir() or where is None:
                continue
            target = site / where
            data = archive.read(each)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() and target.read_bytes() != data:
                raise FileExistsError(where)
            target.write_bytes(data)
            target.chmod(0o644)


def _place(name: str) -> str | None:
    """Where a file of a wheel goes below site-packages; None for scripts, headers and data, which have no place here."""
    parts = name.split("/")
    if parts[0].endswith(".data"):
        return "/".join(parts[2:]) if len(parts) > 2 and parts[1] in ("purelib", "platlib") else None
    return name


def _inside(path: Path, name: str, version: str) -> tuple[tuple[str, ...], bool]:
    with zipfile.ZipFile(path) as archive:
        files = [each for each in archive.infolist() if not each.is_dir()]
        shape = tuple(_shape(archive.infolist()))
        if shape:
            return shape, False  # no byte of it is unpacked
        problems = [*_names(files), *_described(archive, files, name, version)]
        compiled = False
        recorded = _record(archive, files)
        for each in files:
            digest, head = _read(archive, each)
            compiled = compiled or head == _ELF
            problems += _content(each.filename, head)
            if any(_is(each.filename, name) for name in _UNLISTED):
                continue
            wanted = recorded.pop(each.filename, None)
            if wanted is None:
                problems.append(f"{_shown(each.filename)} is not in RECORD")
            elif wanted != digest:
                problems.append(f"{_shown(each.filename)} differs from RECORD")
        problems += [f"{_shown(missing)} is in RECORD and not in the wheel" for missing in recorded]
    return tuple(problems), compiled


def _shape(entries: list[zipfile.ZipInfo]) -> Iterator[str]:
    if len(entries) > MOST_FILES or sum(each.file_size for each in entries) > MOST_BYTES:
        yield "it is too large"
    if len({each.filename.casefold() for each in entries}) != len(entries):
        yield "it holds one name twice"
    for each in entries:
        parts = PurePosixPath(each.filename).parts
        odd = not each.filename or "\\" in each.filename or ":" in each.filename or not each.filename.isprintable()
        if odd or each.filename.startswith("/") or ".." in parts or "." in each.filename.split("/"):
            yield f"{_shown(each.filename)} leads out of its folder"
        if stat.S_IFMT(each.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            yield f"{_shown(each.filename)} is no plain file"
        if each.flag_bits & 0x1:
            yield f"{_shown(each.filename)} is encrypted"
        if each.file_size > MOST_RATIO * max(each.compress_size, 1024):
            yield f"{_shown(each.filename)} unpacks to far more than it seems"


def _names(files: list[zipfile.ZipInfo]) -> Iterator[str]:
    for each in files:
        path = PurePosixPath(_place(each.filename) or each.filename)
        top = path.parts[0].split(".")[0]
        if path.suffix == ".pth" or path.suffix == ".egg-link":
            yield f"{_shown(each.filename)} would run at Python's start"
        if top in STARTS:
            yield f"{_shown(each.filename)} would run at Python's start"
        if top in sys.stdlib_module_names and not path.parts[0].endswith(".dist-info"):
            yield f"{_shown(each.filename)} takes the name of a module of Python's own"
        if not _kind_allowed(each.filename):
            yield f"{_shown(each.filename)} is of a kind that is not on the list"


def _kind_allowed(name: str) -> bool:
    path = PurePosixPath(name)
    if path.suffix == "" or path.parts[0].endswith(".dist-info") or _place(name) is None:
        return True
    return path.suffix[1:].lower() in ALLOWED or ".so" in path.suffixes


def _content(name: str, head: bytes) -> Iterator[str]:
    library = ".so" in PurePosixPath(name).suffixes
    if head == _ELF and not library:
        yield f"{_shown(name)} is a program under another name"
    if library and head != _ELF:
        yield f"{_shown(name)} is no library"


def _described(archive: zipfile.ZipFile, files: list[zipfile.ZipInfo], name: str, version: str) -> Iterator[str]:
    folders = {each.filename.split("/")[0] for each in files if each.filename.split("/")[0].endswith(".dist-info")}
    if len(folders) != 1:
        yield "it has not one .dist-info folder"
        return
    (folder,) = folders
    present = {each.filename for each in files}
    for needed in ("METADATA", "WHEEL", "RECORD"):
        if f"{folder}/{needed}" not in present:
            yield f"it has no {needed}"
            return
    said = HeaderParser().parsestr(archive.read(f"{folder}/METADATA").decode("utf-8", "replace"))
    if canonicalize_name(str(said.get("Name", ""))) != canonicalize_name(name) or str(said.get("Version")) != version:
        yield "its METADATA names another package or version"


def _record(archive: zipfile.ZipFile, files: list[zipfile.ZipInfo]) -> dict[str, str]:
    """File to SHA-256 as RECORD says; a file without a digest there is as good as not listed."""
    found = [each for each in files if _is(each.filename, "RECORD")]
    if len(found) != 1:
        return {}
    made: dict[str, str] = {}
    for row in csv.reader(io.StringIO(archive.read(found[0]).decode("utf-8"))):
        if len(row) >= 2 and row[1].startswith("sha256="):
            made[row[0]] = row[1].removeprefix("sha256=")
    return made


def _read(archive: zipfile.ZipFile, each: zipfile.ZipInfo) -> tuple[str, bytes]:
    """The digest as RECORD writes it, and the first bytes. Reads no more than the archive says."""
    running, head, size = hashlib.sha256(), b"", 0
    with archive.open(each) as file:
        while piece := file.read(_CHUNK):
            head = head or piece[:4]
            size += len(piece)
            if size > each.file_size:
                raise ValueError("longer than it says")
            running.update(piece)
    return base64.urlsafe_b64encode(running.digest()).rstrip(b"=").decode(), head


def _is(name: str, part: str) -> bool:
    """Whether this is that part of the wheel's own description, and not of something vendored inside."""
    folder, _, rest = name.partition("/")
    return folder.endswith(".dist-info") and rest == part


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shown(name: str) -> str:
    return ascii(name[-80:])
