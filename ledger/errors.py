"""The ledger's own small tree of faults; same three parts as everywhere, no import from elsewhere.

LedgerFault
├── EntryRefused      an entry that cannot be evidence (floats, unknown types, empty names)
├── KeyFault          a key file that is missing, malformed or readable by others
├── NoteFault         a signed note that does not parse or whose signature does not hold
├── ProofFault        a proof that does not lead to the root
├── BundleFault       a release file that is not exactly what a gate packs
└── CertificateFault  a certificate that is malformed, not signed, not recorded, or says something else than the files
"""

from __future__ import annotations

from typing import ClassVar


class LedgerFault(Exception):
    code: ClassVar[str] = "ledger"

    def __init__(self, what: str, *, why: str, do: str) -> None:
        super().__init__(f"{what} {why} {do}")
        self.what = what
        self.why = why
        self.do = do

    def public(self) -> dict[str, str]:
        return {"code": self.code, "what": self.what, "why": self.why, "do": self.do}


class EntryRefused(LedgerFault):
    code = "ledger-entry-refused"


class KeyFault(LedgerFault):
    code = "ledger-key"


class NoteFault(LedgerFault):
    code = "ledger-note"


class ProofFault(LedgerFault):
    code = "ledger-proof"


class BundleFault(LedgerFault):
    code = "ledger-bundle"


class CertificateFault(LedgerFault):
    code = "ledger-certificate"
