"""What the gate answered to one sandbox through its inner door, kept so that a blind page can show it.

A kernel names an answer by digest; the door renders the gate's own bytes. Only words that the gate chose are shown: what an
author wrote (titles, SQL, file names) could carry data, and is left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from html import escape
from typing import Any

MOST_KEPT = 128
MOST_BYTES = 256 * 1024
WORD = re.compile(r"[a-z][a-z0-9_-]{0,40}")
REQUEST = re.compile(r"R-\d{1,9}")


class Answers:
    """The last answers of the gate to one sandbox, by the SHA-256 of their bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, body: bytes) -> None:
        if len(body) <= MOST_BYTES:
            self._kept[hashlib.sha256(body).hexdigest()] = body
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def shown(self, digest: str) -> dict[str, str] | None:
        """A display bundle of that answer in the gate's words, or None when the gate never gave it."""
        body = self._kept.get(digest)
        if body is None:
            return None
        try:
            lines = _lines(json.loads(body))
        except ValueError:
            return None
        text = "\n".join(lines) or "The gate answered. Details are in the review desk."
        return {"text/plain": text, "text/html": f"<pre>{escape(text)}</pre>"}


def _lines(answer: Any) -> list[str]:
    if not isinstance(answer, dict):
        return []
    if isinstance(answer.get("requests"), list):
        return [_request(one) for one in answer["requests"][:200] if isinstance(one, dict)]
    if isinstance(answer.get("tables"), list):
        return [
            f"{t.get('dataset')}.{t.get('table')}: {t.get('rows')} rows"
            for t in answer["tables"]
            if isinstance(t, dict)
        ]
    if isinstance(answer.get("id"), str):
        return [_request(answer)]
    if isinstance(answer.get("code"), str):
        return [f"The gate refused: {_word(answer['code'])}. The review desk says why."]
    return []


def _request(one: dict[str, Any]) -> str:
    name = one.get("id")
    found = sum(len(i.get("findings") or []) for i in one.get("items") or [] if isinstance(i, dict))
    said = f"{name if isinstance(name, str) and REQUEST.fullmatch(name) else 'R-?'}: {_word(one.get('state'))}"
    return said + (f", {found} findings" if found else "")


def _word(value: Any) -> str:
    return value if isinstance(value, str) and WORD.fullmatch(value) else "unknown"
