"""A policy with changed numbers, to be asked before it is put in force. Numbers only: what a page sends is never run.

The rules stay those of the checkout; a value may only replace a value of the same kind at the same place, so that no rule meets what it was
not written for. Changed rules are tried by somebody at the machine: ``./glovebox policy replay --policies FOLDER``.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from egress_gate.service.errors import Malformed
from policy_engine import bundle
from policy_engine.in_process import InProcess

FILES = ("levels", "rules", "protection", "regressions", "scans")
MAX_TEXT = 64 * 1024


def in_force(name: str) -> str:
    """The numbers of one file as they are now, for editing. Raises Malformed for another file."""
    if name not in FILES:
        raise _refused("There is no such file of numbers.")
    return (bundle.POLICIES / "data" / f"{name}.json").read_text("utf-8")


def engine_with(name: str, text: str) -> InProcess:
    """The policies of this checkout with `text` in place of one file of numbers. Raises Malformed."""
    known = json.loads(in_force(name))
    changed = _read(text)
    _require_same_shape(known, changed, name)
    with tempfile.TemporaryDirectory(prefix="glovebox-trial-") as folder:
        copy = Path(folder) / "policies"
        shutil.copytree(bundle.POLICIES, copy)
        (copy / "data" / f"{name}.json").write_text(json.dumps(changed), "utf-8")
        return InProcess(copy)


def _read(text: str) -> Any:
    if len(text) > MAX_TEXT:
        raise _refused("It is too long.")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as broken:
        raise _refused(f"It is not JSON: {str(broken)[:120]}.") from broken


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _require_same_shape(known: Any, changed: Any, where: str) -> None:
    if isinstance(known, dict):
        if not isinstance(changed, dict) or set(changed) != set(known):
            raise _refused(f"{where} must name the same things as in the policies in force.")
        for key, value in known.items():
            _require_same_shape(value, changed[key], f"{where}.{key}")
    elif isinstance(known, list):
        if not isinstance(changed, list) or len(changed) > 100 or not all(isinstance(v, str) for v in changed):
            raise _refused(f"{where} must be a list of words.")
    elif _kind(known) != _kind(changed) or (isinstance(changed, str) and len(changed) > 100):
        raise _refused(f"{where} must be a {_kind(known)}.")
    elif _kind(known) == "number" and not 0 <= changed <= 10**12:
        raise _refused(f"{where} must lie between 0 and 10^12.")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "yes or no"
    return "number" if isinstance(value, int | float) else "word" if isinstance(value, str) else "list or object"


def _refused(why: str) -> Malformed:
    return Malformed("The changed numbers were not tried.", why=why, do="Correct them; nothing was changed.")
