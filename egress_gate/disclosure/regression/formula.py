"""The formula of a regression: ``y ~ C(stage) * age + log(bili) + I(age ** 2)``.

The language is the part of Wilkinson and Rogers' notation (Symbolic description of factorial models, 1973) that statsmodels' users write:
names, ``C(name)``, ``C(name, Treatment("level"))``,
``I(…)`` with numbers, ``+ - * / **`` and brackets, ``log``, ``exp``, ``sqrt``; terms are
joined by ``+``, crossed by ``*``, interacted by ``:``; ``- 1`` or ``+ 0`` leaves the intercept out. Everything else is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from egress_gate.disclosure.regression.arithmetic import Node, names, written
from egress_gate.disclosure.regression.tokens import Reader, refused_formula

MAX_FORMULA = 1_000
MAX_TERMS = 40
MAX_ORDER = 3


@dataclass(frozen=True)
class Factor:
    """One variable of a term. ``categorical`` True for ``C(…)``; None: by the column's own type. ``node`` is what is computed."""

    label: str
    node: tuple[Any, ...]
    categorical: bool | None
    reference: str | None = None

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(names(list(self.node)))

    @property
    def column(self) -> str | None:
        """The column itself where the factor is nothing but one."""
        return str(self.node[1]) if self.node[0] == "name" else None

    def facts(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "node": list(self.node),
            "categorical": self.categorical,
            "reference": self.reference,
        }


@dataclass(frozen=True)
class Formula:
    """``terms`` are sets of factors' labels, in the order they were written; the empty one is the intercept."""

    response: Factor
    factors: tuple[Factor, ...]
    terms: tuple[tuple[str, ...], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, the response's first."""
        ordered = [*sorted(self.response.columns), *(c for f in self.factors for c in sorted(f.columns))]
        return tuple(dict.fromkeys(ordered))

    def text(self) -> str:
        """The same formula, written by us."""
        shown = [":".join(term) if term else "1" for term in self.terms]
        return f"{self.response.label} ~ {' + '.join(shown if () in self.terms else ['0', *shown])}"

    def facts(self) -> dict[str, Any]:
        return {
            "response": self.response.facts(),
            "factors": [f.facts() for f in self.factors],
            "terms": [list(t) for t in self.terms],
        }


def parse_formula(text: str) -> Formula:
    """Raises FormulaRefused naming what is not part of the language."""
    if len(text) > MAX_FORMULA:
        raise refused_formula("a formula this long", f"It has more than {MAX_FORMULA} characters.", "Use fewer terms.")
    reader = Reader(text)
    response = _response(reader)
    reader.expect("~")
    made = _Terms(reader)
    made.sum()
    reader.end()
    if len(made.terms) > MAX_TERMS:
        raise refused_formula("a formula this wide", f"It has more than {MAX_TERMS} terms.", "Use fewer terms.")
    intercept: tuple[tuple[str, ...], ...] = ((),) if made.intercept else ()
    terms = intercept + tuple(tuple(term) for term in made.terms)
    if not made.terms:
        raise refused_formula(
            "a formula without a variable", "It would be a mean.", "Ask for the mean as a table: SELECT avg(y) …."
        )
    used = {label for term in made.terms for label in term}
    return Formula(response, tuple(f for label, f in made.factors.items() if label in used), terms)


def _response(reader: Reader) -> Factor:
    word = reader.peek()
    if word in ("log", "sqrt") and reader.peek(1) == "(":
        node = _value(reader)
        return Factor(written(node), tuple(node), categorical=False)
    return Factor(*_named(reader.name()), categorical=False)


def _named(name: str) -> tuple[str, tuple[Any, ...]]:
    return name, ("name", name)


class _Terms:
    """Reads the right side into terms; a repeated term counts once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.factors: dict[str, Factor] = {}
        self.terms: list[tuple[str, ...]] = []
        self.intercept = True

    def sum(self) -> None:
        self._signed(sign="+")
        while self._reader.peek() in ("+", "-"):
            self._signed(self._reader.take())

    def _signed(self, sign: str) -> None:
        if self._reader.peek() in ("0", "1"):
            self.intercept = (self._reader.take() == "1") == (sign == "+")
            return
        if sign == "-":
            raise refused_formula(
                "taking a term away", "Only the intercept can be left out.", "Write the terms you want."
            )
        for term in self._crossed():
            if not any(set(term) == set(known) for known in self.terms):
                self.terms.append(term)

    def _crossed(self) -> list[tuple[str, ...]]:
        made = [self._interacted()]
        while self._reader.peek() == "*":
            self._reader.take()
            other = self._interacted()
            made = [*made, other, *(_joined(one, other) for one in made)]
            if len(made) > MAX_TERMS:
                raise refused_formula("crossing this many variables", "It has too many terms.", "Cross two or three.")
        return made

    def _interacted(self) -> tuple[str, ...]:
        term: tuple[str, ...] = (self._factor(),)
        while self._reader.peek() == ":":
            self._reader.take()
            term = _joined(term, (self._factor(),))
        return term

    def _factor(self) -> str:
        word, following = self._reader.peek(), self._reader.peek(1)
        if word == "C" and following == "(":
            made = _categorical(self._reader)
        elif following == "(":
            node = _inside(self._reader) if word == "I" else _value(self._reader)
            made = Factor(f"I({written(node)})" if word == "I" else written(node), tuple(node), categorical=False)
        else:
            made = Factor(*_named(self._reader.name()), categorical=None)
        self.factors.setdefault(made.label, made)
        return made.label


def _joined(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    made = tuple(dict.fromkeys((*left, *right)))
    if len(made) > MAX_ORDER:
        raise refused_formula(
            f"an interaction of {len(made)} variables", "Its cells are too small to say anything.", "Use two or three."
        )
    return made


def _categorical(reader: Reader) -> Factor:
    reader.expect("C")
    reader.expect("(")
    name = reader.name()
    reference = None
    if reader.peek() == ",":
        reader.take()
        reader.expect("Treatment")
        reader.expect("(")
        if reader.peek() == "reference":
            reader.take()
            reader.expect("=")
        reference = reader.literal()
        reader.expect(")")
    reader.expect(")")
    label = f"C({name})" if reference is None else f"C({name}, Treatment({reference!r}))"
    return Factor(label, ("name", name), categorical=True, reference=reference)


def _inside(reader: Reader) -> Node:
    reader.expect("I")
    reader.expect("(")
    node = reader.arithmetic()
    reader.expect(")")
    return node


def _value(reader: Reader) -> Node:
    return reader.arithmetic_atom()
