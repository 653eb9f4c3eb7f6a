"""Figures that are drawn here for the eye, and by the gate for release, from its own protected numbers.

fig = glovebox.figure({"mark": "bar", "encoding": {"x": {"field": "male", "type": "nominal"}, "y": {"field": "n", "type": "quantitative"}}},
                      "SELECT male, count(*) AS n FROM nafld1 GROUP BY male")
fig; fig.release(title="…", purpose="…")

A specification is Vega-Lite without data: mark, encoding, layer, facet, title, axis, scale and legend. An Altair chart does too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glovebox.errors import Mistake
from glovebox.release import preview, release
from glovebox.tables import sql

_OURS = ("data", "datasets", "config", "$schema", "usermeta", "autosize", "background", "padding")
_MOST_ROWS = 5_000


class Figure:
    """A specification over a table. ``release_item`` is what `glovebox.release` sends."""

    def __init__(self, spec: Mapping[str, Any], table: str) -> None:
        self.spec = {name: value for name, value in spec.items() if name not in _OURS}
        self.sql = table

    @property
    def release_item(self) -> dict[str, Any]:
        return {"kind": "figure", "sql": self.sql, "spec": self.spec}

    def df(self) -> Any:
        """The figure's table, computed here."""
        return sql(self.sql).df()

    def chart(self) -> Any:
        """The figure as Altair draws it in here. What leaves is drawn again by the gate."""
        import altair as alt

        rows = self.df().head(_MOST_ROWS)
        return alt.Chart.from_dict({**self.spec, "data": {"values": rows.to_dict("records")}})

    def preview(self) -> Any:
        """What the gate would hide in the figure's table."""
        return preview(self.sql)

    def release(self, **words: Any) -> Any:
        """`glovebox.release` of this figure: title, purpose, context."""
        return release({"figure1": self}, **words)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.chart()._repr_mimebundle_(include, exclude)

    def __repr__(self) -> str:
        return f"figure of {self.spec.get('mark', 'several layers')}\n\n{self.sql}"


def figure(spec: Any, table: Any) -> Figure:
    """A figure of ``spec`` over ``table``, which the gate draws again.

    ``glovebox.figure({"mark": "bar", "encoding": {"x": {"field": "male", "type": "nominal"}, "y": {"field": "n", "type": "quantitative"}}},
    glovebox.groupby("nafld1", "male").size())``.

    ``spec`` is a Vega-Lite specification (a dictionary, or an Altair chart) over the columns of ``table``: SQL, or a table made by
    `crosstab`, `groupby` or `pivot_table`, whose columns are those that its ``sql`` names. Raises Mistake for anything else.
    """
    made = spec if isinstance(spec, Mapping) else spec.to_dict() if hasattr(spec, "to_dict") else None
    text = table if isinstance(table, str) else getattr(table, "release_sql", None)
    if not isinstance(made, Mapping) or not isinstance(text, str) or not text.strip():
        raise Mistake(
            "The figure was not made.",
            "A figure is a Vega-Lite specification over a table.",
            'Write glovebox.figure({"mark": "bar", "encoding": {…}}, "SELECT …").',
        )
    return Figure(made, text)


__all__ = ["Figure", "figure"]
