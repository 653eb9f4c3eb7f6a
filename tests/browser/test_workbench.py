"""Real Chromium against the whole workbench: JupyterLab works in a sandbox, and every easy way of copying out fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import select, update

from installation.settings import CHECKOUT, Settings
from ledger.entry import Entry
from provisioning.domain.registration import Registration, TableSource
from provisioning.service import catalogue, projects
from store import schema
from store.clock import moment, now, stamp
from store.database import Database
from tests.browser.test_desk import serious_faults
from tests.conftest import glovebox
from tests.unit.provisioning.world import CHECKLIST
from workbench.setup import secrets

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.opa]

SCREENSHOTS = CHECKOUT / "var" / "screenshots"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def granted(workbench: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A small dataset, a project with ana in it, and stella's grant."""
    folder = tmp_path_factory.mktemp("delivery")
    rows = "\n".join(f"{n},{'NS'[n % 2]},{n % 7}" for n in range(400))
    (folder / "visits.csv").write_text(f"person,region,visits\n{rows}\n", "utf-8")
    at, db = now(), Database.open(workbench)
    source = TableSource(name="visits", files=(folder / "visits.csv",), unit="person")
    catalogue.register_dataset(
        db,
        workbench,
        Registration("clinic", "Visits", "Visits to a clinic.", "A hospital", 3, ("stella",), (source,)),
        actor="adam",
        at=at,
    )
    until = at + timedelta(days=30)
    projects.create_project(
        db,
        name="care",
        title="Care by region",
        purpose="Plan clinics",
        sponsor="adam",
        expires_at=until,
        actor="adam",
        at=at,
        legal_basis="Statistics act",
        output_plan="Counts by region",
    )
    projects.add_member(db, project="care", person="ana", actor="adam", at=at)
    projects.assess_project(db, name="care", confirmed=CHECKLIST["3"], actor="adam", at=at)
    projects.give_grant(
        db, project="care", version="clinic/1", purpose="Plan clinics", expires_at=until, actor="stella", at=at
    )
    db.close()
    return workbench


def sign_in(chromium: Browser, settings: Settings, name: str) -> Page:
    page = chromium.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.goto(f"{settings.url}/hub/login")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", secrets.accounts(settings)[name]["password"])
    page.click("#login_submit")
    page.wait_for_load_state("networkidle")
    return page


@pytest.fixture(scope="module")
def lab(chromium: Browser, granted: Settings) -> Page:
    """Ana's JupyterLab, started through the form as she would."""
    page = sign_in(chromium, granted, "ana")
    page.goto(f"{granted.url}/hub/home")
    page.click("text=Choose a project and start")
    page.check("input[name=project][value=care]")
    page.click("input[type=submit], button[type=submit]")
    page.wait_for_url("**/user/ana/lab**", timeout=120_000)
    page.wait_for_selector(".jp-Launcher", timeout=90_000)
    return page


def run_cell(page: Page, code: str, shown: str) -> None:
    """Type into the notebook's last cell, run it, wait for its output."""
    page.locator(".jp-Notebook .jp-Cell .cm-content").last.click()
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(f".jp-OutputArea-output:has-text('{shown}')", timeout=60_000)


def test_analyst_works_in_a_notebook_and_asks_for_a_release(lab: Page) -> None:
    lab.click(".jp-LauncherCard[data-category=Notebook]")
    lab.wait_for_selector(".jp-Notebook .cm-content", timeout=60_000)
    # JupyterLab drops a cell that is run while it has no kernel yet, here as in any other Jupyter
    lab.wait_for_selector("#jp-main-statusbar >> text=Python 3 (ipykernel) | Idle", timeout=60_000)
    run_cell(lab, "import glovebox\nprint(glovebox.sql('SELECT count(*) AS n FROM visits'))", "400")
    run_cell(
        lab,
        "asked = glovebox.release('SELECT region, count(*) AS people FROM visits GROUP BY region', "
        "title='People by region', purpose='Plan clinics', context='All visits of the clinic, by region.')\nprint(asked.id)",
        "R-1",
    )
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    lab.screenshot(path=SCREENSHOTS / "jupyterlab.png")


