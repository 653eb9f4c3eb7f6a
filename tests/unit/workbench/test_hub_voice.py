"""The hub's own pages in Chinese: nothing English is left in them, and nothing but texts is exchanged."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jupyterhub._data
import pytest
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader

from installation.fault import Fault
from installation.settings import CHECKOUT
from policy_engine.bundle import POLICIES
from provisioning.sandbox.forms import project_form, show_on_spawn_page
from tests.unit.gate.test_told import said
from workbench.runtime.hub_voice import VARIABLES, texts, translated

CHINESE = "zh-CN,zh;q=0.9,en;q=0.5"
OURS = CHECKOUT / "workbench" / "templates"
THEIRS = Path(jupyterhub._data.DATA_FILES_PATH) / "templates"
SAME = re.compile(
    r"Glovebox|glovebox\.release|ana|liver|People of the liver study|\./glovebox user add ana --role …|[\d%:.]+|The error|Error|OK"
)


class Handler:
    def __init__(self, accepted: str, cookies: dict[str, str]) -> None:
        made = {name: SimpleNamespace(value=value) for name, value in cookies.items()}
        self.request = SimpleNamespace(cookies=made, headers={"Accept-Language": accepted})

    def static_url(self, path: str, **_: Any) -> str:
        return f"/static/{path}"


def page(name: str, accepted: str = CHINESE, cookies: dict[str, str] | None = None, **more: Any) -> str:
    loader = ChoiceLoader(
        [FileSystemLoader(OURS), FileSystemLoader(THEIRS), PrefixLoader({"templates": FileSystemLoader(THEIRS)}, "/")]
    )
    spawner = SimpleNamespace(options_form=True, active=more.pop("active", False), ended="", ready=False)
    user = SimpleNamespace(
        name="ana",
        json_escaped_name="ana",
        groups=[SimpleNamespace(name=n) for n in more.pop("groups", ["analysts"])],
        spawner=spawner,
    )
    values = {
        "base_url": "/hub/", "prefix": "/", "user": user, "static_url": Handler(accepted, cookies or {}).static_url,
        "parsed_scopes": ["admin-ui"], "services": [], "default_server": spawner, "authenticator": SimpleNamespace(request_otp=False),
        "login_url": "/hub/login", "logout_url": "/hub/logout", "authenticator_login_url": "/hub/login", "url": "/hub/spawn",
        "spawn_url": "/hub/spawn", "progress_url": "/p", "allow_named_servers": False, **more,
        **{name: value(user) for name, value in VARIABLES.items()},
    }  # fmt: skip
    at_once = Environment(loader=loader, autoescape=True).get_template(name).render(**values)
    later = Environment(loader=loader, autoescape=True, enable_async=True).get_template(name)
    assert (
        asyncio.run(later.render_async(**values)) == at_once
    )  # the hub fills in error pages at once, all others this way
    return at_once


def english(html: str) -> list[str]:
    """What a reader sees that has Latin words in it."""
    body = re.sub(r"(?s)<(script|style|noscript|title)\b.*?</\1>|<!--.*?-->", "", html[html.index("<body") :])
    seen = [" ".join(text.split()) for text in re.findall(r"(?<=>)[^<>]+(?=<)", body)]
    seen += [label for _, label in re.findall(r"""\s(title|value)=["']([^"']+)["']""", body)]
    ours = [text for text in seen if not re.search(r"[\u4e00-\u9fff]", text)]
    return [text for text in ours if re.search(r"[A-Za-z]{2}", text) and not SAME.fullmatch(text)]


FORM = project_form(
    [SimpleNamespace(name="liver", title="People of the liver study", purpose="研究", expires_at="2027-01-01")]
)
CASES: list[tuple[str, dict[str, Any]]] = [
    ("login.html", {"user": None}),
    ("login.html", {"user": None, "login_error": "Invalid username or password"}),
    ("login.html", {"user": None, "login_service": "2"}),
    ("home.html", {"active": True}),
    ("home.html", {}),
    ("home.html", {"groups": ["stewards"]}),
    ("home.html", {"groups": ["auditors"]}),
    ("home.html", {"groups": ["admins"]}),
    ("home.html", {"groups": []}),
    ("spawn.html", {"spawner_options_form": FORM}),
    ("spawn.html", {"spawner_options_form": project_form([])}),
    ("spawn_pending.html", {}),
    ("not_running.html", {"failed": False}),
    ("not_running.html", {"failed": True}),
    ("logout.html", {"user": None}),
    *(("error.html", {"status_code": code}) for code in (400, 403, 404, 429, 500, 503)),
]


@pytest.mark.parametrize(("name", "values"), CASES)
def test_no_english_is_left_on_a_chinese_page(name: str, values: dict[str, Any]) -> None:
    shown = page(name, **values)
    assert english(shown) == []
    assert len(re.findall(r"[\u4e00-\u9fff]", shown[shown.index("<body") :])) > 20


@pytest.mark.parametrize(("name", "values"), CASES)
def test_an_english_page_has_no_chinese(name: str, values: dict[str, Any]) -> None:
    shown = page(name, accepted="en", **values).replace("研究", "")
    assert not re.search(r"[\u4e00-\u9fff]", shown)


def test_the_language_chosen_on_the_desk_comes_first() -> None:
    assert "您的工作台" in page("home.html", "en", {"glovebox-desk-language": "zh_Hans"})
    assert "Your workbench" in page("home.html", CHINESE, {"glovebox-desk-language": "en"})
    assert "Your workbench" in page("home.html", "fr", {"glovebox-desk-language": "../../etc"})


REASONS = json.loads((POLICIES / "data" / "messages.json").read_text("utf-8"))["messages"]
START = ("not_an_analyst", "not_a_member", "project_not_active", "project_expired", "no_grant", "grant_expired", "grant_revoked",
    "retention_over", "version_destroyed", "quota_spent", "not_assessed")  # fmt: skip


@pytest.mark.parametrize("code", START)
def test_why_a_start_was_refused_is_said_in_chinese(code: str) -> None:
    """As the hub shows it: three paragraphs, of which the second may hold several reasons."""
    why = f"{REASONS[code]['message']} {REASONS['no_grant']['message']}"
    fault = Fault("The sandbox for project liver was not started.", why=why, do=REASONS[code]["remedy"])
    shown: Any = show_on_spawn_page(fault)
    assert english(page("not_running.html", failed=True, failed_html_message=shown.jupyterhub_html_message)) == []


@pytest.mark.parametrize("reason", [
    "Project liver is frozen.", "Project liver ended.", "ana is no longer a member of project liver.", "nafld/1 was destroyed.",
    "The grant on nafld/1 ended or was revoked.", "nafld/1 was to be kept until 2026-12-31 only.", "Stopped by adam: Wartung",
    "The processor time granted for nafld/1 is used up.", "the container ran out of memory", "the container was gone",
])  # fmt: skip
def test_why_a_session_ended_is_said_in_chinese(reason: str) -> None:
    html = translated(f"<body><p>It was stopped. {reason}</p></body>", "zh_Hans")
    rest = re.sub(r"nafld/1|liver|ana|adam|Wartung|</?\w+>", "", html)
    assert not rest.isascii()
    assert not re.search(r"[A-Za-z]{2}", rest)


def test_every_fault_of_a_start_that_an_analyst_meets_is_known() -> None:
    """Of the rooms that start a sandbox; what only an operator at a terminal meets is not said by the hub's pages."""
    rooms = (
        "keeper.py",
        "mounts.py",
        "pool.py",
        "spawner.py",
        "stage.py",
        "limits.py",
        "containers.py",
        "doors_client.py",
    )
    files = [f for f in (CHECKOUT / "provisioning" / "sandbox").rglob("*.py") if f.name in rooms]
    assert files
    missing = {t for f in files for t in said(f)} - set(texts("zh_Hans"))
    assert missing == {"PUT {1}: {2}"}  # a line of the protocol between two programs


def test_names_that_people_chose_stay_text() -> None:
    """A project called by a tag, or like one of our sentences with a gap, is not markup afterwards."""
    hostile = SimpleNamespace(
        name="x", title="until <script>alert(1)</script>", purpose='Welcome, "><b>you', expires_at=""
    )
    html = page("spawn.html", spawner_options_form=project_form([hostile]))
    assert "<script>alert" not in html
    assert "<b>you" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_scripts_and_styles_are_left_alone() -> None:
    html = '<script>if (a > b && "Start" < c) { x = ">Start<"; }</script><p title="Start">Start</p>'
    assert translated(html, "zh_Hans") == (
        '<script>if (a > b && "Start" < c) { x = ">Start<"; }</script><p title="启动">启动</p>'
    )
    assert translated(html, "en") == html


def test_gaps_are_the_same_in_both() -> None:
    gaps = re.compile(r"\{\d\}")
    assert [en for en, zh in texts("zh_Hans").items() if gaps.findall(en) != gaps.findall(zh)] == []
