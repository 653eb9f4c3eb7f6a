"""The METADATA check refuses a rule without words, and what is built from METADATA is what is committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_engine import annotations, bundle

PACKAGE = "# METADATA\n# title: Trial\n# description: For a test.\npackage trial\n\nimport rego.v1\n\n"
RULE = """# METADATA
# title: Members only
# description: Only members enter.
# custom:
#   short_name: not_in
#   message: You are not in.
#   remedy: Ask to be let in.
codes contains "not_in" if not inside

# METADATA
# title: The answer
# entrypoint: true
answer := {"allow": inside}
"""


def problems_of(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "trial.rego").write_text(text)
    return annotations.problems(annotations.read(tmp_path))


def test_the_policies_have_all_their_metadata() -> None:
    assert annotations.problems(annotations.read()) == []


def test_what_is_built_is_what_is_committed() -> None:
    assert annotations.main(["--check"]) == 0


def test_a_whole_rule_passes(tmp_path: Path) -> None:
    assert problems_of(tmp_path, PACKAGE + RULE) == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("# title: Members only\n", "title"),
        ("# description: Only members enter.\n", "description"),
        ("#   short_name: not_in\n", "short_name"),
        ("#   message: You are not in.\n", "message"),
        ("#   remedy: Ask to be let in.\n", "remedy"),
        ("# entrypoint: true\n", "entrypoint"),
        ("# title: Trial\n", "title"),
        ("# title: The answer\n", "title"),
    ],
)
def test_a_rule_without_a_part_is_refused(tmp_path: Path, line: str, named: str) -> None:
    found = problems_of(tmp_path, (PACKAGE + RULE).replace(line, "", 1))
    assert any(named in problem for problem in found), found


def test_a_reason_without_any_metadata_is_refused(tmp_path: Path) -> None:
    assert problems_of(tmp_path, PACKAGE + 'codes contains "bare" if true\n')


def test_metadata_that_is_cut_off_from_its_rule_does_not_count(tmp_path: Path) -> None:
    assert problems_of(tmp_path, PACKAGE + RULE.replace("codes contains", "\ncodes contains", 1))


def test_words_with_figures_are_refused(tmp_path: Path) -> None:
    found = problems_of(tmp_path, PACKAGE + RULE.replace("You are not in.", "You are not among the 10."))
    assert any("figures" in problem for problem in found)


def test_the_same_reason_is_worded_once(tmp_path: Path) -> None:
    again = RULE.split("# METADATA\n# title: The answer", 1)[0]
    assert problems_of(tmp_path, PACKAGE + RULE + "\n" + again)


def test_a_wrong_short_name_is_refused(tmp_path: Path) -> None:
    found = problems_of(tmp_path, PACKAGE + RULE.replace("short_name: not_in", "short_name: other"))
    assert any("short_name" in problem for problem in found)


def test_tests_are_not_in_the_bundle() -> None:
    assert not [path for path in bundle.read().modules if path.endswith("_test.rego")]


def test_the_digest_follows_every_byte(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.json").write_text('{"a": 1}')
    (tmp_path / "trial.rego").write_text(PACKAGE)
    first = bundle.read(tmp_path).digest
    assert bundle.read(tmp_path).digest == first
    (tmp_path / "trial.rego").write_text(PACKAGE + "# a word\n")
    second = bundle.read(tmp_path).digest
    (tmp_path / "data" / "a.json").write_text('{"a": 2}')
    assert len({first, second, bundle.read(tmp_path).digest}) == 3


def test_the_bundle_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    first, second = bundle.write(tmp_path / "a.tar.gz"), bundle.write(tmp_path / "b.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    assert first.digest == second.digest


def test_data_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("a.json", "b.json"):
        (tmp_path / "data" / name).write_text('{"same": 1}')
    with pytest.raises(ValueError, match="twice"):
        bundle.read(tmp_path)
