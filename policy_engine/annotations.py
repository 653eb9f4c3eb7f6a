"""What the policies say about themselves: the METADATA of packages and rules, checked, and what is built from it.

`policies/data/messages.json` (the words of every reason) and `docs/reference/policies.md` are written from the METADATA by
``python -m policy_engine.annotations``; with ``--check`` nothing is written and a difference ends with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from installation.settings import CHECKOUT
from policy_engine.bundle import POLICIES

PAGE = CHECKOUT / "docs" / "reference" / "policies.md"
_CODE = re.compile(r'^\w+ contains (?:"(?P<plain>\w+)"|\[\w+, "(?P<paired>\w+)"\])')
_RULE = re.compile(r"^(?:default )?(?P<name>[a-z_]\w*)")
_SENTENCE = re.compile(r"[.:…]$")


@dataclass(frozen=True)
class Annotated:
    """One package or rule with its METADATA. ``code`` is the reason that a rule gives, if it gives one."""

    package: str
    rule: str
    code: str
    metadata: Mapping[str, Any]

    @property
    def custom(self) -> Mapping[str, Any]:
        found = self.metadata.get("custom")
        return found if isinstance(found, Mapping) else {}


def read(folder: Path = POLICIES) -> list[Annotated]:
    """Every package and rule of the policies, tests left out, in order of file and line."""
    found: list[Annotated] = []
    for path in sorted(folder.rglob("*.rego")):
        if not path.name.endswith("_test.rego"):
            found += _of_module(path.read_text("utf-8"))
    return found


def problems(everything: Sequence[Annotated]) -> list[str]:
    """What is missing. A reason without words, or an undocumented package or entry point, is refused."""
    wrong: list[str] = []
    # a package of several files says once what it is
    described = {e.package for e in everything if not e.rule and e.metadata.get("title")}
    for each in [e for e in everything if e.rule or e.metadata or e.package not in described]:
        where = f"{each.package}{'.' + each.rule if each.rule else ''}{' ' + each.code if each.code else ''}"
        if (not each.rule or each.code or each.rule == "answer") and not each.metadata.get("title"):
            wrong.append(f"{where}: METADATA with a title is missing")
        if (not each.rule or each.code) and not each.metadata.get("description"):
            wrong.append(f"{where}: a description is missing")
        if each.rule == "answer" and each.metadata.get("entrypoint") is not True:
            wrong.append(f"{where}: entrypoint: true is missing")
        if each.code and each.custom.get("short_name") != each.code:
            wrong.append(f"{where}: custom.short_name must be {each.code}")
    return wrong + _problems_of_words(everything)


def messages(everything: Sequence[Annotated]) -> dict[str, dict[str, str]]:
    """The words of each reason by its code."""
    return {
        each.code: {"message": str(each.custom["message"]), "remedy": str(each.custom["remedy"])}
        for each in sorted(everything, key=lambda found: found.code)
        if each.code and "message" in each.custom and "remedy" in each.custom
    }


def page(everything: Sequence[Annotated], levels: Mapping[str, Mapping[str, Any]], rules: Mapping[str, str]) -> str:
    """The reference page, from METADATA and data."""
    lines = ["# Policies", "", "Built from `policies/` by `./glovebox fix`; do not edit by hand.", ""]
    lines += _data_tables(levels, rules)
    words = messages(everything)
    for package in dict.fromkeys(each.package for each in everything):
        mine = [each for each in everything if each.package == package]
        about = next((each.metadata for each in mine if not each.rule), {})
        lines += [
            f"## `{package.replace('.', '/')}`: {about.get('title', '')}",
            "",
            str(about.get("description", "")).strip(),
            "",
        ]
        reasons = [each for each in mine if each.code]
        if reasons:
            lines += ["| reason | when it is given | said to the person | remedy |", "|---|---|---|---|"]
            lines += [_reason_row(each, words[each.code]) for each in reasons]
            lines.append("")
    return "\n".join(lines)


def built(folder: Path = POLICIES) -> dict[Path, str]:
    """Generated files and their text."""
    everything = read(folder)
    levels = json.loads((folder / "data" / "levels.json").read_text("utf-8"))["levels"]
    rules = json.loads((folder / "data" / "rules.json").read_text("utf-8"))["rules"]
    text = json.dumps({"messages": messages(everything)}, indent=2, ensure_ascii=False) + "\n"
    return {folder / "data" / "messages.json": text, PAGE: page(everything, levels, rules)}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the reasons' words and the reference page from METADATA.")
    parser.add_argument("--check", action="store_true", help="write nothing; say what differs")
    checking = parser.parse_args(arguments).check
    wrong = problems(read())
    if not wrong:
        for path, text in built().items():
            same = path.exists() and path.read_text("utf-8") == text
            if not same and checking:
                wrong.append(f"{path.relative_to(CHECKOUT)} is not what the policies say: run ./glovebox fix")
            elif not same:
                path.write_text(text, "utf-8")
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


def _of_module(text: str) -> Iterator[Annotated]:
    package = ""
    for block, line in _blocks(text):
        if line.startswith("package "):
            package = line.removeprefix("package ").strip()
            yield Annotated(package, "", "", block or {})
        elif (match := _CODE.match(line)) is not None:
            code = match["plain"] or match["paired"]
            yield Annotated(package, line.split(" ", 1)[0], code, block or {})
        elif (match := _RULE.match(line)) is not None and (block is not None or match["name"] == "answer"):
            yield Annotated(package, match["name"], "", block or {})


def _blocks(text: str) -> Iterator[tuple[dict[str, Any] | None, str]]:
    """Each statement's first line with the METADATA right above it."""
    comment: list[str] | None = None
    for line in text.splitlines():
        if line.strip() == "# METADATA":
            comment = []
        elif comment is not None and line.startswith("#"):
            comment.append(line[2:] if line.startswith("# ") else line[1:])
        elif line and not line[0].isspace() and line[0] not in "#}":
            loaded = yaml.safe_load("\n".join(comment)) if comment else None
            yield (loaded if isinstance(loaded, dict) else None), line
            comment = None
        else:
            comment = None


