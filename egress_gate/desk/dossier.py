"""Everything on a request's page, for whom it is meant: evidence for stewards and auditors, the plain voice for others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from egress_gate.desk.changes import Change, changes
from egress_gate.desk.context import Desk, Visitor
from egress_gate.desk.explain import Say, sentence
from egress_gate.desk.notebook import NotebookView, notebook_page, notebook_view, text_view
from egress_gate.desk.picture import Bar, Grid, bars, grid
from egress_gate.desk.reruns import RerunView, rerun_json, rerun_view
from egress_gate.desk.resemblance import Resemblance, resemblance
from egress_gate.desk.unseen import unseen
from egress_gate.domain.finding import FOR_STEWARDS, Finding, Severity, for_author, worst
from egress_gate.domain.item import DERIVED, Item, Kind
from egress_gate.domain.request import State, Verb, allowed
from egress_gate.domain.review import ReviewVerdict, parties_of
from egress_gate.policy.ask import Permission
from egress_gate.render import regression
from egress_gate.render.image import is_image
from egress_gate.render.table import key_text, value_text
from egress_gate.service.errors import no_such
from egress_gate.service.manual import texts_of
from egress_gate.service.ports import EarlierTable
from egress_gate.service.reading import Dossier, visible
from egress_gate.service.release import may_leave
from egress_gate.service.review import off_because, permission_to_review
from egress_gate.store import catalogue, messages, releases, requests, views
from egress_gate.store.catalogue import ProjectRow
from egress_gate.store.messages import Message
from egress_gate.store.releases import DownloadRow, ReleaseRow
from egress_gate.store.requests import CheckRow, DecisionRow, HeldOutput, ItemSaid, RequestRow, ReviewRow
from egress_gate.store.standing import Standing, standings
from egress_gate.store.views import Event
from installation.fault import Fault
from store.clock import stamp

SHOWN_ROWS = 400


@dataclass(frozen=True)
class CellRow:
    """One row of the recomputed table and what becomes of it."""

    keys: tuple[str, ...]
    values: tuple[str, ...]
    contributors: int
    findings: tuple[str, ...]
    suppressed: str | None
    leaving: tuple[str, ...] | None = None  # the figures that leave; None when the row is left out
    left_out: bool = False  # by HAVING


@dataclass(frozen=True)
class TableView:
    keys: tuple[str, ...]
    values: tuple[str, ...]
    rows: tuple[CellRow, ...]
    total_rows: int
    suppressed: int
    audit_verdict: str
    audit: tuple[Mapping[str, Any], ...]
    protection: Mapping[str, Any] = field(default_factory=dict)  # where figures were rounded or given noise


@dataclass(frozen=True)
class ModelView:
    """A regression as it would leave, what was measured of it, and the levels that it tells apart with the people behind each."""

    summary: tuple[tuple[str, str], ...]
    header: tuple[str, ...]
    terms: tuple[tuple[str, ...], ...]
    measured: tuple[tuple[str, str], ...]
    implied: TableView | None


@dataclass(frozen=True)
class FigureView:
    """A figure's own words and numbers, which leave in it, and its specification without the data. `drawn`: there is a picture."""

    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    spec: str
    drawn: bool


@dataclass(frozen=True)
class FileView:
    """A file that the gate could not recompute, as text, as a picture written anew, or as a notebook without anything that runs."""

    size: int
    notebook: NotebookView | None
    text: str | None
    picture: bool = False  # there is one to look at
    unreadable: tuple[str, ...] = ()  # why there is none


@dataclass(frozen=True)
class ItemView:
    item: Item
    check: CheckRow | None
    findings: tuple[Finding, ...]
    table: TableView | None
    meaning: str
    model: ModelView | None = None
    figure: FigureView | None = None
    file: FileView | None = None
    resemblance: Resemblance | None = None
    overlaps: Grid | None = None
    inferred: tuple[Bar, ...] = ()
    rerun: RerunView | None = None  # of a notebook

    @property
    def severity(self) -> Severity:
        return worst(self.findings)


