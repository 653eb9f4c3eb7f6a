"""Work on granted data, and ask to take results out.

    import glovebox

    glovebox.tables()                                  # what is granted to this project
    glovebox.sql("SELECT count(*) FROM nafld1")        # DuckDB over the granted tables
    glovebox.crosstab("nafld1", "male", "status")      # as in pandas, and SQL underneath
    glovebox.figure({"mark": "bar", "encoding": {…}}, "SELECT …")  # Vega-Lite; the gate draws it again
    glovebox.ols("bmi ~ C(male) + age", "nafld1")      # logit, poisson; the gate fits it again
    glovebox.preview("SELECT …")                       # what the gate would hide, before asking
    glovebox.release("SELECT …", title="…", purpose="…")
    glovebox.requests()                                # where my requests stand
    glovebox.request("R-17").withdraw()

A release is asked for as SQL. The gate computes it again from the data, protects it, and writes the file that leaves.
"""

from glovebox.compiled import crosstab, groupby, pivot_table
from glovebox.errors import GateUnreachable, GloveboxError, Refused, show_plainly
from glovebox.figure import figure
from glovebox.regression import logit, ols, poisson
from glovebox.release import preview, release, request, requests
from glovebox.shelf import ask_for_package, packages
from glovebox.tables import connection, sql, tables

show_plainly()

__all__ = [
    "GateUnreachable",
    "GloveboxError",
    "Refused",
    "ask_for_package",
    "connection",
    "crosstab",
    "figure",
    "groupby",
    "logit",
    "ols",
    "packages",
    "pivot_table",
    "poisson",
    "preview",
    "release",
    "request",
    "requests",
    "sql",
    "tables",
]
