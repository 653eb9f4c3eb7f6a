"""The chapters of the demo, each through public routes and service verbs, each ending in facts that must hold."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from installation.settings import CHECKOUT, Settings
from policy_engine import PolicyEngine, connect
from provisioning.domain.registration import Registration, TableSource
from provisioning.service import assessment, catalogue, projects
from store.clock import now
from store.database import Database
from workbench.demo import cells, cohort, tamper
from workbench.demo.browser import Browser, Notebook
from workbench.demo.escapes import NEIGHBOUR_PORT, PREPARE, escapes, neighbour, reachable
from workbench.demo.story import Differs, Story

GATE = "/services/gate/api/v1"
TERMS = {
    "legal_basis": "Consent of the participants for research on liver disease",
    "output_plan": "Tables of outcomes by age and sex for a paper",
}


@dataclass
class Asked:
    """The three requests by number, and what the analyst's own computation of the safe table showed."""

    safe: str
    small: str
    copy: str
    release: str = ""


def provision(settings: Settings, story: Story) -> None:
    """The admin brings the cohort in; the steward grants it to the project for a purpose."""
    db = Database.open(settings)
    with story.chapter("The admin registers the cohort, the steward grants it"):
        with db.read() as c:
            known = any(found.name == "nafld" for found in catalogue.datasets(c))
        if not known:
            _register(db, settings, story)
        with db.read() as c:
            tables = {table.name: table for table in catalogue.tables_of(c, "nafld/1")}
        story.table(["table", "rows", "privacy unit"], [[t.name, f"{t.rows:,}", t.unit] for t in tables.values()])
        story.must(
            {name: t.rows for name, t in tables.items()} == cohort.TABLES,
            "17,549 people, 400,123 laboratory values, 34,340 events",
        )
        story.must(all(t.unit == "id" for t in tables.values()), "the privacy unit of every table is the person (id)")
        _project(db, connect(settings), story)


def _register(db: Database, settings: Settings, story: Story) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sources = tuple(
            TableSource(name=name, files=(path,), unit="id", meanings=cohort.MEANINGS)
            for name, path in cohort.write_csv(Path(folder)).items()
        )
        registration = Registration(
            dataset="nafld",
            title="Non-alcoholic fatty liver disease cohort",
            description="People with NAFLD and matched controls, followed for metabolic and cardiac endpoints (Allen 2018).",
            provider="Department of Health (demo)",
            classification=3,
            stewards=("stella",),
            tables=sources,
        )
        version = catalogue.register_dataset(db, settings, registration, actor="adam", at=now())
        story.say(f"registered {version}, classification sensitive, steward stella")


def _assessed(db: Database, policies: PolicyEngine, story: Story) -> None:
    items = [row["item"] for row in assessment.checklist(policies, levels=[3], assessed=[])["items"]]
    projects.assess_project(db, name="liver", confirmed=items, actor="adam", at=now())
    story.say(f"prior assessment: adam confirmed the {len(items)} items of the checklist for sensitive data")


def _project(db: Database, policies: PolicyEngine, story: Story) -> None:
    at = now()
    with db.read() as c:
        known = projects.project(c, "liver")
    if known is None:
        projects.create_project(
            db,
            name="liver",
            title="Outcomes in fatty liver disease",
            purpose=cells.PURPOSE,
            sponsor="adam",
            expires_at=at + timedelta(days=365),
            actor="adam",
            at=at,
            **TERMS,
        )
        projects.add_member(db, project="liver", person="ana", actor="adam", at=at)
    elif not known.stated:  # a demo of an earlier version left it without
        projects.describe_project(db, name="liver", actor="adam", at=at, **TERMS)
    if known is None or not known.assessed:
        _assessed(db, policies, story)
    with db.read() as c:
        granted = [g for g in projects.grants_of(c, "liver") if g.in_force(at)]
    if not granted:
        projects.give_grant(
            db,
            project="liver",
            version="nafld/1",
            purpose=cells.PURPOSE,
            expires_at=at + timedelta(days=180),
            actor="stella",
            at=at,
        )
    story.must(True, "project liver: member ana, grant by stella on nafld/1 for its stated purpose, with an end date")


async def work(settings: Settings, story: Story, ana: Browser, stella: Browser) -> Asked:
    """The analyst's session: sealed sandbox, ordinary Python, escapes refused, three releases asked for."""
    with story.chapter("The analyst starts a sealed sandbox through JupyterHub"):
        await ana.spawn("liver")
        lab = await ana.open("/user/ana/lab")
        story.must(lab.status == 200 and "jupyter" in lab.text.lower(), "JupyterLab opens in the browser")
        story.must(
            "connect-src" in lab.headers.get("Content-Security-Policy", ""), "its pages carry a Content-Security-Policy"
        )
        other = await stella.open("/user/ana/lab")
        story.must(
            other.status in (403, 404), "the steward, signed in, may not open the analyst's server", other.status
        )
    async with Notebook(ana, "first-analysis.ipynb") as notebook:
        await _analyse(story, notebook)
        await _escape(settings, story, notebook)
        await _browser_side(story, ana)
        asked = await _ask(story, notebook)
        await notebook.save()
    return asked


