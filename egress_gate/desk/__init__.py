"""The review desk and its API: parse, call one verb, render. `python -m workbench.runtime.gate` runs it."""
