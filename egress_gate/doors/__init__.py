"""The session door (browser ↔ notebook) and the inner door (sandbox → gate), for all sandboxes in one process.

Everything inside a sandbox is assumed hostile, its Jupyter server included; what must hold is held here. `routes.py` is
the table of what a browser may ask for, `headers.py` what may come back.
"""