@dataclass(frozen=True)
class Button:
    """A verdict's button. `off` says why it cannot be pressed."""

    verdict: ReviewVerdict
    off: str | None


@dataclass(frozen=True)
class RequestView:
    """One request, as much of it as the visitor may know."""

    request: RequestRow
    project: ProjectRow | None
    versions: tuple[Mapping[str, Any], ...]
    items: tuple[ItemView, ...]
    decision: DecisionRow | None
    reviews: tuple[ReviewRow, ...]
    blind: bool
    item_verdicts: Mapping[int, Mapping[str, ItemSaid]]
    messages: tuple[Message, ...]
    events: tuple[Event, ...]
    release: ReleaseRow | None
    downloads: tuple[DownloadRow, ...]
    earlier: tuple[EarlierTable, ...]
    buttons: tuple[Button, ...]
    may: frozenset[Verb]
    is_author: bool
    sees_evidence: bool
    changed: tuple[Change, ...] | None  # since the last revision; None for a first one
    standing: Standing | None
    held_back: Mapping[str, HeldOutput]  # by output: what this revision leaves without
    divided_from: str | None  # the request that these outputs were held back from
    leaves: Permission | None  # whether what is approved may leave now, and why not
    unseen: bool  # its words came out of a sandbox and no steward has spoken on them: they are left out here


def request_view(desk: Desk, visitor: Visitor, number: int) -> RequestView:
    """Raises NotFound for somebody who may not see it."""
    found = visible(desk.gate, visitor.person, number, desk.clock())
    row = found.request
    evidence = sees_evidence(visitor, found)
    is_author = row.author == visitor.person.name
    with desk.gate.store.read() as c:
        items = requests.items(c, number, row.revision)
        changed = _changed(c, row, items)
        standing = standings(c, visitor.person, [row], stamp(desk.clock())).get(row.id)
        checks = {k.item: k for k in requests.checks(c, number, row.revision)}
        decision = requests.decision(c, number, row.revision)
        reviews = requests.reviews(c, number)
        verdicts = requests.item_verdicts(c, [r.id for r in reviews])
        said = messages.everything(c, number) if evidence and not is_author else messages.to_author(c, number)
        events = views.history(c, "request", row.name)
        held_back = {h.item: h for h in requests.held(c, number, row.revision)}
        divided_from = requests.divided_from(c, number)
        release = releases.of_request(c, number)
        downloads = releases.downloads(c, release.id) if release else ()
        versions = _versions(c, checks, row)
        earlier = _earlier(c, versions, release) if evidence else ()
    blind = _is_blind(visitor, row, reviews, is_author)
    shown = tuple(r for r in reviews if _shown(r, row, blind, visitor, is_author))
    given = [r for r in shown if r.revision == row.revision]
    with desk.gate.store.read() as c:
        seen = tuple(
            _item_view(desk, c, i, checks.get(i.name), earlier, evidence, visitor.voice.text, given) for i in items
        )
    hidden = not evidence and unseen(row, reviews, events)
    if hidden:
        row, changed = replace(row, purpose="", context=""), None
        seen = tuple(_without_words(one, n) for n, one in enumerate(seen, 1))
    return RequestView(
        request=row,
        project=found.project,
        versions=versions,
        items=tuple(replace(i, rerun=rerun_view(desk, visitor, found, i.item) if evidence else None) for i in seen),
        decision=decision,
        reviews=shown,
        blind=blind,
        item_verdicts=verdicts,
        messages=said,
        events=tuple(e for e in events if not (blind or _hidden_from_author(e, row, is_author)) or _neutral(e)),
        release=release,
        downloads=downloads if not is_author or evidence else (),
        earlier=earlier,
        buttons=_buttons(desk, visitor, found, reviews),
        may=allowed(row.state, parties_of(visitor.person.name, visitor.person.groups, row.author)),
        is_author=is_author,
        sees_evidence=evidence,
        changed=changed,
        standing=standing,
        held_back=held_back,
        divided_from=divided_from,
        leaves=_leaves(desk, row),
        unseen=hidden,
    )


