"""What the hub's spawn pages show."""

from __future__ import annotations

from installation.fault import Fault
from provisioning.sandbox.forms import project_form, show_on_spawn_page
from tests.unit.sandbox.rig import Choice


def test_no_project_says_what_to_do() -> None:
    page = project_form([])
    assert "Ask an admin" in page
    assert "<input" not in page


def test_names_and_purposes_cannot_be_markup() -> None:
    page = project_form([Choice('"><script>x()</script>', "<img src=x>", title="<b>")])
    assert "<script>" not in page
    assert "<img" not in page
    assert "<b>" not in page


def test_every_project_shows_its_purpose() -> None:
    page = project_form([Choice("liver", "Survival after NAFLD"), Choice("kidney", "Transplants")])
    assert page.count('type="radio"') == 2
    assert "Survival after NAFLD" in page
    assert "Transplants" in page


def test_a_fault_shows_its_three_parts_on_the_failure_page() -> None:
    shown = show_on_spawn_page(Fault("Not started.", why="The grant ended <1 May>.", do="Ask.", private="/secret"))
    page = shown.jupyterhub_html_message  # type: ignore[attr-defined]
    assert "Not started." in page
    assert "&lt;1 May&gt;" in page
    assert "Ask." in page
    assert "/secret" not in page
