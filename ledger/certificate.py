"""The signed record of one release, or of what happened to a dataset version; verified with nothing but the public key.

A certificate is canonical JSON: a *statement* (data versions → code → image → checks → policy → reviewers → digest of every
file), a signed note over the statement's digest, and the *receipt*: the ledger entry that names the statement, with
its inclusion proof and the signed checkpoint. `docs/reference/certificate.md` has the format field by field.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger import bundle
from ledger.dataset_statement import form_of, require_dataset_statement
from ledger.entry import canonical, decode
from ledger.errors import CertificateFault, LedgerFault
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.note import Signer, Verifier, open_checkpoint, open_note
from ledger.statement import STATEMENT, require_statement

ENVELOPE = "glovebox-certificate/1"
NAME = "certificate.json"
MAX_CERTIFICATE = 1 << 26
RECORDED_BY = "request.released"  # the ledger entry's kind
_FIELDS = {"format", "key", "receipt", "signature", "statement"}
_RECEIPT = {"body", "checkpoint", "path", "seq"}


def state(facts: Mapping[str, Any], members: Mapping[str, bytes]) -> bytes:
    """The statement's bytes: ``facts`` and the digest of every file that goes into the bundle beside the certificate.

    Raises CertificateFault when a fact is missing or contradicts another, EntryRefused for what canonical JSON refuses.
    """
    files = [
        {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in sorted(members.items())
    ]
    data = canonical({**facts, "format": STATEMENT, "files": files})
    require_statement(json.loads(data))
    return data


def digest(statement: bytes) -> str:
    """What the release's ledger entry must carry as its fact ``certificate``."""
    return hashlib.sha256(statement).hexdigest()


@dataclass(frozen=True)
class Recorded:
    """The ledger's side of a certificate; `store.database.Receipt` has the same four fields."""

    seq: int
    body: bytes
    path: tuple[bytes, ...]
    checkpoint: str


def seal(statement: bytes, signer: Signer, receipt: Any) -> bytes:
    """The certificate's bytes. ``receipt``: of the entry that records `digest` of this statement, as `Recorded`."""
    return canonical(
        {
            "format": ENVELOPE,
            "key": str(signer.verifier),
            "statement": json.loads(statement),
            "signature": signer.sign(_signed_text(statement)),
            "receipt": {
                "seq": receipt.seq,
                "body": base64.b64encode(receipt.body).decode(),
                "path": [node.hex() for node in receipt.path],
                "checkpoint": receipt.checkpoint,
            },
        }
    )


def pack(members: Mapping[str, bytes], certificate: bytes) -> bytes:
    """The bundle: the files that the certificate's statement names, and the certificate."""
    return bundle.pack({**members, NAME: certificate})


@dataclass(frozen=True)
class Check:
    """One thing that was checked, and what was found, in plain words."""

    name: str
    ok: bool
    message: str


@dataclass(frozen=True)
class Verified:
    """``ok``: everything holds. ``key_given``: it holds under a key the reader had from elsewhere, not the bundle's own."""

    ok: bool
    key: str
    key_given: bool
    checks: tuple[Check, ...]
    statement: Mapping[str, Any] | None

    @property
    def message(self) -> str:
        """One sentence: what does not hold, or that everything does and under whose key."""
        wrong = [c.message for c in self.checks if not c.ok]
        if wrong:
            return " ".join(wrong)
        said = self.statement or {}
        about = said.get("request") or said.get("version", "")
        whose = "" if self.key_given else " The key came from the file itself: compare it with the installation's."
        return f"{about}: every digest, signature and proof holds.{whose}"

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "ok": self.ok,
            "message": self.message,
            "key": self.key,
            "key_given": self.key_given,
            "checks": [{"name": c.name, "ok": c.ok, "message": c.message} for c in self.checks],
            "statement": self.statement,
        }


def verify_bundle(path: Path, verifier: Verifier | None = None) -> Verified:
    """Check a release file offline, to the last byte. Never raises for what is in the file.

    Without ``verifier`` the key in the file is used: that proves the file whole and consistent, not who signed it.
    """
    with path.open("rb") as file:
        data = file.read(bundle.MAX_FILE + 1)
    return verify_bytes(data, verifier)


def verify_bytes(data: bytes, verifier: Verifier | None = None) -> Verified:
    """`verify_bundle` for bytes in memory."""
    try:
        members = bundle.unpack(data)
        envelope = _envelope(members.pop(NAME, b""))
        key = verifier or Verifier.parse(envelope["key"])
    except LedgerFault as fault:
        return _unreadable(fault, verifier)
    checks = (
        Check("form", True, f"The file holds {len(members)} files and a certificate, and nothing else."),
        *_sealed(envelope, key, lambda: (RECORDED_BY, "request", envelope["statement"].get("request"))),
        _check("files", "Every file is the one that was signed.", lambda: _files(envelope["statement"], members)),
        _check(
            "record",
            "The statement is complete and agrees with itself.",
            lambda: require_statement(envelope["statement"]),
        ),
    )
    return Verified(all(c.ok for c in checks), str(key), verifier is not None, checks, envelope["statement"])


