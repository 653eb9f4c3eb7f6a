"""The notebook cells and SQL of the demo, as an analyst would write them."""

from __future__ import annotations

PURPOSE = "Describe metabolic and cardiac outcomes in fatty liver disease"
CONTEXT = "Table for the first report; no other outputs rely on it."

SAFE = """SELECT event, male, count(DISTINCT nafld3.id) AS people
FROM nafld3 JOIN nafld1 ON nafld3.id = nafld1.id
GROUP BY event, male
ORDER BY event, male"""

SMALL = """SELECT CASE WHEN age < 30 THEN 'under 30' WHEN age < 50 THEN '30-49'
    WHEN age < 70 THEN '50-69' ELSE '70 and over' END AS age_band, male, count(DISTINCT nafld3.id) AS people
FROM nafld3 JOIN nafld1 ON nafld3.id = nafld1.id
WHERE event = 'ang/isc'
GROUP BY age_band, male
ORDER BY age_band, male"""

COPY = "SELECT * FROM nafld1 LIMIT 20"

TABLES = """import pathlib
import duckdb, glovebox, pandas as pd
glovebox.tables()"""

READ = """people = pd.read_parquet('/data/nafld/nafld1.parquet')
labs = duckdb.sql('''SELECT test, count(*) AS n, round(avg(value), 1) AS mean
    FROM '/data/nafld/nafld2.parquet' GROUP BY test ORDER BY n DESC''').df()
print(len(people), 'people; mean BMI by sex', people.groupby('male').bmi.mean().round(2).to_dict())
labs"""

JOIN = f"""mine = glovebox.sql('''{SAFE}''')
print(len(mine), 'cells')
mine"""

SAMPLE = f"""try:
    glovebox.release('''{COPY}''', title='Sample', purpose='A look at the data')
except glovebox.GloveboxError as refused:
    print('refused:', refused)"""

APPENDIX = "people.head(20).to_csv('appendix.csv', index=False)"


def release(what: str, title: str) -> str:
    """A cell that asks for ``what`` (a Python expression) and prints the request's number."""
    return f"""asked = glovebox.release({what}, title={title!r}, purpose={PURPOSE!r}, context={CONTEXT!r}, rehearse=False)
print('number', asked.id)"""
