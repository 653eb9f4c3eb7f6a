"""A compiled table: laid out as pandas would in here, and asked for as its SQL."""

from __future__ import annotations

from html import escape
from typing import Any

from glovebox.laid_out import Layout, lay_out
from glovebox.queried import Query
from glovebox.release import preview, release
from glovebox.tables import sql


class Compiled:
    """A table as SQL. ``release_sql`` is what `glovebox.release` sends; ``note`` says where that differs from what is shown."""

    def __init__(self, query: Query, layout: Layout, note: str = "") -> None:
        self.sql = query.text()
        self.release_sql = self.sql
        self.note = note
        self._query = query
        self._layout = layout

    def df(self) -> Any:
        """A DataFrame as pandas would make it, computed here. What leaves is computed again by the gate, a row for each cell."""
        return lay_out(sql(self._query.text(marked=True)).df(), self._query, self._layout)

    def preview(self) -> Any:
        return preview(self.sql)

    def release(self, **words: Any) -> Any:
        """`glovebox.release` of this table: title, purpose, context."""
        return release(self.sql, **words)

    def __repr__(self) -> str:
        return "\n\n".join(part for part in (repr(self.df()), self.note, self.sql) if part)

    def _repr_html_(self) -> str:
        html: str = self.df()._repr_html_()
        return html + (f"<p>{escape(self.note)}</p>" if self.note else "")
