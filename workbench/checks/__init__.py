"""`check` changes nothing, `fix` repairs; both run the same tools over the same files."""

from workbench.checks.tools import run_checks, run_fixes

__all__ = ["run_checks", "run_fixes"]
