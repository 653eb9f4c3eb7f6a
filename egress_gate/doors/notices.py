"""Notices that stand where an output was withheld: what, why, what to do."""

from __future__ import annotations

from html import escape
from typing import Any

ASK = 'To take a result out, ask for a release: glovebox.release("SELECT …", title="…", purpose="…").'
BLIND = "This project's view is blind: outputs stay inside. Develop on the synthetic twin."


def sentence(what: str, why: str, do: str = ASK) -> str:
    return f"[withheld by the session door] {what}: {why}. {do}"


def bundle(what: str, why: str, do: str = ASK) -> dict[str, str]:
    """A display bundle that says so, as text and as HTML."""
    text = sentence(what, why, do)
    box = "border-left:4px solid #b58900;padding:.3em .8em;background:#fdf8e6;color:#333"
    return {"text/plain": text, "text/html": f"<div style='{box}'><strong>Withheld.</strong> {escape(text)}</div>"}


def stream(what: str, why: str, do: str = ASK) -> dict[str, Any]:
    return {"name": "stderr", "text": sentence(what, why, do) + "\n"}
