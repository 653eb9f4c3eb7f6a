"""The guide for stewards prints what the programs answer: each command of it is run, and each number of it is compared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from egress_gate.disclosure.linear import forever, grouping_equations
from egress_gate.disclosure.privacy import people_threshold
from egress_gate.disclosure.rounding import round_counts
from egress_gate.domain.finding import Severity
from egress_gate.render.figure_spec import SpecRefused, read_figure
from egress_gate.service.assess import assess_file
from egress_gate.service.plainly import plainly
from egress_gate.service.ports import ModelAssessment, ModelQuestion, SourceTable
from egress_gate.service.recompute import SealedRecomputer
from installation.fault import Fault
from installation.settings import CHECKOUT, load
from tests.integration.cohort import SENSITIVE, SameProcess
from tests.scanned import Scanner
from workbench.cli import app

GUIDE = CHECKOUT / "docs" / "explanation" / "disclosure-control.md"
EXAMPLES = GUIDE.parent / "examples"
TEXT = GUIDE.read_text("utf-8")
BLOCK = re.compile(r"```console\n\$ \./glovebox assess (\S+\.json) --plain\n(.*?)\n```", re.DOTALL)
BLOCKS = dict(BLOCK.findall(TEXT))
DATA = CHECKOUT / "policies" / "data"
NUMBERS = {
    "levels.json": (
        "min_contributors", "dominance_n", "dominance_k_percent", "p_percent", "group_share_percent", "small_cells_percent",
        "small_cells_allowed", "max_cells",
    ),
    "protection.json": ("method", "rounding_base", "epsilon", "epsilon_budget", "epsilon_total", "delta_per_million"),
    "regressions.json": ("min_residual_df", "max_leverage_percent", "max_shift_percent", "count_base", "digits"),
    "scans.json": ("records", "record_bits", "values", "value_bits", "encoded_bytes"),
}  # fmt: skip
TABLE = [(d, s) for d in ("North", "South", "West", "all") for s in ("women", "men", "all")]
COUNTS = [40, 36, 76, 44, 38, 82, 30, 4, 34, 114, 78, 192]


def printed(case: str) -> str:
    """What the command says of a case, wherever it says it."""
    try:
        return plainly(assess_file(CHECKOUT / case))
    except Fault as fault:
        return f"✗ {fault.what}\n  why: {fault.why}\n  do:  {fault.do}"


def levels(file: str) -> dict[str, Any]:
    (found,) = json.loads((DATA / file).read_text("utf-8")).values()
    rows: dict[str, Any] = found.get("levels", found)
    return rows


def numbers() -> str:
    lines = []
    for file, names in NUMBERS.items():
        rows = levels(file)
        lines += [f"| `{n}` | `{file}` | {' | '.join(str(rows[level][n]) for level in '1234')} |" for n in names]
    return "\n".join(lines)


def rounded() -> str:
    equations = grouping_equations([tuple("*" if k == "all" else k for k in key) for key in TABLE], "*")
    made = round_counts(COUNTS, equations, levels("protection.json")["3"]["rounding_base"], forever)
    assert made.additive
    figures = [f"{n} → {r}" for n, r in zip(COUNTS, made.values.tolist(), strict=True)]
    return "\n".join(f"| {TABLE[at][0]} | {' | '.join(figures[at : at + 3])} |" for at in range(0, len(TABLE), 3))


def noise() -> str:
    number = levels("protection.json")["3"]
    each, budget = number["epsilon"], number["epsilon_budget"]
    least = people_threshold(each, number["delta_per_million"] / 1e6)
    return (
        f"Sensitive data: a table costs {each} of {budget}, so a project has {int(budget / each)} tables from one version. "
        f"A table of one count shows a row from a noisy count of {least} on; "
        "the four men of West are not in it, but for a chance of less than 1 in 1,000."
    )


def test_the_guide_runs_every_case_and_every_case_is_in_the_guide() -> None:
    assert {Path(place).name for place in BLOCKS} == {path.name for path in EXAMPLES.glob("*.json")}
    assert len(BLOCKS) == TEXT.count("$ ./glovebox assess")


@pytest.mark.parametrize("case", BLOCKS)
def test_what_stands_below_a_command_is_what_it_prints(case: str) -> None:
    assert printed(case) == BLOCKS[case]
    asked = json.loads((CHECKOUT / case).read_text("utf-8"))
    for one in (asked, *asked.get("earlier", [])):
        assert f"`{one['sql']}`" in TEXT


def test_the_command_prints_it_so() -> None:
    case = "docs/explanation/examples/complement.json"
    made = CliRunner().invoke(app, ["assess", str(CHECKOUT / case), "--plain"])
    assert (made.exit_code, made.stdout.strip()) == (0, BLOCKS[case])


def test_the_numbers_of_the_guide_are_those_of_policy() -> None:
    assert numbers() in TEXT


def test_rounding_and_noise_are_what_the_modules_answer() -> None:
    assert rounded() in TEXT
    assert noise() in TEXT
    a = 2.718281828459045 ** -levels("protection.json")["3"]["epsilon"]
    least = people_threshold(0.5, 1e-6)
    assert a ** (least - 4) / (1 + a) < 1 / 1000  # the chance that a count of four passes


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], ModelAssessment]:
    path = tmp_path_factory.mktemp("guide") / "people.parquet"
    frame = pd.read_csv(EXAMPLES / "people.csv")
    frame.to_parquet(path, index=False)
    types = {"int64": "BIGINT"}
    columns = tuple({"name": c, "type": types.get(str(d), "VARCHAR"), "meaning": ""} for c, d in frame.dtypes.items())
    people = SourceTable("town", "town/1", 3, ("stella",), "people", path, "e" * 64, "id", columns, len(frame))
    recomputer = SealedRecomputer(load(), SameProcess())

    def refit(formula: str, sql: str) -> ModelAssessment:
        return recomputer.refit(ModelQuestion("m", formula, sql, "ols", (people,), SENSITIVE, ()))

    return refit


REGRESSIONS = re.findall(r"^\| `(pay ~ [^`]+)` \| `([^`]+)` \| (.+) \|$", TEXT, re.MULTILINE)


def test_the_guide_tells_of_regressions() -> None:
    assert len(REGRESSIONS) == 4


@pytest.mark.parametrize(("formula", "sql", "said"), REGRESSIONS)
def test_a_regression_fails_by_the_rules_that_the_guide_names(
    fit: Callable[[str, str], ModelAssessment], formula: str, sql: str, said: str
) -> None:
    failed = sorted({f.rule for f in fit(formula, sql).findings if f.severity is Severity.FAIL})
    assert (", ".join(failed) or "nothing is broken") == said


def test_the_sentence_of_the_guide_is_known_as_one_persons(tmp_path: Path) -> None:
    scanner = Scanner(tmp_path)
    one = scanner.record(1234)
    said = f"A patient aged {one['age']}, {one['weight']} kg, stayed {one['days']} days and cost {one['cost']} euros."
    assert f"*{said}*" in TEXT
    found = scanner(f"Notes of the week.\n\n{said}\n").evidence
    assert (found.records, found.found[0].people) == (1, 1)
    number = levels("scans.json")["3"]
    assert f"(sensitive: {number['records']} records, or {number['values']} values of one column)" in TEXT


def test_outputs_of_notebooks_need_as_many_approvals_as_the_guide_says() -> None:
    cells = levels("cells.json")
    for level, name in (("2", "Internal"), ("3", "Sensitive"), ("4", "Restricted")):
        types = [
            f"{kind}, {n} approvals" if n != 1 else f"{kind}, 1 approval"
            for kind, n in cells[level]["approvals"].items()
        ]
        assert f"| {name} | {'; '.join(types) or 'none leaves'} | {cells[level]['characters']:,} |" in TEXT


def test_the_figures_of_the_guide_are_read_as_it_says() -> None:
    (spec,) = re.findall(r"```json\n(.*?)\n```", TEXT, re.DOTALL)
    read = read_figure(json.loads(spec), ("sex", "n"))
    assert ", ".join(f"`{words}`" for words in read.digits) == "`Ward 93`"
    assert "`Ward 93` is pointed out" in TEXT
    with pytest.raises(SpecRefused):
        read_figure({**json.loads(spec), "data": {"values": [{"sex": "patient 17", "n": 93}]}}, ("sex", "n"))
