"""Header rules: the few that go in, the fewer that come out, and what every answer carries besides.

Nothing is passed on because it was there; each header named here has a reason. The sandbox's ``Set-Cookie``,
``Server``, ``Content-Disposition``, CSP, CORS and caching headers never reach a browser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

from multidict import CIMultiDict

from egress_gate.doors.errors import misbehaved
from egress_gate.doors.routes import ASSET_SUFFIXES, CONTENT_TYPES, Route, Shape

# Into the sandbox: no cookie, no hub token, no forwarding headers, no name of the person's machine.
INWARD = ("Accept", "Accept-Language", "Content-Type", "If-None-Match", "If-Modified-Since")
MOST_HEADER = 512
ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{1,128}"')
STATUSES = frozenset(
    {200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 422, 429, 500, 501, 503}
)
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")


def inward(headers: Mapping[str, str], token: str) -> CIMultiDict[str]:
    """Request headers for the sandbox. ``identity``: a compressed body could not be metered or judged."""
    kept = CIMultiDict((name, headers[name]) for name in INWARD if len(headers.get(name, "")) in range(1, MOST_HEADER))
    kept["Accept-Encoding"] = "identity"
    kept["Authorization"] = f"token {token}"
    kept["Host"] = "localhost"
    return kept


def media_type(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def content_type(route: Route, path: str, headers: Mapping[str, str]) -> str:
    """The one content type this answer may carry. Raises SandboxMisbehaved when the sandbox names another.

    An asset's type follows from its name, so that the inside cannot make a browser treat it as something to save.
    """
    named = media_type(headers)
    if named not in CONTENT_TYPES[route.shape]:
        raise misbehaved("its type is not one of this route", f"{route.name}: {named!r}")
    if route.shape is not Shape.ASSET:
        return f"{named}; charset=utf-8"
    return asset_type(path)


def asset_type(path: str) -> str:
    """An asset's type by its name. Raises SandboxMisbehaved for a name that is not one of the interface's kinds."""
    suffix = path.rpartition("/")[2].rpartition(".")[2].lower()
    if suffix not in ASSET_SUFFIXES:
        raise misbehaved("its name is not that of a part of the interface", f".{suffix[:16]}")
    kind = ASSET_SUFFIXES[suffix]
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind == "application/json" else kind


def refuse_encoding(headers: Mapping[str, str]) -> None:
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise misbehaved("its body is compressed, although that was not asked for")


def location(value: str, prefix: str, at: str) -> str:
    """A redirect rewritten to a path under ``prefix``. Raises SandboxMisbehaved for one that leads elsewhere."""
    if not value or len(value) > 4 * MOST_HEADER or re.search(r"[\x00-\x20\x7f\\]", value):
        raise misbehaved("its redirect is not an address")
    target = urlsplit(value)
    if target.scheme or target.netloc or value.startswith("//"):
        raise misbehaved("its redirect leads to another place", value[:200])
    path = urlsplit(urljoin(at, value)).path
    if not path.startswith(prefix) or "/../" in path or path.endswith("/.."):
        raise misbehaved("its redirect leads out of this server", value[:200])
    return path + (f"?{target.query}" if target.query else "")


def outward(route: Route, headers: Mapping[str, str]) -> CIMultiDict[str]:
    """What of the sandbox's own headers a browser gets: validators of assets, and how long a body is."""
    kept: CIMultiDict[str] = CIMultiDict()
    if route.shape is Shape.ASSET:
        tag = headers.get("ETag", "")
        if ETAG.fullmatch(tag):
            kept["ETag"] = tag
        kept["Cache-Control"] = "private, no-cache"
    else:
        kept["Cache-Control"] = "no-store"
    return kept


def origin(host: str, forwarded_proto: str, configured: str) -> str:
    """The origin by which a browser reaches us: the configured one, or what it asked for when well-formed."""
    ours = urlsplit(configured)
    if host == ours.netloc or not HOST.fullmatch(host):
        return f"{ours.scheme}://{ours.netloc}"
    scheme = forwarded_proto.split(",")[0].strip().lower()
    return f"{scheme if scheme in ('http', 'https') else ours.scheme}://{host}"


def policy(origin_: str, prefix: str, view: str) -> dict[str, str]:
    """Headers of every answer under ``prefix``: what a page may load, where it may talk, what the browser does for it.

    JupyterLab needs inline script (its start), ``eval`` (JSON schemas, Vega), inline style, ``data:`` and ``blob:``
    images and fonts. ``sandbox`` without ``allow-downloads`` and ``allow-modals`` stops saving from script and printing.
    """
    here = f"{origin_}{prefix}"
    sockets = "ws" + here.removeprefix("http")
    rules = {
        "default-src": "'none'",
        "script-src": f"{here}static/ {here}lab/ 'unsafe-inline' 'unsafe-eval'",
        "style-src": f"{here} 'unsafe-inline'",
        "img-src": f"{here} data: blob:",
        "font-src": f"{here} data:",
        "media-src": "data: blob:",
        "connect-src": f"{here} {sockets}",
        "frame-src": "blob:",
        "worker-src": "'none'",
        "manifest-src": here,
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "sandbox": "allow-scripts allow-same-origin allow-forms allow-popups",
    }
    clipboard = "(self)" if view == "open" else "()"
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in rules.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-DNS-Prefetch-Control": "off",
        "Server": "Glovebox",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": ", ".join(
            [f"{name}=()" for name in FEATURES] + [f"clipboard-read={clipboard}", f"clipboard-write={clipboard}"]
        ),
    }


FEATURES = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture", "encrypted-media",
    "gamepad", "geolocation", "gyroscope", "hid", "idle-detection", "local-fonts", "magnetometer", "microphone", "midi", "payment",
    "picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "serial", "storage-access", "usb",
    "window-management", "xr-spatial-tracking",
)  # fmt: skip
