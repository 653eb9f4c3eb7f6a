"""The reference page's table of routes is the table of the code."""

from __future__ import annotations

from pathlib import Path

from egress_gate.doors.routes import ROUTES, Route

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "session-door.md"


def _size(limit: int) -> str:
    return "—" if not limit else f"{limit // 1024**2} MiB" if limit >= 1024**2 else f"{limit // 1024} KiB"


def _line(route: Route) -> str:
    pattern = route.pattern.pattern.replace("|", "\\|")
    methods = " ".join(sorted(route.methods))
    sizes = f"{_size(route.most_out)} | {_size(route.most_in)}"
    return f"| {route.name} | {methods} | `{pattern}` | {route.shape.value} | {sizes} | {route.what} |"


def table() -> str:
    head = "| route | methods | path after the prefix | kind | most out | most in | what |\n|---|---|---|---|---|---|---|\n"
    return head + "\n".join(_line(route) for route in ROUTES)


def test_the_reference_page_lists_the_routes_as_they_are() -> None:
    text = PAGE.read_text("utf-8")
    _, _, rest = text.partition("test_docs.py -->\n")
    assert rest.partition("\n<!-- /routes -->")[0] == table()
