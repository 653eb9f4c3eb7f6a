"""Ruff, mypy, import-linter, OPA's own tools, and our generated pages, each a line of the same table."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from installation.settings import CHECKOUT, Settings
from workbench import console
from workbench.checks import pages
from workbench.errors import SetupFault
from workbench.setup import opa

SKIPPED = {".venv", "var", ".git", "node_modules", ".mypy_cache", ".ruff_cache", ".hypothesis", ".pytest_cache"}
SHELL = (".ci/run",)


@dataclass(frozen=True)
class Tool:
    """A program, or a look of our own that returns what is wrong. ``silent``: the program must also print nothing
    (``opa fmt --list`` names files but exits 0)."""

    name: str
    act: list[str] | Callable[[], list[str]]
    silent: bool = False


def _bin(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def opa_command(settings: Settings) -> str:
    """Raises SetupFault: an unchecked policy must not look checked."""
    found = opa.binary(settings)
    if found is None:
        raise SetupFault(
            "The policies were not checked.",
            why="OPA is not there, and an unchecked policy must not look checked.",
            do="Install Go or OPA, run ./glovebox setup, then check again.",
        )
    return str(found)


def checks(settings: Settings) -> list[Tool]:
    judge = opa_command(settings)
    return [
        Tool("ruff", [_bin("ruff"), "check", ".", "glovebox"]),
        Tool("ruff format", [_bin("ruff"), "format", "--check", ".", "glovebox"]),
        Tool("mypy", [_bin("mypy")]),
        Tool("import-linter", [_bin("lint-imports"), "--no-cache"]),
        Tool("opa fmt", [judge, "fmt", "--list", "policies"], silent=True),
        Tool("opa check", [judge, "check", "--strict", "policies"]),
        Tool("policy METADATA", [sys.executable, "-m", "policy_engine.annotations", "--check"]),
        Tool("generated pages", pages.differing),
        Tool("JSON files", broken_json),
        Tool("shell", ["bash", "-n", *SHELL]),
    ]


def broken_json(root: Path = CHECKOUT) -> list[str]:
    """Files named .json that are not JSON."""
    wrong = []
    for path in sorted(root.rglob("*.json")):
        if SKIPPED.isdisjoint(path.relative_to(root).parts):
            try:
                json.loads(path.read_text("utf-8"))
            except ValueError as broken:
                wrong.append(f"{path.relative_to(root)}: {broken}")
    return wrong


def run_checks(settings: Settings, *, as_json: bool = False) -> int:
    """Run every check to its end; 0 when all hold."""
    results = [_run(tool, console.progress) for tool in checks(settings)]
    if as_json:
        console.answer({"checks": results, "ok": all(r["ok"] for r in results)})
    elif not all(r["ok"] for r in results):
        console.progress.print("Repair what a machine can: ./glovebox fix")
    return 0 if all(r["ok"] for r in results) else 1


def _run(tool: Tool, shown: Console) -> dict[str, object]:
    begun = time.monotonic()
    ok, said = _outcome(tool)
    shown.print(f"  {console.tick(ok)} {tool.name} [dim]{time.monotonic() - begun:.1f} s[/]")
    if not ok:
        shown.print(said, markup=False)
    return {"name": tool.name, "ok": ok, "said": "" if ok else said}


def _outcome(tool: Tool) -> tuple[bool, str]:
    if callable(tool.act):
        wrong = tool.act()
        return not wrong, "\n".join(wrong)
    done = subprocess.run(tool.act, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    return done.returncode == 0 and not (tool.silent and said), said


def run_fixes(settings: Settings, *, lock: bool) -> int:
    """Repair what a machine can."""
    fixes = [
        Tool("ruff --fix", [_bin("ruff"), "check", "--fix", "--exit-zero", ".", "glovebox"]),
        Tool("ruff format", [_bin("ruff"), "format", ".", "glovebox"]),
        Tool("opa fmt", [opa_command(settings), "fmt", "--write", "policies"]),
        Tool("generated pages", _write_pages),
    ]
    if lock:
        fixes = [*_locks(), *fixes]
    results = [_run(tool, console.progress) for tool in fixes]
    return 0 if all(r["ok"] for r in results) else 1


def _write_pages() -> list[str]:
    pages.write()
    return []


def _locks() -> list[Tool]:
    uv = shutil.which("uv")
    if uv is None:
        raise SetupFault(
            "The requirements were not locked.", why="uv is not on PATH.", do="pip install uv, then run again."
        )
    common = ["--generate-hashes", "--quiet", "--custom-compile-command", "./glovebox fix --lock"]
    universal = [uv, "pip", "compile", "--universal", "--python-version", "3.11", *common]
    sandbox = [uv, "pip", "compile", "--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_28", *common]
    return [
        Tool(f"lock {source}", [*command, "--output-file", f"{source}.txt", f"{source}.in"])
        for source, command in (
            ("requirements/host", universal),
            ("requirements/dev", universal),
            ("requirements/acro", universal),
            ("images/sandbox/requirements", sandbox),
        )
    ]
