"""Wheels made by hand, honest or not."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path


def wheel(
    folder: Path,
    name: str = "demo",
    version: str = "1.0",
    files: Mapping[str, bytes] | None = None,
    *,
    tag: str = "py3-none-any",
    metadata: str | None = None,
    record: Mapping[str, str] | None = None,
    unrecorded: Mapping[str, bytes] | None = None,
    entries: tuple[zipfile.ZipInfo, ...] = (),
) -> Path:
    """``record`` changes digests in RECORD; ``unrecorded`` and ``entries`` are put into the archive beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    held = dict(files if files is not None else {f"{name}/__init__.py": b"ANSWER = 42\n"})
    held[f"{info}/METADATA"] = (metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n").encode()
    held[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    digests = {path: digest(data) for path, data in held.items()} | dict(record or {})
    lines = [f"{path},sha256={one}," for path, one in digests.items()] + [f"{info}/RECORD,,"]
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for where, data in {**held, **dict(unrecorded or {})}.items():
            archive.writestr(where, data)
        archive.writestr(f"{info}/RECORD", "\n".join(lines) + "\n")
        for entry in entries:
            archive.writestr(entry, b"target")
    return path


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def lock_of(*paths: Path) -> str:
    """The hash-locked file that names these wheels."""
    lines = []
    for path in paths:
        name, version = path.name.split("-")[:2]
        lines.append(f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    return "\n".join(lines) + "\n"
