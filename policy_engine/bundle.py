"""The policies as one bundle whose revision is the digest of its content, so that a decision can name exactly what judged it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installation.settings import CHECKOUT

POLICIES = CHECKOUT / "policies"
PACKAGE = re.compile(r"^package\s+([\w.]+)", re.MULTILINE)
_READS = re.compile(r"\bdata\.([\w.]+)")


@dataclass(frozen=True)
class Bundle:
    """Rego modules by path, the merged data document, and the digest (SHA-256, hex) over both."""

    modules: dict[str, str]
    data: dict[str, Any]
    digest: str

    def behind(self, entry_points: Collection[str]) -> dict[str, str]:
        """The modules of these entry points (``release/decision``) and of every package that they read, and so on."""
        packages = {path: match[1] for path, text in self.modules.items() if (match := PACKAGE.search(text))}
        wanted = [point.replace("/", ".") for point in entry_points]
        found: dict[str, str] = {}
        while wanted:
            read = wanted.pop()
            for path, package in packages.items():
                if path not in found and _reaches(read, package):
                    found[path] = self.modules[path]
                    wanted += _READS.findall(found[path])
        return found

    def tarball(self) -> bytes:
        """A deterministic OPA bundle (tar.gz without times or owners)."""
        manifest = {
            "revision": self.digest,
            "roots": sorted({p.split("/", 1)[0] for p in self.modules} | set(self.data)),
        }
        files = {".manifest": _json(manifest), "data.json": _json(self.data)}
        files |= {path: text.encode() for path, text in self.modules.items()}
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            for path, content in sorted(files.items()):
                member = tarfile.TarInfo("/" + path)
                member.size, member.mode = len(content), 0o644
                archive.addfile(member, io.BytesIO(content))
        return gzip.compress(raw.getvalue(), mtime=0)


def read(folder: Path = POLICIES) -> Bundle:
    """Read a policy folder, leaving its tests out. JSON files under ``data/`` merge into ``data.data``."""
    modules = {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in sorted(folder.rglob("*.rego"))
        if not path.name.endswith("_test.rego")
    }
    merged: dict[str, Any] = {}
    for path in sorted((folder / "data").glob("*.json")):
        for key, value in json.loads(path.read_text("utf-8")).items():
            if key in merged:
                raise ValueError(f"{key} stands twice in the policy data")
            merged[key] = value
    data = {"data": merged}
    running = hashlib.sha256()
    for name, content in [*((p, t.encode()) for p, t in sorted(modules.items())), ("data.json", _json(data))]:
        running.update(f"{name}\0{len(content)}\0".encode() + content)
    return Bundle(modules, data, running.hexdigest())


def _reaches(read: str, package: str) -> bool:
    """Whether reading ``data.{read}`` may read something of the package: it lies inside the package, or around it."""
    inner, outer = f"{read}.", f"{package}."
    return inner.startswith(outer) or outer.startswith(inner)


def write(target: Path, folder: Path = POLICIES) -> Bundle:
    """Write the bundle tarball to ``target`` and return what it holds."""
    bundle = read(folder)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    fresh.write_bytes(bundle.tarball())
    fresh.replace(target)
    return bundle


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