def verify_certificate(data: bytes, verifier: Verifier | None = None) -> Verified:
    """Check a certificate of registration, masking, twin or destruction. Never raises for what is in it; the key as in `verify_bundle`."""
    try:
        if len(data) > MAX_CERTIFICATE:
            raise _fault("it is larger than a certificate can be")
        envelope = _envelope(data)
        key = verifier or Verifier.parse(envelope["key"])
    except LedgerFault as fault:
        return _unreadable(fault, verifier)
    statement = envelope["statement"]

    def due() -> tuple[str, str, Any]:
        form = form_of(statement)
        return form.kind, form.noun, statement.get("version")

    checks = (
        Check("form", True, "The file is a certificate and nothing else."),
        *_sealed(envelope, key, due),
        _check("record", "The statement is complete.", lambda: require_dataset_statement(statement)),
    )
    return Verified(all(c.ok for c in checks), str(key), verifier is not None, checks, statement)


def _unreadable(fault: LedgerFault, verifier: Verifier | None) -> Verified:
    said = str(verifier) if verifier else ""
    return Verified(False, said, verifier is not None, (Check("form", False, f"{fault.what} {fault.why}"),), None)


def _sealed(
    envelope: Mapping[str, Any], key: Verifier, due: Callable[[], tuple[str, str, Any]]
) -> tuple[Check, Check, Check]:
    """``due``: the kind of the entry that must record the statement, the noun in its subject, and what that noun names."""
    statement = canonical(envelope["statement"])
    return (
        _check("key", "The certificate names the key it was signed with.", lambda: _same_key(envelope, key)),
        _check("signature", f"{key.name} signed the statement.", lambda: _signature(envelope, statement, key)),
        _check("ledger", "The ledger recorded this statement.", lambda: _recorded(envelope, statement, key, due())),
    )


def _check(name: str, holds: str, check: Callable[[], None]) -> Check:
    try:
        check()
    except LedgerFault as fault:
        return Check(name, False, fault.why)
    return Check(name, True, holds)


def _envelope(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
        receipt = found["receipt"]
        shaped = (
            set(found) == _FIELDS
            and found["format"] == ENVELOPE
            and isinstance(found["statement"], dict)
            and all(isinstance(found[field], str) for field in ("key", "signature"))
            and set(receipt) == _RECEIPT
            and type(receipt["seq"]) is int
            and all(isinstance(text, str) for text in (receipt["body"], receipt["checkpoint"], *receipt["path"]))
        )
        same = canonical(found) == data
    except (ValueError, KeyError, TypeError, RecursionError) as broken:
        raise _fault("its certificate is missing or not readable") from broken
    if not shaped or not same:
        raise _fault("its certificate is not in the one form that is signed")
    return dict(found)


def _signed_text(statement: bytes) -> str:
    return f"{ENVELOPE}\n{digest(statement)}\n"


def _same_key(envelope: Mapping[str, Any], key: Verifier) -> None:
    if envelope["key"] != str(key):
        raise _fault("it names another key than the one you trust")


def _signature(envelope: Mapping[str, Any], statement: bytes, key: Verifier) -> None:
    if open_note(_only_signature(envelope["signature"]), key) != _signed_text(statement):
        raise _fault("another statement was signed")


def _recorded(envelope: Mapping[str, Any], statement: bytes, key: Verifier, due: tuple[str, str, Any]) -> None:
    receipt = envelope["receipt"]
    try:
        body = base64.b64decode(receipt["body"], validate=True)
        path = [bytes.fromhex(node) for node in receipt["path"]]
    except ValueError as broken:
        raise _fault("its receipt is not readable") from broken
    spelled = [node.hex() for node in path] == receipt["path"] and base64.b64encode(body).decode() == receipt["body"]
    if not spelled or any(len(node) != 32 for node in path):
        raise _fault("its receipt is not in the one form that is written")
    head = open_checkpoint(_only_signature(receipt["checkpoint"]), key)
    verify_inclusion(leaf_hash(body), receipt["seq"], head.size, path, head.root)
    recorded = decode(body)
    kind, noun, name = due
    says = (
        recorded.seq,
        recorded.entry.kind,
        recorded.entry.facts.get("certificate"),
        recorded.entry.subject.get(noun),
    )
    if says != (receipt["seq"], kind, digest(statement), name):
        raise _fault("the ledger entry in it records something else")


def _only_signature(note: str) -> str:
    """Further signatures are no part of a certificate: they would be bytes that nothing checks."""
    if note.rpartition("\n\n")[2].count("\n") != 1:
        raise _fault("a note in it carries more than one signature")
    return note


def _files(statement: Mapping[str, Any], members: Mapping[str, bytes]) -> None:
    listed = statement.get("files")
    rows = [f for f in listed if isinstance(f, dict)] if isinstance(listed, list) else []
    signed = {str(f.get("name")): f for f in rows}
    unsigned, lacking = sorted(set(members) - set(signed)), sorted(set(signed) - set(members))
    if unsigned or lacking:
        raise _fault(f"files that were not signed: {unsigned}; signed files that are not there: {lacking}")
    for name, data in members.items():
        if (hashlib.sha256(data).hexdigest(), len(data)) != (signed[name].get("sha256"), signed[name].get("bytes")):
            raise _fault(f"{name} is not the file that was signed")


def _fault(why: str) -> CertificateFault:
    return CertificateFault(
        "The certificate was refused.", why=f"Because {why}.", do="Download the release again from the desk."
    )
