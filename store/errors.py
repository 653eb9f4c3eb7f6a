"""Faults of the store.

Fault
└── StoreFault
    ├── Unevidenced       a change without its entry, or an entry without its change
    ├── StatementRefused  a statement that has no place inside a transaction
    ├── StoreBusy         another writer held the database too long
    ├── SchemaFault       a database of another version, or with tables that are not ours
    ├── KeyMismatch       the ledger was signed by another key than the one at hand
    └── BlobFault         bytes that are missing, altered, too many or wrongly named
"""

from __future__ import annotations

from installation.fault import Fault


class StoreFault(Fault):
    code = "store"


class Unevidenced(StoreFault):
    """A transaction tried to change state without an entry, or to record an entry without a change."""

    code = "store-unevidenced"


class StatementRefused(StoreFault):
    code = "store-statement"


class StoreBusy(StoreFault):
    code = "store-busy"


class SchemaFault(StoreFault):
    code = "store-schema"


class KeyMismatch(StoreFault):
    code = "store-key"


class BlobFault(StoreFault):
    code = "store-blob"