async def _analyse(story: Story, notebook: Notebook) -> None:
    with story.chapter("A real notebook, ordinary Python on the real tables"):
        seen = await notebook.run(cells.TABLES)
        story.must(not seen.error and "nafld1" in seen.text, "glovebox.tables() lists the granted tables", seen)
        seen = await notebook.run(cells.READ)
        story.must(not seen.error and "17549" in seen.text, "pandas and DuckDB read the read-only Parquet tables", seen)
        story.say(seen.text.strip().splitlines()[0])
        seen = await notebook.run(cells.JOIN)
        story.must(not seen.error and "20 cells" in seen.text, "glovebox.sql joins events with people: 20 cells", seen)


async def _escape(settings: Settings, story: Story, notebook: Notebook) -> None:
    with (
        story.chapter("From inside: every way out is tried, and how it failed"),
        neighbour(settings.sandbox.image, settings.sandbox.container_prefix) as address,
    ):
        story.must(
            await asyncio.to_thread(reachable, address, NEIGHBOUR_PORT),
            "control: the neighbour container answers the host",
        )
        hub = f"127.0.0.1:{settings.ports.hub}"
        await notebook.run(PREPARE)
        for escape in escapes(hub, address, NEIGHBOUR_PORT):
            seen = await notebook.run(escape.code)
            said = (seen.text or seen.error).strip().splitlines()
            story.must(
                bool(said) and said[-1].startswith("blocked:"),
                f"{escape.name}: {said[-1] if said else 'no answer'}",
                seen,
            )


async def _browser_side(story: Story, ana: Browser) -> None:
    with story.chapter("From the browser: downloads and exports are refused at the session door"):
        control = await ana.open("/user/ana/api/contents/first-analysis.ipynb?content=0")
        story.must(control.status == 200, "control: the notebook is there")
        for name, path in (
            ("download of the notebook", "/user/ana/files/first-analysis.ipynb?download=1"),
            ("raw file", "/user/ana/files/first-analysis.ipynb"),
            ("export to HTML", "/user/ana/nbconvert/html/first-analysis.ipynb?download=true"),
            ("export to a script", "/user/ana/nbconvert/script/first-analysis.ipynb"),
        ):
            page = await ana.open(path)
            plain = page.text.lower()
            story.must(
                page.status == 403 and "release" in plain,
                f"{name}: HTTP {page.status}, with a page that says how to ask for a release",
                page,
            )


async def _ask(story: Story, notebook: Notebook) -> Asked:
    with story.chapter("The analyst asks to take three things out"):
        safe = await _release(notebook, f"'''{cells.SAFE}'''", "Outcomes by sex")
        story.say(f"{safe}: people with each outcome by sex (safe)")
        small = await _release(notebook, f"'''{cells.SMALL}'''", "Angina by age and sex")
        story.say(f"{small}: angina by age band and sex (one cell holds three people)")
        seen = await notebook.run(cells.SAMPLE)
        story.must("refused:" in seen.text, f"{cells.COPY} is refused at once, naming the construct", seen)
        for line in seen.text.strip().splitlines()[:3]:
            story.say(line)
        await notebook.run(cells.APPENDIX)
        copy = await _release(notebook, "pathlib.Path('appendix.csv')", "Twenty rows for the appendix")
        story.say(f"{copy}: a file with 20 raw records")
        return Asked(safe, small, copy)


async def _release(notebook: Notebook, what: str, title: str) -> str:
    seen = await notebook.run(cells.release(what, title))
    number = seen.text.strip().rpartition("number ")[2].strip()
    if seen.error or not number.startswith("R-"):
        raise Differs(f"glovebox.release did not answer with a number: {seen}")
    return number


async def _settled(browser: Browser, number: str, patience: float = 90) -> dict[str, Any]:
    """The request as the desk's API shows it, once the gate has judged it."""
    async with asyncio.timeout(patience):
        while True:
            page = (await browser.open(f"{GATE}/requests/{number}")).expect(200)
            shown: dict[str, Any] = page.json()
            if shown["state"] not in ("submitted", "checking", "approved", "releasing"):
                return shown
            await asyncio.sleep(0.3)


