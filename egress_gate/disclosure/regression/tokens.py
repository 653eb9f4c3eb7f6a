"""Reads a formula's words and its arithmetic. Recursive descent with a bound on depth; there is no Python in it."""

from __future__ import annotations

import re

from egress_gate.disclosure.errors import FormulaRefused
from egress_gate.disclosure.regression.arithmetic import FUNCTIONS, Node

MAX_DEPTH = 12
MAX_WORD = 60
_TOKEN = re.compile(
    r"\s*(?:(\*\*|[~+\-*/:(),=])|([A-Za-z_][A-Za-z0-9_]*)|(\d+(?:\.\d+)?)|(\"[^\"\\\n]*\"|'[^'\\\n]*'))"
)
_NEAREST = "Allowed: names, C(name), I(…) with numbers and + - * / **, log, exp, sqrt, and + : * between terms."


def refused_formula(construct: str, why: str, nearest: str = _NEAREST) -> FormulaRefused:
    return FormulaRefused(f"The formula was refused: {construct} is not allowed.", why=why, do=nearest)


class Reader:
    """The formula's words, one after another."""

    def __init__(self, text: str) -> None:
        self._words = _words(text)
        self._place = 0
        self._depth = 0

    def peek(self, ahead: int = 0) -> str:
        place = self._place + ahead
        return self._words[place] if place < len(self._words) else ""

    def take(self) -> str:
        word = self.peek()
        self._place += 1
        return word

    def expect(self, word: str) -> None:
        if self.take() != word:
            shown = self._words[self._place - 1] if self._place <= len(self._words) else "the end"
            raise refused_formula(f"{shown} where {word} is expected", "It is not part of the formula's language.")

    def end(self) -> None:
        if self.peek():
            raise refused_formula(self.peek(), "It is not part of the formula's language at this place.")

    def name(self) -> str:
        """A column's name. Names that the gate or Python keeps for itself are no columns."""
        word = self.take()
        if not word.isidentifier() or not word.isascii():
            raise refused_formula(word or "an end without a variable", "A column's name is expected here.")
        if word.startswith("__"):
            raise refused_formula(f"the name {word}", "Names that start with two underscores are the gate's own.")
        if self.peek() == "(":
            raise refused_formula(f"the function {word}", "It is not among what a formula may compute.")
        if len(word) > MAX_WORD:
            raise refused_formula(
                "a name this long", f"At most {MAX_WORD} characters.", "Rename it in the SQL with AS."
            )
        return word

    def literal(self) -> str:
        """A quoted level or a number, as text."""
        word = self.take()
        if word[:1] in "\"'" and len(word) >= 2:
            return word[1:-1]
        if word[:1].isdigit():
            return word
        raise refused_formula(word or "an empty level", "A level is written in quotes.", 'C(stage, Treatment("1")).')

    def arithmetic(self) -> Node:
        """Sums of products of powers; ``**`` binds strongest and to the right, as in Python."""
        self._deeper()
        node = self._product()
        while self.peek() in ("+", "-"):
            sign = self.take()
            node = ["add" if sign == "+" else "sub", node, self._product()]
        self._depth -= 1
        return node

    def _product(self) -> Node:
        node = self._signed()
        while self.peek() in ("*", "/"):
            sign = self.take()
            node = ["mul" if sign == "*" else "div", node, self._signed()]
        return node

    def _signed(self) -> Node:
        if self.peek() == "-":
            self.take()
            self._deeper()
            node: Node = ["neg", self._signed()]
            self._depth -= 1
            return node
        return self._power()

    def _power(self) -> Node:
        base = self.arithmetic_atom()
        if self.peek() != "**":
            return base
        self.take()
        exponent = self.take()
        if not exponent[:1].isdigit():
            raise refused_formula("a power that is not a number", "Only numbers are allowed behind **.", "I(age ** 2).")
        return ["pow", base, ["number", float(exponent)]]

    def arithmetic_atom(self) -> Node:
        word = self.peek()
        if word == "(":
            self.take()
            node = self.arithmetic()
            self.expect(")")
            return node
        if word in FUNCTIONS and self.peek(1) == "(":
            self.take()
            self.take()
            node = [word, self.arithmetic()]
            self.expect(")")
            return node
        if word[:1].isdigit():
            return ["number", float(self.take())]
        return ["name", self.name()]

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise refused_formula(
                "a formula this deep", f"Brackets go {MAX_DEPTH} deep at most.", "Compute it in the SQL."
            )


def _words(text: str) -> list[str]:
    found, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise refused_formula(
                f"the sign {text[place:].lstrip()[:1]!r}", "It is not part of the formula's language."
            )
        found.append(next(group for group in match.groups() if group is not None))
        place = match.end()
    return found
