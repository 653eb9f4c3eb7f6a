"""Each role's day at the desk in a real browser, against a fake hub behind the identity port.

With ``GLOVEBOX_SCREENSHOTS`` set to a folder, the pages are kept there for the documentation.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from egress_gate.desk.app import build_desk
from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.domain.review import ReviewVerdict
from egress_gate.service.check import check, claim
from egress_gate.service.submit import Draft, record_upload, resubmit, submit
from egress_gate.service.worker import Worker
from egress_gate.store.requests import RequestRow
from tests.contract.test_desk_matrix import TABLE
from tests.unit.gate.desks import PREFIX, make_desk
from tests.unit.gate.factory import ANA, SAFE, SMALL, World, make_world
from tests.unit.gate.registered import masked_and_twinned, shelved

pytestmark = pytest.mark.browser
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
NOTEBOOK = json.dumps(
    {
        "nbformat": 4,
        "cells": [
            {"cell_type": "markdown", "source": "# Angina <script>alert(1)</script>"},
            {
                "cell_type": "code",
                "source": "glovebox.sql('SELECT 1')",
                "outputs": [{"output_type": "display_data", "data": {"text/html": "<b>x</b>", "text/plain": "x"}}],
            },
        ],
    }
).encode()
CHROMIUM = "/usr/bin/chromium"
LOOKS = ((1280, False, "en"), (390, True, "zh-CN"))  # width, dark, language: of every page
OTHER_LOOKS = (
    (1280, True, "zh-CN"),
    (390, False, "en"),
    (1280, True, "en"),
    (390, False, "zh-CN"),
)  # one of them in turn


class WithHub:
    """The desk, and beside it the hub's sign-in page: it knows who sits there from the browser's cookie ``who``."""

    def __init__(self, desk: ASGIApp) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/hub/"):
            request = Request(scope)
            state, who = request.query_params.get("state", ""), request.cookies.get("who", "")
            await RedirectResponse(f"{PREFIX}oauth_callback?code=code-{who}&state={state}")(scope, receive, send)
            return
        await self._desk(scope, receive, send)


class Site:
    """A desk on a loopback port, with requests in several states."""

    def __init__(self, home: Path) -> None:
        self.world: World = make_world(home)
        self.released = self.world.released(SMALL, title="Small groups, protected")
        self.small = self.world.checked(SMALL, title="Angina by age and sex", context="Table 2, ten-year bands.")
        self.safe = self.world.checked(title="Outcomes by sex")
        self.returned = self.world.reviewed(self.world.checked(title="Needs an answer"), ReviewVerdict.RETURN)
        self.rich = self._rich()
        masked_and_twinned(self.world)
        shelved(self.world)
        folder = home / "intake"
        folder.mkdir()
        (folder / "visits.csv").write_text("id,姓名,age\n" + "".join(f"{n},王小明,{n}\n" for n in range(20)), "utf-8")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        config = uvicorn.Config(WithHub(build_desk(make_desk(self.world))), port=self.port, log_config=None)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        end = time.monotonic() + 30
        while not self.server.started and time.monotonic() < end:
            time.sleep(0.05)

    def _rich(self) -> RequestRow:
        """Two outputs, one of them a notebook, in their second revision."""
        world, clock = self.world, self.world.clock
        blob = world.gate.blobs.put(NOTEBOOK)
        record_upload(world.gate, world.ana, blob, len(NOTEBOOK), clock())
        story = Item("story.ipynb", Kind.FILE, blob=blob)
        first = Draft("A table and its story", "A paper", "Adults of 2019.", (Item("t", Kind.TABLE, sql=SMALL), story))
        row = submit(world.gate, world.ana, first, clock())
        held = claim(world.gate, row.id, clock())
        assert held is not None
        world.reviewed(check(world.gate, held, clock()), ReviewVerdict.RETURN)
        second = replace(first, context="Adults of 2019, both clinics.", items=(Item("t", Kind.TABLE, sql=SAFE), story))
        resubmit(world.gate, ANA, row.id, second, clock())
        held = claim(world.gate, row.id, clock())
        assert held is not None
        return check(world.gate, held, clock())

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    def work(self) -> None:
        Worker(self.world.gate, self.world.clock).round()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "home")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests that only look."""
    made = Site(tmp_path_factory.mktemp("still") / "home")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


