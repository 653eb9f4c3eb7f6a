"""A dataset on one page with its grants, which its stewards give and revoke there; and the package shelf, to read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.describing import described
from egress_gate.desk.kept_form import NOTHING, Form, Sent, answered
from egress_gate.desk.rendering import render
from egress_gate.service import granting, intake
from egress_gate.service import packages as shelves
from egress_gate.service.hands import NewGrant
from egress_gate.service.packages import shelf_for
from egress_gate.service.sheets import Turned, dataset_page, dataset_usage, datasets_for
from store.clock import stamp
from store.usage import CAPPED, LIMITED
from store.usage_report import as_csv

QUOTAS = (*LIMITED, *CAPPED)
Name = Annotated[str, Path(max_length=100)]
Number = Annotated[int, Path(ge=1, le=2**31)]
Turn = Annotated[int, Query(ge=1, le=100_000)]
data = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@data.get("/data")
def datasets(request: Request, visitor: SignedIn, desk: TheDesk, page: Turn = 1) -> Response:
    """The data that the visitor looks after; all of it for administrators and auditors."""
    found = datasets_for(desk.gate, visitor.person, desk.clock(), page)
    return render(request, visitor, "data.html", datasets=found)


@data.get("/data/{dataset}")
def dataset(
    request: Request,
    visitor: SignedIn,
    desk: TheDesk,
    dataset: Name,
    version: Annotated[int | None, Query(ge=1, le=2**31)] = None,
    grants: Turn = 1,
    releases: Turn = 1,
) -> Response:
    return _dataset(request, visitor, desk, dataset, turned=Turned(version, grants, releases))


@data.get("/data/{dataset}/usage.csv")
def dataset_usage_csv(visitor: SignedIn, desk: TheDesk, dataset: Name) -> Response:
    """What each version of the dataset was used for, one line a version."""
    found = dataset_usage(desk.gate, visitor.person, dataset, desk.clock())
    headers = {"content-disposition": f"attachment; filename*=UTF-8''usage-{quote(dataset)}.csv"}
    return Response(as_csv("version", list(found)), media_type="text/csv; charset=utf-8", headers=headers)


@data.post("/data/{dataset}/grants")
def give_grant(request: Request, visitor: SignedIn, desk: TheDesk, dataset: Name, sent: Form) -> Response:
    """Grant a version to a project, with an end and quotas."""

    def doing() -> None:
        granting.may_grant(desk.gate, visitor.person, dataset, desk.clock())
        version = f"{dataset}/{sent.text('version')}"
        wanted = NewGrant(sent.text("project"), version, sent.day("until"), sent.numbers("quota."))
        granting.give_grant(desk.gate, desk.provisioning, visitor.person, dataset, wanted, desk.clock())

    return _answered(request, visitor, desk, dataset, sent, "grant", doing)


@data.post("/data/{dataset}/grants/{number}/revoke")
def revoke_grant(
    request: Request, visitor: SignedIn, desk: TheDesk, dataset: Name, number: Number, sent: Form
) -> Response:
    def doing() -> None:
        reason = sent.text("reason")
        granting.revoke_grant(desk.gate, desk.provisioning, visitor.person, dataset, number, reason, desk.clock())

    return _answered(request, visitor, desk, dataset, sent, f"revoke-{number}", doing)


@data.post("/data/{dataset}/grants/{number}/quotas")
def change_quotas(
    request: Request, visitor: SignedIn, desk: TheDesk, dataset: Name, number: Number, sent: Form
) -> Response:
    """These quotas in place of the grant's; without any it has none."""

    def doing() -> None:
        granting.may_grant(desk.gate, visitor.person, dataset, desk.clock())
        granting.change_quotas(
            desk.gate,
            desk.provisioning,
            visitor.person,
            dataset,
            number,
            sent.numbers("quota."),
            sent.text("reason"),
            desk.clock(),
        )

    return _answered(request, visitor, desk, dataset, sent, f"quotas-{number}", doing)


@data.post("/data/{dataset}/description")
def describe(request: Request, visitor: SignedIn, desk: TheDesk, dataset: Name, sent: Form) -> Response:
    """What the dataset is, and what its columns identify: a steward confirms what the scan proposed, or says otherwise."""

    def doing() -> None:
        now = desk.clock()
        intake.may_describe(desk.gate, visitor.person, dataset, now)
        said = dataset_page(desk.gate, visitor.person, dataset, now).sheet.said
        intake.describe(desk.gate, desk.provisioning, visitor.person, dataset, described(sent, said), now)

    again = partial(_dataset, request, visitor, desk, dataset)
    return answered(desk, sent, "describe", doing, f"data/{quote(dataset)}#describe", again)


@data.get("/shelf")
def shelf(
    request: Request,
    visitor: SignedIn,
    desk: TheDesk,
    packages: Turn = 1,
    waiting: Turn = 1,
    answered: Turn = 1,
) -> Response:
    """What lies on the shelf and what was asked for. Approving needs a lock file, so that it stays on the command line."""
    turned = shelves.Turned(packages, waiting, answered)
    return render(request, visitor, "shelf.html", found=shelf_for(desk.gate, visitor.person, desk.clock(), turned))


def _dataset(
    request: Request,
    visitor: Visitor,
    desk: Desk,
    dataset: str,
    sent: Sent = NOTHING,
    status: int = 200,
    turned: Turned | None = None,
) -> Response:
    now = desk.clock()
    found = dataset_page(desk.gate, visitor.person, dataset, now, turned)
    more = {"found": found, "today": stamp(now), "sent": sent, "quotas": QUOTAS}
    return render(request, visitor, "dataset.html", status, **more)


def _answered(
    request: Request, visitor: Visitor, desk: Desk, dataset: str, sent: Sent, form: str, doing: Callable[[], None]
) -> Response:
    again = partial(_dataset, request, visitor, desk, dataset)
    return answered(desk, sent, form, doing, f"data/{quote(dataset)}#grants", again)
