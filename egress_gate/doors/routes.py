"""What a browser may ask of a notebook server, as one table of data; whatever is not in it is refused.

Patterns are matched against the percent-decoded path after the server's prefix. Limits are bytes. The table is the
reference page `docs/reference/session-door.md`, which a test compares with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl, unquote

from egress_gate.doors.errors import ASK_FOR_RELEASE, DownloadRefused, RouteRefused

KIB, MIB = 1024, 1024**2


class Shape(Enum):
    """What an answer is, which decides its content types, headers, and how the view applies to it."""

    PAGE = "page"  # HTML that a browser navigates to
    ASSET = "asset"  # code, styles, images, fonts of the interface
    JSON = "json"  # data of the server's API
    CONTENTS = "contents"  # the contents API: JSON that carries files
    KERNEL = "kernel"  # websocket in the kernel protocol
    TERMINAL = "terminal"  # websocket in the terminal protocol
    EVENTS = "events"  # websocket of the server's own events, JSON


CONTENT_TYPES: dict[Shape, frozenset[str]] = {
    Shape.PAGE: frozenset({"text/html"}),
    Shape.ASSET: frozenset({
        "application/javascript", "text/javascript", "text/css", "application/json", "application/manifest+json",
        "application/wasm", "image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp", "image/x-icon",
        "image/vnd.microsoft.icon", "font/woff", "font/woff2", "font/ttf", "font/otf", "application/font-woff",
        "application/font-woff2", "application/vnd.ms-fontobject", "text/plain", "application/octet-stream",
    }),
    Shape.JSON: frozenset({"application/json"}),
    Shape.CONTENTS: frozenset({"application/json"}),
    Shape.KERNEL: frozenset(),
    Shape.TERMINAL: frozenset(),
    Shape.EVENTS: frozenset(),
}  # fmt: skip
SOCKETS = frozenset({Shape.KERNEL, Shape.TERMINAL, Shape.EVENTS})

# What the name of an asset says it is. The answer's type must agree with it, so that nothing arrives as a file to save.
ASSET_SUFFIXES: dict[str, str] = {
    "js": "text/javascript", "mjs": "text/javascript", "css": "text/css", "json": "application/json",
    "map": "application/json", "wasm": "application/wasm", "svg": "image/svg+xml", "png": "image/png",
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "ico": "image/x-icon",
    "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf",
    "eot": "application/vnd.ms-fontobject", "txt": "text/plain", "webmanifest": "application/manifest+json",
}  # fmt: skip


@dataclass(frozen=True)
class Route:
    """One line of the table. ``most_out`` is for one answer or one message to the browser, ``most_in`` from it."""

    name: str
    methods: frozenset[str]
    pattern: re.Pattern[str]
    shape: Shape
    most_out: int
    most_in: int
    what: str


def _route(name: str, methods: str, pattern: str, shape: Shape, out: int, into: int, what: str) -> Route:
    return Route(name, frozenset(methods.split()), re.compile(pattern), shape, out, into, what)


ID = r"[0-9A-Za-z_-]{1,64}"
NAME = r"[0-9A-Za-z_.@ -]{1,128}"

ROUTES: tuple[Route, ...] = (
    _route("lab", "GET HEAD", r"lab/?", Shape.PAGE, 2 * MIB, 0, "JupyterLab"),
    _route("lab-tree", "GET HEAD", r"(?:lab|doc)/tree(?:/.*)?", Shape.PAGE, 2 * MIB, 0, "JupyterLab with a file open"),
    _route("lab-workspace", "GET HEAD", r"(?:lab|doc)/workspaces/.+", Shape.PAGE, 2 * MIB, 0, "a saved layout of JupyterLab"),
    _route("static", "GET HEAD", r"static/.+", Shape.ASSET, 64 * MIB, 0, "JupyterLab's own code, styles and fonts"),
    _route("extension-static", "GET HEAD", r"lab/extensions/.+", Shape.ASSET, 64 * MIB, 0, "code of the extensions in the image"),
    _route("themes", "GET HEAD", r"lab/api/themes/.+", Shape.ASSET, 4 * MIB, 0, "themes"),
    _route("custom-css", "GET HEAD", r"custom/custom\.css", Shape.ASSET, MIB, 0, "the image's own styles"),
    _route("kernelspec-files", "GET HEAD", rf"kernelspecs/{NAME}/{NAME}", Shape.ASSET, MIB, 0, "logos of kernels"),
    _route("settings", "GET", r"lab/api/settings/?(?:.+)?", Shape.JSON, 8 * MIB, 0, "settings"),
    _route("settings-save", "PUT", r"lab/api/settings/.+", Shape.JSON, MIB, MIB, "save a setting"),
    _route("workspaces", "GET PUT DELETE", r"lab/api/workspaces/?(?:.+)?", Shape.JSON, 4 * MIB, 4 * MIB, "saved layouts"),
    _route("translations", "GET", r"lab/api/translations/?(?:[A-Za-z_-]{1,32})?", Shape.JSON, 16 * MIB, 0, "languages"),
    _route("licenses", "GET", r"lab/api/licenses/?", Shape.JSON, 16 * MIB, 0, "licences of the interface's parts"),
    _route("listings", "GET", r"lab/api/listings/.+", Shape.JSON, MIB, 0, "which extensions are listed"),
    _route("plugins", "GET", r"lab/api/plugins/?", Shape.JSON, MIB, 0, "which plug-ins are on or locked"),
    _route("build-status", "GET", r"lab/api/build/?", Shape.JSON, MIB, 0, "whether the interface needs a build (never)"),
    _route("me", "GET", r"api/me/?", Shape.JSON, 64 * KIB, 0, "who is at the notebook"),
    _route("status", "GET", r"api/status/?", Shape.JSON, 64 * KIB, 0, "whether the server is idle"),
    _route("kernelspecs", "GET", rf"api/kernelspecs(?:/{NAME})?/?", Shape.JSON, 2 * MIB, 0, "which kernels there are"),
    _route("kernels", "GET POST", r"api/kernels/?", Shape.JSON, MIB, 64 * KIB, "running kernels; start one"),
    _route("kernel", "GET DELETE", rf"api/kernels/{ID}/?", Shape.JSON, MIB, 0, "one kernel; shut it down"),
    _route("kernel-action", "POST", rf"api/kernels/{ID}/(?:interrupt|restart)/?", Shape.JSON, MIB, 64 * KIB, "interrupt or restart"),
    _route("channels", "GET", rf"api/kernels/{ID}/channels", Shape.KERNEL, 32 * MIB, 32 * MIB, "talk to a kernel"),
    _route("sessions", "GET POST", r"api/sessions/?", Shape.JSON, MIB, 64 * KIB, "which document uses which kernel"),
    _route("session", "GET PATCH DELETE", rf"api/sessions/{ID}/?", Shape.JSON, MIB, 64 * KIB, "one of them"),
    _route("terminals", "GET POST", r"api/terminals/?", Shape.JSON, MIB, 64 * KIB, "running terminals; start one"),
    _route("terminal", "GET DELETE", rf"api/terminals/{ID}/?", Shape.JSON, MIB, 0, "one terminal; close it"),
    _route("terminal-socket", "GET", rf"terminals/websocket/{ID}", Shape.TERMINAL, 4 * MIB, MIB, "talk to a terminal"),
    _route("checkpoints", "GET POST DELETE", r"api/contents(?:/.*)?/checkpoints(?:/[^/]+)?", Shape.JSON, MIB, 64 * KIB,
           "earlier states of a file"),
    _route("contents", "GET PUT POST PATCH DELETE", r"api/contents(?:/.*)?", Shape.CONTENTS, 32 * MIB, 32 * MIB,
           "folders, notebooks and files in the editor"),
    _route("config", "GET PUT PATCH", r"api/config/[A-Za-z0-9_-]{1,64}", Shape.JSON, MIB, MIB, "settings of the older interface"),
    _route("events", "GET", r"api/events/subscribe", Shape.EVENTS, MIB, 64 * KIB, "events of the server"),
)  # fmt: skip


@dataclass(frozen=True)
class WayOut:
    """A route that JupyterLab knows and the door refuses, with the words for its page."""

    pattern: re.Pattern[str]
    what: str
    why: str
    do: str = ASK_FOR_RELEASE


SEALED = "Data may be worked on here, but what leaves this case leaves through the release gate."

WAYS_OUT: tuple[WayOut, ...] = (
    WayOut(re.compile(r"files(?:/.*)?"), "The file was not downloaded.", SEALED),
    WayOut(re.compile(r"(?:api/)?nbconvert(?:/.*)?"), "The notebook was not exported.", SEALED),
    WayOut(re.compile(r"(?:tree|notebooks|edit|view|nbclassic|voila|files-redirect)(?:/.*)?"),
           "That page is not served here.", "Only JupyterLab passes the session door.", "Open JupyterLab instead. " + ASK_FOR_RELEASE),
    WayOut(re.compile(r"lab/api/(?:extensions|news|update|hub)(?:/.*)?"), "Extensions are not managed from here.",
           "What reaches the browser is what the sandbox image contains; users do not add to it.",
           "Ask the operator to add the extension to the sandbox image."),
    WayOut(re.compile(r"lsp(?:/.*)?"), "The language server is not served here.",
           "Its protocol can carry whole files, and the door cannot judge it.",
           "Use the kernel's own completion (Tab) and help (Shift+Tab)."),
    WayOut(re.compile(r"(?:proxy|metrics|api/metrics|api/shutdown|api/spec\.yaml|api/security/.*)(?:/.*)?"),
           "That route is not served here.", "It is not needed to work in JupyterLab.", "Work in JupyterLab. " + ASK_FOR_RELEASE),
)  # fmt: skip

UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|(?:^|/)\.\.?(?:/|$)|//")
DOWNLOAD_FLAGS = frozenset({"download", "attachment", "export"})


def decode(raw: str) -> str:
    """The percent-decoded relative path. Raises RouteRefused for what two programs could read differently."""
    try:
        path = unquote(raw, errors="strict")
    except UnicodeDecodeError as error:
        raise _unknown() from error
    if UNSAFE.search(path) or UNSAFE.search(unquote(path, errors="replace")):
        raise _unknown()
    return path


def find(method: str, raw: str, query: str, *, websocket: bool) -> Route:
    """The route for a request under a prefix. Raises DownloadRefused or RouteRefused, which say what to do instead."""
    path = decode(raw)
    if any(name.lower() in DOWNLOAD_FLAGS for name, _ in parse_qsl(query, keep_blank_values=True)):
        raise DownloadRefused("The file was not downloaded.", why=SEALED, do=ASK_FOR_RELEASE)
    for way in WAYS_OUT:
        if way.pattern.fullmatch(path):
            raise DownloadRefused(way.what, why=way.why, do=way.do)
    for route in ROUTES:
        if route.pattern.fullmatch(path) and method in route.methods and (route.shape in SOCKETS) == websocket:
            return route
    raise _unknown()


def only_inside() -> RouteRefused:
    return RouteRefused(
        "That address is not opened on its own.",
        why="Parts of JupyterLab are served to its page only, so that they cannot be saved, framed or put to other use.",
        do="Open JupyterLab instead. " + ASK_FOR_RELEASE,
    )


def _unknown() -> RouteRefused:
    return RouteRefused(
        "That address is not served here.",
        why="The session door serves what JupyterLab needs, and nothing it does not know.",
        do="Work in JupyterLab. " + ASK_FOR_RELEASE,
    )
