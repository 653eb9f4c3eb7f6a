"""A PNG of nothing but its pixels: the image data is unpacked and packed again, and every other chunk (text, time, profile) is dropped."""

from __future__ import annotations

import struct
import zlib

from egress_gate.render.figure_svg import SvgRefused

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS = 6_000 * 6_000
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def only_pixels(png: bytes) -> bytes:
    """The same picture without metadata. Raises SvgRefused for anything but a plain eight-bit PNG."""
    header, packed = _chunks(png)
    width, height, depth, kind, compression, filtering, interlaced = struct.unpack(">IIBBBBB", header)
    if depth != 8 or kind not in _CHANNELS or compression or filtering or interlaced or width * height > MAX_PIXELS:
        raise _unreadable()
    size = height * (1 + width * _CHANNELS[kind])
    unpacking = zlib.decompressobj()
    try:
        pixels = unpacking.decompress(packed, size + 1)
    except zlib.error as bad:
        raise _unreadable() from bad
    if len(pixels) != size or unpacking.unused_data or any(pixels[row] > 4 for row in range(0, size, size // height)):
        raise _unreadable()
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(pixels, 9)) + _chunk(b"IEND", b"")


def written(width: int, height: int, rgb: bytes) -> bytes:
    """A PNG of these pixels, three bytes each, and nothing else; the same pixels give the same bytes."""
    row = width * 3
    lines = b"".join(b"\x00" + rgb[at : at + row] for at in range(0, height * row, row))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines, 6)) + _chunk(b"IEND", b"")


def _chunks(png: bytes) -> tuple[bytes, bytes]:
    if png[:8] != SIGNATURE:
        raise _unreadable()
    header, packed, place = b"", bytearray(), 8
    while place + 12 <= len(png):
        length, name = struct.unpack(">I4s", png[place : place + 8])
        body = png[place + 8 : place + 8 + length]
        if len(body) != length:
            raise _unreadable()
        if name == b"IHDR":
            header = body
        elif name == b"IDAT":
            packed += body
        elif name == b"IEND":
            break
        place += 12 + length
    if len(header) != 13:
        raise _unreadable()
    return header, bytes(packed)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _unreadable() -> SvgRefused:
    return SvgRefused(
        "The figure could not be drawn.", why="Its picture is not a plain PNG.", do="Simplify the figure."
    )