def _without_words(view: ItemView, number: int) -> ItemView:
    """An output without what its author wrote: state and findings, under a number."""
    check = replace(view.check, canonical_sql=None) if view.check else None
    item = replace(view.item, name=f"output {number}", sql=None, declared={})
    return replace(view, item=item, check=check, meaning="")


def _leaves(desk: Desk, row: RequestRow) -> Permission | None:
    if row.state not in (State.APPROVED, State.RELEASING):
        return None
    try:
        return may_leave(desk.gate, row, desk.clock())
    except Fault:
        return None  # policy is away: the page says nothing of it, and nothing leaves


def _changed(c: Connection, row: RequestRow, items: tuple[Item, ...]) -> tuple[Change, ...] | None:
    if row.revision == 1:
        return None
    words, earlier = (requests.words(c, row.id, n) for n in (row.revision, row.revision - 1))
    return changes(earlier, words, requests.items(c, row.id, row.revision - 1), items)


def sees_evidence(visitor: Visitor, found: Dossier) -> bool:
    """Figures of cells are for the stewards of the data and for auditors, never for the author or an admin."""
    if visitor.person.name == found.request.author:
        return False
    stewards = {name for people in found.stewards.values() for name in people}
    return visitor.person.name in stewards or visitor.is_one_of("auditors")


def _is_blind(visitor: Visitor, row: RequestRow, reviews: tuple[ReviewRow, ...], is_author: bool) -> bool:
    """While a reviewer has not spoken on a revision in review, they do not see what the others said of it."""
    spoken = any(r.revision == row.revision and r.review.reviewer == visitor.person.name for r in reviews)
    return row.state is State.IN_REVIEW and not spoken and not is_author and visitor.is_one_of("stewards")


def _shown(r: ReviewRow, row: RequestRow, blind: bool, visitor: Visitor, is_author: bool) -> bool:
    if r.revision < row.revision or r.review.reviewer == visitor.person.name:
        return True
    return not blind and not (is_author and row.state is State.IN_REVIEW)


def _hidden_from_author(event: Event, row: RequestRow, is_author: bool) -> bool:
    return is_author and row.state is State.IN_REVIEW


def _neutral(event: Event) -> bool:
    return event.kind not in ("review.given", "message.sent")


def _versions(c: Any, checks: Mapping[str, CheckRow], row: RequestRow) -> tuple[Mapping[str, Any], ...]:
    named = {v for k in checks.values() for v in k.lineage} or set(catalogue.versions_of_sandbox(c, row.sandbox))
    datasets = catalogue.datasets_of_versions(c, named)
    levels = catalogue.classifications(c, datasets.values())
    people = catalogue.stewards(c, datasets.values())
    return tuple(
        {
            "version": v,
            "dataset": datasets[v],
            "classification": levels[datasets[v]],
            "stewards": people[datasets[v]],
        }
        for v in sorted(datasets)
    )


def _earlier(c: Any, versions: tuple[Mapping[str, Any], ...], own: ReleaseRow | None) -> tuple[EarlierTable, ...]:
    found = releases.earlier(c, [v["version"] for v in versions])
    return tuple(e for e in found if own is None or e.release != own.id)


