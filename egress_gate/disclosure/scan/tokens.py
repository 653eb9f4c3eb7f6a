"""A text as what its pieces can stand for: numbers, dates and words, each with the lines where it stands. Pure.

A piece has several readings (52,317 is a number, two numbers, and a text), because the question is which of them is a value of the data.
Words are compared without case, accents, blanks and punctuation. What is asked of the data about them is `verifier.scan`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal, InvalidOperation

from egress_gate.disclosure.scan.encodings import chinese_numbers, decoded, plain

MAX_CHARACTERS = 600_000
MAX_TOKENS = 120_000
MAX_WINDOWS = 4_000
MAX_LINE = 4_000
MAX_DIGITS = 30
_WIDE, _FINEST = Context(prec=80), Decimal(1).scaleb(-12)
WINDOW = 60
_Line = tuple[int, tuple[int, ...]]  # its number and its tokens
_Window = tuple[int, int, tuple[int, ...]]  # first and last line, tokens
SHORT_LINES = 6
_NUMBER = re.compile(r"-?\d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d{1,2}(?!\d))?")
_GROUPED = re.compile(r"\d{1,3}(?:[,' ._]\d{3})+(?:[.,]\d+)?(?!\d)")
_COMMA = re.compile(r"(?<![\d,])-?\d+,\d+(?![\d,])")
_SPACED = re.compile(r"(?<![\d.,])\d(?:[ \-/]{0,2}\d){3,29}(?![.,]?\d)")
_HEXADECIMAL = re.compile(r"\b0x([0-9a-fA-F]{1,15})\b")
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_FIELD = re.compile(r"[^,;\t|\"]+")
_HAN = re.compile(r"[\u3400-\u9fff]{2,}")
_YMD = re.compile(r"(?<!\d)(\d{4})\s?[-/.年]?\s?(\d{1,2})\s?[-/.月]?\s?(\d{1,2})(?!\d)")
_DMY = re.compile(r"(?<!\d)(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?!\d)")
_MONTHS = {
    m: n for n, m in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_NAMED = re.compile(r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?[ \-]([A-Za-z]{3})[a-z]*\.?,?[ \-](\d{4})(?!\d)")
_MDY = re.compile(r"([A-Za-z]{3})[a-z]*\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})(?!\d)")


@dataclass(frozen=True)
class Token:
    """One reading: ``kind`` number, text or date; ``value`` in canonical form."""

    kind: str
    value: str


@dataclass
class Scan:
    """Every token once, where each stands, and the windows: tokens that stand together as a record's values would."""

    tokens: list[Token] = field(default_factory=list)
    places: list[list[tuple[str, int]]] = field(default_factory=list)  # by token: part of the file and line
    windows: list[tuple[int, ...]] = field(default_factory=list)
    spans: list[tuple[str, int, int]] = field(default_factory=list)  # by window: part, first and last line
    opaque_bytes: int = 0
    share: float = 1.0  # of the text that was read
    _known: dict[Token, int] = field(default_factory=dict)

    def keep(self, where: str, found: Iterable[_Window]) -> None:
        for first, last, window in found:
            self.windows.append(window)
            self.spans.append((where, first, last))

    def number_of(self, token: Token, where: str, line: int) -> int | None:
        place = self._known.get(token)
        if place is None:
            if len(self.tokens) >= MAX_TOKENS:
                self.share = min(self.share, 0.99)
                return None
            place = self._known[token] = len(self.tokens)
            self.tokens.append(token)
            self.places.append([])
        if len(self.places[place]) < 20:
            self.places[place].append((where, line))
        return place


def scan_of(texts: Iterable[tuple[str, str]]) -> Scan:
    """The tokens of some texts, each with the name of its part of the file."""
    made = Scan()
    left = MAX_CHARACTERS
    whole = read = 0
    for where, text in texts:
        whole += len(text)
        taken = text[: max(0, left)]
        left -= len(text)
        read += len(taken)
        _read(made, where, taken)
    if whole:
        made.share = min(made.share, read / whole)
    _thinned(made)
    return made


