"""One word for each role in everything that is read in Chinese."""

from __future__ import annotations

from pathlib import Path

import pytest

from installation.settings import CHECKOUT

READ = sorted(
    path
    for room in ("README.zh-CN.md", "docs", "egress_gate", "images", "policies", "workbench")
    for path in ([CHECKOUT / room] if (CHECKOUT / room).is_file() else (CHECKOUT / room).rglob("*"))
    if path.suffix in {".po", ".md", ".json", ".html", ".js", ".py", ".ts"} and "node_modules" not in path.parts
)
OTHERS = ("数据管理员", "数据专员", "数据管理者", "数据监护人")


@pytest.mark.parametrize("word", OTHERS)
def test_a_steward_is_called_by_one_word(word: str) -> None:
    """管理员 is the administrator, who may decide nothing: a steward must not be called so."""
    assert [str(path.relative_to(CHECKOUT)) for path in READ if word in path.read_text("utf-8", "replace")] == []


def test_the_word_is_there_at_all() -> None:
    assert Path("README.zh-CN.md") in [path.relative_to(CHECKOUT) for path in READ]
    assert sum("数据管家" in path.read_text("utf-8", "replace") for path in READ) > 3
