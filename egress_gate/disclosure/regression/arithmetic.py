"""What may be computed from columns inside a formula, as plain lists that a program evaluates without knowing Python.

A node is ``["name", column]``, ``["number", value]`` or ``[operation, node, …]`` with an operation of `OPERATIONS`. Nothing else exists,
so that there is nothing else to run: a formula is never handed to Python's ``eval``, as patsy and formulaic do with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Node = list[Any]
OPERATIONS = {"add": 2, "sub": 2, "mul": 2, "div": 2, "pow": 2, "neg": 1, "log": 1, "exp": 1, "sqrt": 1}
FUNCTIONS = frozenset({"log", "exp", "sqrt"})
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}


def names(node: Node) -> Iterator[str]:
    """The columns that a node reads."""
    if node[0] == "name":
        yield str(node[1])
    elif node[0] != "number":
        for inner in node[1:]:
            yield from names(inner)


def written(node: Node, *, outer: bool = True) -> str:
    """The node as text, written by us; brackets where there could be doubt."""
    kind = node[0]
    if kind == "name":
        return str(node[1])
    if kind == "number":
        return f"{node[1]:g}"
    if kind in FUNCTIONS:
        return f"{kind}({written(node[1])})"
    if kind == "neg":
        return f"-{written(node[1], outer=False)}"
    text = f"{written(node[1], outer=False)} {_SIGNS[kind]} {written(node[2], outer=False)}"
    return text if outer else f"({text})"
