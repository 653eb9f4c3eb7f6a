"""The review desk and its API: parse, call one verb, render. `python -m egress_gate.desk` runs it."""
