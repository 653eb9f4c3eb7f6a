"""Header rules: what may not pass in either direction, and what every answer carries."""

from __future__ import annotations

import pytest

from egress_gate.doors import headers as rules
from egress_gate.doors.errors import SandboxMisbehaved
from egress_gate.doors.routes import ROUTES

BY_NAME = {route.name: route for route in ROUTES}
PREFIX = "/user/ana/"


def test_no_cookie_token_or_address_of_the_browser_goes_in() -> None:
    sent = {
        "Cookie": "glovebox-session=secret; jupyterhub-session-id=x", "Authorization": "token hub", "X-Forwarded-For": "10.1.1.1",
        "X-Real-IP": "10.1.1.1", "Referer": "http://x/", "Origin": "http://x", "User-Agent": "Firefox", "Range": "bytes=0-1",
        "Accept-Encoding": "gzip", "X-XSRFToken": "x", "Connection": "Upgrade", "Accept": "text/html",
    }  # fmt: skip
    kept = rules.inward(sent, "inner")
    assert dict(kept) == {
        "Accept": "text/html", "Accept-Encoding": "identity", "Authorization": "token inner", "Host": "localhost",
    }  # fmt: skip


def test_nothing_of_the_sandboxs_own_headers_comes_out() -> None:
    hostile = {
        "Set-Cookie": "jupyterhub-session-id=stolen; Path=/", "Server": "evil", "Content-Disposition": "attachment; filename=a.csv",
        "Content-Security-Policy": "default-src *", "Access-Control-Allow-Origin": "*", "Refresh": "0; url=http://evil/",
        "Link": "<http://evil/>; rel=preload", "Service-Worker-Allowed": "/", "Clear-Site-Data": '"*"', "Alt-Svc": 'h3="evil:443"',
        "Report-To": "{}", "NEL": "{}", "SourceMap": "http://evil/", "WWW-Authenticate": "Basic", "Cache-Control": "public",
        "Strict-Transport-Security": "max-age=1", "X-Frame-Options": "ALLOWALL", "Referrer-Policy": "unsafe-url", "Location": "http://evil/",
    }  # fmt: skip
    for route in ROUTES:
        kept = rules.outward(route, hostile)
        assert set(kept) == {"Cache-Control"}
        assert "public" not in kept["Cache-Control"]


@pytest.mark.parametrize("tag", ['"a\r\nSet-Cookie: x"', "unquoted", '"' + "x" * 500 + '"', '"ü"'])
def test_a_tag_that_is_not_one_is_dropped(tag: str) -> None:
    assert "ETag" not in rules.outward(BY_NAME["static"], {"ETag": tag})


@pytest.mark.parametrize(
    "kind",
    ["text/csv", "application/octet-stream", "application/zip", "text/plain", "application/javascript", "",
     "text/html;x", "multipart/x-mixed-replace"],
)  # fmt: skip
def test_the_api_answers_json_or_nothing(kind: str) -> None:
    with pytest.raises(SandboxMisbehaved):
        rules.content_type(BY_NAME["contents"], "/user/ana/api/contents/a", {"Content-Type": kind})


@pytest.mark.parametrize(
    "path", ["static/data.csv", "static/data", "static/a.html", "static/a.pdf", "static/a.zip", "static/a.parquet"]
)
def test_an_asset_with_another_name_is_refused(path: str) -> None:
    with pytest.raises(SandboxMisbehaved):
        rules.content_type(BY_NAME["static"], PREFIX + path, {"Content-Type": "application/octet-stream"})


def test_an_asset_gets_the_type_of_its_name() -> None:
    got = rules.content_type(BY_NAME["static"], PREFIX + "static/a.js", {"Content-Type": "application/octet-stream"})
    assert got == "text/javascript; charset=utf-8"


def test_html_is_not_an_asset() -> None:
    with pytest.raises(SandboxMisbehaved):
        rules.content_type(BY_NAME["static"], PREFIX + "static/a.js", {"Content-Type": "text/html"})


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "zstd", "x"])
def test_a_compressed_body_is_refused(coding: str) -> None:
    with pytest.raises(SandboxMisbehaved):
        rules.refuse_encoding({"Content-Encoding": coding})


@pytest.mark.parametrize(
    "target",
    ["http://evil/", "https://evil/x", "//evil/x", "/\\evil", "\\\\evil", "javascript:alert(1)", "data:text/html,x", "/hub/logout",
     "/user/bob/lab", "../../hub/", "/user/ana/../bob/", "", "/user/anab/", "lab\r\nSet-Cookie: x", "///evil"],
)  # fmt: skip
def test_a_redirect_elsewhere_is_refused(target: str) -> None:
    with pytest.raises(SandboxMisbehaved):
        rules.location(target, PREFIX, "/user/ana/lab")


def test_a_redirect_within_is_kept() -> None:
    assert rules.location("/user/ana/lab/tree/a?reset", PREFIX, "/user/ana/lab") == "/user/ana/lab/tree/a?reset"
    assert rules.location("tree/a", PREFIX, "/user/ana/lab/") == "/user/ana/lab/tree/a"


def test_a_page_may_talk_to_its_own_server_only() -> None:
    sent = rules.policy("https://box.example", PREFIX, "open")
    directives = dict(part.strip().split(" ", 1) for part in sent["Content-Security-Policy"].split(";"))
    assert directives["connect-src"] == "https://box.example/user/ana/ wss://box.example/user/ana/"
    for name in ("default-src", "object-src", "base-uri", "form-action", "worker-src", "frame-ancestors"):
        assert directives[name] == "'none'"
    assert "*" not in sent["Content-Security-Policy"]
    assert "'self'" not in sent["Content-Security-Policy"]
    assert "allow-downloads" not in directives["sandbox"]
    assert "allow-modals" not in directives["sandbox"]
    assert sent["X-Content-Type-Options"] == "nosniff"
    assert sent["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.parametrize("view", ["guarded", "blind"])
def test_the_clipboard_is_closed_to_script_where_the_view_is_narrow(view: str) -> None:
    assert "clipboard-write=()" in rules.policy("http://x", PREFIX, view)["Permissions-Policy"]


@pytest.mark.parametrize("host", ["evil.example/;script-src *", "a b", "x\r\ny", "[::1", "", "a'b"])
def test_a_strange_host_does_not_reach_the_policy(host: str) -> None:
    assert rules.origin(host, "https", "http://127.0.0.1:8000") == "http://127.0.0.1:8000"


def test_the_origin_follows_the_address_in_the_browser() -> None:
    assert rules.origin("box.example:8443", "https", "http://127.0.0.1:8000") == "https://box.example:8443"
    assert rules.origin("[::1]:8000", "", "http://127.0.0.1:8000") == "http://[::1]:8000"
