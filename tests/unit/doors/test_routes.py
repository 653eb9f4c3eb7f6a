"""The route table: what is refused, first; then that everything JupyterLab asks for is there."""

from __future__ import annotations

import re

import pytest

from egress_gate.doors.errors import DownloadRefused, RouteRefused
from egress_gate.doors.routes import ASSET_SUFFIXES, CONTENT_TYPES, ROUTES, SOCKETS, Shape, find

WAYS_OUT = [
    "files/data.csv", "files/", "files", "nbconvert/html/a.ipynb", "nbconvert/pdf/a.ipynb", "api/nbconvert", "view/a.ipynb",
    "tree", "tree/a.ipynb", "notebooks/a.ipynb", "edit/a.py", "nbclassic/tree", "voila/render/a.ipynb", "lsp/status",
    "lsp/ws/pylsp", "lab/api/extensions", "lab/api/news", "lab/api/update", "proxy/8888/", "metrics", "api/metrics/v1",
    "api/shutdown", "api/spec.yaml",
]  # fmt: skip
UNKNOWN = [
    "", "api", "unknown", "lab/api", "lab/api/unknown", "api/contentsx", "api/kernels/a/b/c", "api/kernels/../x", "static/",
    "static/../files/a", "static/..%2ffiles/a", "lab/tree/%2e%2e/%2e%2e/x", "lab/tree//etc", "lab/tree/a%00b", "lab\\tree",
    "lab/tree/a%0d%0ab", "api/contents/%252e%252e/x", "static/%ff.js", "hub/api/users", "terminals/1", "service-worker.js",
]  # fmt: skip


@pytest.mark.parametrize("path", WAYS_OUT)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ways_out_are_refused_with_what_to_do(path: str, method: str) -> None:
    with pytest.raises(DownloadRefused) as refused:
        find(method, path, "", websocket=False)
    assert refused.value.what
    assert refused.value.why
    assert refused.value.do


@pytest.mark.parametrize("path", UNKNOWN)
def test_what_is_not_known_is_refused(path: str) -> None:
    with pytest.raises(RouteRefused):
        find("GET", path, "", websocket=False)


@pytest.mark.parametrize(
    "query", ["download=1", "download", "Download=0", "a=1&download=", "attachment=1", "%64ownload=1"]
)
def test_a_download_flag_is_refused_on_every_route(query: str) -> None:
    with pytest.raises(DownloadRefused):
        find("GET", "api/contents/a.csv", query, websocket=False)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "OPTIONS", "get", "PROPFIND", "PUT"])
def test_other_methods_are_refused(method: str) -> None:
    with pytest.raises(RouteRefused):
        find(method, "api/kernels", "", websocket=False)


def test_a_websocket_is_not_an_answer_and_an_answer_no_websocket() -> None:
    with pytest.raises(RouteRefused):
        find("GET", "api/kernels/abc/channels", "", websocket=False)
    with pytest.raises(RouteRefused):
        find("GET", "api/contents", "", websocket=True)


USED_BY_JUPYTERLAB = [
    ("GET", "lab", "lab"), ("GET", "lab/tree/work/a b.ipynb", "lab-tree"), ("GET", "lab/workspaces/auto-x", "lab-workspace"),
    ("GET", "lab/workspaces/auto-x/tree/a.ipynb", "lab-workspace"), ("GET", "doc/tree/a.ipynb", "lab-tree"),
    ("GET", "static/lab/main.1234.js", "static"), ("GET", "static/favicons/favicon.ico", "static"),
    ("GET", "lab/extensions/@jupyter-notebook/lab/static/remoteEntry.1.js", "extension-static"),
    ("GET", "lab/api/themes/@jupyterlab/theme-light-extension/index.css", "themes"),
    ("GET", "lab/api/settings", "settings"), ("GET", "lab/api/settings/%40jupyterlab%2Fapputils-extension%3Athemes", "settings"),
    ("PUT", "lab/api/settings/@jupyterlab/apputils-extension:themes", "settings-save"),
    ("GET", "lab/api/workspaces/default", "workspaces"), ("PUT", "lab/api/workspaces/default", "workspaces"),
    ("GET", "lab/api/translations/", "translations"), ("GET", "lab/api/translations/zh_CN", "translations"),
    ("GET", "api/me", "me"), ("GET", "api/status", "status"), ("GET", "api/kernelspecs", "kernelspecs"),
    ("GET", "kernelspecs/python3/logo-svg.svg", "kernelspec-files"), ("POST", "api/kernels", "kernels"),
    ("POST", "api/kernels/ab-12/interrupt", "kernel-action"), ("POST", "api/kernels/ab-12/restart", "kernel-action"),
    ("POST", "api/sessions", "sessions"), ("PATCH", "api/sessions/ab-12", "session"), ("DELETE", "api/sessions/ab-12", "session"),
    ("POST", "api/terminals", "terminals"), ("DELETE", "api/terminals/1", "terminal"),
    ("GET", "api/contents", "contents"), ("GET", "api/contents/a/b.ipynb", "contents"), ("PUT", "api/contents/a.ipynb", "contents"),
    ("PATCH", "api/contents/a.ipynb", "contents"), ("DELETE", "api/contents/a.ipynb", "contents"),
    ("POST", "api/contents/a.ipynb/checkpoints", "checkpoints"), ("POST", "api/contents/a.ipynb/checkpoints/checkpoint", "checkpoints"),
    ("GET", "lab/api/plugins", "plugins"), ("GET", "lab/api/build", "build-status"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "name"), USED_BY_JUPYTERLAB)
def test_what_jupyterlab_asks_is_known(method: str, path: str, name: str) -> None:
    assert find(method, path, "content=1&hash=1&1700000000000", websocket=False).name == name


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("api/kernels/ab-12/channels", Shape.KERNEL),
        ("terminals/websocket/1", Shape.TERMINAL),
        ("api/events/subscribe", Shape.EVENTS),
    ],
)
def test_websockets_are_known(path: str, shape: Shape) -> None:
    assert find("GET", path, "session_id=a", websocket=True).shape is shape


def test_every_route_has_limits_and_a_content_type() -> None:
    names = [route.name for route in ROUTES]
    assert len(names) == len(set(names))
    for route in ROUTES:
        assert route.most_out > 0
        assert route.what
        assert CONTENT_TYPES[route.shape] or route.shape in SOCKETS
        assert (route.most_in > 0) == bool(route.methods & {"PUT", "POST", "PATCH"} or route.shape in SOCKETS), (
            route.name
        )


def test_no_asset_arrives_as_something_to_save_or_to_open() -> None:
    never = re.compile(r"octet-stream|zip|pdf|html|xml$|csv|msword|spreadsheet|download")
    assert not [kind for kind in ASSET_SUFFIXES.values() if never.search(kind) and kind != "image/svg+xml"]
