"""What the hub's spawn pages show: the choice of project, or why there is none, or what went wrong. Plain HTML, escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template
from typing import Any

from installation.fault import Fault
from provisioning.domain.mount_plan import DATA

_FORM = Template("""
<p>One workspace serves exactly one project. It has no network; what you may take out goes through a release request.</p>
<fieldset class="form-group"><legend>Project</legend>$choices</fieldset>
""")
_CHOICE = Template("""
<div class="form-check" style="margin-bottom: 1em">
  <input class="form-check-input" type="radio" name="project" id="project-$number" value="$name" required $checked>
  <label class="form-check-label" for="project-$number"><strong>$title</strong> <code>$name</code></label>
  <div>$purpose</div>$detail
</div>
""")
_TWIN = " — on its synthetic twin"
_NONE = """
<h3>No project is open to you now</h3>
<p>A workspace needs a project of which you are a member, with a purpose, that has not ended, and with at least one dataset
granted to it by the data's steward.</p>
<ul>
  <li>New here? Ask an admin to add you to your project.</li>
  <li>Your project has ended, or a grant has? Ask the data's steward to renew it.</li>
</ul>
<p>When that is done, open this page again.</p>
"""


def project_form(choices: Sequence[Any]) -> str:
    """The form's inside; the hub adds the button. ``choices`` are `ProjectChoice` values."""
    if not choices:
        return _NONE
    return _FORM.substitute(choices="".join(_choice(number, choice) for number, choice in enumerate(choices)))


def _choice(number: int, choice: Any) -> str:
    name = str(getattr(choice, "asked", choice.name))
    on_twin = getattr(choice, "works_on", DATA) != DATA
    return _CHOICE.substitute(
        number=number,
        name=escape(name),
        title=escape(str(getattr(choice, "title", "") or name)) + (_TWIN if on_twin else ""),
        purpose=escape(str(choice.purpose)),
        detail=_detail(choice),
        checked="checked" if number == 0 else "",
    )


def _detail(choice: Any) -> str:
    ends = str(getattr(choice, "expires_at", "") or "")[:10]
    return f"<small>until {escape(ends)}</small>" if ends else ""


def show_on_spawn_page(fault: Fault) -> Fault:
    """Make the hub's spawn-failure page show the fault's three parts instead of a class name."""
    parts = (("What happened", fault.what), ("Why", fault.why), ("What to do", fault.do))
    shown: Any = fault
    shown.jupyterhub_message = " ".join(text for _, text in parts)
    shown.jupyterhub_html_message = "".join(f"<p><strong>{title}.</strong> {escape(text)}</p>" for title, text in parts)
    return fault
