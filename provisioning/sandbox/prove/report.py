"""The report: what was tried and seen, signed, in JSON and HTML; and how anyone re-checks one without this machine.

The signature is a C2SP signed note over the SHA-256 of the report's canonical JSON (sorted keys, no spaces), without the
``signature`` field itself.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ledger.errors import LedgerFault
from ledger.note import Signer, Verifier, open_note
from provisioning.sandbox.errors import SandboxFault

TITLE = "glovebox isolation report"
FORMAT = "glovebox-isolation-report/1"


class ReportFault(SandboxFault):
    """A report that cannot be trusted: altered, unsigned, or signed by someone else."""

    code = "sandbox-report"


@dataclass(frozen=True)
class Report:
    """A signed report, as its JSON says it."""

    content: Mapping[str, Any]

    @property
    def attempts(self) -> Sequence[Mapping[str, Any]]:
        return list(self.content["attempts"])

    @property
    def outside(self) -> Sequence[Mapping[str, Any]]:
        return list(self.content["outside"])

    def counted(self, attempts: Sequence[Mapping[str, Any]] | None = None) -> dict[str, int]:
        seen = Counter(str(each["observed"]) for each in (self.attempts if attempts is None else attempts))
        return {name: seen.get(name, 0) for name in ("blocked", "open", "error")}

    @property
    def failures(self) -> list[str]:
        """Open channels and outside facts that do not hold."""
        failed = [str(each["id"]) for each in self.attempts if each["observed"] == "open"]
        return failed + [str(each["id"]) for each in self.outside if not each["holds"]]

    @property
    def known(self) -> list[str]:
        """What stays open and why is written down, such as the machine's load: listed apart from the attempts."""
        return [str(each["id"]) for each in self.content.get("known") or []]

    @property
    def undecided(self) -> list[str]:
        return [str(each["id"]) for each in self.attempts if each["observed"] not in ("blocked", "open")]

    @property
    def exit_code(self) -> int:
        """0 when everything is closed, 1 when a channel is open, 2 when something could not be decided."""
        return 1 if self.failures else 2 if self.undecided or not self.attempts or not self.outside else 0

    def json(self) -> str:
        return json.dumps(self.content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def html(self) -> str:
        environment = Environment(
            loader=PackageLoader("provisioning.sandbox.prove", "pages"), autoescape=True, undefined=StrictUndefined
        )
        page = environment.get_template("report.html.jinja")
        baseline = {each["id"]: each for each in (self.content.get("baseline") or {}).get("attempts", [])}
        return page.render(report=self.content, counts=self.counted(), baseline=baseline, report_=self)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write ``isolation.json`` and ``isolation.html``; their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = folder / "isolation.json", folder / "isolation.html"
        for path, text in zip(paths, (self.json(), self.html()), strict=True):
            path.write_text(text, "utf-8")
        return paths


def canonical(content: Mapping[str, Any]) -> bytes:
    bare = {name: value for name, value in content.items() if name != "signature"}
    return json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signed(content: Mapping[str, Any], signer: Signer) -> Report:
    digest = hashlib.sha256(canonical(content)).hexdigest()
    note = signer.sign(f"{TITLE}\n{digest}\n")
    return Report({**content, "signature": {"note": note, "key": str(signer.verifier)}})


def check(text: str, key: str | None = None) -> Report:
    """A report whose signature holds, from its JSON. ``key`` is the verifier key to trust; without one the key named in the
    report is used, which shows that the report is whole but not who made it. Raises ReportFault."""
    try:
        content = json.loads(text)
        note, named = str(content["signature"]["note"]), str(content["signature"]["key"])
        if content["format"] != FORMAT:
            raise _fault(f"its format is {content['format']!r}, not {FORMAT}")
        opened = open_note(note, Verifier.parse(key or named))
    except (ValueError, KeyError, TypeError) as broken:
        raise _fault("it is not a report of this kind") from broken
    except LedgerFault as refusal:
        raise _fault(refusal.why.rstrip(".").lower()) from refusal
    if opened != f"{TITLE}\n{hashlib.sha256(canonical(content)).hexdigest()}\n":
        raise _fault("its content is not what was signed")
    return Report(content)


def _fault(why: str) -> ReportFault:
    return ReportFault(
        "The report cannot be trusted.",
        why=f"Checking it failed: {why}.",
        do="Ask for the original file and the maker's public key, or run `glovebox prove` yourself.",
    )
