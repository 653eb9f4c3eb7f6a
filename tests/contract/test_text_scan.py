"""One contract for both recomputers' scan of a text: the stand-in, and the verifier's own program on a real table."""

from __future__ import annotations

import warnings
from pathlib import Path

import duckdb
import pytest

from egress_gate.service.errors import RecomputerAway
from egress_gate.service.fakes import FakeInUse, FakeRecomputer
from egress_gate.service.ports import Recomputer, ScanQuestion, SourceTable
from egress_gate.service.recompute import SealedRecomputer
from tests.conftest import make_installation
from tests.integration.cohort import SENSITIVE, SameProcess


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SourceTable:
    path = tmp_path_factory.mktemp("data") / "nafld1.parquet"
    with duckdb.connect() as con:
        con.execute(
            f"COPY (SELECT 'person-' || i AS id, CASE WHEN i = 17 THEN 54 ELSE 20 + i % 30 END AS age FROM range(2000) t(i)) TO '{path}'"
        )
    columns = ({"name": "id", "type": "VARCHAR", "meaning": ""}, {"name": "age", "type": "BIGINT", "meaning": ""})
    return SourceTable("nafld", "nafld/1", 3, ("stella",), "nafld1", path, "e" * 64, "id", columns, 2000)


@pytest.fixture(params=["real", "fake"])
def recomputer(request: pytest.FixtureRequest, tmp_path: Path) -> Recomputer:
    if request.param == "real":
        return SealedRecomputer(make_installation(tmp_path / "home"), SameProcess())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FakeInUse)
        return FakeRecomputer()


def test_a_record_is_found_where_it_stands(recomputer: Recomputer, source: SourceTable) -> None:
    text = "One\n\nHere is person-17, who was 54.\n"
    made = recomputer.scan(ScanQuestion((("1", "nothing"), ("2", text)), (source,), SENSITIVE))
    assert (made.share, made.opaque_bytes, made.evidence.records) == (1.0, 0, 1)
    (found,) = [f for f in made.evidence.found if f.what == "record"]
    assert (found.where, found.line, found.table, found.columns, found.people) == (
        "2",
        3,
        "nafld.nafld1",
        ("age", "id"),
        1,
    )
    assert made.evidence.record_bits == found.bits >= 7


@pytest.mark.parametrize("texts", [(), (("", ""),), (("", "Most people were between 30 and 40 years of age."),)])
def test_a_text_without_records_has_none(
    recomputer: Recomputer, source: SourceTable, texts: tuple[tuple[str, str], ...]
) -> None:
    made = recomputer.scan(ScanQuestion(texts, (source,), SENSITIVE))
    assert (made.share, made.evidence.records, made.evidence.columns, made.evidence.found) == (1.0, 0, (), ())


def test_one_that_is_away_says_so(source: SourceTable) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FakeInUse)
        away = FakeRecomputer(away=True)
    with pytest.raises(RecomputerAway):
        away.scan(ScanQuestion((), (source,), SENSITIVE))
