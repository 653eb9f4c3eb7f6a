"""The real hub with the real proxy, policy engine, doors, gate and accounts: who gets in, and who gets no further."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import closing

import httpx
import pytest

from installation.settings import Settings
from tests.conftest import glovebox
from workbench.runtime import hub_process
from workbench.setup import secrets

pytestmark = [pytest.mark.docker, pytest.mark.opa]

ROLES = {"ana": "analysts", "stella": "stewards", "adam": "admins", "audrey": "auditors"}


def sign_in(settings: Settings, name: str, password: str) -> tuple[httpx.Client, httpx.Response]:
    """A browser after the login form was sent."""
    browser = httpx.Client(base_url=settings.url, follow_redirects=True, timeout=30, trust_env=False)
    browser.get("/hub/login")
    form = {"username": name, "password": password, "_xsrf": browser.cookies["_xsrf"]}
    return browser, browser.post("/hub/login", data=form)


def signed_in(settings: Settings, name: str) -> httpx.Client:
    browser, page = sign_in(settings, name, secrets.accounts(settings)[name]["password"])
    assert page.status_code == 200
    assert "/login" not in page.url.path
    return browser


def operator(settings: Settings) -> httpx.Client:
    token = (settings.secrets / "operator.token").read_text("ascii")
    return httpx.Client(
        base_url=f"http://127.0.0.1:{settings.ports.hub}/hub/api",
        headers={"Authorization": f"token {token}"},
        trust_env=False,
    )


def test_wrong_password_is_refused(workbench: Settings) -> None:
    browser, page = sign_in(workbench, "ana", "not-the-password")
    with closing(browser):
        assert page.status_code == 403 or "Invalid username or password" in page.text
        assert browser.get("/hub/api/user").status_code == 403


@pytest.mark.parametrize(
    ("name", "where"), [("ana", "/hub/home"), ("stella", "/services/gate/"), ("audrey", "/services/gate/")]
)
def test_who_opens_the_address_and_signs_in_lands_where_their_work_is(
    workbench: Settings, name: str, where: str
) -> None:
    with httpx.Client(base_url=workbench.url, follow_redirects=True, timeout=30, trust_env=False) as browser:
        form = browser.get("/")
        sent = {
            "username": name,
            "password": secrets.accounts(workbench)[name]["password"],
            "_xsrf": browser.cookies["_xsrf"],
        }
        assert browser.post(form.url, data=sent).url.path.startswith(where)


def test_a_wrong_address_and_a_wrong_password_say_what_to_do(workbench: Settings) -> None:
    browser, page = sign_in(workbench, "stella", "not-the-password")
    with closing(browser):
        assert "After five wrong passwords" in page.text
        assert "What to do:" in browser.get("/hub/no-such-page").text
        assert "moons" not in browser.get("/hub/no-such-page").text


def test_unknown_person_is_refused(workbench: Settings) -> None:
    browser, page = sign_in(workbench, "mallory", "whatever-it-is-1")
    with closing(browser):
        assert page.status_code == 403 or "Invalid username or password" in page.text


def test_nobody_can_make_their_own_account(workbench: Settings) -> None:
    with httpx.Client(base_url=workbench.url, follow_redirects=True, trust_env=False) as browser:
        assert browser.get("/hub/signup").status_code in (403, 404)
        assert "ign up" not in browser.get("/hub/login").text


@pytest.mark.parametrize("name", ROLES)
def test_each_role_signs_in_with_its_own_group_only(workbench: Settings, name: str) -> None:
    signed_in(workbench, name).close()
    with operator(workbench) as api:
        assert api.get(f"/users/{name}").json()["groups"] == [ROLES[name]]


@pytest.mark.parametrize("name", ["stella", "adam", "audrey"])
def test_nobody_may_enter_another_persons_server(workbench: Settings, name: str) -> None:
    with operator(workbench) as api:
        scopes = set(api.get(f"/users/{name}").json().get("roles", []))
    with closing(signed_in(workbench, name)) as browser:
        page = browser.get("/user/ana/lab")
        assert page.status_code in (403, 404, 424, 503)
        own = browser.get("/hub/api/user").json()
    assert "admin" not in scopes
    assert not [scope for scope in own.get("scopes", []) if scope.startswith("access:servers") and "user=" not in scope]


def test_hub_admin_group_does_not_make_a_hub_administrator(workbench: Settings) -> None:
    with operator(workbench) as api:
        assert not any(user["admin"] for user in api.get("/users").json())


def test_password_is_kept_as_a_hash_only(workbench: Settings) -> None:
    known = [account["password"].encode() for account in secrets.accounts(workbench).values()]
    for path in workbench.home.glob("hub.sqlite*"):
        assert not [password for password in known if password in path.read_bytes()]


def test_every_secret_is_for_the_owner_alone(workbench: Settings) -> None:
    for path in [workbench.secrets, workbench.run, workbench.logs, *workbench.secrets.iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path.name
    assert (workbench.home / "hub.sqlite").stat().st_mode & 0o077 == 0


def test_status_names_every_part(workbench: Settings) -> None:
    said = glovebox(workbench, "status", "--json")
    found = json.loads(said.stdout)
    assert said.returncode == 0
    assert {p["name"] for p in found["parts"]} == {"hub", "public proxy", "session door", "gate", "policy engine"}
    assert all(p["answers"] for p in found["parts"])


def test_starting_again_changes_nothing(workbench: Settings) -> None:
    before = hub_process.running(workbench)
    again = glovebox(workbench, "up")
    assert again.returncode == 0
    assert "ran already" in again.stdout
    assert hub_process.running(workbench) == before


def test_new_account_signs_in_with_the_role_given(workbench: Settings) -> None:
    made = glovebox(workbench, "user", "add", "nora", "--role", "auditor")
    assert made.returncode == 0, made.stderr
    password = made.stdout.split("password ")[1].split()[0]
    browser, page = sign_in(workbench, "nora", password)
    with closing(browser):
        assert page.status_code == 200
    with operator(workbench) as api:
        assert api.get("/users/nora").json()["groups"] == ["auditors"]
        glovebox(workbench, "user", "add", "nora", "--role", "analyst")
        assert api.get("/users/nora").json()["groups"] == ["analysts"]


def test_an_account_made_and_disabled_on_the_desk_signs_in_and_is_thrown_out(workbench: Settings) -> None:
    with closing(signed_in(workbench, "adam")) as adam:
        adam.get("/services/gate/")
        secret = {"x-csrf-token": adam.get("/services/gate/api/v1/session").json()["csrf"]}
        form = {"name": "nils", "role": "auditor"}
        made = adam.post("/services/gate/admin/people", data=form, headers=secret)
        assert made.status_code == 200, made.text[:2000]
        password = made.text.split('<code class="secret">')[1].split("<")[0]
        browser, _ = sign_in(workbench, "nils", password)
        with closing(browser):
            assert browser.get("/services/gate/ledger").status_code == 200
            ended = adam.post("/services/gate/admin/people/nils/disable", data={"reason": "Left."}, headers=secret)
            assert ended.url.path == "/services/gate/admin/people"
            assert browser.get("/hub/api/user").status_code == 403
    again, page = sign_in(workbench, "nils", password)
    with closing(again):
        assert page.status_code == 403 or "Invalid username or password" in page.text
    entries = glovebox(workbench, "ledger", "show", "--json").stdout
    assert entries.count('"account.disabled"') == 1
    assert password not in entries


def test_a_file_sent_to_the_desk_that_runs_becomes_a_dataset(workbench: Settings) -> None:
    rows = "id,age\n" + "".join(f"{n},{n % 90}\n" for n in range(50))
    with closing(signed_in(workbench, "adam")) as adam:
        adam.get("/services/gate/")
        secret = {"x-csrf-token": adam.get("/services/gate/api/v1/session").json()["csrf"]}
        octets = {**secret, "content-type": "application/octet-stream"}
        sent = adam.post("/services/gate/api/v1/intake/files?name=visits.csv", content=rows.encode(), headers=octets)
        assert sent.status_code == 201, sent.text
        assert "by its name" in adam.get("/services/gate/admin/intake/new?file=visits.csv").text
        words = {"dataset": "visits", "title": "Visits", "description": "Of a clinic.", "provider": "clinic"}
        form = {**words, "level": "2", "stewards": "stella", "file": "visits.csv", "table.0": "visits", "unit.0": "id"}
        page = adam.post("/services/gate/admin/intake/new", data=form, headers=secret)
        end = time.monotonic() + 120
        while "hx-trigger" in page.text and time.monotonic() < end:
            time.sleep(0.2)
            page = adam.get(page.url)
        assert "visits/1 is registered." in page.text, page.text[:3000]
    with closing(signed_in(workbench, "stella")) as stella:
        assert "wait for you" in stella.get("/services/gate/data/visits").text


def test_workbench_recovers_after_its_hub_was_killed(workbench: Settings) -> None:
    pid = hub_process.running(workbench)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while hub_process.running(workbench) is not None:
        time.sleep(0.05)
    again = glovebox(workbench, "up")
    assert again.returncode == 0, again.stderr
    assert hub_process.running(workbench) not in (None, pid)
    signed_in(workbench, "ana").close()


def test_stopping_leaves_no_process(workbench: Settings) -> None:
    stopped = glovebox(workbench, "down")
    assert stopped.returncode == 0, stopped.stderr
    assert hub_process.left_over(workbench) == 0
    said = glovebox(workbench, "status", "--json")
    assert said.returncode == 3
    assert json.loads(said.stdout)["running"] is False
