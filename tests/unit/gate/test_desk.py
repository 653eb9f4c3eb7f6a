"""The desk's edges: sign-in, secrets, headers, languages, hostile words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from egress_gate.desk.analyst_api import build_analyst_api
from egress_gate.desk.i18n import Voice, choose, translations
from egress_gate.desk.security import HEADERS
from egress_gate.desk.session import safe_next
from egress_gate.domain.review import ReviewVerdict
from tests.unit.gate.desks import PREFIX, browser, make_desk, signed_in, token
from tests.unit.gate.factory import SMALL, STEFAN, World

TEMPLATES = Path(__file__).parents[3] / "egress_gate" / "desk" / "templates"


def test_a_signed_out_reader_goes_to_the_hub_and_comes_back(world: World) -> None:
    client = browser(make_desk(world))
    first = client.get(PREFIX + "queue")
    assert first.headers["location"] == f"{PREFIX}login?next=/services/gate/queue"
    asked = client.get(PREFIX + "queue?page=2&next=//evil.example")
    assert asked.headers["location"].endswith("/services/gate/queue%3Fpage%3D2%26next%3D//evil.example")
    away = client.get(first.headers["location"])
    state = away.headers["location"].partition("state=")[2]
    back = client.get(f"{PREFIX}oauth_callback?code=code-stella&state={state}")
    assert back.headers["location"] == PREFIX + "queue"
    assert client.get(PREFIX + "queue").status_code == 200


@pytest.mark.parametrize("query", ["", "code=code-stella", "code=code-stella&state=wrong", "state=x"])
def test_a_sign_in_that_was_not_begun_here_is_refused(world: World, query: str) -> None:
    client = browser(make_desk(world))
    client.get(PREFIX + "login")
    assert client.get(f"{PREFIX}oauth_callback?{query}").status_code == 403
    assert client.get(PREFIX + "api/v1/session").status_code == 401


def test_an_altered_cookie_is_no_session(world: World) -> None:
    client = signed_in(make_desk(world), "stella")
    sealed = client.cookies["glovebox-desk"]
    client.cookies.clear()
    client.cookies.set("glovebox-desk", sealed[:-4] + "AAAA", path=PREFIX)
    assert client.get(PREFIX + "api/v1/session").status_code == 401


def test_cookies_are_hidden_from_scripts_and_other_sites(world: World) -> None:
    client = browser(make_desk(world))
    cookie = client.get(PREFIX + "login").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert f"Path={PREFIX}" in cookie


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/hub/home", "/services/gate/\\evil", "javascript:x", ""]
)
def test_nobody_is_sent_elsewhere_after_sign_in(target: str) -> None:
    assert safe_next(target, PREFIX) == PREFIX


def test_a_token_needs_no_form_secret(world: World) -> None:
    row = world.checked()
    answer = token(make_desk(world), "stella").post(
        f"{PREFIX}api/v1/requests/{row.name}/approve", json={"reason": "Ok."}
    )
    assert answer.json()["state"] == "approved"


def test_a_form_sent_from_another_site_is_refused(world: World) -> None:
    client = signed_in(make_desk(world), "stella")
    client.headers["sec-fetch-site"] = "cross-site"
    row = world.checked()
    assert client.post(f"{PREFIX}api/v1/requests/{row.name}/approve", json={"reason": "Ok."}).status_code == 403


@pytest.mark.parametrize("path", ["queue", "nowhere", "api/v1/session", "static/desk.css", "api/v1/requests/R-x"])
def test_every_answer_has_the_headers(world: World, path: str) -> None:
    answer = signed_in(make_desk(world), "stella").get(PREFIX + path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value


def test_no_template_needs_an_exception_from_the_policy() -> None:
    for template in TEMPLATES.rglob("*.html"):
        text = template.read_text("utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|\|\s*safe|javascript:", text), template.name


def test_an_analysts_words_are_never_markup(world: World) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=y>"
    row = world.checked(SMALL, title=evil, purpose=evil, context=evil)
    for name in ("stella", "ana", "audrey"):
        client = signed_in(make_desk(world), name)
        for path in (f"requests/{row.name}", "requests"):
            text = client.get(PREFIX + path).text
            assert "<script>alert" not in text
            assert "<img src=x" not in text


def test_the_author_sees_no_figure_of_the_check(world: World) -> None:
    row = world.checked(SMALL)
    desk = make_desk(world)
    own = signed_in(desk, "ana")
    page = own.get(f"{PREFIX}requests/{row.name}").text
    assert "Recomputed by the gate" not in page
    assert "table" not in own.get(f"{PREFIX}api/v1/requests/{row.name}").json()["items"][0]
    assert "Recomputed by the gate" in signed_in(desk, "stella").get(f"{PREFIX}requests/{row.name}").text


def test_a_first_review_is_blind(world: World) -> None:
    world.engine.approvals = 2
    row = world.checked()
    world.reviewed(row, ReviewVerdict.APPROVE, STEFAN)
    desk = make_desk(world)
    stella = signed_in(desk, "stella")
    assert "Looked at it." not in stella.get(f"{PREFIX}requests/{row.name}").text
    assert stella.get(f"{PREFIX}api/v1/requests/{row.name}").json()["reviews"] == []
    assert "Looked at it." in signed_in(desk, "stefan").get(f"{PREFIX}requests/{row.name}").text
    stella.post(f"{PREFIX}api/v1/requests/{row.name}/approve", json={"reason": "Mine."})
    assert "Looked at it." in stella.get(f"{PREFIX}requests/{row.name}").text


def test_a_private_note_is_not_for_the_author(world: World) -> None:
    row = world.checked()
    desk = make_desk(world)
    note = {"body": "I doubt this one.", "audience": "reviewers"}
    signed_in(desk, "stella").post(f"{PREFIX}requests/{row.name}/message", data=note)
    assert "I doubt" in signed_in(desk, "stefan").get(f"{PREFIX}requests/{row.name}").text
    assert "I doubt" not in signed_in(desk, "ana").get(f"{PREFIX}requests/{row.name}").text
    sent = signed_in(desk, "ana").post(f"{PREFIX}requests/{row.name}/message", data=note)
    assert sent.status_code == 403


def test_a_button_that_is_off_says_why(world: World) -> None:
    row = world.checked()
    world.engine.overrides["release/review"] = lambda _: {
        "allow": False,
        "complete": False,
        "reasons": [{"code": "cooling_off", "message": "Wait until tomorrow.", "remedy": ""}],
    }
    assert "Wait until tomorrow." in signed_in(make_desk(world), "stella").get(f"{PREFIX}requests/{row.name}").text


def test_the_desk_speaks_chinese_when_asked(world: World) -> None:
    client = signed_in(make_desk(world), "stella")
    page = client.get(PREFIX + "queue", headers={"accept-language": "zh-CN,zh;q=0.9"}).text
    assert 'lang="zh-Hans"' in page
    assert "等待决定" in page
    client.post(PREFIX + "preferences", data={"language": "en", "back": PREFIX})
    assert "Waiting for a decision" in client.get(PREFIX + "queue", headers={"accept-language": "zh-CN"}).text


@pytest.mark.parametrize(
    ("wanted", "accepted", "chosen"),
    [
        (None, None, "en"),
        (None, "de", "en"),
        (None, "zh-TW,en", "zh_Hans"),
        ("en", "zh", "en"),
        ("xx", "zh", "zh_Hans"),
    ],
)
def test_the_language_is_chosen(wanted: str | None, accepted: str | None, chosen: str) -> None:
    assert choose(wanted, accepted) == chosen


def test_every_text_of_the_pages_is_translated() -> None:
    texts: set[str] = set()
    for template in TEMPLATES.rglob("*.html"):
        texts |= set(re.findall(r'\b_\("((?:[^"\\]|\\.)+)"', template.read_text("utf-8")))
    chinese = translations("zh_Hans")
    missing = sorted(t for t in texts if chinese.gettext(t) == t)
    assert not missing


def test_plurals_and_dates_follow_the_language() -> None:
    voice = Voice("zh_Hans")
    assert voice.when("2026-11-23T09:00:00.000000Z").startswith("2026年")
    assert voice.plural("%(n)s approval needed", "%(n)s approvals needed", 2) == "需要 2 次批准"


def test_too_large_a_body_is_refused(world: World) -> None:
    client = signed_in(make_desk(world), "stella")
    answer = client.post(f"{PREFIX}api/v1/requests/R-1/approve", content=b"x" * (300 * 1024))
    assert answer.status_code == 413
    assert set(answer.json()) == {"code", "what", "why", "do"}


def test_a_hundred_megabytes_are_refused_while_they_stream(world: World) -> None:
    client = TestClient(build_analyst_api(world.gate, world.clock))
    chunk = b"x" * (1024 * 1024)
    answer = client.put("/v1/uploads", content=(chunk for _ in range(100)), headers={"x-glovebox-sandbox": "5a"})
    assert answer.status_code == 413
    assert answer.json()["code"] == "too-large"
