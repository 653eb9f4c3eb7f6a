"""A case for the gate's judgement alone, written beside its tables and judged in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from egress_gate.service.assess import assess_file

PARAMETERS = {"min_contributors": 10, "dominance": {"n": 2, "k": 0.9}, "p_percent": 0.1}


def table(folder: Path, name: str, header: str, rows: Sequence[str]) -> dict[str, dict[str, str]]:
    """`name`.csv in `folder`; as a case names it, with `id` as the privacy unit."""
    (folder / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return {name: {"path": f"{name}.csv", "unit": "id"}}


def assessed(
    folder: Path, tables: Mapping[str, Any], sql: str, earlier: Sequence[Any] = (), **more: Any
) -> dict[str, Any]:
    """What `./glovebox assess` answers. `earlier`: statements of which every cell left, or releases as a
    case has them; `more`: other keys of the case."""
    case = {
        "tables": tables,
        "classification": "sensitive",
        "parameters": PARAMETERS,
        "earlier": [{"sql": one} if isinstance(one, str) else one for one in earlier],
        "sql": sql,
        **more,
    }
    (folder / "case.json").write_text(json.dumps(case), "utf-8")
    return assess_file(folder / "case.json")
