"""What a steward sees of the scan of a text: the lines that resemble the data, with the columns, and how likely that is by chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from egress_gate.domain.finding import Finding

LONGEST = 240  # characters of a line that are shown
MOST_BITS = 40  # beyond, the chance is told as this small


@dataclass(frozen=True)
class Mark:
    """One record or value of the data in a text. ``cell``: which of a notebook, else empty."""

    what: str  # record, value
    cell: str
    first: int
    last: int
    text: str
    values: tuple[str, ...]
    columns: tuple[str, ...]
    table: str
    people: int
    one_in: int  # texts in which this would stand by chance, at the most


@dataclass(frozen=True)
class Resemblance:
    """``share``: percent of the text that was compared; ``earlier``: records that this project already took out in texts."""

    share: int
    marks: tuple[Mark, ...]
    records: int
    earlier: int
    encoded: int

    @property
    def worth_a_look(self) -> bool:
        return bool(self.marks or self.encoded or self.share < 100)


def resemblance(findings: Iterable[Finding], texts: Mapping[str, str]) -> Resemblance | None:
    """From the findings of a check and the parts of the file, by cell; None where nothing was scanned."""
    by_rule = {f.rule: f.figures for f in findings}
    share = by_rule.get("scanned", by_rule.get("not_fully_scanned"))
    if share is None:
        return None
    records, values = by_rule.get("record_match", {}), by_rule.get("raw_values", {})
    return Resemblance(
        share=int(100 * float(share["share"])),
        marks=tuple(_mark(line, texts) for one in (records, values) for line in one.get("lines", ())),
        records=int(records.get("records", 0)),
        earlier=int(records.get("earlier", 0)),
        encoded=int(by_rule.get("encoded", {}).get("bytes", 0)),
    )


def _mark(line: Mapping[str, Any], texts: Mapping[str, str]) -> Mark:
    lines = texts.get(line["where"], "").splitlines()[line["line"] - 1 : line["last"]]
    shown = "\n".join(one[:LONGEST] + ("…" if len(one) > LONGEST else "") for one in lines)
    return Mark(
        what=line["what"],
        cell=line["where"],
        first=line["line"],
        last=line["last"],
        text=shown,
        values=tuple(line["tokens"]),
        columns=tuple(line["columns"]),
        table=line["table"],
        people=line["people"],
        one_in=2 ** min(MOST_BITS, int(line["bits"])),
    )
