"""The zip that leaves, in one form only: the same members give the same bytes, and no byte of it is free.

Members are stored, in the order of their names; time, attributes, versions and flags are fixed; nothing stands between,
before or after them. So a reader needs no zip library that guesses: it walks the members and rebuilds the rest.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from ledger.errors import BundleFault

MAX_FILE = 1 << 30
MAX_MEMBERS = 2000
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION, _UTF8, _DATE, _UNIX, _MODE = 20, 0x800, 33, 3, 0o100644 << 16  # 33 is 1 January 1980


def pack(members: Mapping[str, bytes]) -> bytes:
    """The zip. Raises BundleFault for an unsafe name or too much."""
    if len({name.casefold() for name in members}) != len(members):
        raise _fault("two names in it differ in case only")
    local, central, offset = [], [], 0
    for name in sorted(members):
        head, entry = _headers(_checked_name(name), members[name], offset)
        local += [head, members[name]]
        central.append(entry)
        offset += len(head) + len(members[name])
    packed = b"".join(local) + _closing(central, offset)
    if len(packed) > MAX_FILE or len(members) > MAX_MEMBERS:
        raise _fault("it would be too large")
    return packed


def unpack(data: bytes) -> dict[str, bytes]:
    """The members. Raises BundleFault unless ``data`` is, to the last byte, what `pack` makes of them."""
    members: dict[str, bytes] = {}
    folded: set[str] = set()
    central, position = [], 0
    while data[position : position + 4] == b"PK\x03\x04":
        name, content = _member(data, position)
        if len(members) >= MAX_MEMBERS or name.casefold() in folded:
            raise _fault("a name stands in it twice, or it holds too many files")
        folded.add(name.casefold())
        head, entry = _headers(name, content, position)
        if not data.startswith(head, position):
            raise _fault(f"the header of {name} was altered")
        members[name] = content
        central.append(entry)
        position += len(head) + len(content)
    if not members or list(members) != sorted(members) or data[position:] != _closing(central, position):
        raise _fault("its directory was altered, or it holds something beside its files")
    return members


def _member(data: bytes, position: int) -> tuple[str, bytes]:
    try:
        fields = _LOCAL.unpack_from(data, position)
        size, length = fields[8], fields[9]
        start = position + _LOCAL.size + length
        name = _checked_name(data[position + _LOCAL.size : start].decode("utf-8"))
    except (struct.error, UnicodeDecodeError) as broken:
        raise _fault("it breaks off, or a name in it is not text") from broken
    if start + size > len(data):
        raise _fault("it breaks off")
    return name, data[start : start + size]


def _headers(name: str, content: bytes, offset: int) -> tuple[bytes, bytes]:
    encoded = name.encode("utf-8")
    flags = 0 if name.isascii() else _UTF8
    shared = (_VERSION, flags, 0, 0, _DATE, zlib.crc32(content), len(content), len(content), len(encoded), 0)
    local = _LOCAL.pack(b"PK\x03\x04", *shared) + encoded
    central = _CENTRAL.pack(b"PK\x01\x02", _UNIX << 8 | _VERSION, *shared, 0, 0, 0, _MODE, offset) + encoded
    return local, central


def _closing(central: list[bytes], offset: int) -> bytes:
    directory = b"".join(central)
    count = len(central)
    return directory + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), offset, 0)


def _checked_name(name: str) -> str:
    parts = name.split("/")
    unsafe = any(part in ("", ".", "..") for part in parts) or "\\" in name or ":" in name
    if unsafe or not name.isprintable() or len(name.encode("utf-8")) > 255:
        raise _fault("a name in it could be written outside its folder, or cannot be shown")
    return name


def _fault(why: str) -> BundleFault:
    return BundleFault("The release file was refused.", why=f"Because {why}.", do="Download it again from the desk.")
