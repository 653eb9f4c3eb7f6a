"""A dataset on one page, and the package shelf. They read and change nothing: both are governed from the command line."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from egress_gate.desk.context import SignedIn, TheDesk
from egress_gate.desk.rendering import render
from egress_gate.service.packages import shelf_for
from egress_gate.service.sheets import dataset_page, datasets_for
from store.clock import stamp

data = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@data.get("/data")
def datasets(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    """The data that the visitor looks after; all of it for administrators and auditors."""
    return render(request, visitor, "data.html", datasets=datasets_for(desk.gate, visitor.person, desk.clock()))


@data.get("/data/{dataset}")
def dataset(
    request: Request,
    visitor: SignedIn,
    desk: TheDesk,
    dataset: Annotated[str, Path(max_length=100)],
    version: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> Response:
    now = desk.clock()
    found = dataset_page(desk.gate, visitor.person, dataset, now, version)
    return render(request, visitor, "dataset.html", found=found, today=stamp(now))


@data.get("/shelf")
def shelf(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    """What lies on the shelf and what was asked for. Approving needs a lock file, so that it stays on the command line."""
    return render(request, visitor, "shelf.html", found=shelf_for(desk.gate, visitor.person, desk.clock()))