async def review(settings: Settings, story: Story, ana: Browser, stella: Browser, asked: Asked) -> None:
    """The gate's judgement, four eyes, and the download."""
    for browser in (ana, stella):
        (await browser.open("/services/gate/")).expect(200)
    with story.chapter("The gate recomputes and judges; OPA decides"):
        safe = await _settled(stella, asked.safe)
        story.must(safe["state"] == "in_review", f"{asked.safe} (safe) was recomputed and goes to review", safe)
        small = await _settled(stella, asked.small)
        story.must(small["state"] in ("in_review", "refused"), f"{asked.small} (three people): {small['state']}", small)
        if small["state"] == "in_review":
            cells = [cell for item in small["items"] for cell in item["protected"]["suppressed"]]
            story.must(len(cells) >= 1, f"{asked.small} comes back protected: {len(cells)} cells suppressed", small)
        copy = await _settled(stella, asked.copy)
        story.must(copy["state"] == "refused", f"{asked.copy} (raw records) is refused", copy)
        for reason in copy["reasons"][:2]:
            story.say(f"{asked.copy}: {reason['message']}")
    with story.chapter("Four eyes: the author may not approve, the steward may"):
        own = await ana.desk_post(f"{GATE}/requests/{asked.safe}/approve", {"reason": "mine"})
        story.must(own.status == 403, f"ana cannot approve her own request: HTTP {own.status}", own)
        page = await stella.desk_post(
            f"{GATE}/requests/{asked.safe}/approve",
            {"reason": "Every cell has well over ten people; purpose as granted."},
        )
        page.expect(200)
        released = await _settled(stella, asked.safe)
        story.must(released["state"] == "released", f"stella approved {asked.safe}; the gate released it", released)
        asked.release = str(released["release"]["id"])
    with story.chapter("The analyst downloads what the gate wrote"):
        bundle = (await ana.open(f"{GATE}/releases/{asked.release}/download")).expect(200)
        story.must(
            hashlib.sha256(bundle.body).hexdigest() == released["release"]["bundle"],
            "the file is the one that was recorded, byte by byte",
        )
        with zipfile.ZipFile(io.BytesIO(bundle.body)) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".csv"))
            rows = list(csv.DictReader(io.StringIO(archive.read(name).decode("utf-8"))))
            story.say(f"{', '.join(archive.namelist())}")
        story.table(list(rows[0]), [list(row.values()) for row in rows[:5]])
        story.must(
            len(rows) == 20 and {r["people"] for r in rows if r["event"] == "MI"} == {"406", "627"},
            "20 cells, figures as in the cohort",
            rows[:3],
        )
        said = await asyncio.to_thread(_checked_by_a_stranger, settings, bundle.body)
        story.must(said.returncode == 0, "a verifier that is one file and knows nothing of ours finds it whole", said)
        for line in said.stdout.strip().splitlines()[-1:]:
            story.say(line)
        denied = await stella.open(f"{GATE}/releases/999999/download")
        story.must(denied.status in (403, 404), "a release that does not exist is refused plainly")


async def remember(story: Story, stella: Browser, asked: Asked) -> None:
    """Even approved, the small table may not leave now: with the totals that just left, its hidden cells are a subtraction away."""
    with story.chapter("The gate remembers: judged together with everything that left before"):
        shown = await _settled(stella, asked.small)
        if shown["state"] == "in_review":
            story.say(f"stella approves {asked.small} as well; meanwhile a table over the same people has left")
            page = await stella.desk_post(
                f"{GATE}/requests/{asked.small}/approve", {"reason": "Small cells are hidden."}
            )
            page.expect(200)
            shown = await _settled(stella, asked.small)
        codes = {reason["code"] for reason in shown["reasons"]}
        story.must(
            shown["state"] == "refused" and "collides" in codes, f"{asked.small} is judged again and refused", shown
        )
        found = [one for item in shown["items"] for one in item["table"]["audit"]["findings"]]
        for one in found[:2]:
            low, high = one["interval"]
            story.say(f"an attacker with both tables knows a hidden cell to lie between {low} and {high}")


def _checked_by_a_stranger(settings: Settings, bundle: bytes) -> subprocess.CompletedProcess[str]:
    """What a data owner does: one file of Python, the public key, no network, no package of ours."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "release.zip"
        file.write_bytes(bundle)
        program = CHECKOUT / "verifier" / "glovebox_verify.py"
        command = [sys.executable, "-I", str(program), str(file), "--key", str(settings.home / "ledger.pub")]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


async def prove(settings: Settings, story: Story, audrey: Browser, asked: Asked) -> None:
    """The auditor checks the ledger without trusting anyone, then sees what happens to a forged copy."""
    with story.chapter("The auditor verifies the record"):
        (await audrey.open("/services/gate/")).expect(200)
        page = (await audrey.open(f"{GATE}/ledger/checkpoint")).expect(200)
        story.say(page.text.strip().splitlines()[0][:120])
        report = await asyncio.to_thread(tamper.verify_installation, settings)
        story.must(report.ok, f"{report.size} entries, every hash, signature and checkpoint holds", report)
        forged = await asyncio.to_thread(tamper.verify_altered_copy, settings, asked.safe)
        story.must(not forged.report.ok, "one entry altered in a copy: verification fails")
        story.must(forged.report.first_bad == forged.altered, f"and names the entry: {forged.altered}", forged)
        story.say(forged.report.message)
