"""Other ways to write the same text: entities, escapes, full-width digits, Chinese numerals, base64 and hexadecimal.

What decodes to readable text is read as well; what decodes to bytes that nobody can read is counted: it is as unreadable as an archive.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from urllib.parse import unquote

MAX_DEPTH = 2
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2}){2,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_HEX = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2}){6,})")
_CHINESE = re.compile("[零〇一二两三四五六七八九十百千万亿]{2,}(?:点[零〇一二三四五六七八九]+)?")
_DIGITS = {c: i % 10 for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_STEPS = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "亿": 10**8}
LONG_RUN = 24  # characters of an unreadable run from which on it is counted


def plain(text: str) -> str:
    """The text without the ways to write a character differently: compatibility forms, entities, escapes, invisible characters."""
    made = html.unescape(unicodedata.normalize("NFKC", text))
    made = _ESCAPED.sub(lambda m: chr(int(m[1] or m[2], 16)), made)
    made = _PERCENT.sub(lambda m: unquote(m[0], errors="replace"), made)
    made = unicodedata.normalize("NFKC", made)
    return "".join(c for c in made if unicodedata.category(c) != "Cf").replace("−", "-")


def decoded(line: str, depth: int = 0) -> tuple[list[str], int]:
    """Readable texts inside the line's base64 and hexadecimal runs, and how many bytes of them are not readable."""
    found: list[str] = []
    opaque = 0
    if depth >= MAX_DEPTH:
        return found, opaque
    for run, data in _runs(line):
        text = _readable(data)
        if text is not None:
            inner, hidden = decoded(text, depth + 1)
            found += [plain(text), *inner]
            opaque += hidden
        elif len(run) >= LONG_RUN and _mixed(run):
            opaque += len(data)
    return found, opaque


def _runs(line: str) -> list[tuple[str, bytes]]:
    found = []
    for match in _HEX.finditer(line):
        found.append((match[0], bytes.fromhex(match[1])))
    for match in _BASE64.finditer(line):
        bare = match[0].rstrip("=").translate(str.maketrans("-_", "+/"))
        if len(bare) % 4 != 1:
            try:
                found.append((match[0], base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)))
            except (binascii.Error, ValueError):
                continue
    return found


def _readable(data: bytes) -> str | None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    good = sum(c.isprintable() or c in "\r\n\t" for c in text)
    return text if text and good == len(text) else None


def _mixed(run: str) -> bool:
    """Not a long word or a path: letters of both cases and digits, or hexadecimal digits only."""
    if _HEX.fullmatch(run):
        return not run.isdigit()
    return bool(re.search(r"[A-Z]", run) and re.search(r"[a-z]", run) and re.search(r"\d", run))


def chinese_numbers(text: str) -> list[str]:
    """Numbers written with Chinese numerals, as digits: 三十七 → 37, 二〇二六 → 2026, 三点五 → 3.5."""
    return [_chinese(match[0]) for match in _CHINESE.finditer(text)]


def _chinese(word: str) -> str:
    whole, _, fraction = word.partition("点")
    spoken = any(c in _STEPS or c in _LARGE for c in whole)
    made = str(_valued(whole)) if spoken else "".join(str(_DIGITS[c]) for c in whole)
    return made + ("." + "".join(str(_DIGITS[c]) for c in fraction) if fraction else "")


def _valued(word: str) -> int:
    total = part = digit = 0
    for c in word:
        if c in _DIGITS:
            digit = _DIGITS[c]
        elif c in _STEPS:
            part += (digit or 1) * _STEPS[c]
            digit = 0
        else:
            total = (total + part + digit) * _LARGE[c] if c == "亿" else total + (part + digit) * _LARGE[c]
            part = digit = 0
    return total + part + digit
