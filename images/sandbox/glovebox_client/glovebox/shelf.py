"""Packages beyond the image: what lies on the shelf, and asking for more."""

from __future__ import annotations

from typing import Any

from glovebox.door import call


def packages() -> Any:
    """What an administrator has approved beyond the image, and what you asked for, with the answers.

    What is on the shelf can be imported at once; ``pip install NAME`` says so too.
    """
    return call("GET", "/v1/packages")


def ask_for_package(name: str, reason: str) -> Any:
    """Ask an administrator for a Python package by its name. Approved ones are there in the next session."""
    return call("POST", "/v1/packages", {"name": name, "reason": reason})
