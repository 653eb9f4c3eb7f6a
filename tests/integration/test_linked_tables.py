"""Two tables of one request over real files: what one leaves out, the other may not give back."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.judge import Judgement, judge
from egress_gate.disclosure.plan import plan
from egress_gate.disclosure.rules import Parameters
from egress_gate.disclosure.tabulation import Tabulation, tabulate
from egress_gate.service.joint import JointAudit, Universe, joint_audit
from egress_gate.service.ports import EarlierTable, Question
from egress_gate.service.together import protect_request
from egress_gate.verifier.in_process import Subprocess
from egress_gate.verifier.port import Limits, TableFile

PARAMETERS = {"min_contributors": 10, "dominance": {"n": 2, "k": 0.9}, "p_percent": 0.1, "protect": True}
RULES = Parameters.read(PARAMETERS)
COLUMNS = {"id": "BIGINT", "country": "VARCHAR", "region": "VARCHAR", "sex": "VARCHAR", "pay": "DOUBLE"}
FINE = "SELECT region, sex, count(*) AS n, sum(pay) AS pay FROM t GROUP BY region, sex"
REGIONS = "SELECT region, count(*) AS n, sum(pay) AS pay FROM t GROUP BY region"
SEXES = "SELECT sex, count(*) AS n, sum(pay) AS pay FROM t GROUP BY sex"


class Place:
    """Four regions of two countries by two sexes, 20 people in each; two cells with 3."""

    def __init__(self, folder: Path) -> None:
        lines, number = [",".join(COLUMNS)], 0
        for region in "NSEW":
            for sex in "FM":
                for _ in range(3 if (region, sex) in (("N", "F"), ("W", "M")) else 20):
                    number += 1
                    lines.append(f"{number},{'A' if region in 'NS' else 'B'},{region},{sex},{100 + number % 7}")
        path = folder / "t.csv"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        self.file = TableFile("d", "t", path, "id", "csv")
        self.catalogue = {"d.t": TableSchema("d", "t", COLUMNS, "id")}
        runner, limits = Subprocess(), Limits(threads=1)
        self.universe = Universe(self.catalogue, [self.file], {"d": "d/1"}, runner, limits, time.monotonic)

    def measure(self, derivation: Derivation) -> Tabulation:
        made = self.universe.runner.measure(plan(derivation), [self.file], self.universe.limits)
        return tabulate(derivation, made.values, made.statistics)

    def together(self, *sql: str) -> dict[str, tuple[Mapping[str, Any], ...]]:
        asked = [Question(str(i), one, (), PARAMETERS, protect=True) for i, one in enumerate(sql)]
        return dict(protect_request(asked, self.universe, self.measure))

    def judged(self, sql: str, withheld: Sequence[Mapping[str, Any]] = ()) -> tuple[Derivation, Judgement]:
        derivation = parse(sql, self.catalogue)
        table = self.measure(derivation)
        return derivation, judge(derivation, table, RULES, protect=True, left=lambda: 5.0, withheld=withheld)

    def audits(self, sql: Sequence[str], withheld: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[JointAudit]:
        """Each table with those before it, as the gate's check does."""
        before: list[EarlierTable] = []
        made = []
        for number, one in enumerate(sql):
            derivation, judged = self.judged(one, withheld.get(str(number), ()))
            made.append(joint_audit(derivation, judged, before, RULES, self.universe))
            hidden = tuple(c.cell.published_key for c in judged.cells if c.suppressed)
            before.append(EarlierTable(number, 0, str(number), derivation.canonical_sql(), hidden, None, ("d/1",)))
        return made


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_tables_judged_alone_would_give_each_other_away(place: Place) -> None:
    verdicts = [a.verdict for a in place.audits([FINE, REGIONS, SEXES], {})]
    assert verdicts[0] == "proven_safe"
    assert "unsafe" in verdicts[1:]


def test_tables_of_one_request_are_protected_together(place: Place) -> None:
    withheld = place.together(FINE, REGIONS, SEXES)
    assert {tuple(sorted(k.items())) for k in withheld["0"]} > {
        (("region", "N"), ("sex", "F")),
        (("region", "W"), ("sex", "M")),
    }
    assert [a.verdict for a in place.audits([FINE, REGIONS, SEXES], withheld)] == ["proven_safe"] * 3


def test_what_another_table_needs_hidden_is_marked_secondary(place: Place) -> None:
    withheld = place.together(FINE, REGIONS, SEXES)
    _, judged = place.judged(FINE, withheld["0"])
    kinds = {(c.cell.key["region"], c.cell.key["sex"]): c.suppressed for c in judged.cells}
    assert kinds["N", "F"] == kinds["W", "M"] == "primary"
    assert "secondary" in kinds.values()
    assert judged.protected


def test_a_country_is_the_sum_of_its_regions_though_no_row_says_so(place: Place) -> None:
    """GROUPING SETS of region by sex and country by sex: that N and S make up A stands only in the data."""
    sql = (
        "SELECT country, region, sex, count(*) AS n FROM t "
        "GROUP BY GROUPING SETS ((region, sex), (country, sex), (country))"
    )
    _, careless = place.judged(sql)
    withheld = place.together(sql)
    _, judged = place.judged(sql, withheld["0"])
    hidden = [c for c in judged.cells if c.suppressed]
    assert len(hidden) > sum(c.suppressed is not None for c in careless.cells)
    assert place.audits([sql], withheld)[0].verdict == "proven_safe"
    assert place.audits([sql], {})[0].verdict == "unsafe"


def test_a_table_alone_with_all_its_margins_needs_no_linking(place: Place) -> None:
    assert place.together("SELECT region, sex, count(*) AS n FROM t GROUP BY CUBE (region, sex)") == {}


def test_what_cannot_be_parsed_is_left_to_the_judgement(place: Place) -> None:
    assert place.together("SELECT * FROM t", FINE) == {}


@pytest.mark.parametrize("kept", [c for n in (1, 2) for c in itertools.combinations(range(3), n)])
def test_any_part_of_what_was_protected_together_tells_less_than_the_whole(place: Place, kept: tuple[int, ...]) -> None:
    """A reviewer who holds some tables back leaves no cell of the others less protected."""
    tables = (FINE, REGIONS, SEXES)
    withheld = place.together(*tables)
    part = [tables[i] for i in kept]
    audits = place.audits(part, {str(n): withheld.get(str(i), ()) for n, i in enumerate(kept)})
    assert {a.verdict for a in audits} == {"proven_safe"}