def _problems_of_words(everything: Sequence[Annotated]) -> list[str]:
    """Each reason has its words in exactly one place, as whole sentences without figures."""
    wrong: list[str] = []
    for code in sorted({each.code for each in everything if each.code}):
        said = [
            each for each in everything if each.code == code and ("message" in each.custom or "remedy" in each.custom)
        ]
        if len(said) != 1 or not {"message", "remedy"} <= set(said[0].custom):
            wrong.append(f"{code}: message and remedy must stand together in exactly one rule, found in {len(said)}")
            continue
        for part in ("message", "remedy"):
            text = str(said[0].custom[part])
            if not _SENTENCE.search(text) or any(character.isdigit() for character in text):
                wrong.append(f"{code}: its {part} must be a sentence without figures")
    return wrong


def _data_tables(levels: Mapping[str, Mapping[str, Any]], rules: Mapping[str, str]) -> list[str]:
    numbers = sorted(levels)
    lines = ["## Numbers by classification", "", "From `policies/data/levels.json`.", ""]
    lines += [
        "| | " + " | ".join(f"{n} {levels[n]['name']}" for n in numbers) + " |",
        "|---|" + "---|" * len(numbers),
    ]
    for field in levels[numbers[0]]:
        if field != "name":
            lines.append(f"| {field} | " + " | ".join(_shown(levels[n].get(field)) for n in numbers) + " |")
    lines += [
        "",
        "## What a finding leads to",
        "",
        "From `policies/data/rules.json`. A rule that is not listed leads to a refusal.",
        "",
    ]
    lines += ["| rule | outcome of a failure |", "|---|---|"]
    return [*lines, *(f"| {rule} | {rules[rule]} |" for rule in sorted(rules)), ""]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _reason_row(each: Annotated, words: Mapping[str, str]) -> str:
    title, why = each.metadata["title"], " ".join(str(each.metadata["description"]).split())
    return f"| `{each.code}` | unless: {title}. {why} | {words['message']} | {words['remedy']} |"


if __name__ == "__main__":
    sys.exit(main())
