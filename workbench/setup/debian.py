"""Debian and Ubuntu packages, installed only as root and only when a program is missing."""

from __future__ import annotations

import os
import shutil
import subprocess

from workbench.errors import SetupFault
from workbench.setup.step import Progress

_lists_read = False


def ensure_programs(programs: dict[str, str], progress: Progress) -> None:
    """Install the package of each program that is not on PATH. ``programs``: program → package. Raises SetupFault."""
    missing = sorted({package for program, package in programs.items() if shutil.which(program) is None})
    if missing:
        install(missing, progress)


def install(packages: list[str], progress: Progress) -> None:
    """Raises SetupFault where apt or the right to use it is missing."""
    global _lists_read
    wanted = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupFault(
            f"{wanted} is missing.",
            why="Only root on Debian or Ubuntu can have it installed automatically.",
            do=f"Have it installed (on Debian: apt-get install {wanted}), then run the same command again.",
        )
    if not _lists_read:
        progress("reading Debian's package lists")
        _apt("update", "-qq")
        _lists_read = True
    progress(f"installing {wanted}")
    _apt("install", "-y", "-qq", "--no-install-recommends", *packages)


def _apt(*arguments: str) -> None:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *arguments], capture_output=True, text=True, check=False, env=environ)
    if done.returncode != 0:
        raise SetupFault(
            f"apt-get {arguments[0]} failed.",
            why=" ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]),
            do="Mend what the message names, then run the same command again; it continues here.",
        )