def _item_view(
    desk: Desk,
    c: Connection,
    item: Item,
    check: CheckRow | None,
    earlier: tuple[EarlierTable, ...],
    evidence: bool,
    say: Say,
    given: Sequence[ReviewRow],
) -> ItemView:
    made = ItemView(
        item=item,
        check=check,
        findings=(check.findings if evidence else for_author(check.findings)) if check else (),
        table=None,
        meaning=sentence(check.canonical_sql or item.sql, say)
        if check and item.kind in (Kind.TABLE, Kind.FIGURE)
        else "",
    )
    if check is None or not evidence:
        return made
    table = _table(desk, check) if item.kind in (Kind.TABLE, Kind.FIGURE) else None
    left = [(f"R-{e.request} {e.item}", e.sql) for e in earlier]
    return replace(
        made,
        table=table,
        model=_model(desk, check) if item.kind is Kind.REGRESSION else None,
        figure=_figure(desk, item, check) if item.kind is Kind.FIGURE else None,
        file=_file(desk, c, item, check, given) if item.kind not in DERIVED and item.blob else None,
        resemblance=_resemblance(desk, item, check),
        overlaps=grid(item.name, check.canonical_sql, left) if check.canonical_sql else None,
        inferred=bars(table.audit, say) if table else (),
    )


def _file(desk: Desk, c: Connection, item: Item, check: CheckRow, given: Sequence[ReviewRow]) -> FileView:
    data = desk.gate.blobs.read(item.blob or "")
    if is_image(item.name):
        why = tuple(str(f.figures["what"]) for f in check.findings if f.rule == "unreadable" and "what" in f.figures)
        return FileView(len(data), None, None, sent_picture(check) is not None, why)
    notebook = notebook_view(desk, c, check, data, given)
    return FileView(len(data), notebook, None if notebook else text_view(data))


def _resemblance(desk: Desk, item: Item, check: CheckRow) -> Resemblance | None:
    if item.kind in DERIVED or not item.blob or not any(f.rule in FOR_STEWARDS for f in check.findings):
        return None
    data = desk.gate.blobs.read(item.blob)
    return resemblance(check.findings, dict(texts_of(item, data, data.decode("utf-8-sig", "replace"))))


def _table(desk: Desk, check: CheckRow) -> TableView | None:
    if check.assessment is None:
        return None
    return _table_view(json.loads(desk.gate.blobs.read(check.assessment)))


def _model(desk: Desk, check: CheckRow) -> ModelView | None:
    if check.assessment is None:
        return None
    made = json.loads(desk.gate.blobs.read(check.assessment))
    fit = made["leaving"]
    return ModelView(
        summary=regression.summary_lines(fit) if fit else (),
        header=regression.COLUMNS,
        terms=regression.rows(fit) if fit else (),
        measured=regression.measured_lines(made["measured"]),
        implied=_table_view(made["implied"]) if made["implied"] else None,
    )


def _figure(desk: Desk, item: Item, check: CheckRow) -> FigureView:
    kept = figure_facts(desk, check)
    return FigureView(
        texts=tuple(kept["texts"]) if kept else (),
        numbers=tuple(f"{n:g}" for n in kept["numbers"]) if kept else (),
        spec=json.dumps(item.declared.get("spec"), indent=1, ensure_ascii=False),
        drawn=kept is not None,
    )


def figure_facts(desk: Desk, check: CheckRow) -> dict[str, Any] | None:
    """What a figure's check stored beside its table; None when nothing was drawn."""
    if check.assessment is None:
        return None
    found: dict[str, Any] | None = json.loads(desk.gate.blobs.read(check.assessment)).get("figure")
    return found


def sent_picture(check: CheckRow) -> str | None:
    """The digest of a sent picture as the gate wrote it anew. A figure's own picture stands in its assessment instead."""
    return check.protected if check.assessment is None and is_image(check.item) else None


def figure_picture(desk: Desk, visitor: Visitor, number: int, item: str) -> bytes:
    """The PNG as it would leave, for those who see the evidence. Raises NotFound for everybody else and for what is no figure."""
    found = visible(desk.gate, visitor.person, number, desk.clock())
    with desk.gate.store.read() as c:
        checks = requests.checks(c, number, found.request.revision)
    check = next((k for k in checks if k.item == item), None)
    if check is None or not sees_evidence(visitor, found):
        raise no_such("figure")
    digest = sent_picture(check) or (figure_facts(desk, check) or {}).get("png")
    if digest is None:
        raise no_such("figure")
    return desk.gate.blobs.read(digest)


