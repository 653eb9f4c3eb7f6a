"""The one shape of every refusal and failure a person sees: what happened, why, what to do.

Each package draws its own small tree of subclasses in its ``errors.py``; web edges translate ``code`` to a status.
The public text never carries cell values, host paths or another person's name; put those into ``private``.
"""

from __future__ import annotations

from typing import ClassVar


class Fault(Exception):
    """A refusal or failure with a stable code and three plain sentences.

    ``what`` happened, ``why``, and what to ``do``; ``private`` is for the log only.
    """

    code: ClassVar[str] = "fault"

    def __init__(self, what: str, *, why: str, do: str, private: str | None = None) -> None:
        super().__init__(f"{what} {why} {do}")
        self.what = what
        self.why = why
        self.do = do
        self.private = private

    def public(self) -> dict[str, str]:
        """The JSON shape used by every endpoint: ``{"code", "what", "why", "do"}``."""
        return {"code": self.code, "what": self.what, "why": self.why, "do": self.do}
