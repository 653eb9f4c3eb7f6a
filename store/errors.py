"""Faults of the store. Fault └── StoreFault ├── Unevidenced ├── SchemaFault └── BlobFault"""

from __future__ import annotations

from installation.fault import Fault


class StoreFault(Fault):
    code = "store"


class Unevidenced(StoreFault):
    """A transaction tried to change state without an entry, or to record an entry without a change."""

    code = "store-unevidenced"


class SchemaFault(StoreFault):
    code = "store-schema"


class BlobFault(StoreFault):
    code = "store-blob"
