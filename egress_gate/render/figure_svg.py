"""An SVG that can only be looked at: parsed, and written anew from an allow-list of elements and attributes.

No script, no style sheet, no link, no address outside the file itself, no text outside the drawing's own; no entity is ever expanded,
because a file that declares one is refused.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from installation.fault import Fault

MAX_SVG = 8 * 1024 * 1024
_SVG = "http://www.w3.org/2000/svg"
ELEMENTS = frozenset(
    {
        "svg",
        "g",
        "path",
        "rect",
        "line",
        "circle",
        "ellipse",
        "polyline",
        "polygon",
        "text",
        "tspan",
        "defs",
        "clipPath",
    }
    | {"linearGradient", "radialGradient", "stop"}
)
ATTRIBUTES = frozenset(
    {
        "width",
        "height",
        "viewBox",
        "x",
        "y",
        "x1",
        "x2",
        "y1",
        "y2",
        "dx",
        "dy",
        "cx",
        "cy",
        "r",
        "rx",
        "ry",
        "d",
        "points",
    }
    | {
        "transform",
        "fill",
        "fill-opacity",
        "stroke",
        "stroke-width",
        "stroke-opacity",
        "stroke-dasharray",
        "stroke-dashoffset",
    }
    | {
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-miterlimit",
        "opacity",
        "display",
        "text-anchor",
        "dominant-baseline",
    }
    | {
        "font-family",
        "font-size",
        "font-weight",
        "font-style",
        "id",
        "clip-path",
        "offset",
        "stop-color",
        "stop-opacity",
        "gradientUnits",
    }
    | {"version", "role", "aria-label", "aria-roledescription", "aria-hidden"}
)
_LOCAL = re.compile(r"url\(#[A-Za-z0-9_-]+\)")
_DECLARED = re.compile(r"<!|<\?(?!xml )", re.IGNORECASE)


class SvgRefused(Fault):
    """A drawing with something in it that is no drawing."""

    code = "svg-refused"


def sanitised(svg: str) -> str:
    """The drawing alone. Raises SvgRefused for what cannot be read or declares anything; leaves out whatever is not listed."""
    if len(svg) > MAX_SVG or _DECLARED.search(svg):
        raise _refused()
    try:
        root = ET.fromstring(svg)  # noqa: S314 - no declaration, hence no entity, reaches the parser
    except ET.ParseError as bad:
        raise _refused() from bad
    if root.tag != f"{{{_SVG}}}svg":
        raise _refused()
    made = _copied(root)
    made.set("xmlns", _SVG)
    return ET.tostring(made, encoding="unicode", short_empty_elements=True)


def _copied(element: ET.Element) -> ET.Element:
    name = element.tag.removeprefix(f"{{{_SVG}}}")
    made = ET.Element(name, {k: v for k, v in element.attrib.items() if k in ATTRIBUTES and _harmless(v)})
    if name in ("text", "tspan"):
        made.text = element.text
    for child in element:
        if isinstance(child.tag, str) and child.tag.removeprefix(f"{{{_SVG}}}") in ELEMENTS:
            inner = _copied(child)
            inner.tail = child.tail if name in ("text", "tspan") else None
            made.append(inner)
    return made


def _harmless(value: str) -> bool:
    """No address but one inside the file."""
    return not re.search(r"url\s*\(|javascript:|data:|expression\s*\(|\\", _LOCAL.sub("", value), re.IGNORECASE)


def _refused() -> SvgRefused:
    return SvgRefused(
        "The figure could not be drawn.",
        why="The drawing holds something that is no drawing.",
        do="Simplify the figure.",
    )
