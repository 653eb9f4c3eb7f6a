"""What the door answers itself, from the image's interface and the drawer, without asking the sandbox."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from egress_gate.doors.drawer import Drawer, named
from egress_gate.doors.errors import RouteRefused
from egress_gate.doors.interface import Interface
from egress_gate.doors.routes import Route, Shape
from egress_gate.doors.sandboxes import Sandbox

CONFIG = re.compile(r'(<script id="jupyter-config-data" type="application/json">)(.*?)(</script>)', re.S)
NARROW_ANSWERS = frozenset({"translations", "plugins", "build-status", "listings", "kernelspecs"})


@dataclass(frozen=True)
class Answer:
    """A whole answer: JSON, a page, a file of the host, or an empty 204."""

    json: Any = None
    page: str | None = None
    file: Path | None = None
    status: int = 200


def missing() -> RouteRefused:
    return RouteRefused(
        "That part is not served.",
        why="It is not in the sandbox image, and only the image's own interface reaches a browser.",
        do="Ask the operator to add it to the image.",
    )


def of_image(route: Route, relative: str, sandbox: Sandbox, interface: Interface) -> Answer | None:
    """The page and its code, the same in every view. Raises RouteRefused for code that the image does not have."""
    if route.shape is Shape.PAGE:
        return Answer(page=page(interface, relative, sandbox))
    if route.shape is not Shape.ASSET:
        return None
    file = interface.file(unquote(relative))
    if file is None and route.name == "custom-css":
        return None
    if file is None:
        raise missing()
    return Answer(file=file)


def narrow(
    route: Route, method: str, relative: str, body: bytes, sandbox: Sandbox, interface: Interface, drawer: Drawer
) -> Answer | None:
    """What a view other than ``open`` takes from the door instead of the sandbox; None when the sandbox must be asked."""
    if route.name in NARROW_ANSWERS:
        text = interface.answer(relative, sandbox.prefix)
        return Answer(json=json.loads(text) if text else {})
    if route.name in ("settings", "settings-save"):
        return _settings(method, named(relative, "lab/api/settings"), body, drawer)
    if route.name == "workspaces":
        return _layouts(method, named(relative, "lab/api/workspaces"), body, drawer)
    if route.name == "me":
        who = {
            "username": sandbox.person,
            "name": sandbox.person,
            "display_name": sandbox.person,
            "initials": sandbox.person[:2].upper(),
        }
        return Answer(json={"identity": who | {"avatar_url": None, "color": None}, "permissions": {}})
    if route.name == "status":
        return Answer(json={"started": "", "last_activity": "", "connections": 0, "kernels": 0})
    if route.name == "config":
        return Answer(json={})
    if route.name == "terminals" and sandbox.view == "blind":
        return Answer(json=[])
    if route.name in ("licenses", "custom-css"):
        raise missing()
    return None


def _settings(method: str, plugin: str, body: bytes, drawer: Drawer) -> Answer:
    if method == "PUT":
        drawer.save_settings(plugin, body)
        return Answer(status=204)
    found = drawer.settings(plugin)
    if found is None:
        raise missing()
    return Answer(json=found)


def _layouts(method: str, name: str, body: bytes, drawer: Drawer) -> Answer:
    if method == "GET":
        return Answer(json=drawer.layouts(name))
    if method == "PUT":
        drawer.save_layout(name, body)
    else:
        drawer.drop_layout(name)
    return Answer(status=204)


def page(interface: Interface, relative: str, sandbox: Sandbox) -> str:
    """The image's page, told which file or layout the address names."""
    text = interface.answer("lab", sandbox.prefix) or ""
    parts = unquote(relative).split("/")
    named_layout = parts[2] if len(parts) > 2 and parts[1] == "workspaces" else "default"
    tree = parts[parts.index("tree", 1) + 1 :] if "tree" in parts[1:] else []
    told = {
        "mode": "single-document" if parts[0] == "doc" else "multiple-document",
        "workspace": named_layout, "treePath": "/".join(tree),
    }  # fmt: skip

    def with_told(found: re.Match[str]) -> str:
        config = json.dumps({**json.loads(found[2]), **told})
        for sign, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("'", "\\u0027")):
            config = config.replace(sign, escaped)
        return found[1] + config + found[3]

    return CONFIG.sub(with_told, text, count=1)