def test_jupyterlab_leads_to_the_form_with_the_cells_sql_and_back(lab: Page, granted: Settings) -> None:
    lab.locator(".jp-Notebook .jp-Cell .cm-content", has_text="count(*) AS people").first.click()
    lab.locator(".glovebox-ask").click()
    lab.wait_for_url("**/services/gate/new", timeout=60_000)
    expect(lab.locator("#sql-0")).to_have_value("SELECT region, count(*) AS people FROM visits GROUP BY region")
    lab.fill("#title", "People by region, again")
    lab.fill("#purpose", "Plan clinics")
    lab.get_by_role("button", name="See what would be protected").click()
    expect(lab.get_by_text("Nothing tells a reader how the figures came about.")).to_be_visible(timeout=60_000)
    lab.fill("#context", "All visits of the clinic, by region.")
    lab.get_by_role("button", name="See what would be protected").click()
    expect(lab.get_by_text("Nothing stands against sending it.")).to_be_visible(timeout=90_000)
    lab.get_by_role("link", name="Back to the notebook").click()
    expect(lab.locator(".jp-Notebook .cm-content", has_text="count(*) AS people").first).to_be_visible(timeout=90_000)


def test_the_launcher_has_a_card_for_it(lab: Page, granted: Settings) -> None:
    page = lab.context.new_page()
    page.goto(f"{granted.url}/user/ana/lab/workspaces/fresh")
    card = page.locator(".jp-LauncherCard", has_text="Ask for a release")
    card.click(timeout=90_000)
    page.wait_for_url("**/services/gate/new", timeout=60_000)
    page.close()


def test_download_export_and_other_origins_are_refused(lab: Page, granted: Settings) -> None:
    refused = lab.context.request.get(f"{granted.url}/user/ana/files/Untitled.ipynb?download=1")
    assert refused.status == 403
    assert "release" in refused.text()
    assert lab.context.request.get(f"{granted.url}/user/ana/nbconvert/html/Untitled.ipynb").status == 403
    reached = lab.evaluate("fetch('http://127.0.0.2:9/').then(() => 'reached', error => 'refused: ' + error)")
    assert reached.startswith("refused")
    blocked = lab.evaluate(
        """new Promise(done => {
            document.addEventListener('securitypolicyviolation', event => done(event.effectiveDirective), {once: true});
            const image = new Image(); image.src = 'http://127.0.0.2:9/leak.png';
            setTimeout(() => done('nothing happened'), 4000);
        })"""
    )
    assert blocked == "img-src"


# -- no help to copy out -----------------------------------------------------------------------------------------------
def offered(page: Page) -> list[str]:
    """Every command that JupyterLab's palette offers and lets one click."""
    page.keyboard.press("Control+Shift+C")
    page.wait_for_selector("#modal-command-palette .lm-CommandPalette-item", state="attached", timeout=30_000)
    found: list[str] = page.eval_on_selector_all(
        "#modal-command-palette .lm-CommandPalette-item:not(.lm-mod-disabled) .lm-CommandPalette-itemLabel",
        "items => items.map(item => item.textContent)",
    )
    page.keyboard.press("Escape")
    return found


def test_no_command_downloads_exports_shares_or_installs(lab: Page) -> None:
    commands = offered(lab)
    assert any("Run" in each for each in commands), "the palette was read"
    ways = ("download", "export", "save and export", "shareable link", "share", "extension manager", "pdf", "latex")
    assert [each for each in commands if any(way in each.lower() for way in ways)] == []


def test_script_cannot_save_a_file_print_or_open_a_dialog(lab: Page) -> None:
    """What a notebook's own output could try, once it runs script: the page is sandboxed without downloads and dialogs."""
    happened: list[str] = []
    lab.on("download", lambda _: happened.append("download"))
    lab.on("dialog", lambda dialog: (happened.append("dialog"), dialog.dismiss()))
    lab.evaluate(
        """() => {
            window.printed = 0;
            addEventListener('beforeprint', () => { window.printed += 1; });
            const link = document.createElement('a');
            link.href = URL.createObjectURL(new Blob(['patient-4711']));
            link.download = 'leak.csv';
            document.body.append(link);
            link.click();
            window.print();
            alert('patient-4711');
        }"""
    )
    lab.wait_for_timeout(1500)
    assert happened == []
    assert lab.evaluate("window.printed") == 0


