"""The kernel protocol's three encodings: what is malformed is unreadable; what is well-formed comes back the same."""

from __future__ import annotations

import json
import struct

import pytest
from aiohttp import WSMsgType
from hypothesis import given
from hypothesis import strategies as st

from egress_gate.doors.kernel_protocol import KERNEL_V1, KernelMessage, Unreadable, decode, encode

HEADER = {"msg_id": "m", "msg_type": "stream", "username": "u", "session": "s", "date": "", "version": "5.3"}


def message(**changes: object) -> KernelMessage:
    made = KernelMessage("iopub", dict(HEADER), {"msg_id": "p", "msg_type": "execute_request"}, {}, {"text": "hi"})
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("protocol", [None, KERNEL_V1])
@pytest.mark.parametrize("buffers", [[], [b""], [b"a", b"\0" * 100, b""]])
def test_it_comes_back_the_same(protocol: str | None, buffers: list[bytes]) -> None:
    kind, data = encode(message(buffers=buffers), protocol)
    assert decode(kind, data, protocol) == message(buffers=buffers)


def test_jupyters_own_encoding_is_read() -> None:
    parts = [b"iopub", json.dumps(HEADER).encode(), b"{}", b"{}", b'{"text": "hi"}']
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    data = len(offsets).to_bytes(8, "little") + b"".join(o.to_bytes(8, "little") for o in offsets) + b"".join(parts)
    assert decode(WSMsgType.BINARY, data, KERNEL_V1).content == {"text": "hi"}


BAD_TEXT = [
    b"", b"[]", b"1", b"{", b"\xff", b'{"channel": "iopub"}', b'{"channel": "evil", "header": {"msg_id": "a", "msg_type": "b"}}',
    b'{"channel": "iopub", "header": {"msg_id": 1, "msg_type": "b"}}',
    b'{"channel": ["iopub"], "header": {"msg_id": "a", "msg_type": "b"}}',
    b'{"channel": "iopub", "header": {"msg_id": "a", "msg_type": "b"}, "content": [1]}',
    b'{"channel": "iopub", "header": {"msg_id": "a", "msg_type": "b"}, "parent_header": {"msg_id": "a"}}', b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("data", BAD_TEXT)
def test_text_that_is_no_message_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(WSMsgType.TEXT, data, None)


GOOD = encode(message(), KERNEL_V1)[1]
BAD_BINARY = [
    b"", b"\0", b"\0" * 8, struct.pack("<Q", 2**63), struct.pack("<Q", 10**6), struct.pack("<8Q", 6, 0, 0, 0, 0, 0, 0, 0),
    struct.pack("<7Q", 6, 56, 60, 58, 62, 64, 66) + b"x" * 10, GOOD[:-1], GOOD + b"patient-4711", b"\xff" * 100,
]  # fmt: skip


@pytest.mark.parametrize("data", BAD_BINARY)
def test_binary_that_is_no_message_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(WSMsgType.BINARY, data, KERNEL_V1)
    with pytest.raises(Unreadable):
        decode(WSMsgType.BINARY, data, None)


def test_text_in_the_binary_protocol_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        decode(WSMsgType.TEXT, encode(message(), None)[1], KERNEL_V1)


@given(st.binary(max_size=400), st.sampled_from([None, KERNEL_V1]), st.sampled_from([WSMsgType.TEXT, WSMsgType.BINARY]))
def test_any_bytes_are_a_message_or_unreadable(data: bytes, protocol: str | None, kind: WSMsgType) -> None:
    try:
        found = decode(kind, data, protocol)
    except Unreadable:
        return
    assert found.channel in {"shell", "control", "stdin", "iopub"}


def test_nan_of_a_python_kernel_becomes_null() -> None:
    body = {"channel": "iopub", "header": HEADER, "parent_header": {}, "metadata": {}, "content": {"x": float("nan")}}
    found = decode(WSMsgType.TEXT, json.dumps(body).encode(), None)
    assert encode(found, KERNEL_V1)[1].endswith(b'{"x":null}')