def notebook_frame(desk: Desk, visitor: Visitor, number: int, item: str) -> bytes:
    """The notebook's page, for those who see the evidence. Raises NotFound for everybody else and for what is no notebook."""
    found = visible(desk.gate, visitor.person, number, desk.clock())
    with desk.gate.store.read() as c:
        checks = requests.checks(c, number, found.request.revision)
    if not sees_evidence(visitor, found):
        raise no_such("notebook")
    return notebook_page(desk, next((k for k in checks if k.item == item), None), item)


def _table_view(made: Mapping[str, Any]) -> TableView:
    keys, values = tuple(made["keys"]), tuple(made["values"])
    cells = made["cells"]
    ordered = sorted(cells, key=_unremarkable) if len(cells) > SHOWN_ROWS else cells
    rows = tuple(
        CellRow(
            keys=tuple(key_text(cell["key"].get(k)) for k in keys),
            values=tuple(value_text(cell["values"].get(v)) for v in values),
            contributors=cell["contributors"],
            findings=tuple(cell["findings"]),
            suppressed=cell["suppressed"],
            leaving=_leaving(cell, values),
            left_out=cell.get("left_out") is True,
        )
        for cell in ordered[:SHOWN_ROWS]
    )
    return TableView(
        keys=keys,
        values=values,
        rows=rows,
        total_rows=len(cells),
        suppressed=sum(_leaving(cell, values) is None for cell in cells),
        audit_verdict=made["audit"]["verdict"],
        audit=tuple(made["audit"]["findings"]),
        protection=made.get("protection") or {},
    )


def _leaving(cell: Mapping[str, Any], values: Sequence[str]) -> tuple[str, ...] | None:
    """The row as it leaves: its own figures, or the rounded or noisy ones where the table has such."""
    figures = cell.get("released", cell["values"])
    if cell["suppressed"] is not None or figures is None or cell.get("left_out"):
        return None
    return tuple(value_text(figures.get(v)) for v in values)


def _unremarkable(cell: Mapping[str, Any]) -> bool:
    """A large table shows the cells with findings first."""
    return not (cell["findings"] or cell["suppressed"])


def _buttons(desk: Desk, visitor: Visitor, found: Dossier, reviews: tuple[ReviewRow, ...]) -> tuple[Button, ...]:
    """The three verdicts, each with policy's own reason when it is off. Nobody who is no steward gets any."""
    if not visitor.is_one_of("stewards") and found.request.author != visitor.person.name:
        return ()
    if found.request.state in (State.RELEASED, State.REVOKED, State.REJECTED, State.WITHDRAWN, State.REFUSED):
        return ()
    if found.request.author == visitor.person.name and not visitor.is_one_of("stewards"):
        return ()
    current = tuple(r for r in reviews if r.revision == found.request.revision)
    return tuple(Button(v, _off(desk, visitor, found, current, v)) for v in ReviewVerdict)


def _off(
    desk: Desk, visitor: Visitor, found: Dossier, current: tuple[ReviewRow, ...], verdict: ReviewVerdict
) -> str | None:
    by_state = off_because(found.request, verdict)
    if by_state is not None:
        return by_state
    if found.request.author == visitor.person.name:
        return "You are its author, and nobody approves their own request."
    if any(r.review.reviewer == visitor.person.name for r in current):
        return "You have already reviewed this revision."
    try:
        answer: Permission = permission_to_review(desk.gate, visitor.person, found, current, verdict, desk.clock())
    except Fault as away:
        return f"{away.what} {away.do}"
    return None if answer.allow else " ".join(r.message for r in answer.reasons) or "Policy does not allow it."


