"""The part of Vega-Lite that a figure may be written in. A specification is read piece by piece and written anew; nothing is passed on.

There is no data, no address, no expression, no transform and no image in the language: a figure shows the columns of its own table and
nothing else. Its words and numbers leave with it, so they are few, short and visible, and the steward reads them.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from installation.fault import Fault

MAX_SPEC = 20_000
MAX_TEXT, MAX_TEXTS = 120, 800
MAX_NUMBERS, MAX_MEASURES = 60, 80
MAX_LIST = 40
MAX_LAYERS = 6
MAX_SIZE = 1_200

MARKS = frozenset(
    {
        "bar",
        "line",
        "point",
        "area",
        "tick",
        "rect",
        "rule",
        "circle",
        "square",
        "arc",
        "trail",
        "text",
        "errorbar",
        "errorband",
    }
)
CHANNELS = frozenset(
    {
        "x",
        "y",
        "x2",
        "y2",
        "xOffset",
        "yOffset",
        "color",
        "fill",
        "stroke",
        "opacity",
        "size",
        "shape",
        "strokeDash",
        "theta",
        "radius",
    }
    | {"text", "detail", "order", "row", "column", "xError", "yError", "xError2", "yError2"}
)
TYPES = frozenset({"quantitative", "ordinal", "nominal", "temporal"})
_COLUMN = re.compile(r"[^\W\d]\w*(?: \w+)*")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{3}(?:[0-9A-Fa-f]{3})?|[a-z]{3,20}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,29}")
_FORMAT = re.compile(r"[<>^=]?[-+( ]?[$]?0?[0-9]{0,2},?(?:\.[0-9])?~?[eEfgGrsS%pdoXxc]?")
_IGNORED = frozenset({"$schema"})


class SpecRefused(Fault):
    """A figure's specification outside the allow-list; it names the place and what stands there."""

    code = "spec-refused"


@dataclass
class Figure:
    """A specification that was read: `spec` is written by us; `texts` and `numbers` are the analyst's own that leave in it."""

    spec: dict[str, Any] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    measures: int = 0  # how many numbers of the layout there are: sizes, angles, widths

    @property
    def digits(self) -> list[str]:
        """Words with a digit in them, and numbers beyond the layout's: where a figure could carry more than it shows."""
        return [t for t in self.texts if any(unicodedata.category(c).startswith("N") for c in t)] + [
            f"{n:g}" for n in self.numbers
        ]


