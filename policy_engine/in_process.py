"""The same Rego, run by Rego's C++ implementation inside this process; for where no OPA can be had, and for `assess`."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

# Both libraries carry a C++ runtime of their own; loaded in the other order the process ends with "free(): invalid pointer".
import highspy  # noqa: F401
from regopy import Interpreter, Output, RegoError

from policy_engine import bundle
from policy_engine.port import Answer, unavailable

ENGINE = "regopy"


class InProcess:
    """Loads the policies once; queries are serialised, because one interpreter holds one input."""

    def __init__(self, folder: Path = bundle.POLICIES) -> None:
        loaded = bundle.read(folder)
        self.policy_digest = loaded.digest
        self._interpreter = Interpreter()
        self._lock = threading.Lock()
        for path, text in loaded.modules.items():
            self._interpreter.add_module(path, text)
        self._interpreter.add_data_json(json.dumps(loaded.data))

    def query(self, entry_point: str, facts: dict[str, Any], /) -> Answer:
        document = "data." + entry_point.replace("/", ".") + ".answer"
        with self._lock:
            try:
                self._interpreter.set_input_term(json.dumps(facts))
                output = self._interpreter.query(document)
            except (RegoError, ValueError, TypeError) as broken:
                raise unavailable(
                    "The policy could not be evaluated.", f"{entry_point}: {str(broken)[:500]}"
                ) from broken
            return Answer(_only(output, entry_point), ENGINE, self.policy_digest)


def _only(output: Output, entry_point: str) -> Any:
    """The one value of a query. A failed output must not even be printed: reading its text ends the whole process."""
    if not output.ok():
        raise unavailable(
            "The policy could not be evaluated.", f"{entry_point}: the engine refused the policies or the query"
        )
    expressions = [value for result in output.results for value in result.expressions]
    if len(expressions) != 1:
        raise unavailable("The policy gave no answer.", f"{entry_point}: {len(expressions)} values")
    return expressions[0]