Opener = Callable[..., Page]


@pytest.fixture
def open_as(site: Site, browser: Browser) -> Iterator[Opener]:
    """``open_as("stella", "queue", width=390, locale="zh-CN", dark=True)``: a page, signed in through the hub."""
    with opener(site, browser) as opened:
        yield opened


@pytest.fixture
def look_as(still: Site, browser: Browser) -> Iterator[Opener]:
    with opener(still, browser) as opened:
        yield opened


@contextmanager
def opener(site: Site, browser: Browser) -> Iterator[Opener]:
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def opened(name: str, path: str, width: int = 1280, locale: str = "en", dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, locale=locale, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        context.add_cookies([{"name": "who", "value": name, "url": site.address.partition(PREFIX)[0]}])
        page = context.new_page()
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" and not told(m.text) else None)
        page.on("pageerror", lambda e: problems.append(str(e)))
        page.goto(site.address + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems, problems


def told(message: str) -> bool:
    """Chromium's line for an answer that refuses: the page itself says why, and a test expects it there."""
    return message.startswith("Failed to load resource") and any(f"status of {n} " in message for n in (409, 422))


def keep(page: Page, name: str) -> None:
    folder = os.environ.get("GLOVEBOX_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_a_stewards_day_with_the_keyboard_only(site: Site, open_as: Opener) -> None:
    page = open_as("stella", "")
    expect(page.get_by_role("heading", name="Waiting for a decision")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/requests/R-*")
    expect(page.get_by_text("What would leave", exact=True)).to_be_visible()
    first = page.url.rpartition("/")[2]
    page.keyboard.press("n")
    page.wait_for_url(lambda url: first not in url)
    page.keyboard.press("a")
    page.keyboard.press("Tab")
    page.keyboard.type("Every cell has enough people.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".state-large")).to_contain_text("approved")
    expect(page.get_by_text("Every cell has enough people.")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()


def test_a_steward_asks_the_author_answers_and_the_request_leaves(site: Site, open_as: Opener) -> None:
    name = site.small.name
    steward = open_as("stella", f"requests/{name}")
    steward.get_by_label("Ask the author").fill("Why ten-year bands?")
    steward.get_by_role("button", name="Send to the author").click()
    expect(steward.get_by_text("Why ten-year bands?")).to_be_visible()
    author = open_as("ana", f"requests/{name}")
    author.get_by_role("textbox", name="Answer").fill("The journal wants them.")
    author.get_by_role("button", name="Send").click()
    expect(author.get_by_text("The journal wants them.")).to_be_visible()
    steward.reload()
    steward.locator("input[value=approve]").check()
    steward.get_by_label("Reason, for the author and the record").fill("Answered.")
    steward.get_by_role("button", name="Send decision").click()
    expect(steward.locator(".state-large")).to_contain_text("approved")
    site.work()
    author.reload()
    with author.expect_download() as taken:
        author.get_by_role("link", name="Download").click()
    assert taken.value.suggested_filename == f"{name}.zip"


def test_a_double_click_decides_once(site: Site, open_as: Opener) -> None:
    page = open_as("stella", f"requests/{site.safe.name}")
    page.locator("input[value=approve]").check()
    page.get_by_label("Reason, for the author and the record").fill("Fine.")
    page.get_by_role("button", name="Send decision").dblclick()
    expect(page.locator(".state-large")).to_contain_text("approved")
    given = [e for e in site.world.entries("review.given") if e["subject"]["request"] == site.safe.name]  # type: ignore[index]
    assert len(given) == 1


def test_an_analyst_sees_their_own_requests_in_chinese(site: Site, open_as: Opener) -> None:
    page = open_as("ana", "", locale="zh-CN")
    expect(page.get_by_role("heading", name="您的申请")).to_be_visible()
    page.get_by_role("link", name="Small groups, protected").click()
    expect(page.get_by_role("link", name="下载")).to_be_visible()
    keep(page, "desk-analyst-zh")
    page.locator("details.who summary").click()
    page.get_by_label("语言").select_option("en")
    expect(page.get_by_role("link", name="Download")).to_be_visible()


ADMIN = {
    "en": {
        "running": "Running sandboxes",
        "why": "Why?",
        "stop": "Stop this sandbox",
        "stopping": "stopping",
        "admin": "Administration",
        "projects": "Projects",
        "new": "New project",
        "create": "Create the project",
        "past": "Its end lies in the past.",
        "people": "People",
        "make": "Make the account",
        "made": "nils is set up.",
        "change": "Change nora",
        "set": "Set",
        "reason": "Reason, for the record",
        "freeze": "Freeze the project",
        "frozen": "This project is frozen.",
        "replay": "Replay the policies in force",
        "replayed": "decisions asked again",
    },
    "zh-CN": {
        "running": "正在运行的沙箱",
        "why": "原因?",
        "stop": "停止此沙箱",
        "stopping": "正在停止",
        "admin": "管理",
        "projects": "项目",
        "new": "新建项目",
        "create": "创建项目",
        "past": "其结束日期已过。",
        "people": "人员",
        "make": "创建账户",
        "made": "nils 已设置完成。",
        "change": "更改 nora",
        "set": "设定",
        "reason": "理由(留存记录)",
        "freeze": "冻结项目",
        "frozen": "此项目已冻结。",
        "replay": "用现行策略重放",
        "replayed": "次判断",
    },
}


@pytest.mark.parametrize("locale", ADMIN)
def test_an_admins_day(site: Site, open_as: Opener, locale: str) -> None:
    """What runs (one is stopped), a project that is refused once and then made, people, a freeze, a replay."""
    words = ADMIN[locale]
    page = open_as("adam", "", locale=locale)
    expect(page.get_by_role("heading", name=words["running"])).to_be_visible()
    page.locator("details.act summary").first.click()
    page.get_by_label(words["why"]).first.fill("It copies without end.")
    keep(page, f"desk-admin-{locale}")
    page.get_by_role("button", name=words["stop"]).first.click()
    expect(page.get_by_text(words["stopping"], exact=True)).to_be_visible()
    tabs = page.get_by_role("navigation", name=words["admin"])
    tabs.get_by_role("link", name=words["projects"]).click()
    page.get_by_role("link", name=words["new"]).click()
    for field, text in (("name", "kidney"), ("title", "Kidneys"), ("purpose", "Survival"), ("sponsor", "clinic")):
        page.locator(f"#{field}").fill(text)
    page.locator("#members").fill("ana\namir")
    page.get_by_role("checkbox", name="nafld NAFLD").check()
    page.locator("#until").fill("2020-01-01")
    page.get_by_role("button", name=words["create"]).click()
    expect(page.get_by_role("alert")).to_contain_text(words["past"])
    expect(page.locator("#members")).to_have_value("ana\namir")
    expect(page.get_by_role("checkbox", name="nafld NAFLD")).to_be_checked()
    page.locator("#until").fill("2027-12-31")
    keep(page, f"desk-admin-new-project-{locale}")
    page.get_by_role("button", name=words["create"]).click()
    page.wait_for_url("**/admin/projects/kidney")
    page.get_by_label(words["reason"]).fill("Looked odd.")
    page.get_by_role("button", name=words["freeze"]).click()
    expect(page.get_by_text(words["frozen"])).to_be_visible()
    keep(page, f"desk-admin-project-{locale}")
    page.goto(site.address + "admin/people")
    page.locator("#add-name").fill("nils")
    page.get_by_role("button", name=words["make"]).click()
    expect(page.get_by_text(words["made"])).to_be_visible()
    page.get_by_label(words["change"]).click()
    keep(page, f"desk-admin-people-{locale}")
    page.locator("#change-nora-role").select_option("auditor")
    page.locator("details[open]").get_by_role("button", name=words["set"], exact=True).click()
    page.wait_for_url("**/admin/people")
    assert [e["subject"] for e in site.world.entries("account.role_given")] == [{"person": "nils"}, {"person": "nora"}]
    page.goto(site.address + "policy")
    page.get_by_role("button", name=words["replay"]).click()
    expect(page.get_by_text(words["replayed"])).to_be_visible()


AUDITOR = {
    "en": {"find": "Find", "cells": "Executed cells", "verify": "Verify now", "trace": "trace 1", "export": "Export"},
    "zh-CN": {"find": "查找", "cells": "已执行单元格", "verify": "立即验证", "trace": "溯源 1", "export": "导出"},
}


@pytest.mark.parametrize("locale", AUDITOR)
def test_an_auditors_day(site: Site, open_as: Opener, locale: str) -> None:
    """The record verified, a project's life, a person's trail, a release walked back, and the whole ledger as a file."""
    words = AUDITOR[locale]
    page = open_as("audrey", "", locale=locale)
    page.get_by_role("button", name=words["verify"]).click()
    expect(page.locator(".alert-success")).to_be_visible()
    page.get_by_role("searchbox").fill("liver")
    page.get_by_role("button", name=words["find"]).click()
    page.get_by_role("link", name="liver").first.click()
    expect(page.get_by_role("heading", name="Liver study")).to_be_visible()
    keep(page, f"desk-timeline-{locale}")
    page.goto(site.address + "people/ana")
    page.get_by_role("link", name=words["cells"]).click()
    page.goto(site.address + "releases")
    page.get_by_role("link", name=words["trace"]).click()
    expect(page.locator(".chain > li").first).to_be_visible()
    keep(page, f"desk-trace-{locale}")
    page.goto(site.address + "ledger")
    with page.expect_download() as taken:
        page.get_by_role("button", name=words["export"]).click()
    assert taken.value.suggested_filename.startswith("glovebox-ledger-")


STEWARD = {
    "en": {
        "queue": "Waiting for a decision",
        "send": "Send decision",
        "data": "Data",
        "quotas": "Quotas",
        "cells": "Executed cells",
        "give": "Give the grant",
        "limits": "at most",
        "revoke": "Revoke grant 2",
        "take": "Revoke this grant",
        "revoked": "revoked",
        "confirm": "Confirm it as 3 · sensitive",
    },
    "zh-CN": {
        "queue": "等待决定",
        "send": "提交决定",
        "data": "数据",
        "quotas": "配额",
        "cells": "已执行单元格",
        "give": "给予授权",
        "limits": "至多",
        "revoke": "撤销授权 2",
        "take": "撤销此授权",
        "revoked": "已撤销",
        "confirm": "确认为 3 · 敏感",
    },
}


@pytest.mark.parametrize("locale", STEWARD)
def test_a_stewards_day_with_requests_and_grants(site: Site, open_as: Opener, locale: str) -> None:
    """A request decided; then one's data: confirmed, granted with a quota, and the grant taken back."""
    words = STEWARD[locale]
    page = open_as("stella", "", locale=locale)
    expect(page.get_by_role("heading", name=words["queue"])).to_be_visible()
    keep(page, f"desk-queue-{locale}")
    page.get_by_role("link", name="Outcomes by sex").click()
    page.locator("#decide-form input[value=approve]").check()
    page.locator("#decide-form #reason").fill("Every cell has enough people.")
    keep(page, f"desk-request-{locale}")
    page.get_by_role("button", name=words["send"]).click()
    expect(page.locator(".state-large .bg-teal-lt")).to_be_visible()  # approved
    assert site.world.row(site.safe.id).state is State.APPROVED
    page.get_by_role("link", name=words["data"], exact=True).click()
    page.get_by_role("link", name="nafld", exact=True).click()
    page.locator("#describe summary").click()
    page.locator("select[name='identifier.nafld1.weight']").select_option("sensitive")
    page.get_by_role("button", name=words["confirm"]).click()
    page.wait_for_url("**/data/nafld#describe")
    page.locator("#grant-project").fill("liver")
    page.locator("#grant-until").fill("2027-06-30")
    page.locator("#grants details summary", has_text=words["quotas"]).last.click()
    page.locator("#grant-cells").fill("500")
    keep(page, f"desk-grant-{locale}")
    page.get_by_role("button", name=words["give"]).click()
    expect(page.locator("#grants").get_by_text(words["limits"])).to_be_visible()
    page.get_by_label(words["revoke"]).click()
    page.locator("#revoke-2-why").fill("Consent ended.")
    page.get_by_role("button", name=words["take"]).click()
    expect(page.locator("#grants").get_by_text(words["revoked"], exact=True)).to_be_visible()
    kinds = [e["kind"] for e in site.world.entries() if e["actor"] == "stella"][-3:]
    assert kinds == ["dataset.described", "grant.given", "grant.revoked"]


def test_a_revoked_release_says_so_wherever_it_is_shown(site: Site, open_as: Opener) -> None:
    page = open_as("stella", f"requests/{site.released.name}")
    page.get_by_label("Revoke this release because").fill("The cohort was wrong.")
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("revoked").first).to_be_visible()
    author = open_as("ana", f"requests/{site.released.name}")
    expect(author.get_by_text("The cohort was wrong.")).to_be_visible()
    expect(author.get_by_role("link", name="Download")).to_have_count(0)
    assert site.world.row(site.released.id).state is State.REVOKED


FIRST_QUERY = "SELECT sex, avg(age) AS mean FROM nafld1 WHERE small GROUP BY sex"
DAYS = {
    "en": {
        "ask": "Ask for a release",
        "look": "See what would be protected",
        "send": "Send the request",
        "no_count": "What the gate found",
        "again": "Change and send again",
        "seen": "I have seen that 2 rows will be left out.",
        "back": "Table 2 needs its title.",
    },
    "zh-CN": {
        "ask": "申请放行",
        "look": "查看将如何保护",
        "send": "提交申请",
        "no_count": "闸门的发现",
        "again": "修改后重新提交",
        "seen": "我已看到有 2 行将被略去。",
        "back": "表 2 需要标题。",
    },
}


@pytest.mark.parametrize("locale", DAYS)
def test_an_analysts_day(site: Site, open_as: Opener, locale: str) -> None:
    words = DAYS[locale]
    page = open_as("ana", "", locale=locale)
    page.get_by_role("link", name=words["ask"]).first.click()
    page.locator("#title").fill("Angina by sex")
    page.locator("#purpose").fill("Table 2 of the paper")
    page.locator("#sql-0").fill(FIRST_QUERY)
    page.get_by_role("button", name=words["look"]).click()
    expect(page.locator(".stop[role=alert]")).to_have_count(2)  # no context, and means without their count
    page.locator("#context").fill("Adults with a first visit in 2019.")
    page.locator("#sql-0").fill(SMALL)
    page.get_by_role("button", name=words["look"]).click()
    expect(page.get_by_text(words["no_count"])).to_be_visible()
    keep(page, f"desk-ask-{locale}")
    assert not serious_faults(page)
    page.get_by_label(words["seen"]).check()
    page.get_by_role("button", name=words["send"]).dblclick()
    page.wait_for_url("**/requests/R-*")
    number = int(page.url.rpartition("-")[2])
    assert [r["id"] for r in _own(page) if r["title"] == "Angina by sex"] == [f"R-{number}"]
    site.work()
    expect(page.locator(".state-large .bg-yellow-lt")).to_be_visible()  # by itself: nobody reloads
    site.world.reviewed(site.world.row(number), ReviewVerdict.RETURN)
    page.reload()
    page.get_by_role("link", name=words["again"]).click()
    expect(page.locator("#sql-0")).to_have_value(SMALL)
    page.locator("#sql-0").fill(SAFE)
    page.get_by_role("button", name=words["send"]).click()
    page.wait_for_url(f"**/requests/R-{number}")
    assert site.world.row(number).revision == 2


def _own(page: Page) -> list[dict[str, str]]:
    found: list[dict[str, str]] = page.evaluate("fetch('../api/v1/requests').then(a => a.json())")["requests"]
    return found


def test_a_draft_left_by_jupyterlab_is_text_and_fills_only_what_is_empty(site: Site, open_as: Opener) -> None:
    page = open_as("ana", "requests")
    hostile = "SELECT '<img src=x onerror=alert(1)>'"
    page.evaluate(
        "d => sessionStorage.setItem('glovebox-draft', JSON.stringify(d))", {"sql": hostile, "title": {"a": 1}}
    )
    page.evaluate("sessionStorage.setItem('glovebox-lab', 'javascript:alert(1)')")
    page.goto(site.address + "new")
    expect(page.locator("#sql-0")).to_have_value(hostile)
    expect(page.locator("#title")).to_have_value("")
    expect(page.locator("#back-to-lab")).to_be_hidden()
    page.reload()
    expect(page.locator("#sql-0")).to_have_value("")


def test_two_stewards_at_once_have_one_outcome_and_the_second_is_told(site: Site, open_as: Opener) -> None:
    pages = {name: open_as(name, f"requests/{site.safe.name}") for name in ("stella", "stefan")}
    for name, verdict in (("stella", "approve"), ("stefan", "reject")):
        page = pages[name]
        page.locator(f"#decide-form input[value={verdict}]").check()
        page.get_by_label("Reason, for the author and the record").fill(f"{name} says so.")
    pages["stella"].get_by_role("button", name="Send decision").click()
    expect(pages["stella"].locator(".state-large")).to_contain_text("approved")
    pages["stefan"].get_by_role("button", name="Send decision").click()
    expect(pages["stefan"].get_by_text("The request was approved while you were reading.")).to_be_visible()
    assert site.world.row(site.safe.id).state is State.APPROVED


def test_a_steward_asks_about_one_output(site: Site, open_as: Opener) -> None:
    page = open_as("stella", f"requests/{site.rich.name}")
    expect(page.get_by_text("Changed since the last revision")).to_be_visible()
    inside = page.frame_locator("iframe.notebook-frame")
    expect(inside.get_by_role("heading", name="Angina <script>alert(1)</script>")).to_be_visible()
    expect(inside.get_by_text("[text/html]")).to_be_visible()
    page.get_by_label("Cell 2, output 1").check()
    output = page.get_by_role("group", name="This output: t", exact=True)
    output.get_by_text("Ask about it").click()
    output.get_by_label("Question or reason for this output").fill("Why not by age?")
    expect(page.locator("#decide-form input[name=verdict]:checked")).to_have_count(0)
    other = page.get_by_role("group", name="This output: story.ipynb", exact=True)
    other.get_by_text("Reject").click()
    expect(page.locator("#decide-form input[value=return]")).to_be_checked()  # nothing is left to approve
    other.get_by_text("as the whole").click()
    page.locator("#decide-form label.verdict-approve").click()
    page.get_by_label("Reason, for the author and the record").fill("One question.")
    page.get_by_role("button", name="Send decision").click()
    expect(page.locator(".state-large")).to_contain_text("approved")
    keep(page, "desk-held-back")
    page.get_by_role("link", name="held back; goes on as").click()
    expect(page.locator(".state-large")).to_contain_text("returned")
    expect(page.get_by_text("Why not by age?")).to_be_visible()
    expect(page.get_by_text("A reviewer held these outputs back")).to_be_visible()


PAGES = [
    ("stella", "queue"),
    ("stella", "requests/{small}"),
    ("stella", "requests/{rich}"),
    ("stella", "votes"),
    ("ana", "requests"),
    ("ana", "new"),
    ("ana", "requests/{returned}"),
    ("ana", "requests/{returned}/revise"),
    ("ana", "requests/{released}"),
    ("audrey", "releases"),
    ("audrey", "ledger"),
    ("audrey", "releases/1/trace"),
    ("adam", "admin"),
    ("adam", "admin/projects"),
    ("adam", "admin/projects/liver"),
    ("adam", "admin/new-project"),
    ("adam", "admin/intake"),
    ("adam", "admin/intake/new?file=visits.csv"),
    ("adam", "admin/data"),
    ("adam", "admin/people"),
    ("audrey", "projects/liver"),
    ("audrey", "people/ana/cells"),
    ("audrey", "people/ana"),
    ("audrey", "sandboxes/5a"),
    ("ana", "notices"),
    ("adam", "policy"),
    ("stella", "data"),
    ("stella", "data/nafld"),
    ("ana", "shelf"),
    ("adam", "shelf"),
]


NO_PAGES = {
    "": "leads on to the reader's first page",
    "requests/{name}/live": "a part of a page that is looked at",
    "requests/{name}/figures/{item}": "a picture",
    "requests/{name}/notebooks/{item}": "stands in a frame of the request's page",
    "releases/{number}/download": "a file",
    "data/{dataset}/usage.csv": "a file",
    "admin/intake/jobs/{number}": "looked at while a file is registered, below",
    "login": "leads on to the hub",
    "oauth_callback": "leads on to the desk",
}


def test_every_page_of_the_desk_is_looked_at() -> None:
    """A new page is added to those above, or here with the reason why it is none."""
    patterns = {
        p: re.compile(re.sub(r"\{\w+\}", "[^/?]+", p)) for m, p in TABLE if m == "GET" and not p.startswith("api/")
    }
    looked = {p for p, pattern in patterns.items() if any(pattern.fullmatch(one.partition("?")[0]) for _, one in PAGES)}
    assert set(patterns) - looked == set(NO_PAGES)


@pytest.mark.parametrize(("who", "path"), PAGES)
def test_pages_fit_and_have_no_serious_accessibility_fault(still: Site, look_as: Opener, who: str, path: str) -> None:
    address = path.format(
        small=still.small.name, returned=still.returned.name, released=still.released.name, rich=still.rich.name
    )
    for width, dark, locale in (*LOOKS, OTHER_LOOKS[PAGES.index((who, path)) % len(OTHER_LOOKS)]):
        page = look_as(who, address, width=width, dark=dark, locale=locale)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, (address, width)
        cut = "[...document.querySelectorAll('.table-pair .table-scroll')].filter(t => t.scrollWidth > t.clientWidth).length"
        assert width < 1000 or page.evaluate(cut) == 0, address
        place = path.partition("?")[0].replace("/", "-")
        keep(page, f"desk-{who}-{place}-{width}-{'dark' if dark else 'light'}")
        assert not serious_faults(page), (address, width, dark)
        page.context.close()


def serious_faults(page: Page) -> list[str]:
    """What axe-core calls serious or critical. It is evaluated by the driver: the page's own policy allows no such script."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:160]} {v['nodes'][0]['failureSummary'][:200]}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def test_an_admin_sends_a_file_registers_it_and_removes_it(site: Site, open_as: Opener, tmp_path: Path) -> None:
    folder = site.world.settings.home / "intake"
    file, archive = tmp_path / "clinic 2026.csv", tmp_path / "clinic.zip"
    file.write_text("id,age,sex\n" + "".join(f"{n},{20 + n % 50},{n % 2}\n" for n in range(400)), "utf-8")
    archive.write_bytes(b"PK\x03\x04")
    page = open_as("adam", "admin/intake")
    page.get_by_label("Files", exact=True).set_input_files([file, archive])
    page.get_by_role("button", name="Send").click()
    sent = page.locator("#uploaded li")
    expect(sent.nth(0)).to_contain_text(hashlib.sha256(file.read_bytes()).hexdigest())
    expect(sent.nth(1)).to_contain_text("Its ending is that of no kind of file")
    assert sorted(os.listdir(folder)) == ["clinic 2026.csv", "visits.csv"]
    keep(page, "desk-adam-upload")
    page.get_by_label("clinic 2026.csv", exact=True).check()
    page.get_by_role("button", name="Look at the columns").click()
    page.wait_for_url("**/admin/intake/new?**")
    page.get_by_label("Privacy unit").select_option("id")
    for label, text in {
        "Short name": "clinic",
        "Title": "A clinic",
        "Description": "Visits.",
        "Provider": "clinic",
    }.items():
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_label("Stewards").fill("stella")
    page.get_by_text("For one project, by rules").click()
    page.get_by_label("Project", exact=True).select_option("liver")
    page.get_by_label("What is done to age").select_option("bins")
    page.get_by_label("What the rule for age works with").fill("30, 50")
    page.get_by_label("people may be found by it").nth(1).check()
    page.get_by_role("button", name="Measure what it does").click()
    expect(page.locator("#measured tbody tr").nth(1).locator("[data-label^=Smallest]")).to_have_text("80")
    assert not serious_faults(page)
    keep(page, "desk-adam-masking")
    page.get_by_role("button", name="Register it").click()
    expect(page.get_by_text("clinic/1 is registered.")).to_be_visible(timeout=60_000)
    assert "/admin/intake/jobs/" in page.url
    assert not serious_faults(page)
    page.goto(site.address + "admin/intake")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove clinic 2026.csv").click()
    page.wait_for_load_state()
    expect(page.get_by_label("clinic 2026.csv", exact=True)).to_have_count(0)
    assert os.listdir(folder) == ["visits.csv"]
