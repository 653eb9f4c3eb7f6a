"""What can go wrong, said in three parts, and shown in a notebook without a traceback.

GloveboxError
├── Refused           the gate or the door said no
├── Mistake           the call itself cannot work as written
└── GateUnreachable   the gate does not answer
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from html import escape
from typing import Any


class GloveboxError(Exception):
    """What happened, why, what to do. Shown as these three sentences."""

    code = "glovebox"

    def __init__(self, what: str, why: str = "", do: str = "", *, code: str | None = None) -> None:
        super().__init__("\n".join(part for part in (what, why and f"Why: {why}", do and f"What to do: {do}") if part))
        self.what = what
        self.why = why
        self.do = do
        self.code = code or type(self).code

    def _render_traceback_(self) -> list[str]:
        """IPython asks this instead of printing where in our code it was raised."""
        return [f"{type(self).__name__}: {self}"]

    def _repr_html_(self) -> str:
        rows = "".join(f"<p style='margin:.2em 0'>{escape(part)}</p>" for part in (self.why, self.do) if part)
        return (
            "<div style='border-left:4px solid #b3402a;padding:.3em .8em'>"
            f"<p style='margin:.2em 0'><strong>{escape(self.what)}</strong></p>{rows}</div>"
        )


class Refused(GloveboxError):
    code = "refused"


class Mistake(GloveboxError):
    code = "mistake"


class GateUnreachable(GloveboxError):
    code = "gate-unreachable"


def from_body(status: int, body: Any) -> GloveboxError:
    """The error that a door or the gate answered with. An answer in another shape is said to be one."""
    if isinstance(body, Mapping) and isinstance(body.get("what"), str):
        kind = GateUnreachable if body.get("code") == "gate-away" else Refused
        return kind(
            body["what"], str(body.get("why", "")), str(body.get("do", "")), code=str(body.get("code", "refused"))
        )
    return Refused(
        f"The gate answered with status {status} and no reason.",
        "This is not an answer it should give.",
        "Try again; if it stays so, tell the operator.",
    )


def show_plainly() -> None:
    """Let IPython show our errors as sentences. Does nothing outside IPython."""
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython  # type: ignore[attr-defined]  # IPython exports it without a stub

    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((GloveboxError,), _shown)


def _shown(shell: Any, kind: type[BaseException], error: GloveboxError, trace: Any, tb_offset: Any = None) -> list[str]:
    lines = error._render_traceback_()
    shell._showtraceback(kind, error, lines)
    return lines
