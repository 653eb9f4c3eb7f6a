"""A blob store in front of another, for what is tried and not kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from egress_gate.service.ports import Blobs


@dataclass
class Aside:
    """What is put stays here and is forgotten; what was there is read."""

    behind: Blobs
    held: dict[str, bytes] = field(default_factory=dict)

    def put(self, data: bytes | Iterable[bytes], /) -> str:
        whole = data if isinstance(data, bytes) else b"".join(data)
        digest = hashlib.sha256(whole).hexdigest()
        self.held[digest] = whole
        return digest

    def read(self, digest: str, /) -> bytes:
        return self.held[digest] if digest in self.held else self.behind.read(digest)