def dossier_json(desk: Desk, visitor: Visitor, number: int) -> dict[str, Any]:
    """The same page for programs."""
    view = request_view(desk, visitor, number)
    row = view.request
    return {
        "id": row.name,
        "title": row.title,
        "author": row.author,
        "project": row.project,
        "purpose": row.purpose,
        "context": row.context,
        "state": row.state.value,
        "revision": row.revision,
        "risk": row.risk,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "waiting_because": dict(row.trouble) if row.trouble else None,
        "words_left_out": view.unseen,
        "versions": [{**v, "stewards": list(v["stewards"])} for v in view.versions],
        "items": [_item_json(i, view.sees_evidence) for i in view.items],
        "outcome": view.decision.outcome.value if view.decision else None,
        "reasons": [r.facts() for r in view.decision.reasons] if view.decision else [],
        "obligations": view.decision.obligations.facts() if view.decision else None,
        "policy": view.decision.policy_digest if view.decision else None,
        "reviews": [
            {
                **r.review.facts(),
                "reason": r.review.reason,
                "revision": r.revision,
                "at": r.reviewed_at,
                "items": {
                    name: {"verdict": said.verdict, "reason": said.reason}
                    for name, said in view.item_verdicts.get(r.id, {}).items()
                },
            }
            for r in view.reviews
        ],
        "messages": [
            {"from": m.author, "audience": m.audience.value, "text": m.body, "at": m.sent_at} for m in view.messages
        ],
        "release": None
        if view.release is None
        else {
            "id": view.release.id,
            "bundle": view.release.bundle,
            "released_at": view.release.released_at,
            "revoked_at": view.release.revoked_at,
            "revoke_reason": view.release.revoke_reason,
        },
        "held_back": [h.facts() for h in view.held_back.values()],
        "divided_from": view.divided_from,
        "actions": {b.verdict.value: b.off for b in view.buttons},
    }


def _protected_json(table: TableView | None) -> dict[str, Any]:
    """What would leave: every key, and the values of the rows that are not withheld; nothing of a row that HAVING leaves out."""
    if table is None:
        return {"suppressed": [], "rows": []}
    rows = [r for r in table.rows if not r.left_out]
    return {
        "suppressed": [dict(zip(table.keys, r.keys, strict=True)) for r in rows if r.leaving is None],
        "rows": [{"key": list(r.keys), "values": None if r.leaving is None else list(r.leaving)} for r in rows],
    }


def _item_json(view: ItemView, evidence: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": view.item.name,
        "kind": view.item.kind.value,
        "sql": view.item.sql,
        "canonical_sql": view.check.canonical_sql if view.check else None,
        "lineage": list(view.check.lineage) if view.check else [],
        "findings": [f.facts() if evidence else f.public() for f in view.findings],
        "protected": _protected_json(view.table),
    }
    if view.item.declared:
        made["declared"] = dict(view.item.declared)
    if view.rerun is not None:
        made["reexecution"] = rerun_json(view.rerun)
    if view.file is not None and view.file.notebook is not None:
        made["outputs"] = [o.facts() for o in view.file.notebook.outputs]
    if view.model is not None:
        made["model"] = {
            "summary": dict(view.model.summary),
            "terms": [dict(zip(view.model.header, row, strict=True)) for row in view.model.terms],
            "measured": dict(view.model.measured),
        }
    if view.table is not None:
        made["table"] = {
            "keys": list(view.table.keys),
            "values": list(view.table.values),
            "rows": [
                {
                    "key": list(r.keys),
                    "values": list(r.values),
                    "contributors": r.contributors,
                    "findings": list(r.findings),
                    "suppressed": r.suppressed,
                }
                for r in view.table.rows
            ],
            "audit": {"verdict": view.table.audit_verdict, "findings": [dict(a) for a in view.table.audit]},
        }
    return made