@pytest.mark.parametrize(
    "url",
    [
        "lab/api/extensions",
        "api/nbconvert",
        "lab/api/hub",
        "files/Untitled.ipynb",
        "nbconvert/pdf/Untitled.ipynb?download=true",
        "api/contents/Untitled.ipynb?download=1",
        "tree/",
        "view/Untitled.ipynb",
        "voila/render/Untitled.ipynb",
        "static/../files/Untitled.ipynb",
        "lsp/ws/pylsp",
    ],
)
def test_no_route_downloads_exports_publishes_or_installs(lab: Page, granted: Settings, url: str) -> None:
    assert lab.context.request.get(f"{granted.url}/user/ana/{url}").status in (403, 404)
    seen = lab.evaluate(f"fetch('/user/ana/{url}').then(got => got.status, () => 403)")
    assert seen in (403, 404)


def test_nobody_without_the_session_sees_anything(chromium: Browser, granted: Settings, lab: Page) -> None:
    """No public link: an address taken out of the browser shows the hub's login and nothing else."""
    page = chromium.new_context().new_page()
    for address in ("lab/tree/Untitled.ipynb", "api/contents/Untitled.ipynb", "lab?reset&token=x"):
        page.goto(f"{granted.url}/user/ana/{address}")
        assert "/hub/login" in page.url or "glovebox" not in page.content(), address
    page.context.close()


def test_an_extension_that_a_user_installs_does_not_reach_the_browser(lab: Page, granted: Settings) -> None:
    """Everything under the interface's addresses comes from the image; what the analyst puts into their home does not."""
    run_cell(
        lab,
        "import os, json\n"
        "for base in ('.local/share/jupyter/labextensions', '.jupyter/custom'):\n"
        "    os.makedirs(f'{base}/evil/static', exist_ok=True)\n"
        "    json.dump({'name': 'evil', 'version': '1.0.0', 'jupyterlab': {'extension': True, '_build': {'load': 'static/e.js'}}}, "
        "open(f'{base}/evil/package.json', 'w'))\n"
        "    open(f'{base}/evil/static/e.js', 'w').write('window.evil = 1')\n"
        "    open(f'{base}/custom.css', 'w').write('body { background: url(http://127.0.0.2:9/leak) }')\n"
        "print('plan' + 'ted')",
        "planted",
    )
    lab.reload()
    lab.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    assert lab.evaluate("window.evil === undefined")
    assert "evil" not in lab.content()
    for part in ("lab/extensions/evil/static/e.js", "static/evil/e.js"):
        assert lab.context.request.get(f"{granted.url}/user/ana/{part}").status in (403, 404)
    style = lab.context.request.get(f"{granted.url}/user/ana/custom/custom.css")
    assert "127.0.0.2" not in style.text()


def test_another_person_cannot_open_the_workbench(chromium: Browser, granted: Settings, lab: Page) -> None:
    for name in ("stella", "adam", "audrey"):
        page = sign_in(chromium, granted, name)
        answer = page.goto(f"{granted.url}/user/ana/lab")
        assert answer is not None
        assert answer.status in (403, 404), name
        page.context.close()


def test_steward_finds_the_request_on_the_desk(chromium: Browser, granted: Settings, lab: Page) -> None:
    page = sign_in(chromium, granted, "stella")
    page.goto(f"{granted.url}/services/gate/requests/R-1")
    page.wait_for_selector("text=People by region")
    for _ in range(60):
        if page.locator("text=Your decision").count():
            break
        page.wait_for_timeout(1000)
        page.reload()
    assert page.locator("text=Your decision").count()
    page.screenshot(path=SCREENSHOTS / "review-desk.png", full_page=True)
    page.context.close()


