"""The request form as people fill it in: fields to a draft and back, and what in them cannot be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from egress_gate.domain.item import FAMILIES, Item, Kind
from egress_gate.service.preflight import Stop
from egress_gate.service.submit import Draft
from egress_gate.store.requests import RequestRow

ASKED = (Kind.TABLE, Kind.FIGURE, Kind.REGRESSION)  # what the form offers; files come from inside, by glovebox.release
MOST = 20
ROUND, NOISE = '{"method": "round"}', '{"method": "noise"}'  # what the form offers besides policy's own protection


@dataclass(frozen=True)
class Output:
    """One output's fields, as typed. `kept` is a file of the last revision, which a new one takes along."""

    kind: Kind = Kind.TABLE
    name: str = "table1"
    sql: str = ""
    formula: str = ""
    family: str = "ols"
    spec: str = ""
    protection: str = ""  # JSON, as an item declares it; nothing for policy's own
    kept: Item | None = None

    def item(self) -> Item:
        """Raises ValueError for a specification or a protection that is no JSON object."""
        if self.kept is not None:
            return self.kept
        name, sql = self.name.strip(), self.sql.strip()
        if self.kind is Kind.REGRESSION:
            return Item(name, self.kind, sql, None, {"formula": self.formula.strip(), "family": self.family})
        how = {"protection": _object(self.protection)} if self.protection else {}
        if self.kind is Kind.FIGURE:
            return Item(name, self.kind, sql, None, {"spec": _object(self.spec), **how})
        return Item(name, Kind.TABLE, sql, None, how)


@dataclass(frozen=True)
class AskForm:
    sandbox: str = ""
    title: str = ""
    purpose: str = ""
    context: str = ""
    outputs: tuple[Output, ...] = field(default_factory=lambda: (Output(),))
    accepted: bool = False  # the author has seen what will be left out

    def draft(self) -> tuple[Draft, tuple[Stop, ...]]:
        """What was asked for, and a stop for each output that could not be read; those are not in the draft."""
        items, stops = [], []
        for one in self.outputs:
            try:
                items.append(one.item())
            except ValueError:
                stops.append(Stop(one.name.strip(), "The specification is not JSON.", "Paste a Vega-Lite object: {…}."))
        return Draft(self.title, self.purpose, self.context, tuple(items)), tuple(stops)

    def with_one_more(self) -> AskForm:
        taken = {o.name for o in self.outputs}
        name = next(f"table{n}" for n in range(1, MOST + 2) if f"table{n}" not in taken)
        return replace(self, outputs=(*self.outputs, Output(name=name))[:MOST])

    def without(self, index: int) -> AskForm:
        left = tuple(o for n, o in enumerate(self.outputs) if n != index)
        return replace(self, outputs=left or (Output(),))


def form_from(fields: Mapping[str, Any], kept: tuple[Item, ...] = ()) -> AskForm:
    """The fields of a sent form. Unknown kinds and families read as the first, and what is missing as empty."""

    def text(name: str) -> str:
        value = fields.get(name, "")
        return value.replace("\r\n", "\n") if isinstance(value, str) else ""

    files = {i.name: i for i in kept if i.kind not in ASKED}
    outputs: list[Output] = []
    for index in range(MOST):
        name, kind = text(f"name.{index}"), text(f"kind.{index}")
        if f"name.{index}" not in fields:
            break
        if kind == "kept" and name in files:
            outputs.append(Output(files[name].kind, name, kept=files[name]))
            continue
        outputs.append(
            Output(
                Kind(kind) if kind in ASKED else Kind.TABLE,
                name,
                text(f"sql.{index}"),
                text(f"formula.{index}"),
                text(f"family.{index}") if text(f"family.{index}") in FAMILIES else FAMILIES[0],
                text(f"spec.{index}"),
                text(f"protection.{index}"),
            )
        )
    words = (text("sandbox"), text("title"), text("purpose"), text("context"))
    return AskForm(*words, tuple(outputs) or (Output(),), text("accepted") == "yes")


def form_of(row: RequestRow, items: tuple[Item, ...]) -> AskForm:
    """The form of a request that was returned, as it was sent."""
    return AskForm(row.sandbox or "", row.title, row.purpose, row.context, tuple(_output(i) for i in items))


def _output(item: Item) -> Output:
    spec, how = item.declared.get("spec"), item.declared.get("protection")
    return Output(
        item.kind,
        item.name,
        item.sql or "",
        str(item.declared.get("formula") or ""),
        str(item.declared.get("family") or FAMILIES[0]),
        json.dumps(spec, indent=1, ensure_ascii=False) if spec is not None else "",
        json.dumps(how, ensure_ascii=False) if how is not None else "",
        None if item.kind in ASKED else item,
    )


def _object(text: str) -> dict[str, Any]:
    made = json.loads(text)
    if not isinstance(made, dict):
        raise ValueError("not an object")
    return made
