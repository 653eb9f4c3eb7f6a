"""`glovebox test`: set-up, checks, pytest over everything, and the policies' own tests; one plain closing line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

from installation.settings import CHECKOUT, Settings, load
from workbench import console
from workbench.checks.tools import opa_command, run_checks
from workbench.setup import prepare, prepare_tests


def run_tests(settings: Settings, arguments: list[str]) -> int:
    """0 only when something ran and nothing failed. With arguments, only pytest with them."""
    begun = time.monotonic()
    prepare(settings, console.progress)
    prepare_tests(settings, console.progress)
    settings = load(settings.home)
    if arguments:
        return _pytest(settings, arguments)[0]
    console.progress.print("\n[bold]check[/]")
    failed = run_checks(settings)
    console.progress.print("\n[bold]opa test[/]")
    rego_passed, rego_failed = _opa_test(settings)
    console.progress.print("\n[bold]pytest[/]")
    code, passed, lost = _pytest(settings, ["--durations=15"])
    passed, lost = passed + rego_passed, lost + rego_failed + failed
    minutes = (time.monotonic() - begun) / 60
    sys.stdout.write(
        f"\npolicies: {rego_passed} passed, {rego_failed} failed; checks: {'failed' if failed else 'held'}; {minutes:.1f} minutes\n"
    )
    sys.stdout.write(f"{passed} passed, {lost} failed\n")
    return 0 if code == 0 and not lost and passed and rego_passed else 1


def _opa_test(settings: Settings) -> tuple[int, int]:
    """How many policy tests passed and failed; a run that cannot be read counts as one failure."""
    command = [opa_command(settings), "test", "policies", "--format=json"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    try:
        results = json.loads(done.stdout)
    except ValueError:
        console.progress.print(done.stdout + done.stderr, markup=False)
        return 0, 1
    wrong = [r for r in results or [] if r.get("fail") or r.get("error") or r.get("skip")]
    for one in wrong:
        console.progress.print(f"  ✗ {one['package']}.{one['name']}", markup=False)
    return len(results or []) - len(wrong), len(wrong)


def _pytest(settings: Settings, arguments: list[str]) -> tuple[int, int, int]:
    """Exit code, passed, failed or in error."""
    environ = {**os.environ, "GLOVEBOX_HOME": str(settings.home)}
    command = [sys.executable, "-m", "pytest", *arguments]
    running = subprocess.Popen(
        command, cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, text=True, bufsize=1, umask=0o022
    )
    last = ""
    if running.stdout is None:
        return 1, 0, 1
    for line in running.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        last = line if re.search(r"\d+ (passed|failed|error)", line) else last
    code = running.wait()
    counted = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", last)}
    return code, counted.get("passed", 0), counted.get("failed", 0) + counted.get("error", 0)
