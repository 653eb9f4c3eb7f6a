"""Everything a fresh machine lacks, brought in steps that each check first, so that running again continues."""

from workbench.setup.run import prepare, prepare_tests

__all__ = ["prepare", "prepare_tests"]
