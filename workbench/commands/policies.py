"""`glovebox policy`: what today's rules would have said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from installation import settings as installation
from workbench import console
from workbench.console import Json
from workbench.errors import WorkbenchFault

if TYPE_CHECKING:  # the verifier's and the engine's libraries, which other commands do not need
    from egress_gate.service.remeasure import CellChange
    from egress_gate.service.replay import Replayed, Report
    from policy_engine.in_process import InProcess

app = typer.Typer(help="The rules.", no_args_is_help=True)


@app.command()
def replay(
    policies: Annotated[
        Path | None, typer.Option(help="A folder with changed policies; by default those of this checkout.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a policy again about every recorded decision, and list each one that would differ.

    Changes nothing. Exits 0 when none differs, 1 when one does. The policies run in-process, so that a changed rule can be tried before
    the workbench is restarted with it. A request whose checks would run with other numbers is measured anew in the sealed verifier, on its
    pinned data and beside what had left by then, and its cells that would be judged otherwise are listed. Where a version was destroyed
    since, nobody can tell, and that counts as a difference.
    """
    with console.faults_in_three_parts(as_json):
        from egress_gate.desk.wiring import wired_gate
        from egress_gate.service.replay import replay as ask_again

        engine = _engine(policies)
        report = ask_again(wired_gate(installation.load(), engine), engine)
        if as_json:
            console.answer(report.facts())
        else:
            _show(report)
        raise SystemExit(1 if report.differences else 0)


def _show(report: Report) -> None:
    console.out.print(
        f"{report.asked} decisions asked again, {report.measured} measured anew: "
        f"{len(report.differences) - report.unknown} would differ, of {report.unknown} nobody can tell."
    )
    if report.differences:
        console.table(
            ["request", "revision", "is", "was", "would be", "because", "numbers"],
            [_line(d) for d in report.differences],
        )
    cells = [_cell(d, o.output, c) for d in report.differences for o in d.outputs for c in o.cells]
    if cells:
        console.table(["request", "output", "cell", "broke", "would break"], cells)


def _line(one: Replayed) -> list[object]:
    numbers = ", ".join(f"{name} {then} → {now}" for name, (then, now) in sorted(one.numbers.items()))
    because = " ".join((one.problem or ", ".join(one.reasons_after) or "-", *one.destroyed))
    return [one.request, one.revision, one.state, one.before, one.after or "cannot tell", because, numbers]


def _cell(one: Replayed, output: str, cell: CellChange) -> list[object]:
    key = ", ".join(f"{name}={'(total)' if value is None else value}" for name, value in cell.key.items()) or "(all)"
    then, now = _said(cell.rules_before, cell.hidden_before), _said(cell.rules_after, cell.hidden_after)
    return [one.request, output, key, then, now]


def _said(rules: Sequence[str], hidden: str | None) -> str:
    return ", ".join((*rules, *(["hidden"] if hidden else []))) or "-"


def _engine(policies: Path | None) -> InProcess:
    """The policies to ask. Raises WorkbenchFault for a folder of which no decision can be asked."""
    from policy_engine import PolicyUnavailable
    from policy_engine.in_process import InProcess

    if policies is None:
        return InProcess()
    try:
        engine = InProcess(_folder(policies))
        engine.query("release/parameters", {"classifications": [1], "kinds": []})
    except PolicyUnavailable as broken:
        raise _not_asked(f"The policies in {policies} do not compile or give no numbers: {broken.private}") from broken
    except ValueError as broken:  # JSON and UTF-8 too
        raise _not_asked(f"The policies in {policies} cannot be read: {broken}") from broken
    return engine


def _folder(path: Path) -> Path:
    if not (path / "data").is_dir() or not any(path.rglob("*.rego")):
        raise _not_asked(f"{path} holds no rules (*.rego) or no numbers (data/*.json).")
    return path


def _not_asked(why: str) -> WorkbenchFault:
    return WorkbenchFault("No policy was asked.", why=why, do="Copy the folder policies, change the copy, and name it.")