def test_a_grant_that_ends_soon_is_said_on_the_page_though_no_cell_runs(lab: Page, granted: Settings) -> None:
    """By the real look at what is left; the date is put back, for the tests that follow."""
    table, db = schema.grant, Database.open(granted)
    with db.read() as c:
        before = c.execute(select(table.c.expires_at)).scalar_one()

    def ends(when: str) -> None:
        with db.transaction(now()) as t:
            t.execute(update(table).values(expires_at=when))
            t.record(Entry("grant.moved_by_a_test", "stella", {"grant": "1"}, {}))

    ends(stamp(now() + timedelta(minutes=20)))
    try:
        expect(lab.get_by_text("The grant of clinic/1 ends soon.").first).to_be_visible(timeout=90_000)
        lab.screenshot(path=SCREENSHOTS / "grant-ends-soon.png")
    finally:
        ends(str(before))
        db.close()


def test_a_revoked_grant_ends_the_session_within_seconds_and_says_why(lab: Page, granted: Settings) -> None:
    """By the hub that runs: its next look stops the sandbox. A minute is what a loaded machine may need, not what is promised."""
    said = glovebox(granted, "grant", "revoke", "1", "--by", "stella", "--reason", "The study was called off.")
    assert said.returncode == 0, said.stderr
    db = Database.open(granted)
    for _ in range(600):
        with db.read() as c:
            stopped = c.execute(select(schema.sandbox.c.stopped_at)).scalar()
            revoked = c.execute(select(schema.grant.c.revoked_at)).scalar()
        if stopped is not None:
            break
        lab.wait_for_timeout(200)
    db.close()
    assert stopped is not None
    took = moment(str(stopped)) - moment(str(revoked))
    assert timedelta(0) <= took < timedelta(seconds=60), took
    expect(lab.locator(".jp-Dialog")).to_contain_text("Your session has ended", timeout=60_000)
    lab.screenshot(path=SCREENSHOTS / "session-ended.png")
    lab.on("dialog", lambda dialog: dialog.accept())  # the browser's own, about what was not saved
    lab.click(".jp-Dialog button:has-text('See why')")
    expect(lab.locator("#ended")).to_contain_text("clinic/1")
    lab.goto(f"{granted.url}/user/ana/lab")
    expect(lab.locator("#ended")).to_contain_text("clinic/1")


@pytest.mark.parametrize(("width", "locale"), [(1280, "en"), (390, "zh-CN")])
def test_the_hubs_pages_fit_and_have_no_serious_accessibility_fault(
    chromium: Browser, granted: Settings, width: int, locale: str
) -> None:
    page = chromium.new_context(viewport={"width": width, "height": 800}, locale=locale).new_page()
    for place in ("login", "home", "spawn/ana", "token", "no-such-page"):
        page.goto(f"{granted.url}/hub/{place}")
        page.wait_for_load_state("networkidle")
        if place == "login":
            assert not serious_faults(page), place
            page.fill("input[name=username]", "ana")
            page.fill("input[name=password]", secrets.accounts(granted)["ana"]["password"])
            page.click("#login_submit")
            page.wait_for_load_state("networkidle")
            continue
        page.screenshot(path=SCREENSHOTS / f"hub-{place.replace('/', '-')}-{width}.png")
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, place
        assert not serious_faults(page), place
    page.context.close()


def test_screenshots_were_taken() -> None:
    assert {p.name for p in Path(SCREENSHOTS).glob("*.png")} >= {"jupyterlab.png", "review-desk.png"}


def test_the_hubs_pages_are_chinese_for_a_chinese_reader(chromium: Browser, granted: Settings) -> None:
    page = chromium.new_context(viewport={"width": 390, "height": 800}, locale="zh-CN").new_page()
    page.goto(f"{granted.url}/hub/login")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.get_by_label("用户名:")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "hub-login-zh.png")
    page.fill("input[name=username]", "ana")
    page.fill("input[name=password]", secrets.accounts(granted)["ana"]["password"])
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", name="您的工作台")).to_be_visible(timeout=60_000)
    page.screenshot(path=SCREENSHOTS / "hub-home-zh.png")
    page.goto(f"{granted.url}/hub/no-such-page")
    expect(page.get_by_role("heading", name="没有您可以查看的这个页面。")).to_be_visible()
