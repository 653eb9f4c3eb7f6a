"""Ruff, mypy, import-linter and OPA's own tools, each a line of the same table."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from installation.settings import CHECKOUT, Settings
from workbench import console
from workbench.errors import SetupFault
from workbench.setup import opa

PACKAGES = ("installation", "store", "ledger", "policy_engine", "provisioning", "egress_gate", "workbench")


@dataclass(frozen=True)
class Tool:
    """``silent``: it must also print nothing (``opa fmt --list`` names files but exits 0)."""

    name: str
    command: list[str]
    silent: bool = False


def _bin(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _opa(settings: Settings) -> str:
    found = opa.binary(settings)
    if found is None:
        raise SetupFault(
            "The policies were not checked.",
            why="OPA is not there, and an unchecked policy must not look checked.",
            do="Install Go or OPA, run ./glovebox setup, then check again.",
        )
    return str(found)


def checks(settings: Settings) -> list[Tool]:
    judge = _opa(settings)
    return [
        Tool("ruff", [_bin("ruff"), "check", "."]),
        Tool("ruff format", [_bin("ruff"), "format", "--check", "."]),
        Tool("mypy", [_bin("mypy")]),
        Tool("import-linter", [_bin("lint-imports"), "--no-cache"]),
        Tool("opa fmt", [judge, "fmt", "--list", "policies"], silent=True),
        Tool("opa check", [judge, "check", "--strict", "policies"]),
    ]


def run_checks(settings: Settings, *, as_json: bool = False) -> int:
    """Run every check to its end; 0 when all hold."""
    results = [_run(tool, console.progress) for tool in checks(settings)]
    if as_json:
        console.answer({"checks": results, "ok": all(r["ok"] for r in results)})
    return 0 if all(r["ok"] for r in results) else 1


def _run(tool: Tool, shown: Console) -> dict[str, object]:
    begun = time.monotonic()
    done = subprocess.run(tool.command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    ok = done.returncode == 0 and not (tool.silent and said)
    shown.print(f"  {'[green]✓[/]' if ok else '[red]✗[/]'} {tool.name} [dim]{time.monotonic() - begun:.1f} s[/]")
    if not ok:
        shown.print(said, markup=False)
    return {"name": tool.name, "ok": ok, "said": "" if ok else said}


def run_fixes(settings: Settings, *, lock: bool) -> int:
    """Repair what a machine can, then say what `check` would still refuse."""
    fixes = [
        Tool("ruff --fix", [_bin("ruff"), "check", "--fix", "--exit-zero", "."]),
        Tool("ruff format", [_bin("ruff"), "format", "."]),
        Tool("opa fmt", [_opa(settings), "fmt", "--write", "policies"]),
    ]
    if lock:
        fixes = [*_locks(), *fixes]
    results = [_run(tool, console.progress) for tool in fixes]
    return 0 if all(r["ok"] for r in results) else 1


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
            ("images/sandbox/requirements", sandbox),
        )
    ]