def read_figure(raw: Mapping[str, Any], columns: Sequence[str] | None) -> Figure:
    """Raises SpecRefused for anything outside the allow-list, or for a field that the table does not have (`columns` None: not known)."""
    try:
        size = len(json.dumps(raw, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as bad:
        raise _refused("the specification", "is not plain JSON") from bad
    if size > MAX_SPEC:
        raise _refused("the specification", f"has more than {MAX_SPEC} characters")
    reader = _Reader(None if columns is None else frozenset(columns), Figure())
    reader.figure.spec = reader.view(raw, "the figure", outer=True)
    if sum(map(len, reader.figure.texts)) > MAX_TEXTS:
        raise _refused("its words", f"are more than {MAX_TEXTS} characters together")
    if len(reader.figure.numbers) > MAX_NUMBERS:
        raise _refused("its numbers", f"are more than {MAX_NUMBERS}")
    if reader.figure.measures > MAX_MEASURES:
        raise _refused("its sizes", f"are more than {MAX_MEASURES}")
    return reader.figure


def _refused(place: str, what: str) -> SpecRefused:
    return SpecRefused(
        f"The figure was refused: {place} {what}.",
        why="A figure may use mark, encoding, layer, facet, title, axis, scale and legend, over the columns of its own table.",
        do="Compute in the SQL what a transform would; name columns with AS; leave data, url, expr, signals, images and links out.",
    )


_Rule = Callable[["_Reader", Any, str], Any]


class _Reader:
    def __init__(self, columns: frozenset[str] | None, figure: Figure) -> None:
        self.columns = columns
        self.figure = figure

    def members(self, raw: Any, place: str, rules: Mapping[str, _Rule]) -> dict[str, Any]:
        """A JSON object with these members alone."""
        if not isinstance(raw, Mapping):
            raise _refused(place, "is not an object")
        for name in raw:
            if name not in rules:
                raise _refused(f"{str(name)[:40]!r} in {place}", "is not among what may stand there")
        return {name: rules[name](self, value, f"{name} of {place}") for name, value in raw.items()}

    def view(self, raw: Any, place: str, *, outer: bool = False) -> dict[str, Any]:
        """One view: a mark, layers, or a view repeated for each value of a column."""
        rules: dict[str, _Rule] = dict(_VIEW)
        if outer:
            rules |= {"facet": _facet, "spec": _inner, "columns": _small, "resolve": _resolve}
        if not isinstance(raw, Mapping):
            raise _refused(place, "is not an object")
        made = self.members({k: v for k, v in raw.items() if k not in _IGNORED}, place, rules)
        if ("facet" in made) != ("spec" in made):
            raise _refused(place, "has facet or spec without the other")
        if sum(name in made for name in ("mark", "layer", "spec")) != 1:
            raise _refused(place, "has not one of mark, layer, and facet with spec")
        return made

    def text(self, raw: Any, place: str) -> str:
        """Words that leave."""
        if not isinstance(raw, str) or len(raw) > MAX_TEXT:
            raise _refused(place, f"is not a text of at most {MAX_TEXT} characters")
        if any(not c.isprintable() or unicodedata.category(c) in ("Cf", "Co", "Cn") for c in raw):
            raise _refused(place, "holds what nobody can see")
        self.figure.texts.append(raw)
        return raw

    def number(self, raw: Any, place: str) -> float | int:
        """A number of the analyst's own that shows, such as an axis' end."""
        if isinstance(raw, bool) or not isinstance(raw, int | float) or abs(raw) > 1e15:
            raise _refused(place, "is not a number")
        self.figure.numbers.append(raw)
        return raw


def _text(reader: _Reader, raw: Any, place: str) -> Any:
    return None if raw is None else reader.text(raw, place)


def _texts(reader: _Reader, raw: Any, place: str) -> Any:
    if isinstance(raw, list) and len(raw) <= 3:
        return [reader.text(one, place) for one in raw]
    return _text(reader, raw, place)


def _flag(_: _Reader, raw: Any, place: str) -> bool:
    if not isinstance(raw, bool):
        raise _refused(place, "is not true or false")
    return raw


def _layout(reader: _Reader, raw: Any, place: str) -> float | int:
    """A measure of the drawing: few values, so that nothing fits into it."""
    reader.figure.measures += 1
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not -MAX_SIZE <= raw <= MAX_SIZE:
        raise _refused(place, f"is not a number between -{MAX_SIZE} and {MAX_SIZE}")
    return round(raw, 2)


def _small(_: _Reader, raw: Any, place: str) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or not 1 <= raw <= 20:
        raise _refused(place, "is not a whole number from 1 to 20")
    return raw


def _extent(reader: _Reader, raw: Any, place: str) -> Any:
    if isinstance(raw, Mapping):
        return reader.members(raw, place, {"step": _layout})
    if isinstance(raw, bool) or not isinstance(raw, int) or not 20 <= raw <= MAX_SIZE:
        raise _refused(place, f"is not a whole number from 20 to {MAX_SIZE}, nor a step")
    return raw


def _one_of(*words: str) -> _Rule:
    def rule(_: _Reader, raw: Any, place: str) -> Any:
        if raw not in words or not isinstance(raw, str):
            raise _refused(place, f"is none of {', '.join(words)}")
        return raw

    return rule


def _matching(pattern: re.Pattern[str], what: str) -> _Rule:
    def rule(_: _Reader, raw: Any, place: str) -> Any:
        if not isinstance(raw, str) or not pattern.fullmatch(raw):
            raise _refused(place, f"is not {what}")
        return raw

    return rule


def _list_of(rule: _Rule) -> _Rule:
    def listed(reader: _Reader, raw: Any, place: str) -> Any:
        if not isinstance(raw, list) or not 1 <= len(raw) <= MAX_LIST:
            raise _refused(place, f"is not a list of at most {MAX_LIST}")
        return [rule(reader, one, place) for one in raw]

    return listed


def _or_nothing(rule: _Rule) -> _Rule:
    return lambda reader, raw, place: None if raw is None else rule(reader, raw, place)


def _object(rules: Mapping[str, _Rule]) -> _Rule:
    return lambda reader, raw, place: reader.members(raw, place, rules)


def _value(reader: _Reader, raw: Any, place: str) -> Any:
    """A constant that shows: a number, a word, or a colour."""
    return reader.text(raw, place) if isinstance(raw, str) else reader.number(raw, place)


def _range(reader: _Reader, raw: Any, place: str) -> Any:
    return [_COLOUR_OR_LAYOUT(reader, one, place) for one in _list_of(lambda _, one, __: one)(reader, raw, place)]


def _COLOUR_OR_LAYOUT(reader: _Reader, raw: Any, place: str) -> Any:
    return _colour(reader, raw, place) if isinstance(raw, str) else _layout(reader, raw, place)


def _field(reader: _Reader, raw: Any, place: str) -> str:
    """A column of the figure's own table, with a name that means nothing else to Vega."""
    if not isinstance(raw, str) or len(raw) > MAX_TEXT or not _COLUMN.fullmatch(raw):
        raise _refused(place, "is not a column's name made of letters, digits and _")
    if reader.columns is not None and raw not in reader.columns:
        raise _refused(place, f"is not a column of the table ({', '.join(sorted(reader.columns))})")
    return raw


_colour = _matching(_COLOUR, "a colour such as #1f77b4 or steelblue")
_word = _matching(_WORD, "a plain word")
_format = _matching(_FORMAT, "a number's format such as ,.1f")
_TITLE_PARTS: dict[str, _Rule] = {
    "text": _texts,
    "subtitle": _texts,
    "anchor": _one_of("start", "middle", "end"),
    "fontSize": _layout,
    "subtitleFontSize": _layout,
    "offset": _layout,
}


def _title(reader: _Reader, raw: Any, place: str) -> Any:
    return reader.members(raw, place, _TITLE_PARTS) if isinstance(raw, Mapping) else _texts(reader, raw, place)


_AXIS: dict[str, _Rule] = {
    "title": _texts,
    "format": _format,
    "labelAngle": _layout,
    "labels": _flag,
    "ticks": _flag,
    "grid": _flag,
    "domain": _flag,
    "tickCount": _layout,
    "tickMinStep": _layout,
    "orient": _one_of("left", "right", "top", "bottom"),
    "values": _list_of(_value),
    "labelFontSize": _layout,
    "titleFontSize": _layout,
    "labelLimit": _layout,
    "titlePadding": _layout,
    "labelPadding": _layout,
}
_LEGEND: dict[str, _Rule] = {
    "title": _texts,
    "format": _format,
    "orient": _one_of("left", "right", "top", "bottom", "top-left", "top-right", "bottom-left", "bottom-right", "none"),
    "columns": _small,
    "direction": _one_of("horizontal", "vertical"),
    "values": _list_of(_value),
    "labelLimit": _layout,
    "symbolType": _word,
}
_SCALE: dict[str, _Rule] = {
    "type": _one_of(
        "linear", "log", "sqrt", "symlog", "time", "utc", "ordinal", "band", "point", "quantize", "threshold"
    ),
    "domain": _list_of(_value),
    "range": _range,
    "scheme": _word,
    "zero": _flag,
    "nice": _flag,
    "reverse": _flag,
    "clamp": _flag,
    "base": _small,
    "padding": _layout,
    "paddingInner": _layout,
    "paddingOuter": _layout,
}
_HEADER: dict[str, _Rule] = {"title": _texts, "labelAngle": _layout, "labelFontSize": _layout, "titleFontSize": _layout}


def _sort(reader: _Reader, raw: Any, place: str) -> Any:
    if raw is None or raw in ("ascending", "descending", "x", "-x", "y", "-y"):
        return raw
    return _list_of(_value)(reader, raw, place)


_CHANNEL: dict[str, _Rule] = {
    "field": _field,
    "type": _one_of(*sorted(TYPES)),
    "title": _texts,
    "axis": _or_nothing(_object(_AXIS)),
    "legend": _or_nothing(_object(_LEGEND)),
    "scale": _or_nothing(_object(_SCALE)),
    "header": _or_nothing(_object(_HEADER)),
    "sort": _sort,
    "stack": _or_nothing(
        lambda r, raw, p: raw if isinstance(raw, bool) else _one_of("zero", "normalize", "center")(r, raw, p)
    ),
    "format": _format,
    "value": lambda r, raw, p: _COLOUR_OR_LAYOUT(r, raw, p),
    "datum": _value,
    "bandPosition": _layout,
}


def _channel(reader: _Reader, raw: Any, place: str) -> dict[str, Any]:
    made = reader.members(raw, place, _CHANNEL)
    if sum(name in made for name in ("field", "value", "datum")) != 1:
        raise _refused(place, "has not one of field, value and datum")
    if "field" in made and "type" not in made:
        raise _refused(place, f"has no type; it is one of {', '.join(sorted(TYPES))}")
    return made


def _channels(reader: _Reader, raw: Any, place: str) -> Any:
    if isinstance(raw, list):
        return _list_of(_channel)(reader, raw, place)
    return _channel(reader, raw, place)


_MARK: dict[str, _Rule] = {
    "type": _one_of(*sorted(MARKS)),
    "color": _colour,
    "fill": _colour,
    "stroke": _colour,
    "opacity": _layout,
    "fillOpacity": _layout,
    "strokeOpacity": _layout,
    "strokeWidth": _layout,
    "strokeDash": _list_of(_layout),
    "size": _layout,
    "filled": _flag,
    "point": _flag,
    "line": _flag,
    "ticks": _flag,
    "interpolate": _one_of("linear", "step", "step-before", "step-after", "monotone", "basis", "cardinal"),
    "shape": _one_of("circle", "square", "cross", "diamond", "triangle-up", "triangle-down"),
    "orient": _one_of("horizontal", "vertical"),
    "align": _one_of("left", "center", "right"),
    "baseline": _one_of("top", "middle", "bottom", "alphabetic"),
    "dx": _layout,
    "dy": _layout,
    "angle": _layout,
    "fontSize": _layout,
    "cornerRadius": _layout,
    "innerRadius": _layout,
    "outerRadius": _layout,
    "clip": _flag,
    "width": _layout,
    "height": _layout,
}


def _mark(reader: _Reader, raw: Any, place: str) -> Any:
    if isinstance(raw, str):
        return _MARK["type"](reader, raw, place)
    made = reader.members(raw, place, _MARK)
    if "type" not in made:
        raise _refused(place, "has no type")
    return made


def _layers(reader: _Reader, raw: Any, place: str) -> Any:
    if not isinstance(raw, list) or not 1 <= len(raw) <= MAX_LAYERS:
        raise _refused(place, f"is not a list of at most {MAX_LAYERS} views")
    rules = {name: rule for name, rule in _VIEW.items() if name != "layer"}
    return [reader.members(one, place, rules) for one in raw]


def _facet(reader: _Reader, raw: Any, place: str) -> Any:
    if isinstance(raw, Mapping) and not {"row", "column"} & set(raw):
        return _channel(reader, raw, place)
    return reader.members(raw, place, {"row": _channel, "column": _channel})


def _inner(reader: _Reader, raw: Any, place: str) -> Any:
    return reader.view(raw, place)


_INDEPENDENT = _one_of("shared", "independent")
_resolve = _object(
    {kind: _object(dict.fromkeys(sorted(CHANNELS), _INDEPENDENT)) for kind in ("scale", "axis", "legend")}
)
_VIEW: dict[str, _Rule] = {
    "title": _title,
    "description": _text,
    "width": _extent,
    "height": _extent,
    "mark": _mark,
    "encoding": _object(dict.fromkeys(sorted(CHANNELS), _channels)),
    "layer": _layers,
}
