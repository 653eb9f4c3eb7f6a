"""The installation's one database and blob folder: schema, transactions that carry their evidence, content-addressed bytes.

Who owns which table is said in `schema.py`; the owner's `store/` sub-package holds the queries.
"""
