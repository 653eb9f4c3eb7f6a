"""A refusal, as a page for a person who navigated there and as the one JSON shape for everything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

from aiohttp import web

from egress_gate.doors.errors import DoorFault

PAGE_POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "Glovebox",
}

HOME = "/hub/home"

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{what}</title>
<style>
 body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #f4f5f7; color: #1c2330; }}
 main {{ max-width: 38rem; margin: 12vh auto; padding: 2rem 2.5rem; background: #fff; border-radius: 8px;
        border-top: 5px solid {colour}; box-shadow: 0 1px 6px rgba(0,0,0,.12); }}
 h1 {{ font-size: 1.35rem; margin: 0 0 1rem; }} p {{ margin: .6rem 0; }} code {{ font-size: .92em; }}
 .code {{ color: #667; font-size: .85rem; margin-top: 1.6rem; }}
</style></head>
<body><main><h1>{what}</h1><p>{why}</p><p><strong>What to do:</strong> {do}</p>{back}
<p class="code">Glovebox session door · {code}</p></main></body></html>
"""


def _prose(text: str) -> str:
    """Escaped text in which a pair of backquotes becomes code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def wants_page(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a person is navigating: then HTML is the right answer. Scripts get JSON."""
    mode = headers.get("Sec-Fetch-Mode")
    if method != "GET" or mode not in (None, "navigate"):
        return False
    return mode == "navigate" or "text/html" in headers.get("Accept", "")


def refusal(fault: DoorFault, *, page: bool, back: str | None = None, lab: bool = False) -> web.Response:
    """The answer for ``fault``: three parts in either form, never the private one.

    ``lab`` adds the one field that JupyterLab shows in its own dialogs.
    """
    sent = PAGE_POLICY
    if not page:
        body = fault.public()
        if lab:
            body["message"] = f"{fault.what} {fault.why} {fault.do}"
        return web.Response(status=fault.status, text=json.dumps(body), content_type="application/json", headers=sent)
    where, said = (
        (back, "Back to JupyterLab")
        if back and fault.status != 404 and fault.code != "not-yours"
        else (HOME, "To the home page")
    )
    link = f'<p><a href="{escape(where, quote=True)}">{said}</a></p>'
    text = PAGE.format(
        what=_prose(fault.what),
        why=_prose(fault.why),
        do=_prose(fault.do),
        back=link,
        code=escape(fault.code),
        colour="#b3402a" if fault.status < 500 else "#b58900",
    )
    return web.Response(status=fault.status, text=text, content_type="text/html", headers=sent)
