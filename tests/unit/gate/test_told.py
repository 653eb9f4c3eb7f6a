"""What the gate says to people is said in their language: faults, reasons of policies, and whom an inference is about."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from egress_gate.desk.explain import whom
from egress_gate.desk.i18n import FOLDER, Voice, faults
from egress_gate.desk.rendering import _messages
from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import parse
from installation.fault import Fault
from provisioning.domain import masking, names
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import World

ROOMS = (
    *(f"egress_gate/{room}" for room in ("desk", "service", "domain", "disclosure")),
    *(f"egress_gate/{room}" for room in ("policy", "render", "verifier")),
    *(f"provisioning/{room}" for room in ("domain", "intake", "service", "store", "twin")),
    "policy_engine",
    "vault",
)
ELSEWHERE = ("audit", "suppression", "fakes.py")  # of the engines, which no page shows; of tests
CHINESE = Voice("zh_Hans")
PEOPLE = TableSchema("d", "people", {"id": "BIGINT", "sex": "VARCHAR", "age": "INTEGER"}, "id")


def template(node: ast.expr) -> str | None:
    """A text of the source with a number for each gap; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        gaps = iter(range(1, 10))
        return "".join(str(v.value) if isinstance(v, ast.Constant) else f"{{{next(gaps)}}}" for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = template(node.left), template(node.right)
        return None if None in parts else "".join(str(p) for p in parts)
    return None


def said(file: Path) -> Iterator[str]:
    """Every text that a fault of this file says."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        given = [k.value for k in node.keywords if k.arg in ("what", "why", "do")]
        if any(k.arg == "do" for k in node.keywords):
            given += node.args[:1]
        if name in ("refused", "_refused", "_header"):
            given += node.args
        yield from (text for text in map(template, given) if text and " " in text)


def test_every_fault_of_these_rooms_is_said_in_chinese() -> None:
    files = [f for room in ROOMS for f in (FOLDER.parents[2] / room).rglob("*.py") if not set(ELSEWHERE) & set(f.parts)]
    texts = {text for file in files for text in said(file)}
    assert len(texts) > 600
    known = faults("zh_Hans")
    missing = sorted(t for t in texts if t not in known and CHINESE.text(t) == t)
    assert not missing


def test_translations_have_the_same_gaps() -> None:
    gaps = re.compile(r"\{\d\}")
    assert [en for en, zh in faults("zh_Hans").items() if sorted(gaps.findall(en)) != sorted(gaps.findall(zh))] == []


def test_every_reason_of_the_policies_is_said_in_chinese() -> None:
    texts = {text for one in _messages().values() for key, text in one.items() if key in ("message", "remedy") and text}
    assert sorted(t for t in texts if CHINESE.told(t) == t) == []


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("SELECT sex, count(*) OVER () FROM people GROUP BY sex", "SQL 被拒绝:不允许窗口函数。"),
        ("SELECT count(*) FROM people WHERE id = 7", "SQL 被拒绝:不允许在 WHERE 中使用隐私单位 id。"),
        ("SELECT count(*) FROM people WHERE wage = 7", "没有列 wage。"),
        ("SELECT sum(age + 1) FROM people", "SQL 被拒绝:不允许sum 内的加减。"),
    ],
)
def test_a_refused_statement_is_named_in_chinese(sql: str, what: str) -> None:
    with pytest.raises(Fault) as refused:
        parse(sql, {PEOPLE.key: PEOPLE})
    assert CHINESE.told(refused.value.what) == what
    assert CHINESE.told(refused.value.why) != refused.value.why
    assert Voice("en").told(refused.value.what) == refused.value.what


@pytest.mark.parametrize(
    ("refusal", "what", "why"),
    [
        (lambda: names.slug("dataset", "no/good name"), "'no/good name' 不能用作名称", "名称会成为文件夹"),
        (lambda: masking.parse("{}"), "脱敏方案被拒绝。", "它没有指明任何表。"),
    ],
)
def test_what_provisioning_refuses_is_named_in_chinese(refusal: Callable[[], object], what: str, why: str) -> None:
    with pytest.raises(Fault) as refused:
        refusal()
    assert CHINESE.told(refused.value.what).startswith(what)
    assert CHINESE.told(refused.value.why).startswith(why)


def test_what_somebody_wrote_is_filled_in_as_it_is() -> None:
    assert CHINESE.told("There is no column {1}.") == "没有列 {1}。"
    assert CHINESE.told("There is no column <b>x</b>{2}.") == "没有列 <b>x</b>{2}。"
    assert CHINESE.told("nobody translated this") == "nobody translated this"
    assert CHINESE.told("") == ""


def test_whom_an_inference_is_about() -> None:
    assert whom('a set of 1 group by "age", "sex"', CHINESE.text) == "age, sex 的一个组合"
    assert whom("a set of 3 groups by age", Voice("en").text) == "3 combinations of age"
    between = "people between sex = m and what lies around or inside it"
    assert whom(between, CHINESE.text).startswith("sex = m 与")
    assert whom("cell 7", CHINESE.text) == "cell 7"


def test_a_fault_page_is_chinese_for_who_reads_chinese(world: World) -> None:
    client = signed_in(make_desk(world), "stella")
    page = client.get(f"{PREFIX}requests/R-99", headers={"accept-language": "zh-CN"}).text
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", page)
    assert heading is not None
    assert not re.search(r"[a-z]{3,} [a-z]{3,}", heading[1])
