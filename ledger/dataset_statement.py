"""What a statement about a dataset version must say, and which ledger entry records it, whoever signed it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.errors import CertificateFault

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass(frozen=True)
class Form:
    """``kind``: of the entry that records it; ``noun``: what in its subject is the version; ``verb`` leads its time and author."""

    kind: str
    noun: str
    verb: str
    texts: tuple[str, ...] = ()


FORMS: Mapping[str, Form] = {
    "glovebox-registration/1": Form("dataset.registered", "version", "registered"),
    "glovebox-masking/1": Form("dataset.masked", "version", "masked", ("from", "project", "recipe")),
    "glovebox-twin/1": Form("dataset.twinned", "twin", "made", ("twin_of",)),
    "glovebox-destruction/1": Form("dataset.destroyed", "version", "destroyed", ("reason",)),
}


def form_of(statement: Mapping[str, Any]) -> Form:
    """Raises CertificateFault for a statement of a format that nobody here signs."""
    form = FORMS.get(str(statement.get("format")))
    if form is None:
        raise _fault("its format is not one of a dataset's certificates")
    return form


def require_dataset_statement(statement: Mapping[str, Any]) -> None:
    """Raises CertificateFault for a missing or malformed part."""
    form = form_of(statement)
    texts = ("version", "digest", f"{form.verb}_at", f"{form.verb}_by", *form.texts)
    lacking = [name for name in texts if not isinstance(statement.get(name), str) or not statement[name]]
    if lacking:
        raise _fault(f"it does not say its {', '.join(lacking)}")
    if not _SHA256.fullmatch(statement["digest"]) or not _TIME.fullmatch(statement[f"{form.verb}_at"]):
        raise _fault("its digest or time is malformed")
    tables = statement.get("tables")
    if not isinstance(tables, list) or not tables or not all(_is_table(table) for table in tables):
        raise _fault("it does not name its tables with their digests")


def _is_table(table: object) -> bool:
    if not isinstance(table, dict) or not isinstance(table.get("name"), str):
        return False
    digest = table.get("digest", table.get("sha256"))
    return isinstance(digest, str) and _SHA256.fullmatch(digest) is not None


def _fault(why: str) -> CertificateFault:
    return CertificateFault("The statement was refused.", why=f"Because {why}.", do="Ask for the original file.")