def _read(made: Scan, where: str, text: str) -> None:
    lines: list[_Line] = []
    backwards: list[_Line] = []
    shape: list[tuple[int, list[tuple[int, ...]]]] = []
    for number, line in _lines(text):
        inner, opaque = decoded(line)
        made.opaque_bytes += opaque
        found = _numbered(made, where, number, [line, *inner])
        if found:
            lines.append((number, found))
            shape.append((number, _cells(made, line)))
        turned = _numbered(made, where, number, [line[::-1]])
        if turned and _DIGIT.search(line):
            backwards.append((number, turned))
    _joined_lines(made, where, text)
    made.keep(where, [*_by_line(lines), *_by_several(lines), *_by_column(shape), *_by_line(backwards)])


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Plain lines with their numbers; a very long one in pieces."""
    for number, raw in enumerate(text.splitlines(), 1):
        for start in range(0, max(1, len(raw)), MAX_LINE):
            yield number, plain(raw[start : start + MAX_LINE])


def _numbered(made: Scan, where: str, line: int, texts: Sequence[str]) -> tuple[int, ...]:
    tokens = dict.fromkeys(t for text in texts for t in readings(text))
    found = (made.number_of(t, where, line) for t in tokens)
    return tuple(n for n in found if n is not None)


def _joined_lines(made: Scan, where: str, text: str) -> None:
    """Base64 is wrapped over lines; what it holds is read in one piece too."""
    run: list[str] = []
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        bare = raw.strip()
        if re.fullmatch(r"[A-Za-z0-9+/=_-]{16,}", bare):
            run.append(bare)
            continue
        if len(run) > 1:
            inner, opaque = decoded("".join(run))
            made.opaque_bytes += opaque
            for part in inner:
                pieces = [(number - 1, _numbered(made, where, number - 1, [one])) for one in part.splitlines()]
                made.keep(where, [*_by_line(pieces), *_by_several(pieces)])
        run = []


def _by_line(lines: Sequence[_Line]) -> Iterator[_Window]:
    for number, tokens in lines:
        for start in range(0, len(tokens), WINDOW // 2):
            part = tokens[start : start + WINDOW]
            if len(part) > 1 and (start == 0 or len(part) > WINDOW // 2):
                yield number, number, part


def _by_several(lines: Sequence[_Line]) -> Iterator[_Window]:
    """A record that stands in several lines: every eight short ones in a row, half overlapping."""
    for start in range(0, len(lines), 4):
        part = [one for one in lines[start : start + 8] if len(one[1]) <= 4 * SHORT_LINES]
        if len(part) > 1:
            yield part[0][0], part[-1][0], tuple(dict.fromkeys(t for _, tokens in part for t in tokens))


def _cells(made: Scan, line: str) -> list[tuple[int, ...]]:
    """The readings of each blank- or comma-separated field, as far as they are known tokens."""
    fields = [f for f in re.split(r"[,;\t| ]+", line.strip()) if f]
    if len(fields) > 200:
        return []
    return [tuple(n for t in readings(f) if (n := made._known.get(t)) is not None) for f in fields]


def _by_column(shape: Sequence[tuple[int, list[tuple[int, ...]]]]) -> Iterator[_Window]:
    """A table on its side: where lines below each other have as many fields, what stands in the same place."""
    start = 0
    while start < len(shape):
        width = len(shape[start][1])
        end = start
        while end < len(shape) and len(shape[end][1]) == width:
            end += 1
        if width > 2 and 2 <= end - start <= 40:
            block = shape[start:end]
            for place in range(width):
                tokens = dict.fromkeys(t for _, cells in block for t in cells[place])
                yield block[0][0], block[-1][0], tuple(tokens)
        start = max(end, start + 1)


def _thinned(made: Scan) -> None:
    """Too many windows: evenly spread ones are looked at, and it is said that not all were."""
    count = len(made.windows)
    if count > MAX_WINDOWS:
        kept = [int(n * count / MAX_WINDOWS) for n in range(MAX_WINDOWS)]
        made.windows = [made.windows[n] for n in kept]
        made.spans = [made.spans[n] for n in kept]
        made.share = min(made.share, MAX_WINDOWS / count)


def readings(text: str) -> Iterator[Token]:
    """What the pieces of one plain line can stand for."""
    yield from _numbers(text)
    yield from _dates(text)
    yield from _texts(text)


def _numbers(text: str) -> Iterator[Token]:
    found = [m[0].replace("_", "") for m in _NUMBER.finditer(text)]
    for match in _GROUPED.finditer(text):
        found += _ungrouped(match[0])
    found += [m[0].replace(",", ".") for m in _COMMA.finditer(text)]
    found += [str(int(m[1], 16)) for m in _HEXADECIMAL.finditer(text)]
    found += chinese_numbers(text)
    for match in _SPACED.finditer(text):
        joined = re.sub(r"\D", "", match[0])
        found.append(joined)
        yield Token("text", joined)
    for one in found:
        made = _number(one)
        if made is not None:
            yield Token("number", made)


def _ungrouped(text: str) -> list[str]:
    """52,317.5 and 52.317,5: the last sign is the decimal one, or all are separators."""
    bare = re.sub(r"[,' ._]", "", text)
    last = max(text.rfind("."), text.rfind(","))
    if last < 0:
        return [bare]
    return [bare, re.sub(r"\D", "", text[:last]) + "." + re.sub(r"\D", "", text[last + 1 :])]


def _number(text: str) -> str | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if not value.is_finite() or value.adjusted() > MAX_DIGITS:
        return None
    exact = f"{value.quantize(_FINEST, context=_WIDE):f}"
    return exact.rstrip("0").rstrip(".") if "." in exact else exact


def _dates(text: str) -> Iterator[Token]:
    for year, month, day in _written_dates(text):
        try:
            yield Token("date", date(year, month, day).isoformat())
        except ValueError:
            continue


def _written_dates(text: str) -> Iterator[tuple[int, int, int]]:
    for y, m, d in _YMD.findall(text):
        yield int(y), int(m), int(d)
    for a, b, y in _DMY.findall(text):
        yield int(y), int(b), int(a)
        yield int(y), int(a), int(b)
    for d, name, y in _NAMED.findall(text):
        yield int(y), _MONTHS.get(name.lower(), 0), int(d)
    for name, d, y in _MDY.findall(text):
        yield int(y), _MONTHS.get(name.lower(), 0), int(d)


def squeezed(text: str) -> str:
    """Without case, accents, blanks and punctuation; the same is done to the data by `verifier.scan`."""
    bare = unicodedata.normalize("NFD", text.lower())
    return "".join(c for c in bare if c.isalnum())


def _texts(text: str) -> Iterator[Token]:
    words = [w for w in _WORD.findall(text) if len(w) <= 80][:400]
    pieces = ["".join(words[start : start + size]) for size in (1, 2, 3, 4) for start in range(len(words) - size + 1)]
    pieces += _FIELD.findall(text)
    for run in _HAN.findall(text):
        pieces += [run[start : start + size] for size in (2, 3, 4) for start in range(len(run[:400]) - size + 1)]
    if len(text) <= 200:
        pieces.append(text)
    for piece in dict.fromkeys(squeezed(p) for p in pieces):
        if 0 < len(piece) <= 200:
            yield Token("text", piece)
