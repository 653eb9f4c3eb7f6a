"""The kernel websocket protocol in its three encodings, read strictly and written anew.

JSON text, the older binary form with buffers, and ``v1.kernel.websocket.jupyter.org``. What passes the door is never the
bytes that came: a message is parsed, judged and encoded again, so that two readers cannot see two things in it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

from aiohttp import WSMsgType

_COUNT = struct.Struct("<Q")
KERNEL_V1 = "v1.kernel.websocket.jupyter.org"
CHANNELS = frozenset({"shell", "control", "stdin", "iopub"})
MOST_BUFFERS = 256
MOST_SHARED = 1024


class Unreadable(ValueError):
    """Not a message of this protocol: it does not pass."""


@dataclass
class KernelMessage:
    """One message. ``header`` and ``parent`` always hold text under ``msg_id`` and ``msg_type`` where they are not empty."""

    channel: str
    header: dict[str, Any]
    parent: dict[str, Any]
    metadata: dict[str, Any]
    content: dict[str, Any]
    buffers: list[bytes] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return str(self.header["msg_type"])

    @property
    def id(self) -> str:
        return str(self.header["msg_id"])

    @property
    def parent_id(self) -> str:
        return str(self.parent.get("msg_id", ""))


def decode(kind: WSMsgType, data: bytes, protocol: str | None) -> KernelMessage:
    """Raises Unreadable."""
    try:
        if protocol == KERNEL_V1:
            if kind is not WSMsgType.BINARY:
                raise Unreadable("text in the binary protocol")
            return _decode_v1(data)
        if kind is WSMsgType.TEXT:
            return _from_json(_object(data), [])
        return _decode_buffers(data)
    except (struct.error, UnicodeDecodeError, RecursionError, KeyError, TypeError, OverflowError) as error:
        raise Unreadable(str(error)[:200]) from error


def peek(data: bytes) -> KernelMessage:
    """A message of the binary protocol without its metadata, content and buffers, for a view in which those pass as they are.

    Raises Unreadable. Several times faster than `decode` on a cell that prints.
    """
    try:
        (count,) = _COUNT.unpack_from(data)
        if not 6 <= count <= MOST_BUFFERS + 6:
            raise Unreadable("number of parts")
        offsets = struct.unpack_from(f"<{count}Q", data, 8)
        if offsets[0] != 8 * (count + 1) or offsets[-1] != len(data) or list(offsets) != sorted(offsets):
            raise Unreadable("offsets")
        begin, header, parent, metadata = offsets[:4]
        channel = data[begin:header].decode("ascii")
        named = data[parent:metadata]
        asked = _shared(named) if len(named) <= MOST_SHARED else _object(named)
        return _message(channel, _object(data[header:parent]), asked, {}, {}, [])
    except (struct.error, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)[:200]) from error


def encode(message: KernelMessage, protocol: str | None) -> tuple[WSMsgType, bytes]:
    if protocol == KERNEL_V1:
        return WSMsgType.BINARY, _encode_v1(message)
    body = {
        "header": message.header, "parent_header": message.parent, "metadata": message.metadata,
        "content": message.content, "channel": message.channel, "buffers": [],
        "msg_id": message.id, "msg_type": message.kind,
    }  # fmt: skip
    text = _dump(body)
    if not message.buffers:
        return WSMsgType.TEXT, text
    parts = [text, *message.buffers]
    offsets = [4 * (len(parts) + 1)]
    for part in parts[:-1]:
        offsets.append(offsets[-1] + len(part))
    return WSMsgType.BINARY, struct.pack(f"!{len(parts) + 1}I", len(parts), *offsets) + b"".join(parts)


def _decode_v1(data: bytes) -> KernelMessage:
    (count,) = struct.unpack_from("<Q", data)
    if not 6 <= count <= MOST_BUFFERS + 6:
        raise Unreadable("number of parts")
    offsets = struct.unpack_from(f"<{count}Q", data, 8)
    parts = _slices(data, offsets, 8 * (count + 1))
    channel = parts[0].decode("ascii")
    header, parent, metadata, content = (_object(part) for part in parts[1:5])
    # The last offset is the end of the message, so what it would begin is empty.
    if offsets[-1] != len(data):
        raise Unreadable("end of the message")
    return _message(channel, header, parent, metadata, content, parts[5:-1])


def _encode_v1(message: KernelMessage) -> bytes:
    parts = [
        message.channel.encode(), _dump(message.header), _dump(message.parent), _dump(message.metadata),
        _dump(message.content), *message.buffers,
    ]  # fmt: skip
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts)


def _decode_buffers(data: bytes) -> KernelMessage:
    (count,) = struct.unpack_from("!I", data)
    if not 1 <= count <= MOST_BUFFERS + 1:
        raise Unreadable("number of parts")
    offsets = struct.unpack_from(f"!{count}I", data, 4)
    parts = _slices(data, offsets, 4 * (count + 1))
    return _from_json(_object(parts[0]), parts[1:])


def _slices(data: bytes, offsets: tuple[int, ...], first: int) -> list[bytes]:
    """The parts between offsets. They must begin right after the offsets, rise, and end within the data."""
    bounds = [*offsets, len(data)]
    if offsets[0] != first or any(a > b for a, b in pairwise(bounds)):
        raise Unreadable("offsets")
    return [data[a:b] for a, b in pairwise(bounds)]


def _from_json(body: dict[str, Any], buffers: list[bytes]) -> KernelMessage:
    parts = [body.get(name) or {} for name in ("header", "parent_header", "metadata", "content")]
    if any(not isinstance(part, dict) for part in parts):
        raise Unreadable("a part is not an object")
    return _message(body.get("channel"), parts[0], parts[1], parts[2], parts[3], buffers)


def _message(
    channel: Any, header: dict[str, Any], parent: dict[str, Any], metadata: dict[str, Any], content: dict[str, Any],
    buffers: list[bytes],
) -> KernelMessage:  # fmt: skip
    if channel not in CHANNELS:
        raise Unreadable("channel")
    if not _named(header) or (parent and not _named(parent)):
        raise Unreadable("header")
    return KernelMessage(channel, header, parent, metadata, content, buffers)


def _named(header: dict[str, Any]) -> bool:
    return isinstance(header.get("msg_id"), str) and isinstance(header.get("msg_type"), str)


def _no_constant(name: str) -> Any:
    """NaN and Infinity are not JSON; Python's kernels write them, browsers cannot read them."""
    return None


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = _DECODER.decode(data.decode("utf-8"))
    except ValueError as error:
        raise Unreadable("not JSON") from error
    if not isinstance(found, dict):
        raise Unreadable("not an object")
    return found


@lru_cache(maxsize=512)
def _shared(data: bytes) -> dict[str, Any]:
    """A parent header, the same for all messages of a cell; nobody changes it."""
    return _object(data)


def _dump(part: dict[str, Any]) -> bytes:
    return _ENCODER.encode(part).encode("utf-8", "replace")
