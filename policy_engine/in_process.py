"""The same Rego, run by Rego's C++ implementation inside this process; for where no OPA can be had, and for `assess`.

It reads less Rego than OPA does, and some of it differently: numbers are ordered as words by ``min``, ``max`` and ``sort``,
and a comprehension inside a function may see stale arguments. The policies keep to what both read alike; the contract tests
hold them to it.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import re
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

from policy_engine import bundle
from policy_engine.port import Answer, unavailable


def _load_solver() -> None:
    """Both libraries carry a C++ runtime of their own; loaded in the other order the process ends with "free(): invalid pointer".
    The order of the shared objects is what counts: the solver's Python module, with numpy behind it, is loaded by who needs it.
    """
    found = importlib.util.find_spec("highspy")
    for folder in found.submodule_search_locations or [] if found is not None else []:
        for library in Path(folder).glob("_core.*.so"):
            ctypes.CDLL(str(library))


_load_solver()
from regopy import Interpreter, LogLevel, Output, RegoError  # noqa: E402

ENGINE = "regopy"
_ANSWER = re.compile(r"^answer\s*:=", re.MULTILINE)


class InProcess:
    """Compiles the policies once; queries are serialised, because one interpreter holds one input.

    ``entry_points``: those that will be asked; all where none are named. The others, and modules that nothing of these reads, are
    not compiled, which takes most of the time. Raises PolicyUnavailable when the policies cannot be compiled.
    """

    def __init__(self, folder: Path = bundle.POLICIES, entry_points: Collection[str] = ()) -> None:
        loaded = bundle.read(folder)
        modules = loaded.behind(entry_points) if entry_points else loaded.modules
        self.policy_digest = loaded.digest
        self._lock = threading.Lock()
        self._interpreter = Interpreter()
        self._interpreter.log_level = LogLevel.NONE
        self._entry_points = {
            f"{match[1].replace('.', '/')}/answer"
            for text in modules.values()
            if _ANSWER.search(text) and (match := bundle.PACKAGE.search(text))
        }
        try:
            for path, text in modules.items():
                self._interpreter.add_module(path, text)
            self._interpreter.add_data_json(json.dumps(loaded.data))
            self._compiled = self._interpreter.build(None, sorted(self._entry_points)) if self._entry_points else None
        except RegoError as broken:
            raise unavailable("The policies could not be read.", str(broken)[:2000]) from broken

    def query(self, entry_point: str, facts: dict[str, Any], /) -> Answer:
        wanted = f"{entry_point}/answer"
        if wanted not in self._entry_points:
            raise unavailable("The policy gave no answer.", f"{entry_point} is not an entry point")
        with self._lock:
            try:
                self._interpreter.set_input_term(json.dumps(facts))
                output = self._interpreter.query_bundle_entrypoint(self._compiled, wanted)
            except (RegoError, ValueError, TypeError) as broken:
                raise unavailable(
                    "The policy could not be evaluated.", f"{entry_point}: {str(broken)[:500]}"
                ) from broken
            return Answer(_only(output, entry_point), ENGINE, self.policy_digest)


def _only(output: Output, entry_point: str) -> Any:
    """The one value of a query. A failed output must not even be printed: reading its text ends the whole process."""
    if not output.ok():
        raise unavailable("The policy could not be evaluated.", f"{entry_point}: the engine gave an error")
    expressions = [value for result in output.results for value in result.expressions]
    if len(expressions) != 1:
        raise unavailable("The policy gave no answer.", f"{entry_point}: {len(expressions)} values")
    return expressions[0]
